// What people tell the record: what the meeting is about, that a firm's copy stands still, that one wants a copy. Pure.

import { firmOf, userOf, type ParticipantId, type Statement } from "../wire/client";
import type { PauseReason, What } from "../wire/worker";
import type { CallState } from "./state";

export interface Pause {
  by: ParticipantId;
  until: number;
  reason: PauseReason;
  /** The own recorder said that it stands still. Only who asked for it is told; for all others it is announced. */
  stands: boolean;
}

/** May this person let the own firm's copy stand still? The longest time, ms; null: no. */
export function mayPause(statements: readonly Statement[], me: ParticipantId | null): number | null {
  if (me === null) return null;
  const rule = statements.find(({ firm }) => firm === firmOf(me))?.pause;
  return rule !== undefined && rule.by.includes(userOf(me)) ? rule.at_most_ms : null;
}

export function mayAskCopy(statements: readonly Statement[], me: ParticipantId | null): boolean {
  return me !== null && statements.find(({ firm }) => firm === firmOf(me))?.copies === "on-request";
}

const joined = (one: readonly string[], other: readonly string[]): readonly string[] => [...new Set([...one, ...other])].sort();

/** The call after somebody declared something. A pause ends by itself at `until`. */
export function withDeclared(state: CallState, from: ParticipantId, what: What, now: number): Partial<CallState> {
  const firm = firmOf(from);
  if ("tags" in what) {
    const { trades, counterparties } = what.tags;
    return { tags: { trades: joined(state.tags.trades, trades), counterparties: joined(state.tags.counterparties, counterparties) } };
  }
  if ("pause" in what) {
    // a pause that runs is not made longer
    if (state.pauses[firm] !== undefined) return {};
    const { reason, at_most_ms } = what.pause;
    return { pauses: { ...state.pauses, [firm]: { by: from, until: now + at_most_ms, reason, stands: from !== state.me } } };
  }
  if ("resume" in what) return { pauses: without(state.pauses, firm) };
  if ("copy-wanted" in what) return from === state.me ? { copyAsked: true } : {};
  return {};
}

/** The own recorder keeps on disk that it stands still: what is said from here on is not kept. */
export function withStanding(state: CallState, by: string): Partial<CallState> {
  const pause = state.pauses[by];
  return pause === undefined ? {} : { pauses: { ...state.pauses, [by]: { ...pause, stands: true } } };
}

function without(pauses: Record<string, Pause>, firm: string): Record<string, Pause> {
  return Object.fromEntries(Object.entries(pauses).filter(([known]) => known !== firm));
}

/** Pauses whose time is over are no more. */
export function withTime(state: CallState, now: number): Record<string, Pause> {
  return Object.fromEntries(Object.entries(state.pauses).filter(([, { until }]) => until > now));
}

/** A line of tags, apart at commas: those that look like an LEI are counterparties. */
export function tagsOf(text: string): { trades: string[]; counterparties: string[] } {
  const parts = text.split(/[,;\n]/).map((part) => part.trim()).filter((part) => part !== "");
  const isLei = (part: string): boolean => /^[A-Z0-9]{18}[0-9]{2}$/.test(part);
  return { trades: parts.filter((part) => !isLei(part)), counterparties: parts.filter(isLei) };
}
