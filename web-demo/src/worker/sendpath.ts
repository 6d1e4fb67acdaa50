// The transform of a source that is sent: a frame is sealed or dropped, never sent clear. Owns no key: it asks the session.

import type { Codec } from "../wire/client";
import type { LayerStream, TrackCounters } from "../wire/worker";
import { clock, type CounterBook } from "./counters";
import { exact, KeyFrameAsker, type Sealer } from "./frames";
import type { EncodedFrame, ScriptTransformer } from "./scope";
import { Unplaced } from "./unplaced";

/** The page's answer to "which stream is this" takes a look at its statistics, which browsers renew every 50 ms. */
const STREAMS_MS = 100;

/** What only the page can do for a source that is sent. */
export interface Page {
  /** Look which stream carries which layer. */
  look(): void;
  /** Make a key frame of a layer: Chromium's transformers cannot ask for one (156 has no `generateKeyFrame`). */
  keyFrame(layer: number): void;
}

/** Asks the page which stream carries which layer, not more often than it can look. */
class StreamAsker {
  private last = -Infinity;
  constructor(private readonly how: () => void) {}
  ask(): void {
    const now = performance.now();
    if (now - this.last < STREAMS_MS) return;
    this.last = now;
    this.how();
  }
}

/**
 * One layer on its own slot. It begins with a key frame, and after any dropped picture only a key frame may follow; one that
 * is only new makes its first by itself, one that is broken has to be asked.
 */
class Layer {
  pictures: "new" | "whole" | "broken" = "new";
  readonly keys: KeyFrameAsker;
  constructor(readonly slot: number, readonly rid: string | undefined, readonly counters: TrackCounters, transformer: ScriptTransformer,
    byPage: () => void) {
    this.keys = new KeyFrameAsker(transformer.generateKeyFrame?.bind(transformer) ?? (async () => byPage()));
  }
  ask(): void {
    this.keys.ask(this.rid);
  }
}

/** Seals one source: all its layers pass one transform, told apart by their streams, each under a slot of its own. */
export class SendPath {
  private readonly first: Layer;
  private readonly layers = new Map<number, Layer>();
  private several: boolean;
  private readonly unknown: StreamAsker;
  private readonly unplaced = new Unplaced();
  private controller: TransformStreamDefaultController<EncodedFrame> | null = null;

  constructor(private readonly transformer: ScriptTransformer, private readonly sealer: Sealer, private readonly book: CounterBook,
    readonly slot: number, private readonly codec: Codec, private readonly page: Page, layers = 1) {
    this.several = layers > 1;
    this.unknown = new StreamAsker(() => page.look());
    this.first = this.layer(slot, undefined);
  }

  /** Counters of the lowest layer. */
  get counters(): TrackCounters {
    return this.first.counters;
  }

  /** Which stream carries which layer: what waited for it goes on. Every layer begins with a whole picture. */
  streams(streams: readonly LayerStream[]): void {
    for (const { ssrc, rid, layer } of streams) {
      if (this.layers.has(ssrc)) continue;
      this.layers.set(ssrc, this.layer(this.slot + layer, rid));
    }
    for (const frame of this.unplaced.take((ssrc) => this.layers.has(ssrc))) this.frame(frame);
  }

  /** No layers after all: every frame is of the first. */
  one(): void {
    this.several = false;
    for (const frame of this.unplaced.take(() => true)) this.frame(frame);
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

  /** Sending is allowed again: start with a whole picture. */
  resumed(): void {
    for (const layer of [this.first, ...this.layers.values()]) if (layer.pictures === "broken") layer.ask();
  }

  private layer(slot: number, rid: string | undefined): Layer {
    const counters = this.book.of("send", null, slot, this.codec, null);
    return new Layer(slot, rid, counters, this.transformer, () => this.page.keyFrame(slot - this.slot));
  }

  /** The layer of a frame; none while its stream is not known: under a wrong slot it would be refused, or open wrongly. */
  private of(frame: EncodedFrame): Layer | undefined {
    if (!this.several) return this.first;
    const ssrc = frame.getMetadata?.().synchronizationSource;
    return ssrc === undefined ? undefined : this.layers.get(ssrc);
  }

  private wait(frame: EncodedFrame): void {
    const { counters } = this.first;
    counters.held += 1;
    const dropped = this.unplaced.add(frame, performance.now());
    if (dropped > 0) counters.lastError = "stream-unknown";
    counters.dropped += dropped;
    this.unknown.ask();
  }

  private frame(frame: EncodedFrame): void {
    const layer = this.of(frame);
    if (layer === undefined) return this.wait(frame);
    if (frame.data.byteLength === 0) {
      layer.counters.empty += 1;
      return;
    }
    const { counters } = layer;
    const picture = frame.type !== undefined;
    const keyFrame = frame.type === "key";
    if (layer.pictures !== "whole" && picture && !keyFrame) {
      layer.pictures = "broken";
      counters.dropped += 1;
      layer.ask();
      return;
    }
    const now = clock();
    const sealed = this.sealer.seal(layer.slot, keyFrame, new Uint8Array(frame.data), Math.round(now * 1000));
    if (sealed === null || !sealed.ok) {
      counters.dropped += 1;
      counters.lastError = sealed === null ? "no-group" : sealed.why;
      if (picture) layer.pictures = "broken";
      return;
    }
    layer.pictures = "whole";
    counters.sealed += 1;
    counters.firstAt ??= now;
    counters.lastAt = now;
    frame.data = exact(sealed.frame);
    this.controller?.enqueue(frame);
  }
}
