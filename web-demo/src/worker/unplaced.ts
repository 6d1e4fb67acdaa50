// Frames of streams of which nobody has said yet which layer they carry. They wait instead of being dropped: a dropped first
// picture makes the encoder begin anew, and a browser that sends a key frame throws away what its pacer still holds of the
// stream (seen with Chromium 156), sealed and counted as it is. Owns the frames and their bounds; seals nothing.

import type { EncodedFrame } from "./scope";

/** The page's answer takes a look at its statistics, which browsers renew every 50 ms; a busy machine takes some of them. */
export const WAIT_MS = 1_000;
/** Three layers at 30 pictures a second for half of that: who waits longer begins anew. */
export const WAIT_FRAMES = 64;

interface Waiting { frame: EncodedFrame; ssrc: number; since: number }

export class Unplaced {
  private waiting: Waiting[] = [];

  /** Keeps a frame. How many were dropped for it: a stream is dropped whole, for what follows a hole does not decode. */
  add(frame: EncodedFrame, now: number): number {
    const ssrc = frame.getMetadata?.().synchronizationSource;
    if (ssrc === undefined) return 1;
    this.waiting.push({ frame, ssrc, since: now });
    const oldest = this.waiting[0];
    if (oldest === undefined || (this.waiting.length <= WAIT_FRAMES && now - oldest.since <= WAIT_MS)) return 0;
    const before = this.waiting.length;
    this.waiting = this.waiting.filter((one) => one.ssrc !== oldest.ssrc);
    return before - this.waiting.length;
  }

  /** Hands out what waited for these streams, in order. */
  take(of: (ssrc: number) => boolean): EncodedFrame[] {
    const taken = this.waiting.filter(({ ssrc }) => of(ssrc));
    this.waiting = this.waiting.filter(({ ssrc }) => !of(ssrc));
    return taken.map(({ frame }) => frame);
  }
}
