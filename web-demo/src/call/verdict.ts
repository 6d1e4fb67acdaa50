// What a refusal means for a call: join anew, removed, or refused. Pure.

import type { Problem } from "../wire/client";

/** Codes that end a call although we had been in it. */
const REMOVED = new Set(["removed", "replaced", "not-a-member", "ended"]);
/** Codes that pass by themselves while a service comes back: who was in a call is brought back without a question. */
const PASSING = new Set(["media-unavailable", "rooms-unavailable", "internal"]);
/** A new try so often, ms ... */
export const AGAIN_MS = 1_500;
/** ... and so many times: a minute is what people wait before they ask somebody. */
const AGAIN_MOST = 40;
/** From the last frame to the goodbye, ms: five pieces of sound, more than a packetizer and its pacer hold. */
export const FAREWELL_MS = 100;

export function verdictOf(problem: Problem, inside: boolean, tries: number): "again" | "removed" | "refused" {
  if (!inside) return "refused";
  if (PASSING.has(problem.code) && tries < AGAIN_MOST) return "again";
  return REMOVED.has(problem.code) ? "removed" : "refused";
}
