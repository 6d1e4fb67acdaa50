// The stand-in for the administrators' endpoints: one firm's statement about two rooms, four eyes, in memory. It judges
// nothing of the policy: what it answers is what a front answered once.

import { FIRMS, plainStatementsOf, ROOMS } from "./people.mjs";

const CONDITIONS = { guests: "allowed", share: "allowed", lobby: "free", passcode: "free", oldest_client: 0 };

export class AdminDesk {
  constructor(firm, archive) {
    this.firm = firm;
    this.archive = archive;
    this.rooms = new Map(ROOMS.map((room) => {
      const [own, other] = plainStatementsOf(room);
      const first = { ...own, issued_at: Date.parse("2026-03-01T08:00:00Z"), conditions: { ...CONDITIONS } };
      return [room.room, { title: room.title, versions: [{ statement: first, by: [], handed: true, changes: [] }], others: [other], proposal: null, drafted: null }];
    }));
  }

  policy(id) {
    const { title, versions, others, proposal } = this.rooms.get(id);
    const history = versions.map((one) => ({ ...one, hash: String(one.statement.serial).padStart(64, "a") }));
    return { room: id, title, draft: versions[0].statement, history, others, proposal, clashes: [], hours: 12, price: 460 };
  }

  /** A stricter retention is the one change that this stand-in can tell. */
  draft(id, ask) {
    const room = this.rooms.get(id);
    const [present] = room.versions;
    const serial = present.statement.serial + 1;
    const statement = { ...ask.statement, version: 2, serial, issued_at: Date.now(), conditions: { ...ask.statement.conditions, previous: "ab".repeat(32) } };
    const changes = statement.retention_years === present.statement.retention_years ? []
      : [{ text: `years the copy is kept: ${present.statement.retention_years} years → ${statement.retention_years} years (stricter for the others)`, effect: "stricter" }];
    const refused = statement.conditions.guests === "allowed" ? []
      : [{ firm: "bank-b", user: "guest", guest: true, said: `bank-a admits no guests (statement ${serial}). Call bank-a: Policy desk, 100.` }];
    const simulation = { clashes: [], refused, entered: 4 - refused.length, of: 4 };
    room.drafted = { statement, changes, simulation };
    const lines = (text) => [text, statement.conditions.notice?.en ?? ""].filter((line) => line !== "");
    const hours = ask.hours ?? 12;
    const month = hours * 3_960_000_000;
    const cost = { hours, bytes_a_month: month, bytes_held: month * 84, first_month_cents: hours * 18, full_month_cents: hours * 1_530 };
    return { statement, changes, simulation, notices: { en: lines("bank-a keeps audio and video"), fr: lines("bank-a conserve son et image"), de: lines("bank-a bewahrt Ton und Bild") }, cost };
  }

  note(actor, action, text) {
    this.archive.note(actor, action, "policy", text);
  }

  async handle(request, response, url, actor, { json, problem, body, people }) {
    if (!url.pathname.startsWith("/api/admin/")) return false;
    const person = people[actor.split("/")[1]];
    if (person === undefined) return problem(response, 401, "signed-out") ?? true;
    if (!person.roles.includes("administrator")) return problem(response, 403, "forbidden") ?? true;
    const [, , , what, id, act, change, end] = url.pathname.split("/");
    const user = actor.split("/")[1];
    const room = this.rooms.get(id);
    const route = `${request.method} ${what}${act === undefined ? "" : `/${act}`}${end === undefined ? "" : `/${end}`}`;
    switch (route) {
      case "GET rooms":
        if (id !== undefined) json(response, this.policy(id));
        else json(response, { rooms: [...this.rooms].map(([name, one]) => this.row(name, one)), administrators: 2, handing: true });
        return true;
      case "POST rooms/draft":
        json(response, this.draft(id, await body(request)));
        return true;
      case "POST rooms/proposals": {
        const text = Buffer.from((await body(request)).consent, "base64url").toString("latin1");
        if (!text.startsWith("strongroom statement consent v1\n")) return problem(response, 403, "forbidden") ?? true;
        room.proposal = { id: "change-1", by: user, until: Date.now() + 4 * 3_600_000, ...room.drafted };
        this.note(actor, "propose", `room ${id}; statement ${room.drafted.statement.serial}`);
        json(response, this.policy(id));
        return true;
      }
      case "POST rooms/proposals/approval": {
        if (room.proposal?.id !== change) return problem(response, 409, "stale") ?? true;
        if (room.proposal.by === user) return problem(response, 403, "two-persons") ?? true;
        const { statement, changes, by } = room.proposal;
        this.note(actor, "agree", `room ${id}; statement ${statement.serial}`);
        this.note(actor, "state", `room ${id}; statement ${statement.serial}; sha256 …`);
        room.versions.unshift({ statement, changes, by: [by, user], handed: true });
        room.proposal = null;
        json(response, this.policy(id));
        return true;
      }
      case "DELETE rooms/proposals":
        room.proposal = null;
        this.note(actor, "withdraw", `room ${id}`);
        json(response, this.policy(id));
        return true;
      default:
        json(response, this.status(what, url));
        return true;
    }
  }

  row(room, { title, versions, proposal }) {
    const [{ statement, by }] = versions;
    const present = { serial: statement.serial, since: statement.issued_at, by, audio_video: statement.audio_video, retention_years: statement.retention_years };
    return { room, title, firms: FIRMS.map(({ firm }) => firm), present, waits: proposal !== null };
  }

  status(what, url) {
    const day = 86_400_000;
    const key = (name, at) => ({ name, id: String(at).repeat(64).slice(0, 64) });
    switch (what) {
      case "firms":
        return { trust: "f0".repeat(32), firms: FIRMS.map(({ firm, name }, at) => ({ firm, name, own: at === 0, roots: [{ subject: `CN=${name} root`, fingerprint: "1a2b3c4d".repeat(8), until: Date.now() + 900 * day }], keys: [key("policy", 1), key("archive-1", 2)] })) };
      case "custody":
        return {
          tokens: [{ name: "people", token: "SoftHSM SoftHSM v2 1234", test: true, keys: [key("policy", 1)], problem: null }, { name: "archive", token: null, test: false, keys: [], problem: "unavailable" }],
          probes: [{ key_id: "9c".repeat(32), opened_at: Date.now() - 3_600_000 }, { key_id: "8d".repeat(32), opened_at: null }], blocked: false,
          recorders: [{ name: "recorder-1", certified_at: Date.now() - day / 8, until: Date.now() + day / 3 }],
          open: [{ meeting: "5f0c2a91d4e84b7f9a6c3e1d20b7f854", written_at: Date.now() - 200 }],
          stores: [{ name: "vault", class: "worm", probed_at: Date.now() - day, trouble: null, waiting: 3, waiting_bytes: 12_000_000 }], free_bytes: 420_000_000_000,
        };
      case "forecast": {
        const hours = Number(url.searchParams.get("hours") ?? 12);
        const month = hours * 3_960_000_000;
        const years = Array.from({ length: 7 }, (_, at) => ({ year: at + 1, bytes: month * 12 * (at + 1), month_cents: hours * 218 * (at + 1) }));
        return { price: 460, rooms: [{ room: "deal-room", title: "Project Alder", audio_video: "must", tier: "full", retention_years: 7, meetings: 2, bytes: 9_400_000_000, cost: { hours, bytes_a_month: month, bytes_held: month * 84, first_month_cents: hours * 18, full_month_cents: hours * 1_530 }, years }], expiries: [{ year: 2033, meetings: 2, bytes: 9_400_000_000 }], left_out: 0 };
      }
      case "ledger":
        return { rows: this.archive.ledger, verified: this.archive.ledger.length };
      default:
        return { services: [{ name: "front", alive: true, ready: true, reasons: [] }, { name: "recorder", alive: true, ready: false, reasons: ["disk-below-reserve: less than the reserve is free"] }], alerts: [{ code: "token-down", name: "archive", detail: "unavailable" }, { code: "not-ready", name: "recorder", detail: "disk-below-reserve: less than the reserve is free" }] };
    }
  }
}
