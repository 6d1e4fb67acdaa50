// Copies that clients asked for: asked, prepared, handed out. The file never comes here; its SHA-256 is computed in this
// page and signed.

import { useState } from "preact/hooks";
import { dateTime, span, t } from "../i18n";
import { Dialog } from "../ui/dialog";
import type { CopyRow } from "../wire/review";
import type { Officer, Playing } from "./app";
import { useDesk, useWays, type Desk, type Ways } from "./desk";
import { Lead } from "./lead";
import { ListState, shortName } from "./parts";
import { Missing } from "./reviews";

async function hashOf(file: File): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function PrepareDialog({ copy, request, desk, onClose }: { copy: CopyRow; request: string; desk: Desk; onClose: () => void }) {
  const send = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const file = new FormData(event.currentTarget).get("file");
    if (!(file instanceof File)) return;
    const act = { act: "copy", meeting: copy.meeting, client: copy.client, request, step: "prepared", file: await hashOf(file), text: file.name };
    if (await desk.act(act)) onClose();
  };
  return (
    <Dialog title={t("copPrepare")} onClose={onClose} testid="prepare-dialog">
      <form onSubmit={(event) => void send(event)}>
        <label class="field">{t("copFile")}<input name="file" type="file" required data-testid="copy-file" /></label>
        <p class="small">{t("copFileWhy")}</p>
        <div class="row end">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button class="button primary" disabled={desk.busy} data-testid="prepare-go">{t("revSign")}</button>
        </div>
      </form>
    </Dialog>
  );
}

function HandDialog({ copy, desk, onClose }: { copy: CopyRow; desk: Desk; onClose: () => void }) {
  const last = copy.steps.at(-1);
  const send = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    if (last === undefined) return;
    const text = String(new FormData(event.currentTarget).get("text")).trim();
    const act = { act: "copy", meeting: copy.meeting, client: copy.client, request: last.request, step: "handed", file: last.file, text };
    void desk.act(act).then((done) => done && onClose());
  };
  return (
    <Dialog title={t("copHand")} onClose={onClose} testid="hand-dialog">
      <form onSubmit={send}>
        <label class="field">{t("copHow")}<input name="text" required maxLength={2000} data-testid="hand-text" /></label>
        <div class="row end">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button class="button primary" disabled={desk.busy} data-testid="hand-go">{t("revSign")}</button>
        </div>
      </form>
    </Dialog>
  );
}

const STATES = { asked: "copStateAsked", prepared: "copStatePrepared", handed: "copStateHanded" } as const;

function Row({ officer, copy, desk, ways, onPlay }: { officer: Officer; copy: CopyRow; desk: Desk; ways: Ways; onPlay: (playing: Playing) => void }) {
  const [open, setOpen] = useState<"none" | "prepare" | "hand">("none");
  const state = copy.steps.at(-1)?.step ?? "asked";
  const way = ways.of(copy.meeting);
  const name = copy.name === "" ? shortName(copy.client) : copy.name;
  const preset = { case: t("copFor", { name }), reason: t("copReason", { name }), fromMs: copy.from_ms, toMs: copy.to_ms };
  return (
    <li class="card request" data-testid="copy" data-meeting={copy.meeting} data-state={state}>
      <div class="request-text">
        <p><strong>{t("copFor", { name })}</strong> · {copy.title} · {dateTime(copy.started_at)}</p>
        <p class="row">
          <span class={`chip ${state === "handed" ? "good" : state === "prepared" ? "plain-chip" : "open"}`} data-testid="copy-state">{t(STATES[state])}</span>
          <span class="small">{t("copAsked", { time: dateTime(copy.asked_at), language: copy.language })} · {t("copPart", { from: span(copy.from_ms), to: span(copy.to_ms) })}</span>
        </p>
        <ul class="plain">
          {copy.steps.map((step) => (
            <li key={step.index} class="small">
              {t(step.step === "prepared" ? "copPrepared" : "copHanded", { time: dateTime(step.at), name: step.by, index: step.index, text: step.text })}
              <br /><span class="mono">{t("copHash", { hash: step.file })}</span>
            </li>
          ))}
        </ul>
        {state === "asked" && way.at === "open" && <p class="small">{t("copLead")}</p>}
      </div>
      {state !== "handed" && (
        <div class="request-act row">
          <Lead officer={officer} ways={ways} meeting={copy.meeting} startMs={0} preset={preset} label={t("copRequest")} onPlay={onPlay} />
          {way.at === "open" && <button type="button" class="button small-button" onClick={() => setOpen("prepare")} data-testid="copy-prepare">{t("copPrepare")}</button>}
          {state === "prepared" && <button type="button" class="button small-button primary" onClick={() => setOpen("hand")} data-testid="copy-hand">{t("copHand")}</button>}
        </div>
      )}
      {open === "prepare" && way.at === "open" && <PrepareDialog copy={copy} request={way.request.id} desk={desk} onClose={() => setOpen("none")} />}
      {open === "hand" && <HandDialog copy={copy} desk={desk} onClose={() => setOpen("none")} />}
    </li>
  );
}

export function Copies({ officer, onPlay }: { officer: Officer; onPlay: (playing: Playing) => void }) {
  const desk = useDesk(officer);
  const ways = useWays(officer);
  const rows = { ...desk, value: desk.value?.copies ?? null };
  return (
    <section aria-labelledby="copies-title">
      <div class="row head-row">
        <h1 id="copies-title">{t("offCopies")}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={() => { desk.again(); ways.again(); }} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      <p class="small">{t("copWhy")}</p>
      {desk.value !== null && <Missing desk={desk.value} />}
      <ListState loaded={rows} empty={t("copNone")}>
        {(copies) => (
          <ul class="requests">
            {copies.map((copy) => <Row key={`${copy.meeting}.${copy.client}`} officer={officer} copy={copy} desk={desk} ways={ways} onPlay={onPlay} />)}
          </ul>
        )}
      </ListState>
    </section>
  );
}
