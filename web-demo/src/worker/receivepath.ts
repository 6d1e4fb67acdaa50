// The transform of a section that receives: a frame verifies or is dropped; frames of the next epoch wait for it a while.
// Owns no key: it asks the session.

import type { SubscribedTrack } from "../wire/client";
import type { TrackCounters } from "../wire/worker";
import { clock, type CounterBook } from "./counters";
import { exact, KeyFrameAsker, type Sealer, type TrackMap } from "./frames";
import type { EncodedFrame, ScriptTransformer } from "./scope";

/** Frames of the next epoch are held so long, ms ... (as `domain::limits::HOLD_MS`) */
export const HOLD_MS = 1_000;
/** ... and at most so many a track (`HOLD_FRAMES`). */
export const HOLD_FRAMES = 64;

interface Held { frame: EncodedFrame; since: number }

/** Opens one receiving section. */
export class ReceivePath {
  private held: Held[] = [];
  private controller: TransformStreamDefaultController<EncodedFrame> | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private whole = false;
  private readonly keys: KeyFrameAsker;

  constructor(private readonly transformer: ScriptTransformer, private readonly sealer: Sealer,
    private readonly book: CounterBook, private readonly mid: string, private readonly tracks: TrackMap) {
    this.keys = new KeyFrameAsker(transformer.sendKeyFrameRequest?.bind(transformer));
  }

  run(): void {
    const through = new TransformStream<EncodedFrame, EncodedFrame>({
      start: (controller) => {
        this.controller = controller;
      },
      transform: (frame) => this.frame(frame),
    });
    this.transformer.readable.pipeThrough(through).pipeTo(this.transformer.writable).catch(() => undefined);
  }

  /** A new epoch is there: what waited for it is tried again, in order. */
  epoch(): void {
    const waiting = this.held;
    this.held = [];
    for (const { frame, since } of waiting) {
      if (this.held.length > 0 || !this.attempt(frame)) this.held.push({ frame, since });
    }
    this.schedule();
  }

  private frame(frame: EncodedFrame): void {
    const track = this.tracks.get(this.mid);
    if (track === undefined) return;
    if (frame.data.byteLength === 0) {
      this.countersOf(track).empty += 1;
      return;
    }
    if (this.held.length > 0 || !this.attempt(frame)) this.hold(frame, track);
  }

  /** False: the frame is of an epoch that is not there yet. */
  private attempt(frame: EncodedFrame): boolean {
    const track = this.tracks.get(this.mid);
    if (track === undefined) return true;
    const counters = this.countersOf(track);
    const outcome = this.sealer.open(track.participant, track.slot, track.codec, new Uint8Array(frame.data));
    if (outcome === null) return false;
    if (outcome.ok) {
      const now = clock();
      counters.opened += 1;
      counters.firstAt ??= now;
      counters.lastAt = now;
      frame.data = exact(outcome.frame);
      this.controller?.enqueue(frame);
      // the first picture that opens is rarely a whole one: what came before was sealed before our time
      if (frame.type === "key") this.whole = true;
      else if (frame.type === "delta" && !this.whole) this.keys.ask();
      return true;
    }
    if (outcome.kind === "not-yet") return false;
    if (outcome.kind === "duplicate") counters.duplicates += 1;
    else if (outcome.kind === "unknown-epoch") counters.unknown += 1;
    else {
      counters.rejected += 1;
      counters.lastError = outcome.why;
      if (frame.type !== undefined) this.keys.ask();
    }
    return true;
  }

  private hold(frame: EncodedFrame, track: SubscribedTrack): void {
    const counters = this.countersOf(track);
    counters.held += 1;
    this.held.push({ frame, since: performance.now() });
    if (this.held.length > HOLD_FRAMES) this.drop(1, counters);
    this.schedule();
  }

  private drop(count: number, counters: TrackCounters): void {
    const gone = this.held.splice(0, count);
    counters.dropped += gone.length;
    if (gone.some(({ frame }) => frame.type !== undefined)) this.keys.ask();
  }

  private schedule(): void {
    clearTimeout(this.timer);
    const oldest = this.held[0];
    if (oldest === undefined) return;
    this.timer = setTimeout(() => this.expire(), Math.max(10, oldest.since + HOLD_MS - performance.now()));
  }

  private expire(): void {
    const limit = performance.now() - HOLD_MS;
    const fresh = this.held.findIndex(({ since }) => since > limit);
    const track = this.tracks.get(this.mid);
    const count = fresh < 0 ? this.held.length : fresh;
    if (track !== undefined) this.drop(count, this.countersOf(track));
    else this.held = [];
    this.epoch();
  }

  private countersOf(track: SubscribedTrack): TrackCounters {
    return this.book.of("receive", this.mid, track.slot, track.codec, track.participant);
  }
}
