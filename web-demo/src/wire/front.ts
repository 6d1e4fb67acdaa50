// What the page and its own firm's front say to each other over HTTP. Shapes follow `domain::message::front`.

import type { ParticipantId } from "./client";

export type LeafRole = "member" | "recorder" | "guest" | "compliance" | "administrator";

export interface FirmTrust { firm: string; name: string }
export interface PageConfig {
  firm: string;
  firm_name: string;
  signaling: string;
  trust: { version: number; firms: FirmTrust[] };
  issuer: string;
  warnings: string[];
  client_id: string;
}
/** A guest has the invitation and the code in place of a session. */
export interface LoginSession { session: string; name: string; user: string; roles: LeafRole[]; guest?: { code: string } }
/** What whoever has the link may know. */
export interface InvitationView {
  guest: string; name: string; room: string; title: string; statements: string[];
  invited_by: string; valid_from: number; valid_until: number; link: string;
}
/** At the firm's own identity provider: to sign in, or for a certificate without a question. */
export type BeginLogin = { purpose: "login" } | { purpose: "enrol"; nonce: string; session: string };
export interface LoginBegun { address: string; state: string; secret: string }
export interface FinishLogin { state: string; secret: string; code: string | null; iss: string | null }
export type LoginFinished = ({ outcome: "login" } & LoginSession) | { outcome: "enrol"; id_token: string };
export interface RoomSummary { room: string; title: string; audio_video: string; statements?: string[] }

export interface ArchivedMeeting {
  meeting: string;
  room: string;
  title: string;
  started_at: number;
  ended_at: number;
  participants: string[];
  frames: number;
  gaps: number;
  integrity: string;
  manifest_hash: string;
  /** The paired recorder's copy; one that is not verified is not replayed with the first. */
  paired?: { manifest_hash: string; integrity: string };
}
/** Every given criterion must hold; times are ms since 1970. */
export interface Search { person: string; firm: string; room: string; trade: string; counterparty: string; from: number | null; to: number | null; text: string }
export interface ReplayRequest {
  id: string;
  meeting: string;
  requester: string;
  case: string;
  reason: string;
  approver: string | null;
  until: number | null;
  /** The meeting's keys are to be handed out with the evidence. */
  keys: boolean;
  signed: string;
}
export interface Lane {
  participant: ParticipantId;
  name: string;
  parts: LanePart[];
  from_ms: number;
  to_ms: number;
  gaps: [number, number][];
}
/** One file of a lane; it begins before what it shows, so that its picture has a key frame. */
export interface LanePart { src: string; begin_ms: number; from_ms: number; to_ms: number }
export interface LaneEvent { at_ms: number; kind: string; text: string }
export interface Opened { grant: string; until: number; duration_ms: number; lanes: Lane[]; events: LaneEvent[]; files?: ReplayFile[] }
/** A file that was sent; `src` is null where it is not here. */
export interface ReplayFile { src: string | null; at_ms: number; from: string; name: string | null; media_type: string | null; size: number; missing: string | null }
export interface ExportState {
  id: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  percent: number;
  detail: string | null;
  href: string | null;
}
export interface LedgerEvent { at: number; actor: string; action: string; meeting: string; note: string }
export interface LedgerRow { index: number; event: LedgerEvent; integrity: string }
