// A statement in plain words, every field of it.

import { firmName } from "../call/problems";
import { listOf } from "../i18n";
import { ta, type AdminKey } from "../i18n/admin";
import type { Barrier, Conditions, FullStatement } from "../wire/admin";
import type { PageConfig } from "../wire/front";
import { RULES, TIERS } from "./parts";

/** What a statement without conditions asks: nothing. */
export const NOTHING: Conditions = { guests: "allowed", share: "allowed", lobby: "free", passcode: "free", oldest_client: 0 };

export function barrierLine({ ours, from }: Barrier): string {
  return `${ours ?? "*"} | ${"firm" in from ? from.firm : from.group}`;
}

export function Facts({ config, statement }: { config: PageConfig; statement: FullStatement }) {
  const c = statement.conditions ?? NOTHING;
  const yes = (is: boolean): string => ta(is ? "yes" : "no");
  const names = (all: string[] | undefined, none: string): string => (all === undefined || all.length === 0 ? none : listOf(all));
  const forbids = [statement.audio_video, statement.chat, statement.files].includes("forbidden");
  const rows: [AdminKey, string][] = [
    ["audioVideo", ta(RULES[statement.audio_video])], ["chat", ta(RULES[statement.chat])], ["files", ta(RULES[statement.files])],
    ["years", String(statement.retention_years)], ["tier", ta(TIERS[statement.tier])],
    ["archive", ta(statement.archive === "audit-trail" ? "archiveTrail" : "archiveWorm")],
    ["grace", String(statement.recorder_grace_ms / 1000)], ["copies", yes(statement.copies === "on-request")],
    ["pauseBy", statement.pause === undefined ? ta("nobody") : `${listOf(statement.pause.by)} (${statement.pause.at_most_ms / 1000} s)`],
    ["guests", yes(c.guests === "allowed")], ["share", yes(c.share === "allowed")], ["lobby", yes(c.lobby === "wanted")], ["passcode", yes(c.passcode === "wanted")],
    ["hosts", names(c.hosts, "–")], ["regions", c.regions === undefined ? ta("anyRegion") : listOf(c.regions)], ["client", String(c.oldest_client)],
    ["barriers", names(c.barriers?.map(barrierLine), "–")], ["contact", c.contact || "–"],
  ];
  if (forbids) rows.splice(3, 0, ["veto", names(c.veto?.map((firm) => firmName(config, firm)), "–")]);
  // the form's labels also say how to fill them in
  const short = (key: AdminKey): string => ta(key).replace(key === "barriers" ? /,.*$/ : / *\(.*$/, "");
  return (
    <dl class="facts statement-facts" data-testid="facts">
      {rows.map(([key, value]) => (<div key={key}><dt>{short(key)}</dt><dd>{value}</dd></div>))}
      {Object.entries(c.notice ?? {}).map(([lang, text]) => (<div key={lang}><dt>{ta("notices")} ({lang})</dt><dd lang={lang}>{text}</dd></div>))}
    </dl>
  );
}
