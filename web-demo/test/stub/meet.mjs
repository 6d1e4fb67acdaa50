// A stand-in for signaling and SFU: two participants of one room, whose PeerConnections it joins directly (one's
// publish offer is the other's subscribe offer). Enough to drive the page without any service.

import { FIRMS, PEOPLE, plainStatementsOf, ROOMS, statementsOf } from "./people.mjs";

/** Candidates come a few at a time, on a busy machine late: an offer is passed on once it has some and no more came for so long. */
const GATHER_MS = 250;
const CODE = () => Array.from({ length: 6 }, () => String(Math.floor(Math.random() * 1e5)).padStart(5, "0")).join(" ");

/** A TURN server that is not there: nobody needs it here, the page only has to know it. */
const RELAY = { urls: ["turn:127.0.0.1:9?transport=udp"], username: "4102444800:00", credential: "none" };

export class StubMeeting {
  constructor() {
    this.members = new Map();
    this.epoch = 0;
    /** The firms keep so many years more than was said before the meeting. */
    this.more = 0;
    this.lobby = false;
    this.locked = false;
    this.passcode = null;
    this.handed = null;
    this.queue = [];
    this.letIn = new Set();
    this.startedAt = Date.now();
    this.recorders = Object.fromEntries(FIRMS.map(({ firm }) => [firm, "recording"]));
  }

  connect(socket) {
    const member = { socket, id: null, sources: [], offer: null, candidates: [], room: null };
    this.send(member, { type: "challenge", nonce: "AA" });
    socket.on("message", (data) => this.handle(member, JSON.parse(String(data))));
    socket.on("close", () => this.gone(member));
    socket.once("message", () => undefined);
  }
  send(member, message) {
    if (member.socket.readyState === 1) member.socket.send(JSON.stringify(message));
  }
  all(message, except) {
    for (const member of this.members.values()) if (member !== except) this.send(member, message);
  }

  handle(member, message) {
    switch (message.type) {
      case "hello":
        member.id = message.chain[0];
        member.room = ROOMS.find((room) => room.room === message.room);
        member.resume = message.resume;
        member.entering = message.entering ?? {};
        return;
      case "prove":
        return this.knock(member);
      case "host":
        return this.ordered(member, message.act);
      case "set-passcode":
        this.passcode = message.passcode;
        return;
      case "ping":
        return this.send(member, { type: "pong" });
      case "offer":
        member.offer = message;
        member.candidates = [];
        return this.gathered(member);
      case "candidate":
        if (message.transport !== "publish") return;
        member.candidates.push(message.candidate);
        return this.gathered(member);
      case "answer": {
        const other = this.other(member);
        if (other !== null) this.send(other, { type: "publish-answer", sdp: message.sdp });
        return;
      }
      case "mute": {
        const source = member.sources.find((one) => one.slot === message.slot);
        if (source) source.muted = message.muted;
        else member.sources.push({ slot: message.slot, muted: message.muted });
        return this.all({ type: "roster-changed", entry: this.entry(member) });
      }
      case "remove": {
        const whom = this.members.get(message.participant);
        if (whom) this.send(whom, { type: "refusal", code: "removed", detail: "by the host", firm: null });
        whom?.socket.close();
        return;
      }
      case "application": {
        if ("sign" in message.message) return this.all({ type: "stub-event", event: "sign", data: message.message }, member);
        const event = "what" in message.message ? "declared" : "blob" in message.message ? "shared" : "said";
        this.all({ type: "stub-event", event, data: message.message }, member);
        return this.send(member, { type: "stub-event", event: "kept", data: { sequence: message.message.sequence, firm: "bank-a" } });
      }
      case "leave":
        return member.socket.close();
      default:
        return;
    }
  }

  /** The room's lobby, lock and passcode, as signaling has them. */
  knock(member) {
    const refuse = (code) => this.send(member, { type: "refusal", code, detail: "the passcode is wrong", firm: "bank-a" });
    if (this.entry(member).host || this.letIn.has(member.id)) return this.admit(member);
    if (this.locked) return refuse("locked");
    if (this.passcode !== null && member.entering.passcode !== this.passcode) return refuse("passcode");
    if (!this.lobby && !member.id.includes("/guest-")) return this.admit(member);
    this.queue.push(member);
    this.send(member, { type: "problem", code: "lobby", detail: "", firm: null });
    this.tellQueue();
  }
  tellQueue() {
    const waiting = this.queue.map(({ id }) => ({ participant: id, name: PEOPLE[id.split("/")[0]]?.[id.split("/")[1]]?.name ?? id, role: "member" }));
    for (const host of this.members.values()) {
      if (this.entry(host).host) this.send(host, { type: "stub-event", event: "waiting", data: waiting });
    }
  }
  tellHosts() {
    const hosts = [...this.members.values()].filter((one) => this.entry(one).host).map((one) => one.id);
    this.all({ type: "stub-event", event: "hosts", data: hosts });
  }
  ordered(member, act) {
    const [[kind, body]] = Object.entries(act.order);
    this.all({ type: "stub-event", event: "ordered", data: act });
    if (kind === "lock" || kind === "unlock") this.locked = kind === "lock";
    if (kind === "hand-over") {
      this.handed = body.to;
      this.tellHosts();
    }
    if (kind === "remove") return this.handle(member, { type: "remove", participant: body.participant });
    if (kind !== "admit" && kind !== "deny") return undefined;
    const at = this.queue.findIndex((one) => one.id === body.participant);
    const [one] = at < 0 ? [] : this.queue.splice(at, 1);
    this.tellQueue();
    if (one === undefined) return undefined;
    if (kind === "deny") return this.send(one, { type: "refusal", code: "denied", detail: "", firm: null });
    this.letIn.add(one.id);
    return this.admit(one);
  }

  other(member) {
    return [...this.members.values()].find((one) => one !== member) ?? null;
  }
  entry(member) {
    const [firm, user] = member.id.split("/");
    return { participant: member.id, recorder: false, host: this.handed === null ? PEOPLE[firm]?.[user]?.host ?? false : this.handed === member.id, leaf: 1, sources: member.sources };
  }
  recorderEntries() {
    return FIRMS.map(({ firm }, at) => ({ participant: `${firm}/recorder-1/aa`, recorder: true, host: false, leaf: 8 + at, sources: [] }));
  }

  admit(member) {
    this.members.set(member.id, member);
    const { room } = member;
    const roster = [...[...this.members.values()].map((one) => this.entry(one)), ...this.recorderEntries()];
    const terms = { meeting: "5f0c2a91d4e84b7f9a6c3e1d20b7f854", room: room.room, title: room.title, statements: statementsOf({ ...room, years: room.years.map((years) => years + this.more) }), trust: "", started_at: this.startedAt };
    this.send(member, { type: "relays", relays: [RELAY] });
    this.send(member, { type: "admitted", participant: member.id, terms, statements: plainStatementsOf(room), entry: { how: "create" }, roster, now: Date.now() });
    this.all({ type: "roster-changed", entry: this.entry(member) }, member);
    this.letIn.add(member.id);
    this.tellHosts();
    setTimeout(() => this.newEpoch([member.id], []), 120);
  }

  newEpoch(added, removed) {
    this.epoch += 1;
    const people = [...this.members.values()].map((one, leaf) => {
      const [firm, user] = one.id.split("/");
      const guest = user.startsWith("guest-");
      return { leaf, participant: one.id, name: guest ? "Gus Guest" : PEOPLE[firm]?.[user]?.name ?? user, role: guest ? "guest" : "member", firm };
    });
    const recorders = FIRMS.map(({ firm }, at) => ({ leaf: 8 + at, participant: `${firm}/recorder-1/aa`, name: "recorder-1", role: "recorder", firm }));
    this.all({ type: "stub-event", event: "epoch", data: { epoch: this.epoch, members: [...people, ...recorders], code: CODE(), added, removed } });
    this.all({ type: "stub-event", event: "sending", data: { state: "allowed" } });
    for (const one of this.members.values()) {
      if (one.entering?.invitation === undefined) continue;
      const name = Buffer.from(one.entering.invitation, "base64url").toString();
      this.all({ type: "stub-event", event: "guest", data: { guest: one.id, inviter: "bank-a/anna/aa", name } });
    }
    this.tellRecorders();
  }
  tellRecorders() {
    const data = FIRMS.map(({ firm }) => ({ firm, participant: `${firm}/recorder-1/aa`, state: this.recorders[firm], rule: "must", chat: "must" }));
    this.all({ type: "stub-event", event: "recorders", data });
  }
  stopFirm(firm) {
    this.recorders[firm] = "missing";
    this.tellRecorders();
    for (const member of this.members.values()) {
      if (!member.id.startsWith(`${firm}/`)) continue;
      this.send(member, { type: "stub-event", event: "sending", data: { state: "stopped", why: "beacon", firm } });
    }
  }
  resumeFirm(firm) {
    this.recorders[firm] = "recording";
    this.tellRecorders();
    this.all({ type: "stub-event", event: "sending", data: { state: "allowed" } });
  }

  gathered(member) {
    clearTimeout(member.gathering);
    member.gathering = setTimeout(() => this.cross(), GATHER_MS);
  }

  /** Joins the two once both have offered and can be reached. */
  cross() {
    for (const member of this.members.values()) {
      const other = this.other(member);
      if (other === null || member.offer === null || member.crossed === other.id + member.offer.sdp) continue;
      if (member.candidates.length === 0 && !member.offer.sdp.includes("a=candidate:")) continue;
      member.crossed = other.id + member.offer.sdp;
      const lines = member.candidates.map((candidate) => `a=${candidate}\r\n`).join("");
      let first = true;
      const sdp = member.offer.sdp.replace(/a=mid:/g, (mid) => {
        if (!first) return mid;
        first = false;
        return lines + mid;
      });
      const tracks = member.offer.tracks.map((track) => ({ ...track, participant: member.id, active: true }));
      this.send(other, { type: "subscribe-offer", sdp, revision: 1, tracks });
    }
  }

  gone(member) {
    if (member.id === null || this.members.get(member.id) !== member) return;
    this.members.delete(member.id);
    this.all({ type: "roster-left", participant: member.id });
    this.newEpoch([], [member.id]);
  }
}
