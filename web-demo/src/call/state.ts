// What the call screen shows: one value, changed by the controller alone. Pure, with the questions screens ask of it.

import type { Feed, MeetingTerms, ParticipantId, Problem, RosterEntry, Statement } from "../wire/client";
import { firmOf, SLOT, userOf } from "../wire/client";
import type { Link, Member, RecorderState, Sending, TrackCounters } from "../wire/worker";
import type { RemoteTrack } from "../media/subscriber";
import type { LeafRole } from "../wire/front";
import type { Waiting } from "../wire/host";
import type { Hand, Reaction } from "./hosting";
import type { Pause } from "./record";
import type { Line } from "./said";

export type Over =
  | { why: "left" }
  | { why: "refused"; problem: Problem }
  | { why: "removed"; problem: Problem }
  | { why: "dead"; reason: string };

export interface CodeState { code: string; since: number; changedBy: { added: ParticipantId[]; removed: ParticipantId[] } | null }
export interface Seen { participant: ParticipantId; name: string; firm: string; from: number; to: number | null; recorder: boolean }

export interface CallState {
  room: string;
  phase: "joining" | "in" | "over";
  over: Over | null;
  link: Link;
  startedAt: number;
  me: ParticipantId | null;
  terms: MeetingTerms | null;
  statements: Statement[];
  members: Member[];
  roster: Record<ParticipantId, RosterEntry>;
  epoch: number | null;
  code: CodeState | null;
  sending: Sending;
  recorders: RecorderState[];
  suspended: string[];
  speaker: ParticipantId | null;
  speaking: Record<ParticipantId, boolean>;
  tracks: RemoteTrack[];
  counters: TrackCounters[];
  /** What the SFU sends of each source, by participant and slot. */
  feeds: Record<string, Feed>;
  /** Somebody keeps something here and this person has not acknowledged it: nothing is sent. */
  asked: boolean;
  /** Firms whose copy stands still. */
  pauses: Record<string, Pause>;
  /** What the meeting is about. */
  tags: { trades: readonly string[]; counterparties: readonly string[] };
  copyAsked: boolean;
  /** What was written, and how much of it nobody looked at yet. */
  lines: readonly Line[];
  unread: number;
  /** Hosts, as statements and signed acts have it. */
  hosts: readonly ParticipantId[];
  /** Who invited each guest, by name, as the invitation's signature says. */
  guests: Record<ParticipantId, string>;
  /** Who waits to be let in; only hosts are told. */
  waiting: readonly Waiting[];
  locked: boolean;
  /** One waits at the door oneself. */
  atDoor: boolean;
  hands: readonly Hand[];
  reactions: readonly Reaction[];
  /** One's own shared screen. */
  sharing: MediaStreamTrack | null;
  publish: RTCPeerConnectionState;
  subscribe: RTCPeerConnectionState;
  /** Is there a way to the SFU, and does the device say that it has a network? */
  path: "lost" | "found";
  network: "up" | "down";
  micMuted: boolean;
  camOff: boolean;
  testPicture: boolean;
  testTone: boolean;
  audioBlocked: boolean;
  clockSkewMs: number;
  /** Everybody seen in this meeting, for the receipt after it. */
  seen: Record<ParticipantId, Seen>;
}

export function initialState(room: string): CallState {
  return {
    room, phase: "joining", over: null, link: "connecting", startedAt: Date.now(), me: null, terms: null, statements: [],
    members: [], roster: {}, epoch: null, code: null, sending: { state: "stopped", why: "no-group", firm: null },
    recorders: [], suspended: [], speaker: null, speaking: {}, tracks: [], counters: [], feeds: {}, asked: false, pauses: {},
    tags: { trades: [], counterparties: [] }, copyAsked: false, lines: [], unread: 0, sharing: null,
    hosts: [], guests: {}, waiting: [], locked: false, atDoor: false, hands: [], reactions: [], publish: "new",
    subscribe: "new", path: "found", network: "up", micMuted: false, camOff: false, testPicture: false, testTone: false, audioBlocked: false,
    clockSkewMs: 0, seen: {},
  };
}

export interface Person { participant: ParticipantId; name: string; firm: string; me: boolean; host: boolean; inGroup: boolean; role: LeafRole | null }

/** Title case of a login name, for people whose certificate has not been seen yet. */
function nameFromId(participant: ParticipantId): string {
  const user = userOf(participant);
  return user.charAt(0).toUpperCase() + user.slice(1);
}

export function nameOf(state: CallState, participant: ParticipantId): string {
  return state.members.find((member) => member.participant === participant)?.name
    ?? state.seen[participant]?.name ?? nameFromId(participant);
}

/** People (not recorders), oneself first, then by leaf, then those still being added. */
export function peopleOf(state: CallState): Person[] {
  const ids = new Set<ParticipantId>();
  const person = (participant: ParticipantId): Person => ({
    participant,
    name: nameOf(state, participant),
    firm: firmOf(participant),
    me: participant === state.me,
    host: state.hosts.includes(participant),
    role: state.members.find((member) => member.participant === participant)?.role ?? null,
    inGroup: state.members.some((member) => member.participant === participant),
  });
  if (state.me !== null) ids.add(state.me);
  for (const member of state.members) if (member.role !== "recorder") ids.add(member.participant);
  for (const entry of Object.values(state.roster)) if (!entry.recorder) ids.add(entry.participant);
  return [...ids].map(person);
}

export type LockState = "verified" | "waiting" | "failing" | "none";

/** The lock is drawn from frames that verified lately, never from a setting. */
export function lockOf(counters: readonly TrackCounters[], participant: ParticipantId, now: number): LockState {
  const tracks = counters.filter((track) => track.direction === "receive" && track.participant === participant);
  if (tracks.length === 0) return "none";
  const fresh = tracks.filter((track) => track.lastAt !== null && now - track.lastAt < 3_000);
  const failing = tracks.some((track) => track.rejected > 0 && track.rejected * 50 > track.opened);
  if (failing) return "failing";
  return fresh.length > 0 ? "verified" : "waiting";
}

export function meetingLock(state: CallState, now: number): LockState {
  const others = peopleOf(state).filter((person) => !person.me);
  const locks = others.map((person) => lockOf(state.counters, person.participant, now));
  if (locks.includes("failing")) return "failing";
  if (locks.includes("verified")) return "verified";
  return others.length === 0 ? "none" : "waiting";
}

export function mutedOf(state: CallState, participant: ParticipantId): boolean {
  if (participant === state.me) return state.micMuted;
  return state.roster[participant]?.sources.find((source) => source.slot === SLOT.microphone)?.muted ?? false;
}

export function viewOffOf(state: CallState, participant: ParticipantId): boolean {
  if (participant === state.me) return state.camOff;
  return state.roster[participant]?.sources.find((source) => source.slot === SLOT.camera)?.muted ?? false;
}
