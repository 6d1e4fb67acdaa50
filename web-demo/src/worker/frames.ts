// What both ways of a frame through the worker share: what they ask of the session, and how often they ask for key frames.

import type { Codec, SubscribedTrack } from "../wire/client";
import type { OpenOutcome, Sealed } from "./engine";

/** A key frame is asked for at most so often, ms: the SFU throttles to one a second too. */
const KEY_FRAME_MS = 500;

/** What the transforms need of the session. */
export interface Sealer {
  seal(slot: number, keyFrame: boolean, frame: Uint8Array, captureUs: number): Sealed | null;
  open(from: string, slot: number, codec: Codec, wire: Uint8Array): OpenOutcome | null;
}

export type TrackMap = Map<string, SubscribedTrack>;

export function exact(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  if (bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength) return bytes.buffer;
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
}

/** Asks for key frames, not more often than the throttle allows. */
export class KeyFrameAsker {
  private last = -Infinity;
  constructor(private readonly how: ((rid?: string) => Promise<unknown>) | undefined) {}
  ask(rid?: string): void {
    const now = performance.now();
    if (this.how === undefined || now - this.last < KEY_FRAME_MS) return;
    this.last = now;
    (rid === undefined ? this.how() : this.how(rid)).catch(() => undefined);
  }
}
