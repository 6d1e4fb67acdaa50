// Short notes a call gives rise to, and the bookkeeping of who was seen when. Pure.

import type { PictureCodec } from "../media/codecs";
import { firmOf, type ParticipantId, type Problem, type RosterEntry } from "../wire/client";
import type { Waiting } from "../wire/host";
import type { Member } from "../wire/worker";
import { nameOf, type CallState } from "./state";

export type Notice =
  | { kind: "joined" | "gone"; participant: ParticipantId; name: string; recorder: boolean }
  | { kind: "joined-muted" }
  | { kind: "device-lost"; device: "microphone" | "camera" }
  | { kind: "codec-refused"; codec: PictureCodec }
  | { kind: "waiting"; who: Waiting }
  | { kind: "hand"; name: string }
  | { kind: "told"; text: "toldMuteAll" | "toldMuted" | "toldLocked" | "toldUnlocked" | "toldHost" | "toldHandOver" | "toldEnd"; name: string; to?: string }
  | { kind: "incident"; text: string }
  | { kind: "problem"; problem: Problem };

export type Roster = Record<ParticipantId, RosterEntry>;

/** The roster as it is now: who was seen, and whose coming or going is worth a note. */
export function withRoster(state: CallState, roster: Roster, now: number): { patch: Pick<CallState, "roster" | "seen">; notices: Notice[] } {
  const seen = { ...state.seen };
  const notices: Notice[] = [];
  for (const { participant, recorder } of Object.values(roster)) {
    const known = seen[participant];
    const name = nameOf(state, participant);
    seen[participant] = known === undefined
      ? { participant, name, firm: firmOf(participant), from: now, to: null, recorder }
      : { ...known, name, to: null };
  }
  for (const participant of Object.keys(state.roster)) {
    const known = seen[participant];
    if (participant in roster || known === undefined) continue;
    seen[participant] = { ...known, to: now };
    notices.push({ kind: "gone", participant, name: nameOf(state, participant), recorder: known.recorder });
  }
  return { patch: { roster, seen }, notices };
}

/** Who the keys of a new epoch let in: noted only now, because only a certificate tells a name. */
export function arrivals(state: CallState, members: readonly Member[], added: readonly ParticipantId[], removed: readonly ParticipantId[]): Notice[] {
  if (state.epoch === null) return [];
  const fresh = added.filter((participant) => participant !== state.me && !removed.includes(participant));
  return members.filter((member) => fresh.includes(member.participant))
    .map(({ participant, name, role }) => ({ kind: "joined", participant, name, recorder: role === "recorder" }));
}
