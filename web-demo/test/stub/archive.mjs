// The stand-in archive: two finished meetings, requests in memory, replay from a recorded sample.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const SAMPLE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../out/sample.webm");

export class Archive {
  constructor(firm) {
    this.firm = firm;
    this.requests = [];
    this.exports = new Map();
    this.ledger = [];
    this.disposed = [];
    this.acts = [];
    this.holds = [];
    const begin = Date.parse("2026-03-02T09:30:00Z");
    this.meetings = [
      { meeting: "5f0c2a91d4e84b7f9a6c3e1d20b7f854", room: "deal-room", title: "Project Alder", started_at: begin, ended_at: begin + 1_832_000, participants: ["bank-a/anna/01", "bank-b/ben/02"], frames: 141_233, gaps: 0, integrity: "verified", manifest_hash: "AAAA", paired: { manifest_hash: "PAIRED-HASH", integrity: "verified" } },
      { meeting: "99ab2a91d4e84b7f9a6c3e1d20b70a11", room: "deal-room", title: "Project Alder", started_at: begin - 86_400_000, ended_at: begin - 86_400_000 + 642_000, participants: ["bank-a/anna/03", "bank-b/ben/04", "bank-b/bea/05"], frames: 60_418, gaps: 2, integrity: "segment 14: frame hash differs", manifest_hash: "BBBB", paired: { manifest_hash: "", integrity: "open" } },
    ];
  }
  note(actor, action, meeting, note) {
    this.ledger.push({ index: this.ledger.length, integrity: "verified", event: { at: Date.now(), actor: `sr://${actor}/d0`, action, meeting, note } });
  }

  /** What officers supervise: one review of carol's that is overdue, an alert, a copy that waits. */
  supervision() {
    const [first] = this.meetings;
    const about = { meeting: first.meeting, title: first.title, started_at: first.started_at };
    const day = 86_400_000;
    return {
      samples: [{ index: 1, by: "chris", at: first.ended_at + day, percent: 10, room: "deal-room", counterparty: "", from: first.started_at - day, to: first.ended_at, population: 7, population_hash: "ab".repeat(32), seed: "cd".repeat(32), drawn: [first.meeting] }],
      reviews: [
        { ...about, origin: 1, source: "sample", length_ms: 1_832_000, participants: first.participants, reviewer: "carol", due: first.ended_at + 15 * day, opened_at: null, notes: [{ by: "carol", at: first.ended_at + 2 * day, from_ms: 2_000, to_ms: 4_000, text: "Asks for the file before the deadline" }], dispositions: this.disposed },
        { ...about, origin: 5, source: "alert", length_ms: 1_832_000, participants: first.participants, reviewer: null, due: Date.now() + day, opened_at: null, notes: [], dispositions: [] },
      ],
      alerts: [{ ...about, index: 5, at: first.ended_at + day, by: "chris", version: 3, hits: [{ list: "promises", at_ms: 2_100 }] }],
      words: { version: 3, index: 4, by: "chris", at: first.ended_at, hash: "ef".repeat(32), lists: [{ name: "promises", words: ["guarantee*", "sure thing"] }, { name: "insider", words: ["délit d'initié"] }] },
      copies: [{ ...about, manifest_hash: "AAAA", client: first.participants[0], name: "Anna Ahrens", language: "de", asked_at: first.started_at, from_ms: 0, to_ms: 1_200_000, steps: [] }],
      missing: [],
    };
  }

  /** The first meeting is kept for years, the second's time is over, of a third nothing is left. */
  retention() {
    const year = 365 * 86_400_000;
    const row = (meeting, years, more) => ({ meeting: meeting.meeting, title: meeting.title, ended_at: meeting.ended_at, until: meeting.ended_at + years * year, class_years: years, raises: [1, 3, 5, 6, 7, 10].filter((one) => one > years), phase: "kept", disposed_at: null, holds: [], inside: false, manifest_hash: meeting.manifest_hash, problem: null, ...more });
    const gone = { meeting: "11ab2a91d4e84b7f9a6c3e1d20b70a22", title: "", ended_at: 1_600_000_000_000, manifest_hash: "CCCC" };
    const [first, second] = this.meetings;
    const shown = { meetings: [row(first, 7, { holds: [...this.holds] }), row(second, 0, {}), row(gone, 1, { phase: "disposed", disposed_at: 1_640_000_000_000 })], acts: this.acts.map((act) => ({ ...act })).reverse() };
    // the recorder is done by the next look
    for (const act of this.acts.filter(({ state }) => state === "signed")) {
      act.state = "done";
      if (act.what === "hold") this.holds.push({ case: act.case, reason: act.reason, since: Date.now(), by: [act.first, act.second] });
    }
    return shown;
  }
  async retain(request, response, url, actor, { json, problem, body }) {
    const user = actor.split("/")[1];
    const of = /^\/api\/retention\/(\w+)\/consent$/.exec(url.pathname)?.[1];
    const act = this.acts.find((one) => one.id === of);
    if (request.method === "POST" && of === undefined) {
      const { act: signed } = await body(request);
      const text = Buffer.from(signed, "base64url").toString("latin1");
      const what = /what.(hold|release|raise|dispose)/s.exec(text)?.[1];
      const about = this.meetings.find(({ meeting }) => text.includes(meeting));
      this.acts.push({ id: `a${this.acts.length + 1}`, meeting: about.meeting, what, years: null, case: /case.(C-\d+)/s.exec(text)?.[1], reason: "A claim of a client", first: user, second: null, issued_at: Date.now(), state: "waiting", detail: "", signed });
      this.note(actor, "retain", about.meeting, `act 00; ${what}`);
    } else if (act !== undefined) {
      const consent = Buffer.from((await body(request)).consent, "base64url").toString("latin1");
      if (act.first === user) return problem(response, 403, "two-persons");
      if (!consent.includes("act_hash")) return problem(response, 400, "bad-message");
      Object.assign(act, { second: user, state: "signed" });
      this.note(actor, "retain-consent", act.meeting, `act 00; ${act.what}`);
    }
    return json(response, this.retention());
  }

  async handle(request, response, url, actor, { json, problem, body }) {
    const route = `${request.method} ${url.pathname}`;
    const job = /^\/api\/exports\/(\w+)$/.exec(url.pathname)?.[1];
    const asked = /^\/api\/requests\/(\w+)\/(\w+)$/.exec(url.pathname);
    const found = asked === null ? undefined : this.requests.find((one) => one.id === asked[1]);
    if (url.pathname.startsWith("/api/retention")) await this.retain(request, response, url, actor, { json, problem, body });
    else if (route === "GET /api/meetings") json(response, this.meetings);
    else if (route === "POST /api/search") {
      const { person, firm } = await body(request);
      this.note(actor, "search", "archive", `person "${person}"`);
      json(response, this.meetings.filter((one) => one.participants.some((id) => id.startsWith(firm) && id.includes(person.toLowerCase()))));
    } else if (route === "GET /api/requests") json(response, this.requests);
    else if (route === "GET /api/supervision") json(response, this.supervision());
    else if (route === "POST /api/supervision") {
      const text = Buffer.from((await body(request)).act, "base64url").toString("latin1");
      const did = /act.(sample|assign|note|dispose|words|copy)/s.exec(text)?.[1] ?? "note";
      if (did === "dispose") this.disposed.push({ by: actor.split("/")[1], at: Date.now(), disposition: "no-finding", text: "Seen in full" });
      this.note(actor, did, "archive", "act 00");
      json(response, this.supervision());
    } else if (route === "POST /api/supervision/match") {
      this.note(actor, "match", this.meetings[0].meeting, "words 3");
      const hits = [{ list: "promises", at_ms: 2_100, line: "Anna Ahrens: the alder file is guaranteed" }];
      json(response, { version: 3, meetings: [{ meeting: this.meetings[0].meeting, title: "Project Alder", lines: 1, hits, problem: null }] });
    } else if (route === "GET /api/opened") {
      const [{ title, started_at, ended_at }] = this.meetings;
      json(response, { shown: true, after_days: 0, rows: [{ at: ended_at, action: "open", title, started_at, by: "carol", case: "C-2026" }] });
    } else if (route === "GET /api/ledger") json(response, this.ledger.slice(Number(url.searchParams.get("from") ?? 0)));
    else if (route === "POST /api/requests") {
      const { request: signed } = await body(request);
      const text = Buffer.from(signed, "base64url").toString("latin1");
      // of two copies that verify both are asked for
      if (!/paired.PAIRED-HASH/s.test(text)) {
        problem(response, 400, "one-copy", "the request names one copy");
        return true;
      }
      const made = { id: `r${this.requests.length + 1}`, meeting: this.meetings[0].meeting, requester: actor, case: /case.(C-\d+)/s.exec(text)?.[1] ?? "C-1", reason: "Order of events on the call of 2 March", approver: null, until: null, keys: /handed/.test(text), signed };
      this.requests.push(made);
      this.note(actor, "request", made.meeting, `case ${made.case}`);
      json(response, made);
    } else if (found && asked[2] === "approval") {
      if (found.requester === actor) problem(response, 403, "two-persons");
      else {
        Object.assign(found, { approver: actor, until: Date.now() + 3_600_000 });
        this.note(actor, "approve", found.meeting, `case ${found.case}`);
        json(response, found);
      }
    } else if (found && asked[2] === "open") {
      this.note(actor, "open", found.meeting, `case ${found.case}`);
      const lane = (user, firm, at) => ({ participant: `${firm}/${user}/01`, name: user === "anna" ? "Anna Ahrens" : "Ben Baumann", parts: [{ src: `/replay/grant/${at}-0.webm`, begin_ms: 0, from_ms: 0, to_ms: 5_000 }, { src: `/replay/grant/${at}-1.webm`, begin_ms: 4_000, from_ms: 5_000, to_ms: 12_000 }], from_ms: at * 1200, to_ms: 11_000, gaps: at === 1 ? [[6_000, 7_400]] : [] });
      json(response, { grant: "grant", until: Date.now() + 3_600_000, duration_ms: 12_000, lanes: [lane("anna", "bank-a", 0), lane("ben", "bank-b", 1)], events: [
        { at_ms: 0, kind: "statement", text: "bank-a: sound and picture must, chat must, kept 7 years" }, { at_ms: 0, kind: "join", text: "Anna Ahrens" }, { at_ms: 1200, kind: "join", text: "Ben Baumann" }, { at_ms: 1300, kind: "epoch", text: "2" },
        { at_ms: 2_100, kind: "chat", text: "Anna Ahrens: the alder file is on its way" },
        { at_ms: 6000, kind: "gap", text: "lost before the SFU" }, { at_ms: 11_000, kind: "leave", text: "Ben Baumann" }],
      files: [
        { src: "/replay/grant/file-0", at_ms: 2_000, from: "Anna Ahrens", name: "term sheet.pdf", media_type: "application/pdf", size: 2_600_000, missing: null },
        { src: null, at_ms: 2_500, from: "Ben Baumann", name: null, media_type: null, size: 10, missing: "gone" }] });
    } else if (found && asked[2] === "bundle") {
      this.note(actor, "export", found.meeting, "evidence bundle");
      response.writeHead(200, { "content-type": "application/x-tar" });
      response.end(Buffer.alloc(1024));
    } else if (route === "POST /api/ledger") {
      const { action, at_ms } = await body(request);
      this.note(actor, action, this.meetings[0].meeting, `at ${at_ms} ms`);
      json(response, null, 204);
    } else if (route === "POST /api/exports") {
      const made = { id: `e${this.exports.size + 1}`, state: "queued", percent: 0, detail: null, href: null };
      this.exports.set(made.id, made);
      this.note(actor, "export", this.meetings[0].meeting, "webm");
      json(response, made);
    } else if (job && request.method === "GET") {
      const made = this.exports.get(job);
      if (made.state !== "cancelled") {
        made.percent = Math.min(100, made.percent + 14);
        made.state = made.percent >= 100 ? "done" : "running";
        if (made.state === "done") made.href = "/replay/grant/0-0.webm";
      }
      json(response, made);
    } else if (job && request.method === "DELETE") {
      this.exports.get(job).state = "cancelled";
      json(response, null, 204);
    } else if (url.pathname.startsWith("/replay/") && existsSync(SAMPLE)) await this.media(request, response);
    else return false;
    return true;
  }

  async media(request, response) {
    const bytes = await readFile(SAMPLE);
    const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
    const from = range ? Number(range[1]) : 0;
    const to = range && range[2] !== "" ? Number(range[2]) : bytes.length - 1;
    response.writeHead(range ? 206 : 200, { "content-type": "video/webm", "accept-ranges": "bytes", "content-length": to - from + 1, ...(range ? { "content-range": `bytes ${from}-${to}/${bytes.length}` } : {}) });
    response.end(bytes.subarray(from, to + 1));
  }
}
