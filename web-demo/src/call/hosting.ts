// What hosts ordered and who shows what, as the call screen has it: pure changes of its state, each from an event that the
// worker's session judged by its signature.

import { hostOrderOf, signOf, type HostOrder, type Sign } from "../wire/host";
import type { ParticipantId } from "../wire/client";
import type { CallState } from "./state";

/** A reaction is shown so long, ms. */
export const REACTION_MS = 4_000;
/** ... and at most so many: a screen is no firework. */
const MOST_SHOWN = 12;

export interface Hand { participant: ParticipantId; since: number }
export interface Reaction { id: number; participant: ParticipantId; sign: Sign; at: number }

/** Hands in the order they went up. */
export function withSign(state: CallState, from: ParticipantId, said: unknown, now: number): Partial<CallState> {
  const sign = signOf(said);
  if (sign === null) return {};
  const others = state.hands.filter((hand) => hand.participant !== from);
  if (sign.kind === "hand-down") return { hands: others };
  if (sign.kind === "hand-up") {
    const since = Math.min(sign.since, now);
    const hands = [...others, { participant: from, since }];
    return { hands: hands.sort((a, b) => a.since - b.since || (a.participant < b.participant ? -1 : 1)) };
  }
  const id = (state.reactions.at(-1)?.id ?? 0) + 1;
  const fresh = state.reactions.filter((one) => now - one.at < REACTION_MS);
  return { reactions: [...fresh, { id, participant: from, sign: sign.kind, at: now }].slice(-MOST_SHOWN) };
}

export function withoutOld(state: CallState, now: number): Partial<CallState> {
  return { reactions: state.reactions.filter((one) => now - one.at < REACTION_MS) };
}

/** Who left holds up no hand. */
export function handsOf(state: CallState, present: readonly ParticipantId[]): Hand[] {
  return state.hands.filter((hand) => present.includes(hand.participant));
}

/** What an order does to this page. */
export type Told =
  | { kind: "none" }
  | { kind: "silence"; all: boolean }
  | { kind: "locked"; locked: boolean }
  | { kind: "handed-over"; to: ParticipantId }
  | { kind: "ended" };

export function toldBy(state: CallState, from: ParticipantId, said: unknown): Told {
  const order: HostOrder | null = hostOrderOf(said);
  switch (order?.kind) {
    case "mute-all":
      return from === state.me ? { kind: "none" } : { kind: "silence", all: true };
    case "mute":
      return order.participant === state.me ? { kind: "silence", all: false } : { kind: "none" };
    case "lock":
      return { kind: "locked", locked: true };
    case "unlock":
      return { kind: "locked", locked: false };
    case "hand-over":
      return { kind: "handed-over", to: order.participant };
    case "end":
      return { kind: "ended" };
    default:
      return { kind: "none" };
  }
}
