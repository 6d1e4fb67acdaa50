// A stand-in for the WebAssembly package in page tests: the same API without any cryptography. Frames get a mark so
// that an unmarked one is refused. Never part of a build that is served: see ../serve.mjs.

const MARK = [0x73, 0x74, 0x75, 0x62];

export default async function init() {}

export class Key {
  csr(participant, name) {
    return new TextEncoder().encode(JSON.stringify({ participant, name }));
  }
  sign_cose(label, payload) {
    const head = new TextEncoder().encode(`${label}\n`);
    return Uint8Array.from([...head, ...payload]);
  }
  free() {}
}

export function judge_statement(_trust, signed) {
  return new TextDecoder().decode(signed);
}

export class Session {
  constructor(key, chain, trust, room) {
    this.out = [];
    this.me = new TextDecoder().decode(chain[0]);
    this.sources = new Map();
    this.stopped = "no-group";
    this.hello = { type: "hello", version: 1, room, chain: [this.me], trust: "", resume: null };
    this.out.push({ send: this.hello });
  }
  event(event, data) {
    this.out.push({ event: { event, data } });
  }
  handle(_now, text) {
    const message = JSON.parse(text);
    switch (message.type) {
      case "challenge":
        return void this.out.push({ send: { type: "prove", signature: "" } });
      case "admitted":
        return this.event("admitted", message);
      case "refusal":
        return this.event("removed", { problem: message });
      case "stub-event":
        if (message.event === "sending") this.stopped = message.data.state === "allowed" ? null : message.data.why;
        if (message.event === "shared") this.files = { ...this.files, [message.data.file]: message.data };
        return this.event(message.event, message.data);
      case "pong":
        return undefined;
      case "stub-panic":
        throw new WebAssembly.RuntimeError("unreachable");
      default:
        return this.event("passed", message);
    }
  }
  timeout() {}
  next_timeout() {
    return undefined;
  }
  poll() {
    const next = this.out.shift();
    return next === undefined ? undefined : JSON.stringify(next);
  }
  reconnect() {
    this.out.push({ send: { ...this.hello, resume: { meeting: "stub", epoch: 1 } } });
  }
  add_source(slot, codec) {
    this.sources.set(slot, codec);
  }
  seal(_now, slot, keyFrame, frame) {
    if (this.stopped !== null) throw new Error(`stopped:${this.stopped}`);
    const shim = this.sources.get(slot) === "vp8" ? [keyFrame ? 0 : 1] : [];
    return Uint8Array.from([...shim, ...MARK, ...frame]);
  }
  open(_now, _from, _slot, codec, wire) {
    const skip = codec === "vp8" ? 1 : 0;
    if (!MARK.every((byte, at) => wire[skip + at] === byte)) throw new Error("unauthentic");
    return { data: wire.slice(skip + MARK.length), capture_us: 0, key_frame: false, free() {} };
  }
  declare(_now, what) {
    this.said = (this.said ?? 0) + 1;
    const word = { from: this.me, epoch: 1, sequence: this.said, at: Date.now(), what: JSON.parse(what), signed: "" };
    this.event("declared", word);
    this.out.push({ send: { type: "application", message: word } });
    return this.said;
  }
  acknowledge(_now, language) {
    this.out.push({ send: { type: "acknowledge", acknowledgement: language } });
  }
  say(_now, text) {
    if (text.length > 4000) throw new Error("too-long");
    this.said = (this.said ?? 0) + 1;
    const word = { from: this.me, epoch: 1, sequence: this.said, at: Date.now(), words: text.trim(), signed: "" };
    this.event("said", word);
    this.out.push({ send: { type: "application", message: word } });
    return this.said;
  }
  bring(passcode, invitation) {
    this.hello.entering = { client: 1, ...(passcode === undefined ? {} : { passcode }), ...(invitation === undefined ? {} : { invitation }) };
  }
  order(_now, order) {
    this.out.push({ send: { type: "host", act: { from: this.me, order: JSON.parse(order) } } });
  }
  set_passcode(passcode) {
    this.out.push({ send: { type: "set-passcode", passcode } });
  }
  sign(now, sign) {
    const shown = JSON.parse(sign);
    if (shown["hand-up"] !== undefined) shown["hand-up"].since = now;
    const word = { from: this.me, sign: shown };
    this.event("sign", word);
    this.out.push({ send: { type: "application", message: word } });
  }
  share(_now, name, media_type, bytes) {
    if (bytes.length === 0) throw new Error("empty");
    this.said = (this.said ?? 0) + 1;
    const blob = `blob-${this.said}`;
    const word = {
      from: this.me, epoch: 1, sequence: this.said, at: Date.now(), blob, file: `${this.me} ${this.said}`, size: bytes.length,
      shown: { name, media_type }, bytes: [...bytes], signed: "",
    };
    this.event("file-moving", { file: blob, done: 1, of: 2 });
    // what is called slow stays on its way until it is taken back
    if (name.startsWith("slow")) return blob;
    this.event("shared", word);
    this.out.push({ send: { type: "application", message: word } });
    return blob;
  }
  cancel_share() {}
  fetch(_now, file) {
    this.event("file-moving", { file, done: 1, of: 2 });
    if (this.files?.[file]?.shown.name.startsWith("bent")) this.event("file-lost", { file, why: { why: "forged", part: 1 } });
    else this.event("fetched", { file });
  }
  cancel_fetch() {}
  take_file(file) {
    return Uint8Array.from(this.files?.[file]?.bytes ?? []);
  }
  leave() {
    this.out.push({ send: { type: "leave" } });
  }
  remove(participant) {
    this.out.push({ send: { type: "remove", participant } });
  }
}
