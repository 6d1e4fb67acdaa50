// Administrators' pages and their firm's front. Shapes follow `domain::message::admin`; a statement keeps the order of its
// fields, because its CBOR is signed.

import type { LedgerRow } from "./front";

export type Rule = "must" | "should" | "off" | "forbidden";
export type Tier = "audio" | "p360" | "full" | "screen-only";
export type Language = "en" | "fr" | "de";
export interface Barrier { ours?: string; from: { firm: string } | { group: string } }
export interface Conditions {
  contact?: string; veto?: string[]; guests: "allowed" | "refused"; share: "allowed" | "refused"; lobby: "free" | "wanted"; passcode: "free" | "wanted";
  hosts?: string[]; regions?: string[]; oldest_client: number; barriers?: Barrier[]; notice?: Partial<Record<Language, string>>; previous?: string;
}
export interface FullStatement {
  version: number; serial: number; firm: string; room: string; audio_video: Rule; chat: Rule; files: Rule; tier: Tier; retention_years: number;
  archive?: "worm" | "audit-trail"; pause?: { by: string[]; at_most_ms: number }; copies?: "none" | "on-request"; recorder_grace_ms: number;
  archive_key_ids: string[]; issued_at: number; conditions?: Conditions;
}

export interface StatedRooms { rooms: StatedRoom[]; administrators: number; handing: boolean }
export interface StatedRoom { room: string; title: string; firms: string[]; present: VersionHead | null; waits: boolean }
export interface VersionHead { serial: number; since: number; by: string[]; audio_video: Rule; retention_years: number }
export interface ChangeLine { text: string; effect: "stricter" | "looser" | "own" }
export interface Version { statement: FullStatement; hash: string; by: string[]; handed: boolean; changes: ChangeLine[] }
export interface RefusedRow { firm: string; user: string; guest: boolean; said: string }
export interface Simulated { clashes: string[]; refused: RefusedRow[]; entered: number; of: number }
export interface Proposal { id: string; statement: FullStatement; by: string; until: number; changes: ChangeLine[]; simulation: Simulated }
export interface RoomPolicy {
  room: string; title: string; draft: FullStatement; history: Version[]; others: FullStatement[]; proposal: Proposal | null; clashes: string[]; hours: number; price: number;
}
export interface DraftAsk { language: Language; statement: FullStatement; client: number | null; region: string | null; hours: number | null }
export interface CostRow { hours: number; bytes_a_month: number; bytes_held: number; first_month_cents: number; full_month_cents: number }
export interface DraftAnswer { statement: FullStatement; changes: ChangeLine[]; simulation: Simulated; notices: Record<Language, string[]>; cost: CostRow }

export interface KeyRow { name: string; id: string }
export interface FirmRow { firm: string; name: string; own: boolean; roots: { subject: string; fingerprint: string; until: number | null }[]; keys: KeyRow[] }
export interface Firms { trust: string; firms: FirmRow[] }
export interface TokenRow { name: string; token: string | null; test: boolean; keys: KeyRow[]; problem: string | null }
export interface StoreRow { name: string; class: string | null; probed_at: number; trouble: string | null; waiting: number; waiting_bytes: number }
export interface CustodyStatus {
  tokens: TokenRow[]; probes: { key_id: string; opened_at: number | null }[]; blocked: boolean; recorders: { name: string; certified_at: number; until: number }[];
  open: { meeting: string; written_at: number | null }[]; stores: StoreRow[]; free_bytes: number | null;
}
export interface ForecastRoom {
  room: string; title: string; audio_video: Rule; tier: Tier; retention_years: number; meetings: number; bytes: number; cost: CostRow;
  years: { year: number; bytes: number; month_cents: number }[];
}
export interface Forecast { price: number; rooms: ForecastRoom[]; expiries: { year: number; meetings: number; bytes: number }[]; left_out: number }
export interface LedgerPage { rows: LedgerRow[]; verified: number | null }
export type AlertCode =
  "token-down" | "probe-stale" | "service-down" | "not-ready" | "store-trouble" | "clash" | "not-handed" | "root-ends" | "ledger-broken";
export interface Alert { code: AlertCode; name: string; detail: string }
export interface ServiceRow { name: string; alive: boolean; ready: boolean; reasons: string[] }
export interface Health { services: ServiceRow[]; alerts: Alert[] }
