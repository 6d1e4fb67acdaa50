// What hosts order and what people show, as the worker's session says and takes it. Shapes follow `evidence::host::Order`
// and `domain::message::member::Sign`.

import type { ParticipantId } from "./client";
import type { LeafRole } from "./front";

/** Somebody who waits to be let in, by its certificate. */
export interface Waiting { participant: ParticipantId; name: string; role: LeafRole }

export type HostOrder =
  | { kind: "lock" | "unlock" | "mute-all" | "end" }
  | { kind: "admit" | "deny" | "mute" | "remove" | "hand-over"; participant: ParticipantId };

export type Sign = "yes" | "no" | "applause" | "laugh" | "surprise" | "heart";
export const SIGNS: readonly Sign[] = ["yes", "no", "applause", "laugh", "surprise", "heart"];

export function toOrder(order: HostOrder): Record<string, unknown> {
  if (!("participant" in order)) return { [order.kind]: {} };
  return { [order.kind]: order.kind === "hand-over" ? { to: order.participant } : { participant: order.participant } };
}

export function toSign(sign: Sign | "hand-up" | "hand-down"): Record<string, unknown> {
  return { [sign]: sign === "hand-up" ? { since: 0 } : {} };
}

function single(said: unknown): [string, Record<string, unknown>] | null {
  if (typeof said !== "object" || said === null) return null;
  const [entry] = Object.entries(said);
  return entry === undefined ? null : [entry[0], (entry[1] ?? {}) as Record<string, unknown>];
}

export function hostOrderOf(said: unknown): HostOrder | null {
  const [kind, body] = single(said) ?? ["", {}];
  switch (kind) {
    case "lock":
    case "unlock":
    case "mute-all":
    case "end":
      return { kind };
    case "admit":
    case "deny":
    case "mute":
    case "remove":
      return { kind, participant: String(body["participant"]) };
    case "hand-over":
      return { kind, participant: String(body["to"]) };
    default:
      return null;
  }
}

export function signOf(said: unknown): { kind: "hand-up"; since: number } | { kind: "hand-down" } | { kind: Sign } | null {
  const [kind, body] = single(said) ?? ["", {}];
  if (kind === "hand-up") return { kind, since: Number(body["since"]) };
  if (kind === "hand-down") return { kind };
  const sign = SIGNS.find((known) => known === kind);
  return sign === undefined ? null : { kind: sign };
}
