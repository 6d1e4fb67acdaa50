// The lines of the chat: one's own from the moment they wait, others' as they verified. Pure.

import type { ParticipantId, Statement } from "../wire/client";
import type { SessionEvent } from "../wire/worker";
import { nameOf, type CallState } from "./state";

/** Lines shown at most: older ones are in the record, not on the screen. */
export const MOST_LINES = 500;
/** Bytes of UTF-8 in one message (`evidence::said::MAX_TEXT`). */
export const MOST_BYTES = 4_000;

export interface Line {
  key: string;
  from: ParticipantId;
  name: string;
  mine: boolean;
  /** Null: it was written while we were away, and no key of ours opens it. */
  words: string | null;
  at: number;
  state: "waiting" | "sent" | "lost";
  /** A file and no words. */
  file?: FileLine;
  /** Firms whose recorder has it on disk. */
  kept: readonly string[];
}

/** A file among the lines. */
export interface FileLine {
  /** One's own on its way: its name at signaling. Told: what announced it. */
  id: string;
  /** Its name at signaling. */
  blob: string;
  /** Null: told under a key this device never had. */
  name: string | null;
  mediaType: string;
  size: number;
  /** On its way, to signaling or from there. */
  moving: { done: number; of: number } | null;
  /** A code why it did not go or come. */
  wrong: string | null;
}

type SaidEvent = SessionEvent & { type: "said" };

export const mineOf = (sequence: number): string => `mine ${sequence}`;
export const capped = (lines: readonly Line[]): readonly Line[] => lines.slice(-MOST_LINES);

/** One's own line, before it is out. */
export function withWaiting(state: CallState, sequence: number, words: string, now: number): readonly Line[] {
  const key = mineOf(sequence);
  const from = state.me ?? "";
  // it may be out already: the answer and the event come side by side
  if (state.lines.some((line) => line.key === key)) return state.lines;
  return capped([...state.lines, { key, from, name: nameOf(state, from), mine: true, words, at: now, state: "waiting", kept: [] }]);
}

export function withSaid(state: CallState, event: SaidEvent): readonly Line[] {
  const mine = event.from === state.me;
  const key = mine ? mineOf(event.sequence) : `${event.from} ${event.epoch} ${event.sequence}`;
  const line: Line = {
    key, from: event.from, name: nameOf(state, event.from), mine, words: event.words, at: event.at, state: "sent", kept: [],
  };
  const known = state.lines.findIndex((one) => one.key === key);
  return known < 0 ? capped([...state.lines, line]) : state.lines.with(known, { ...line, kept: state.lines[known]?.kept ?? [] });
}

export function withKept(state: CallState, sequence: number, firm: string): readonly Line[] {
  return state.lines.map((line) => (line.key === mineOf(sequence) ? { ...line, kept: [...line.kept, firm] } : line));
}

/** Another meeting began in the room: what waited is not said there, and numbers begin anew. */
export function withNewMeeting(lines: readonly Line[], meeting: string): readonly Line[] {
  return lines.map((line) => ({ ...line, key: `${meeting} ${line.key}`, state: line.state === "waiting" ? "lost" : line.state }));
}

export function chatKeepers(statements: readonly Statement[]): string[] {
  return statements.filter(({ chat }) => chat === "must" || chat === "should").map(({ firm }) => firm);
}
export function chatForbiddenBy(statements: readonly Statement[]): string | null {
  return statements.find(({ chat }) => chat === "forbidden")?.firm ?? null;
}

export function fileKeepers(statements: readonly Statement[]): string[] {
  return statements.filter(({ files }) => files === "must" || files === "should").map(({ firm }) => firm);
}
export function filesForbiddenBy(statements: readonly Statement[]): string | null {
  return statements.find(({ files }) => files === "forbidden")?.firm ?? null;
}

/** Bytes beyond what fits; 0: it fits. */
export function tooMuch(text: string): number {
  return Math.max(0, new TextEncoder().encode(text.trim()).length - MOST_BYTES);
}
