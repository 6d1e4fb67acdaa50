// Reads the session's events, as JSON came from WebAssembly, into the page's own shapes. Pure; unknown kinds are no
// error: a newer module may say more than this page shows.

import type { MeetingTerms, Problem, RosterEntry } from "../wire/client";
import type { Waiting } from "../wire/host";
import type { Member, RecorderState, Sending, SessionEvent, What } from "../wire/worker";

type Json = Record<string, unknown>;

function kebab(text: string): string {
  return text.replace(/([a-z0-9])([A-Z])/g, "$1-$2").replaceAll("_", "-").toLowerCase();
}

function sendingOf(value: unknown): Sending {
  const json = (typeof value === "object" && value !== null ? value : { state: value }) as Json;
  if (kebab(String(json["state"] ?? "stopped")) === "allowed") return { state: "allowed" };
  const firm = typeof json["firm"] === "string" ? json["firm"] : null;
  return { state: "stopped", why: kebab(String(json["why"] ?? "no-group")), firm };
}

export function readEvent(json: Json): SessionEvent | null {
  const who = (value: unknown): string | null => (typeof value === "string" ? value : null);
  switch (json["type"]) {
    case "admitted":
      return {
        type: "admitted",
        participant: String(json["participant"]),
        terms: json["terms"] as MeetingTerms,
        statements: [],
        roster: (json["roster"] ?? []) as RosterEntry[],
        entry: String(json["entry"] ?? ""),
        now: Number(json["now"] ?? 0),
      };
    case "epoch":
      return {
        type: "epoch",
        epoch: Number(json["epoch"]),
        members: (json["members"] ?? []) as Member[],
        code: String(json["code"] ?? ""),
        added: (json["added"] ?? []) as string[],
        removed: (json["removed"] ?? []) as string[],
      };
    case "sending":
      return { type: "sending", sending: sendingOf(json["sending"] ?? json) };
    case "recorders":
      return { type: "recorders", recorders: (json["recorders"] ?? []) as RecorderState[] };
    case "said":
      return {
        type: "said",
        from: String(json["from"]),
        epoch: Number(json["epoch"]),
        sequence: Number(json["sequence"]),
        at: Number(json["at"]),
        words: who(json["words"]),
      };
    case "declared":
      return { type: "declared", from: String(json["from"]), what: json["what"] as What };
    case "kept":
      return { type: "kept", sequence: Number(json["sequence"]), firm: String(json["firm"]) };
    case "ordered":
      return { type: "ordered", from: String(json["from"]), order: json["order"] };
    case "hosts":
      return { type: "hosts", hosts: (json["hosts"] ?? []) as string[] };
    case "waiting":
      return { type: "waiting", waiting: (json["waiting"] ?? []) as Waiting[] };
    case "guest":
      return { type: "guest", guest: String(json["guest"]), inviter: String(json["inviter"]), name: String(json["name"]) };
    case "sign":
      return { type: "sign", from: String(json["from"]), sign: json["sign"] };
    case "shared": {
      const shown = (json["shown"] ?? null) as { name: string; media_type: string } | null;
      return {
        type: "shared",
        from: String(json["from"]),
        epoch: Number(json["epoch"]),
        sequence: Number(json["sequence"]),
        at: Number(json["at"]),
        blob: String(json["blob"]),
        file: String(json["file"]),
        size: Number(json["size"]),
        name: shown?.name ?? null,
        mediaType: shown?.media_type ?? null,
      };
    }
    case "file-moving":
      return { type: "file-moving", file: String(json["file"]), done: Number(json["done"]), of: Number(json["of"]) };
    case "fetched":
      return { type: "fetched", file: String(json["file"]) };
    case "file-lost":
      return { type: "file-lost", file: String(json["file"]), why: String((json["why"] as Json | undefined)?.["why"] ?? "gone") };
    case "removed":
      return { type: "removed", problem: json["problem"] as Problem };
    case "incident":
      return { type: "incident", kind: String(json["kind"] ?? ""), participant: who(json["participant"]) };
    default:
      return null;
  }
}
