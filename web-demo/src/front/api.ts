// HTTP to this firm's own front. Nothing here is kept; errors are problems with stable codes.

import type { Problem } from "../wire/client";
import type { MatchRun, OpenedToMe, Supervision } from "../wire/review";
import type { Retention } from "../wire/retention";
import type {
  ArchivedMeeting, BeginLogin, ExportState, FinishLogin, InvitationView, LedgerRow, LoginBegun, LoginFinished, LoginSession, Opened,
  PageConfig, ReplayRequest, RoomSummary, Search,
} from "../wire/front";

export class FrontProblem extends Error {
  constructor(readonly problem: Problem, readonly status: number) {
    super(problem.code);
  }
}

async function problemOf(answer: Response): Promise<FrontProblem> {
  let problem: Problem = { code: `http-${answer.status}`, detail: "", firm: null };
  try {
    const json = (await answer.json()) as Partial<Problem>;
    if (typeof json.code === "string") problem = { code: json.code, detail: json.detail ?? "", firm: json.firm ?? null };
  } catch {
    // not JSON: the status stands
  }
  return new FrontProblem(problem, answer.status);
}

export async function call<T>(method: string, path: string, session: string | null, body?: unknown): Promise<T> {
  const headers: Record<string, string> = {};
  if (session !== null) headers["authorization"] = `Bearer ${session}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  // the replay's own cookie (HttpOnly, its path only) is the one thing that is not in the header
  const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) init.body = JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new FrontProblem({ code: "front-unreachable", detail: "", firm: null }, 0);
  }
  if (!answer.ok) throw await problemOf(answer);
  if (answer.status === 204) return undefined as T;
  return (await answer.json()) as T;
}

const id = encodeURIComponent;

/** A copy, fetched with the officer's session: a plain link would not carry it. */
async function file(method: string, path: string, session: string): Promise<Blob> {
  const answer = await fetch(path, { method, headers: { authorization: `Bearer ${session}` }, credentials: "same-origin", cache: "no-store" });
  if (!answer.ok) throw await problemOf(answer);
  return answer.blob();
}

export const front = {
  config: () => call<PageConfig>("GET", "/api/config", null),
  recording: () => call<{ blocked: "archive-probe" | null }>("GET", "/api/recording", null),
  login: (user: string, password: string) => call<LoginSession>("POST", "/idp/login", null, { user, password }),
  beginLogin: (ask: BeginLogin) => call<LoginBegun>("POST", "/oidc/begin", null, ask),
  finishLogin: (ask: FinishLogin) => call<LoginFinished>("POST", "/oidc/finish", null, ask),
  rooms: (session: string) => call<RoomSummary[]>("GET", "/api/rooms", session),
  invitation: (guest: string) => call<InvitationView>("GET", `/api/invitations/${id(guest)}`, null),
  invite: (session: string, invitation: string) => call<InvitationView>("POST", "/api/invitations", session, { invitation }),
  calendarOf: (guest: string): string => `/api/invitations/${id(guest)}/meeting.ics`,
  meetings: (session: string) => call<ArchivedMeeting[]>("GET", "/api/meetings", session),
  search: (session: string, search: Search) => call<ArchivedMeeting[]>("POST", "/api/search", session, search),
  requests: (session: string) => call<ReplayRequest[]>("GET", "/api/requests", session),
  postRequest: (session: string, request: string) => call<ReplayRequest>("POST", "/api/requests", session, { request }),
  approve: (session: string, request: string, approval: string) =>
    call<ReplayRequest>("POST", `/api/requests/${id(request)}/approval`, session, { approval }),
  open: (session: string, request: string) => call<Opened>("POST", `/api/requests/${id(request)}/open`, session),
  close: (session: string, request: string) => call<void>("DELETE", `/api/requests/${id(request)}/open`, session),
  signOut: (session: string) => call<void>("DELETE", "/api/session", session),
  played: (session: string, grant: string, action: "play" | "seek", atMs: number) =>
    call<void>("POST", "/api/ledger", session, { grant, action, at_ms: Math.round(atMs) }),
  /** Without `from` the newest entries. */
  ledger: (session: string, from?: number) => call<LedgerRow[]>("GET", `/api/ledger${from === undefined ? "" : `?from=${from}`}`, session),
  /** A clip's ends in ms from the meeting's begin; `null`: its own. */
  startExport: (session: string, request: string, clip: { from: number | null; to: number | null }) =>
    call<ExportState>("POST", "/api/exports", session, { request, from_ms: clip.from, to_ms: clip.to }),
  exportState: (session: string, job: string) => call<ExportState>("GET", `/api/exports/${id(job)}`, session),
  exportFile: (session: string, href: string) => file("GET", href, session),
  bundle: (session: string, request: string) => file("POST", `/api/requests/${id(request)}/bundle`, session),
  supervision: (session: string) => call<Supervision>("GET", "/api/supervision", session),
  act: (session: string, act: string) => call<Supervision>("POST", "/api/supervision", session, { act }),
  retention: (session: string) => call<Retention>("GET", "/api/retention", session),
  retain: (session: string, act: string) => call<Retention>("POST", "/api/retention", session, { act }),
  consent: (session: string, act: string, consent: string) =>
    call<Retention>("POST", `/api/retention/${id(act)}/consent`, session, { consent }),
  matchWords: (session: string) => call<MatchRun>("POST", "/api/supervision/match", session),
  opened: (session: string) => call<OpenedToMe>("GET", "/api/opened", session),
  cancelExport: (session: string, job: string) => call<void>("DELETE", `/api/exports/${id(job)}`, session),
};
