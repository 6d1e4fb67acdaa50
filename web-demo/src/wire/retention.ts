// Retention of archived meetings, between the page and its own firm's front. Shapes follow `domain::message::retention`.

export interface Retention { meetings: RetentionRow[]; acts: RetentionAct[] }
export type RetentionWhat = "raise" | "hold" | "release" | "dispose";
export interface RetentionRow {
  meeting: string;
  /** Empty where nothing but the book of retention is left. */
  title: string;
  ended_at: number;
  until: number;
  /** 0: less than any class. */
  class_years: number;
  raises: number[];
  phase: "kept" | "disposing" | "stopped" | "disposed";
  disposed_at: number | null;
  holds: { case: string; reason: string; since: number; by: [string, string] }[];
  /** This officer was in the meeting. */
  inside: boolean;
  manifest_hash: string;
  problem: string | null;
}
export interface RetentionAct {
  id: string;
  meeting: string;
  what: RetentionWhat;
  years: number | null;
  case: string;
  reason: string;
  first: string;
  second: string | null;
  issued_at: number;
  state: "waiting" | "lapsed" | "signed" | "done" | "refused";
  detail: string;
  signed: string;
}
