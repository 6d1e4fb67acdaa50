// The receipt of a call as facts and as a text to keep: who was there, how long, who keeps what, the code, what verified. Pure.

import { clockTime, dateTime, t } from "../i18n";
import type { PageConfig } from "../wire/front";
import { codeGroups } from "./code";
import { noticesOf } from "./notices";
import { firmName } from "./problems";
import type { CallState } from "./state";

export interface Verified { frames: number; rejected: number }

/** Frames of others that were opened, and those that were not what they claimed. */
export function verifiedOf({ counters }: CallState): Verified {
  const received = counters.filter((track) => track.direction === "receive");
  return {
    frames: received.reduce((sum, track) => sum + track.opened, 0),
    rejected: received.reduce((sum, track) => sum + track.rejected, 0),
  };
}

export function verifiedText(state: CallState): string {
  const { frames, rejected } = verifiedOf(state);
  return rejected === 0 ? t("receiptVerifiedYes", { frames }) : t("receiptVerifiedNo", { frames, rejected });
}

/** Whole minutes that this person was in, at least one. */
export function minutesOf(state: CallState, now: number): number {
  const own = state.me === null ? undefined : state.seen[state.me];
  if (own === undefined) return 0;
  return Math.max(1, Math.round(((own.to ?? now) - own.from) / 60_000));
}

export function keptOf(state: CallState): CallState["statements"] {
  const keeps = (rule: string): boolean => rule === "must" || rule === "should";
  return state.statements.filter(({ audio_video, chat, files }) => keeps(audio_video) || keeps(chat) || keeps(files));
}

/** Plain text in the language of the page. */
export function receiptText(config: PageConfig, state: CallState, now: number): string {
  const { terms } = state;
  if (terms === null) return "";
  const people = Object.values(state.seen).filter((seen) => !seen.recorder);
  const kept = keptOf(state);
  const lines = [
    `${t("receiptTitle")}: ${terms.title}, ${dateTime(terms.started_at)}`,
    t("receiptMeeting", { id: terms.meeting }),
    t("receiptLasted", { minutes: minutesOf(state, now) }),
    "",
    t("receiptWho"),
    ...people.map((seen) => `- ${seen.name}, ${firmName(config, seen.firm)}, ${t("receiptFor", { from: clockTime(seen.from), to: clockTime(seen.to ?? now) })}`),
    "",
    t("receiptKept"),
    ...(kept.length === 0 ? [t("receiptNone")] : kept.map((statement) => `- ${noticesOf(config, statement).join(" ")}`)),
    "",
    `${t("receiptVerified")}: ${verifiedText(state)}`,
    ...(state.code === null ? [] : [`${t("receiptCode")}: ${codeGroups(state.code.code).join(" ")}`]),
  ];
  return `${lines.join("\n")}\n`;
}
