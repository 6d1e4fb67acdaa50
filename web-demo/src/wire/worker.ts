// The closed list of messages between the page and its worker. No key, no secret and no clear frame is in it.

import type { Codec, MeetingTerms, PageToServer, ParticipantId, Problem, RosterEntry, Rule, ServerToPage, Statement } from "./client";
import type { LeafRole } from "./front";
import type { Waiting } from "./host";
import type { RetentionWhat } from "./retention";

export interface WorkerSetup { firm: string; signaling: string; trust: string; clientId: string; origin: string; development: boolean }
export interface Enrolment { session: string; user: string; name: string; device: string; role: LeafRole }

export interface GuestEnrolment { guest: string; code: string; name: string; device: string }
export interface InviteAsk { room: string; name: string; from: number; until: number }
/** The code is shown once and kept nowhere. */
export interface Invited { signed: string; guest: string; code: string }

export interface Member { leaf: number; participant: ParticipantId; name: string; role: LeafRole; firm: string }
export type StopReason = "no-group" | "no-receipt" | "no-beacon" | "removal-pending" | "not-admitted" | "dead" | string;
export type Sending = { state: "allowed" } | { state: "stopped"; why: StopReason; firm: string | null };
export type CopyState = "recording" | "late" | "missing";
/** `state` is the best of `copies`: a firm's recorders in the group, two where they are paired. */
export interface RecorderState { firm: string; participant: ParticipantId | null; state: CopyState; rule: Rule; chat: Rule; copies?: { participant: ParticipantId; state: CopyState }[] }

export type SessionEvent =
  | { type: "admitted"; participant: ParticipantId; terms: MeetingTerms; statements: Statement[]; roster: RosterEntry[]; entry: string; now: number }
  | { type: "epoch"; epoch: number; members: Member[]; code: string; added: ParticipantId[]; removed: ParticipantId[] }
  | { type: "sending"; sending: Sending }
  | { type: "recorders"; recorders: RecorderState[] }
  | { type: "said"; from: ParticipantId; epoch: number; sequence: number; at: number; words: string | null }
  | { type: "declared"; from: ParticipantId; what: What }
  | { type: "shared"; from: ParticipantId; epoch: number; sequence: number; at: number; blob: string; file: string; size: number; name: string | null; mediaType: string | null }
  /** `file`: one's own by its name at signaling, another's by what announced it. */
  | { type: "file-moving"; file: string; done: number; of: number }
  | { type: "fetched"; file: string }
  | { type: "file-lost"; file: string; why: string }
  | { type: "kept"; sequence: number; firm: string }
  | { type: "ordered"; from: ParticipantId; order: unknown }
  | { type: "hosts"; hosts: ParticipantId[] }
  | { type: "waiting"; waiting: Waiting[] }
  | { type: "sign"; from: ParticipantId; sign: unknown }
  | { type: "guest"; guest: ParticipantId; inviter: ParticipantId; name: string }
  | { type: "removed"; problem: Problem }
  | { type: "incident"; kind: string; participant: ParticipantId | null };

/** What is said besides chat lines (`evidence::said::What`). */
export type What =
  | { tags: { trades: string[]; counterparties: string[] } }
  | { pause: { reason: PauseReason; at_most_ms: number } }
  | { resume: Record<string, never> }
  | { "copy-wanted": { language: string } };
export type PauseReason = "payment-card" | "legal";

/** Frames of one track since it began, counted where they are sealed or opened. */
export interface TrackCounters {
  direction: "send" | "receive";
  participant: ParticipantId | null;
  mid: string | null;
  slot: number;
  codec: Codec;
  sealed: number;
  opened: number;
  dropped: number;
  rejected: number;
  /** Of an epoch this device never held: sealed before it came in, or while it was away. No fault of the sender. */
  unknown: number;
  duplicates: number;
  held: number;
  empty: number;
  /** `performance.timeOrigin + performance.now()` of the first frame that verified, ms. */
  firstAt: number | null;
  lastAt: number | null;
  lastError: string | null;
}

export type Link = "connecting" | "open" | "lost" | "closed";

export type ToWorker =
  | { type: "setup"; setup: WorkerSetup }
  | { type: "enrol"; id: number; enrolment: Enrolment }
  | { type: "enrol-guest"; id: number; guest: GuestEnrolment }
  /** A member invites a guest; answered by [`Invited`]. */
  | { type: "invite"; id: number; ask: InviteAsk }
  /** Answer to `token-wanted`. */
  | { type: "token"; token: { idToken: string } | { problem: Problem } }
  | { type: "statements"; id: number; signed: string[] }
  | { type: "sign-request"; id: number; request: ReplayAsk }
  | { type: "sign-act"; id: number; act: SignedAct }
  | { type: "sign-approval"; id: number; signedRequest: string; approve: ApprovalAsk }
  /** An administrator's consent to a statement, as the front told it (`wire/admin`). */
  | { type: "sign-consent"; id: number; statement: string }
  | { type: "sign-retention"; id: number; retain: RetentionAsk }
  | { type: "sign-retention-consent"; id: number; signedAct: string }
  /** A chat line; answered by its number, or by a problem whose detail says why not. */
  | { type: "say"; id: number; text: string }
  /** Something that is no chat line; answered as `say`. */
  | { type: "declare"; id: number; what: What }
  /** A file for the meeting; answered by its name at signaling, or as `say`. */
  | { type: "share"; id: number; name: string; mediaType: string; bytes: ArrayBuffer }
  | { type: "cancel-share"; blob: string }
  /** A file that somebody told of; answered at once, `file` follows. */
  | { type: "fetch"; id: number; file: string }
  | { type: "cancel-fetch"; file: string }
  /** The notices were shown in this language and acknowledged. */
  | { type: "acknowledge"; language: string }
  | { type: "join"; room: string; passcode: string | null }
  /** Host: `evidence::host::Order` as JSON. */
  | { type: "order"; order: string }
  | { type: "set-passcode"; passcode: string }
  /** `domain::message::member::Sign` as JSON. */
  | { type: "sign"; sign: string }
  | { type: "leave" }
  /** Is signaling still there? Answered by `alive`, or by a new connection. */
  | { type: "probe" }
  | { type: "remove"; participant: ParticipantId }
  | { type: "add-source"; slot: number; codec: Codec }
  | { type: "layer-streams"; slot: number; streams: LayerStream[] }
  | { type: "one-stream"; slot: number }
  | { type: "signal"; message: PageToServer };

/** Which RTP stream carries which layer of a source; only the connection's statistics tell. */
export interface LayerStream { ssrc: number; rid: string; layer: number }

export interface ReplayAsk { meeting: string; manifestHash: string; paired: string | null; case: string; reason: string; fromMs: number; toMs: number; keys: boolean }
/** `evidence::supervision::What`: fields in its order. */
export type SignedAct = { act: string } & { [key: string]: ActValue };
export type ActValue = number | string | ActValue[] | { [key: string]: ActValue };
export interface ApprovalAsk { seconds: number }
/** `years` counts for `raise` alone. */
export interface RetentionAsk { meeting: string; manifestHash: string; what: RetentionWhat; years: number; case: string; reason: string }

export type FromWorker =
  /** The firm's own provider must sign this nonce; answered by `token`. */
  | { type: "token-wanted"; nonce: string; session: string }
  | { type: "ready" }
  | { type: "dead"; reason: string }
  | { type: "done"; id: number; value: unknown }
  | { type: "failed"; id: number; problem: Problem }
  | { type: "link"; link: Link }
  | { type: "alive" }
  | { type: "event"; event: SessionEvent }
  /** A file that was asked for, in clear. */
  | { type: "file"; file: string; bytes: Uint8Array<ArrayBuffer> }
  | { type: "signal"; message: ServerToPage }
  | { type: "counters"; tracks: TrackCounters[] }
  /** Frames of a source are dropped because nobody said which layer their stream carries. */
  | { type: "streams-unknown"; slot: number }
  /** A layer's pictures are dropped until a key frame, which the worker cannot ask for in this browser. */
  | { type: "key-frame-wanted"; slot: number; layer: number };

/** Options of an `RTCRtpScriptTransform`: which track it stands on. */
export type TransformOptions =
  | { direction: "send"; slot: number; codec: Codec; layers: number }
  | { direction: "receive"; mid: string };
