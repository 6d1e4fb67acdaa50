// What the page itself says to and hears from signaling, as JSON of the participant protocol. Group messages never
// pass here: the worker's session makes and reads them. Shapes follow `domain::message::client`.

export type Codec = "opus" | "vp8" | "vp9" | "av1";
export type Rule = "must" | "should" | "off" | "forbidden";
/** `firm/user/device`. */
export type ParticipantId = string;

/** First slots of the sources a participant may publish. */
export const SLOT = { microphone: 0, screenAudio: 1, camera: 2, screen: 16 } as const;

export interface PublishedTrack { mid: string; slot: number; codec: Codec }
export interface SubscribedTrack { mid: string; participant: ParticipantId; slot: number; codec: Codec; active: boolean }
export interface Source { slot: number; muted: boolean }
export interface RosterEntry {
  participant: ParticipantId;
  recorder: boolean;
  host: boolean;
  leaf: number | null;
  sources: Source[];
}

/** How much of a source this page can use: the height of its tile in device pixels, 0 while hidden. */
export interface Wish { participant: ParticipantId; slot: number; max_height: number; weight: "normal" | "pinned" }
export type FeedLimit = "wish" | "hidden" | "link" | "sender";
export type LinkQuality = "good" | "fair" | "poor";
/** What the SFU sends of a source and why no more; `layer` null: nothing. */
export interface Feed {
  participant: ParticipantId;
  slot: number;
  layer: number | null;
  height: number;
  limit: FeedLimit;
  sender: LinkQuality;
}

export type ProblemCode =
  | "upgrade" | "bad-message" | "bad-certificate" | "bad-signature" | "trust-mismatch" | "not-a-member" | "replaced"
  | "removed" | "policy-clash" | "barred" | "terms-change" | "recorder-missing" | "meeting-full" | "rooms-unavailable"
  | "media-unavailable" | "media-full" | "stale-epoch" | "bad-commit" | "rate-limited" | "not-acknowledged" | "not-host" | "not-recorder"
  | "locked" | "lobby" | "denied" | "passcode" | "passcode-tries" | "client-too-old" | "region" | "no-guests" | "no-share" | "ended"
  | "internal";
export interface Problem { code: ProblemCode | string; detail: string; firm: string | null }

/** The only messages the page may have the worker send for it. */
export type PageToServer =
  | { type: "offer"; sdp: string; tracks: PublishedTrack[] }
  | { type: "answer"; sdp: string; revision: number }
  | { type: "candidate"; transport: "publish" | "subscribe"; candidate: string }
  | { type: "mute"; slot: number; muted: boolean }
  | { type: "view"; wishes: Wish[] }
  | { type: "layers"; slot: number; heights: number[] };

/** A TURN server of the operator, with credentials for an hour. */
export interface Relay { urls: string[]; username: string; credential: string }

/** Messages of signaling that the session hands on to the page. */
export type ServerToPage =
  | { type: "relays"; relays: Relay[] }
  | { type: "roster-changed"; entry: RosterEntry }
  | { type: "roster-left"; participant: ParticipantId }
  | { type: "publish-answer"; sdp: string }
  | { type: "subscribe-offer"; sdp: string; revision: number; tracks: SubscribedTrack[] }
  | { type: "firm-suspended"; firm: string; suspended: boolean }
  | { type: "speaker"; participant: ParticipantId }
  | { type: "layers-wanted"; slot: number; layers: number[]; rates?: (number | null)[] }
  | { type: "codec-refused"; slot: number }
  | { type: "feeds"; feeds: Feed[] }
  | ({ type: "problem" } & Problem);

export interface MeetingTerms {
  meeting: string;
  room: string;
  title: string;
  statements: string[];
  trust: string;
  started_at: number;
}

/** A firm's statement as far as people are told of it. */
export interface Statement {
  firm: string;
  room: string;
  audio_video: Rule;
  chat: Rule;
  files: Rule;
  tier: "audio" | "p360" | "full" | "screen-only";
  retention_years: number;
  recorder_grace_ms: number;
  /** Who of the firm may let its copy stand still, and for how long. */
  pause?: { by: string[]; at_most_ms: number };
  copies?: "none" | "on-request";
  conditions?: { share?: "allowed" | "refused"; passcode?: "free" | "wanted"; lobby?: "free" | "wanted"; guests?: "allowed" | "refused"; notice?: Partial<Record<"en" | "fr" | "de", string>> };
}

export function firmOf(participant: ParticipantId): string {
  return participant.split("/", 1)[0] ?? participant;
}
export function userOf(participant: ParticipantId): string {
  return participant.split("/")[1] ?? participant;
}
