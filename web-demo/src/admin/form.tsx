// The form of a statement. It makes a value and nothing else: what it means is said by the front, and signed in the worker.

import { firmName } from "../call/problems";
import { LANGUAGES, t } from "../i18n";
import { ta, type AdminKey } from "../i18n/admin";
import type { Barrier, Conditions, FullStatement, Language, Rule, Tier } from "../wire/admin";
import type { PageConfig } from "../wire/front";
import { barrierLine, NOTHING } from "./facts";
import { RULES, TIERS } from "./parts";

const CLASSES = [["audio_video", "audioVideo"], ["chat", "chat"], ["files", "files"]] as const satisfies readonly (readonly [string, AdminKey])[];
const FLAGS = [
  ["guests", "allowed"], ["share", "allowed"], ["lobby", "wanted"], ["passcode", "wanted"],
] as const satisfies readonly (readonly [keyof Conditions & AdminKey, string])[];
/** Longest texts, as `evidence::statement` has them. */
const MOST_NOTICE = 600;
const MOST_CONTACT = 200;

const namesOf = (text: string): string[] => [...new Set(text.split(",").map((name) => name.trim()).filter((name) => name !== ""))];

/** `ours | from` a line; a firm that is known is one, everything else a group of one's own. */
export function barriersOf(text: string, firms: readonly string[]): Barrier[] {
  return text.split("\n").flatMap((line) => {
    const [ours, from] = line.split("|").map((part) => part.trim());
    if (ours === undefined || from === undefined || from === "") return [];
    const side = firms.includes(from) ? { firm: from } : { group: from };
    return [ours === "*" || ours === "" ? { from: side } : { ours, from: side }];
  });
}

function conditionsOf(form: FormData, before: Conditions, firms: readonly string[]): Conditions {
  const text = (name: string): string => String(form.get(name) ?? "").trim();
  const regions = namesOf(text("regions"));
  const notice: Partial<Record<Language, string>> = {};
  for (const { id } of LANGUAGES) if (text(`notice-${id}`) !== "") notice[id] = text(`notice-${id}`);
  const next: Conditions = {
    ...before,
    contact: text("contact"),
    veto: form.getAll("veto").map(String),
    guests: form.has("guests") ? "allowed" : "refused",
    share: form.has("share") ? "allowed" : "refused",
    lobby: form.has("lobby") ? "wanted" : "free",
    passcode: form.has("passcode") ? "wanted" : "free",
    hosts: namesOf(text("hosts")),
    oldest_client: Number(text("client")),
    barriers: barriersOf(text("barriers"), firms),
    notice,
  };
  if (regions.length > 0) next.regions = regions;
  else delete next.regions;
  return next;
}

export function statementOf(form: FormData, before: FullStatement, firms: readonly string[]): FullStatement {
  const text = (name: string): string => String(form.get(name) ?? "").trim();
  const pausers = namesOf(text("pause-by"));
  const next: FullStatement = {
    ...before,
    audio_video: text("audio_video") as Rule,
    chat: text("chat") as Rule,
    files: text("files") as Rule,
    tier: text("tier") as Tier,
    retention_years: Number(text("years")),
    archive: text("archive") as "worm" | "audit-trail",
    copies: form.has("copies") ? "on-request" : "none",
    recorder_grace_ms: Math.round(Number(text("grace")) * 1000),
    conditions: conditionsOf(form, before.conditions ?? NOTHING, firms),
  };
  if (pausers.length > 0) next.pause = { by: pausers, at_most_ms: Math.round(Number(text("pause-most")) * 1000) };
  else delete next.pause;
  return next;
}

interface Props { config: PageConfig; begin: FullStatement; busy: boolean; onPreview: (statement: FullStatement) => void; onClose: () => void }

export function StatementForm({ config, begin, busy, onPreview, onClose }: Props) {
  const firms = config.trust.firms.map(({ firm }) => firm);
  const others = firms.filter((firm) => firm !== config.firm);
  const c = begin.conditions ?? NOTHING;
  const send = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    onPreview(statementOf(new FormData(event.currentTarget), begin, firms));
  };
  return (
    <form class="statement-form" onSubmit={send} data-testid="statement-form">
      <fieldset class="card">
        <legend>{ta("contents")}</legend>
        <div class="criteria">
          {CLASSES.map(([name, key]) => (
            <label key={name} class="field">{ta(key)}
              <select name={name} data-testid={`rule-${name}`}>
                {Object.entries(RULES).map(([rule, word]) => <option key={rule} value={rule} selected={rule === begin[name]}>{ta(word)}</option>)}
              </select>
            </label>
          ))}
        </div>
        {others.length > 0 && (
          <div role="group" aria-label={ta("veto")}>
            <p class="small">{ta("veto")}</p>
            {others.map((firm) => (
              <label key={firm} class="check"><input type="checkbox" name="veto" value={firm} defaultChecked={c.veto?.includes(firm) ?? false} /> {firmName(config, firm)}</label>
            ))}
          </div>
        )}
      </fieldset>
      <fieldset class="card">
        <legend>{ta("copy")}</legend>
        <div class="criteria">
          <label class="field">{ta("years")}<input name="years" type="number" min={0} max={100} required defaultValue={String(begin.retention_years)} data-testid="years" /></label>
          <label class="field">{ta("tier")}
            <select name="tier" data-testid="tier">{Object.entries(TIERS).map(([tier, word]) => <option key={tier} value={tier} selected={tier === begin.tier}>{ta(word)}</option>)}</select>
          </label>
          <label class="field">{ta("archive")}
            <select name="archive">
              <option value="worm">{ta("archiveWorm")}</option>
              <option value="audit-trail" selected={begin.archive === "audit-trail"}>{ta("archiveTrail")}</option>
            </select>
          </label>
          <label class="field">{ta("grace")}<input name="grace" type="number" min={2} max={30} step="0.5" required defaultValue={String(begin.recorder_grace_ms / 1000)} /></label>
          <label class="field">{ta("pauseBy")}<input name="pause-by" defaultValue={begin.pause?.by.join(", ") ?? ""} /></label>
          <label class="field">{ta("pauseMost")}<input name="pause-most" type="number" min={1} max={600} required defaultValue={String((begin.pause?.at_most_ms ?? 120_000) / 1000)} /></label>
        </div>
        <label class="check"><input type="checkbox" name="copies" defaultChecked={begin.copies === "on-request"} /> {ta("copies")}</label>
      </fieldset>
      <fieldset class="card">
        <legend>{ta("entering")}</legend>
        {FLAGS.map(([name, on]) => (
          <label key={name} class="check"><input type="checkbox" name={name} defaultChecked={c[name] === on} data-testid={`flag-${name}`} /> {ta(name)}</label>
        ))}
        <div class="criteria">
          <label class="field">{ta("hosts")}<input name="hosts" defaultValue={c.hosts?.join(", ") ?? ""} /></label>
          <label class="field">{ta("regions")}<input name="regions" defaultValue={c.regions?.join(", ") ?? ""} /></label>
          <label class="field">{ta("client")}<input name="client" type="number" min={0} max={4_294_967_295} required defaultValue={String(c.oldest_client)} data-testid="client" /></label>
        </div>
        <label class="field">{ta("barriers")}<textarea name="barriers" rows={2} defaultValue={c.barriers?.map(barrierLine).join("\n") ?? ""} data-testid="barriers" /></label>
      </fieldset>
      <fieldset class="card">
        <legend>{ta("notices")}</legend>
        {LANGUAGES.map(({ id, name }) => (
          <label key={id} class="field">{ta("noticeIn", { language: name })}
            <input name={`notice-${id}`} lang={id} maxLength={MOST_NOTICE} defaultValue={c.notice?.[id] ?? ""} data-testid={`notice-${id}`} />
          </label>
        ))}
        <label class="field">{ta("contact")}<input name="contact" maxLength={MOST_CONTACT} defaultValue={c.contact ?? ""} data-testid="contact" /></label>
      </fieldset>
      <div class="row end">
        <button type="button" class="button" onClick={onClose} data-testid="form-close">{t("cancel")}</button>
        <button class="button primary" disabled={busy} data-testid="preview">{ta("preview")}</button>
      </div>
    </form>
  );
}
