// The WebAssembly module behind the [`Engine`] border: loads it and translates its calls, thrown codes and JSON.
// Any thrown text that is no known code is a panic (see wasm/README.md).

import type { Codec, Statement } from "../wire/client";
import { decode } from "./bytes";
import { die, type Engine, type LeafKey, type OpenOutcome, type Output, type Sealed, type Session } from "./engine";

declare const E2EE_BASE: string;

interface RawKey {
  csr(participant: string, name: string): Uint8Array<ArrayBuffer>;
  sign_cose(label: string, payload: Uint8Array, certificate?: Uint8Array): Uint8Array<ArrayBuffer>;
  free(): void;
}
interface RawOpened { data: Uint8Array<ArrayBuffer>; capture_us: number; key_frame: boolean; free(): void }
interface RawSession {
  handle(now: number, text: string): void;
  timeout(now: number): void;
  next_timeout(): number | undefined;
  poll(): string | undefined;
  disconnected(now: number): void;
  reconnect(now: number): void;
  add_source(slot: number, codec: string): void;
  seal(now: number, slot: number, keyFrame: boolean, frame: Uint8Array, captureUs: number): Uint8Array<ArrayBuffer>;
  open(now: number, from: string, slot: number, codec: string, wire: Uint8Array): RawOpened;
  declare(now: number, what: string): number;
  acknowledge(now: number, language: string): void;
  say(now: number, text: string): number;
  bring(passcode?: string, invitation?: string): void;
  order(now: number, order: string): void;
  set_passcode(passcode: string): void;
  sign(now: number, sign: string): void;
  share(now: number, name: string, mediaType: string, bytes: Uint8Array): string;
  cancel_share(blob: string): void;
  fetch(now: number, file: string): void;
  cancel_fetch(file: string): void;
  take_file(file: string): Uint8Array<ArrayBuffer> | undefined;
  leave(): void;
  remove(participant: string): void;
}
interface RawModule {
  default(options: { module_or_path: string | URL }): Promise<unknown>;
  Key: new () => RawKey;
  Session: new (key: RawKey, chain: Uint8Array[], trust: string, room: string, now: number) => RawSession;
  judge_statement(trust: string, signed: Uint8Array): string;
}

/** Events whose data is no object. */
const LISTS = new Set(["recorders", "sending", "hosts", "waiting"]);
const SEAL_DROPS = /^(stopped:|unknown-source$|empty$|too-long$|exhausted$)/;
const OPEN_DROPS = new Set(["malformed", "wrong-sender", "wrong-slot", "unauthentic", "empty"]);

function codeOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

class WasmKey implements LeafKey {
  constructor(readonly raw: RawKey) {}
  csr(participant: string, name: string): Uint8Array<ArrayBuffer> {
    return this.raw.csr(participant, name);
  }
}

class WasmSession implements Session {
  constructor(private readonly raw: RawSession) {}

  handle(now: number, text: string): void {
    this.raw.handle(now, text);
  }
  handleTimeout(now: number): void {
    this.raw.timeout(now);
  }
  pollTimeout(): number | null {
    return this.raw.next_timeout() ?? null;
  }
  disconnected(now: number): void {
    this.raw.disconnected(now);
  }
  reconnected(now: number): void {
    this.raw.reconnect(now);
  }
  addSource(slot: number, codec: Codec): void {
    this.raw.add_source(slot, codec);
  }
  declare(now: number, what: string): number {
    return this.raw.declare(now, what);
  }
  acknowledge(now: number, language: string): void {
    this.raw.acknowledge(now, language);
  }
  say(now: number, text: string): number {
    return this.raw.say(now, text);
  }
  bring(passcode: string | null, invitation: string | null): void {
    this.raw.bring(passcode ?? undefined, invitation ?? undefined);
  }
  order(now: number, order: string): void {
    this.raw.order(now, order);
  }
  setPasscode(passcode: string): void {
    this.raw.set_passcode(passcode);
  }
  sign(now: number, sign: string): void {
    this.raw.sign(now, sign);
  }
  share(now: number, name: string, mediaType: string, bytes: Uint8Array): string {
    return this.raw.share(now, name, mediaType, bytes);
  }
  cancelShare(blob: string): void {
    this.raw.cancel_share(blob);
  }
  fetch(now: number, file: string): void {
    this.raw.fetch(now, file);
  }
  cancelFetch(file: string): void {
    this.raw.cancel_fetch(file);
  }
  takeFile(file: string): Uint8Array<ArrayBuffer> | null {
    return this.raw.take_file(file) ?? null;
  }
  leave(): void {
    this.raw.leave();
  }
  remove(participant: string): void {
    this.raw.remove(participant);
  }

  poll(): Output | null {
    const text = this.raw.poll();
    if (text === undefined) return null;
    const output = JSON.parse(text) as { send?: unknown; event?: { event: string; data: unknown } };
    if (output.event === undefined) return { kind: "send", text: JSON.stringify(output.send) };
    const { event, data } = output.event;
    if (event === "passed") return { kind: "passed", message: data as Record<string, unknown> };
    // lists come bare; the page's events are objects
    const body = LISTS.has(event) ? { [event]: data } : (data as object);
    return { kind: "event", event: { type: event, ...body } };
  }

  seal(now: number, slot: number, keyFrame: boolean, frame: Uint8Array, captureUs: number): Sealed {
    try {
      return { ok: true, frame: this.raw.seal(now, slot, keyFrame, frame, captureUs) };
    } catch (error) {
      const why = codeOf(error);
      if (!SEAL_DROPS.test(why)) die(why);
      return { ok: false, why };
    }
  }

  open(now: number, from: string, slot: number, codec: Codec, wire: Uint8Array): OpenOutcome {
    try {
      const opened = this.raw.open(now, from, slot, codec, wire);
      const frame = opened.data;
      opened.free();
      return { ok: true, frame };
    } catch (error) {
      const why = codeOf(error);
      if (why === "not-yet") return { ok: false, kind: "not-yet", why };
      if (why === "duplicate" || why === "unknown-epoch") return { ok: false, kind: why, why };
      if (!OPEN_DROPS.has(why)) die(why);
      return { ok: false, kind: "rejected", why };
    }
  }
}

function rawKey(key: LeafKey): RawKey {
  if (!(key instanceof WasmKey)) throw new TypeError("not a key of this module");
  return key.raw;
}

export async function loadEngine(): Promise<Engine> {
  const module = (await import(/* @vite-ignore */ `${E2EE_BASE}e2ee_wasm.js`)) as RawModule;
  await module.default({ module_or_path: new URL(`${E2EE_BASE}e2ee_wasm_bg.wasm`, location.origin) });
  return {
    newKey: () => new WasmKey(new module.Key()),
    openSession: (key, chain, trust, room, now) =>
      new WasmSession(new module.Session(rawKey(key), chain.map(decode), trust, room, now)),
    judgeStatements: (trust, signed) => {
      return signed.map((one) => JSON.parse(module.judge_statement(trust, decode(one))) as Statement);
    },
    signCose: (key, label, payload, certificate) => rawKey(key).sign_cose(label, payload, certificate),
  };
}

