// Supervision, word lists, copies and "who replayed me", between the page and its own firm's front. Shapes follow
// `domain::message::review`.

export interface Supervision {
  samples: SampleRow[];
  reviews: ReviewRow[];
  alerts: AlertRow[];
  words: WordsRow | null;
  copies: CopyRow[];
  /** Ledger entries whose act is missing. */
  missing: number[];
}
export interface SampleRow {
  index: number; by: string; at: number; percent: number; room: string; counterparty: string; from: number; to: number;
  population: number; population_hash: string; seed: string; drawn: string[];
}
export interface ReviewRow {
  origin: number; source: "sample" | "alert"; meeting: string; title: string; started_at: number; length_ms: number;
  participants: string[]; reviewer: string | null; due: number; opened_at: number | null; notes: NoteRow[]; dispositions: DispositionRow[];
}
export interface NoteRow { by: string; at: number; from_ms: number; to_ms: number; text: string }
export type Disposition = "no-finding" | "follow-up" | "escalate";
export interface DispositionRow { by: string; at: number; disposition: Disposition; text: string }
export interface HitRow { list: string; at_ms: number; line?: string }
export interface AlertRow { index: number; at: number; by: string; meeting: string; title: string; version: number; hits: HitRow[] }
export interface WordsRow { version: number; index: number; by: string; at: number; hash: string; lists: WordsList[] }
export interface WordsList { name: string; words: string[] }
export interface CopyRow {
  meeting: string; title: string; started_at: number; manifest_hash: string; client: string; name: string; language: string;
  asked_at: number; from_ms: number; to_ms: number; steps: CopyStepRow[];
}
export interface CopyStepRow { step: "prepared" | "handed"; index: number; by: string; at: number; request: string; file: string; text: string }
export interface MatchRun { version: number; meetings: MatchedMeeting[] }
export interface MatchedMeeting { meeting: string; title: string; lines: number; hits: HitRow[]; problem: string | null }
export interface OpenedToMe { shown: boolean; after_days: number; rows: OpenedRow[] }
export interface OpenedRow { at: number; action: "open" | "export"; title: string; started_at: number; by: string | null; case: string | null }
