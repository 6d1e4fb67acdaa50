// The border to WebAssembly: what the worker asks of the end-to-end encryption, and the guard around every call.
// A panic in there may have left state half changed, so the first one ends this worker for good.

import type { Codec, Statement } from "../wire/client";

export interface LeafKey { csr(participant: string, name: string): Uint8Array<ArrayBuffer> }

export type Sealed = { ok: true; frame: Uint8Array<ArrayBuffer> } | { ok: false; why: string };
export type OpenOutcome =
  | { ok: true; frame: Uint8Array<ArrayBuffer> }
  | { ok: false; kind: "not-yet" | "duplicate" | "unknown-epoch" | "rejected"; why: string };

/** One output of the session: a message for signaling, an event, or a message that is the page's business. */
export type Output =
  | { kind: "send"; text: string }
  | { kind: "event"; event: Record<string, unknown> }
  | { kind: "passed"; message: Record<string, unknown> };

export interface Session {
  handle(now: number, text: string): void;
  handleTimeout(now: number): void;
  pollTimeout(): number | null;
  poll(): Output | null;
  addSource(slot: number, codec: Codec): void;
  seal(now: number, slot: number, keyFrame: boolean, frame: Uint8Array, captureUs: number): Sealed;
  open(now: number, from: string, slot: number, codec: Codec, wire: Uint8Array): OpenOutcome;
  /** The connection is gone: media goes on, manifests wait, the SFU alone enforces the recorder's grace. */
  disconnected(now: number): void;
  /** The connection is back: say hello again with what is still held. */
  reconnected(now: number): void;
  /** Something that is no chat line, as JSON; its number. Throws a code why not. */
  declare(now: number, what: string): number;
  /** The notices of this meeting were acknowledged. */
  acknowledge(now: number, language: string): void;
  /** A chat line; its number. Throws a code why not. */
  say(now: number, text: string): number;
  /** A passcode and a guest's invitation, before the hello goes out. */
  bring(passcode: string | null, invitation: string | null): void;
  /** Host: an order, as JSON. Throws a code why not. */
  order(now: number, order: string): void;
  setPasscode(passcode: string): void;
  /** Shows a hand or a reaction, as JSON. Throws a code why not. */
  sign(now: number, sign: string): void;
  /** A file for the meeting; its name at signaling. Throws a code why not. */
  share(now: number, name: string, mediaType: string, bytes: Uint8Array): string;
  cancelShare(blob: string): void;
  /** Asks for a file that somebody told of. Throws a code why not. */
  fetch(now: number, file: string): void;
  cancelFetch(file: string): void;
  /** What was fetched, once. */
  takeFile(file: string): Uint8Array<ArrayBuffer> | null;
  leave(): void;
  remove(participant: string): void;
}

export interface Engine {
  newKey(): LeafKey;
  openSession(key: LeafKey, chain: string[], trust: string, room: string, now: number): Session;
  /** Throws if one is not signed by its firm. */
  judgeStatements(trust: string, signed: string[]): Statement[];
  signCose(key: LeafKey, label: string, payload: Uint8Array, certificate: Uint8Array): Uint8Array<ArrayBuffer>;
}

export class Dead extends Error {}

let death: string | null = null;
let onDeath: (reason: string) => void = () => undefined;

export function whenDead(handler: (reason: string) => void): void {
  onDeath = handler;
}
export function isDead(): boolean {
  return death !== null;
}
/** Marks the worker dead; only the first reason counts. */
export function die(reason: string): void {
  if (death !== null) return;
  death = reason;
  onDeath(reason);
}

/** Runs one call into WebAssembly. Throws [`Dead`] once anything in there has panicked. */
export function guarded<T>(call: () => T): T {
  if (death !== null) throw new Dead(death);
  try {
    return call();
  } catch (error) {
    if (isPanic(error)) {
      die(error instanceof Error ? error.message : String(error));
      throw new Dead(death ?? "panic");
    }
    throw error;
  }
}

function isPanic(error: unknown): boolean {
  if (error instanceof WebAssembly.RuntimeError) return true;
  return error instanceof Error && /panic|null pointer passed to rust|recursive use of an object/.test(error.message);
}
