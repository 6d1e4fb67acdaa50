// The transforms' promises: nothing clear leaves, nothing unverified arrives, frames of the next epoch wait a while.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { CounterBook } from "../../src/worker/counters";
import type { OpenOutcome, Sealed } from "../../src/worker/engine";
import type { EncodedFrame, ScriptTransformer } from "../../src/worker/scope";
import type { Sealer, TrackMap } from "../../src/worker/frames";
import { HOLD_FRAMES, HOLD_MS, ReceivePath } from "../../src/worker/receivepath";
import { SendPath } from "../../src/worker/sendpath";
import { WAIT_FRAMES, WAIT_MS } from "../../src/worker/unplaced";

function bench() {
  let feed: ReadableStreamDefaultController<EncodedFrame> | null = null;
  const out: EncodedFrame[] = [];
  let keyFrames = 0;
  const rids: string[] = [];
  const transformer: ScriptTransformer = {
    readable: new ReadableStream({ start: (controller) => { feed = controller; } }),
    writable: new WritableStream({ write: (frame) => void out.push(frame) }),
    options: { direction: "send", slot: 2, codec: "vp8", layers: 1 },
    generateKeyFrame: async (rid) => {
      keyFrames += 1;
      if (rid !== undefined) rids.push(rid);
    },
    sendKeyFrameRequest: async () => void (keyFrames += 1),
  };
  const push = async (...frames: EncodedFrame[]): Promise<void> => {
    for (const frame of frames) feed?.enqueue(frame);
    await settle();
  };
  return { transformer, out, push, rids, asked: () => keyFrames };
}

/** Lets the streams' own microtasks run dry. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) await Promise.resolve();
}

const frame = (bytes: number[], type?: "key" | "delta"): EncodedFrame =>
  (type === undefined ? { data: Uint8Array.from(bytes).buffer } : { data: Uint8Array.from(bytes).buffer, type });
const bytesOf = (one: EncodedFrame | undefined): number[] => [...new Uint8Array(one?.data ?? new ArrayBuffer(0))];

class Fake implements Sealer {
  sealed: Sealed | null = { ok: true, frame: Uint8Array.of(9) };
  opened: OpenOutcome | null = { ok: true, frame: Uint8Array.of(7) };
  seal(): Sealed | null {
    return this.sealed;
  }
  open(): OpenOutcome | null {
    return this.opened;
  }
}

/** A page that is not needed: the transformer can ask itself. */
const page = { look: () => undefined, keyFrame: () => assert.fail("the transformer can ask") };

test("where the transformer cannot ask for a key frame the page makes one, of the layer that waits", async () => {
  const { transformer, out, push } = bench();
  delete transformer.generateKeyFrame;
  const fake = new Fake();
  const made: number[] = [];
  const path = new SendPath(transformer, fake, new CounterBook(), 2, "vp8", { ...page, keyFrame: (layer) => void made.push(layer) }, 3);
  path.run();
  path.streams([{ ssrc: 70, rid: "q", layer: 0 }, { ssrc: 71, rid: "h", layer: 1 }]);
  const of = (ssrc: number, type: "key" | "delta"): EncodedFrame => ({ ...frame([1, 2], type), getMetadata: () => ({ synchronizationSource: ssrc }) });
  await push(of(71, "delta"), of(71, "delta"), of(70, "key"));
  assert.deepEqual([made, out.length], [[1], 1]);
});

const layered = (ssrc: number, type: "key" | "delta"): EncodedFrame => (
  { ...frame([1, 2], type), getMetadata: () => ({ synchronizationSource: ssrc }) }
);

test("each layer is sealed under its own slot, and none before its stream is known", async () => {
  const { transformer, out, push, asked } = bench();
  const slots: number[] = [];
  const fake = new Fake();
  fake.seal = (slot?: number) => {
    slots.push(slot ?? -1);
    return { ok: true, frame: Uint8Array.of(9) };
  };
  let looks = 0;
  let now = performance.now();
  const clock = mock.method(performance, "now", () => now);
  const path = new SendPath(transformer, fake, new CounterBook(), 2, "vp8", { ...page, look: () => void (looks += 1) }, 3);
  path.run();
  await push(layered(70, "key"), layered(71, "key"), frame([1], "key"));
  assert.deepEqual([out.length, slots.length], [0, 0], "nobody can tell which layer these are");
  assert.equal(looks, 1, "the page is asked, once for several frames");
  now += 101;
  await push(layered(70, "delta"));
  assert.equal(looks, 2, "and again while frames wait");
  clock.mock.restore();
  path.streams([{ ssrc: 71, rid: "h", layer: 1 }, { ssrc: 70, rid: "q", layer: 0 }]);
  await settle();
  assert.deepEqual([slots, out.length, asked()], [[2, 3, 2], 3, 0], "what waited goes on in its order, and nothing begins anew");
});

test("streams that nobody places in time are dropped whole, and begin with a whole picture once they are placed", async () => {
  let now = 10_000;
  const clock = mock.method(performance, "now", () => now);
  try {
    const { transformer, out, push, rids } = bench();
    const path = new SendPath(transformer, new Fake(), new CounterBook(), 2, "vp8", page, 3);
    path.run();
    await push(layered(70, "key"));
    now += WAIT_MS;
    await push(layered(71, "key"));
    assert.equal(path.counters.dropped, 0);
    now += 1;
    await push(layered(71, "delta"));
    assert.equal(path.counters.dropped, 1, "the stream that waited longest");
    for (let one = 2; one <= WAIT_FRAMES; one += 1) await push(layered(71, "delta"));
    assert.equal(path.counters.dropped, 2 + WAIT_FRAMES, "and the other at the bound of both");
    path.streams([{ ssrc: 70, rid: "q", layer: 0 }, { ssrc: 71, rid: "h", layer: 1 }]);
    await push(layered(70, "delta"), layered(71, "delta"), layered(71, "key"));
    assert.deepEqual([out.length, rids.sort()], [1, ["h", "q"]]);
  } finally {
    clock.mock.restore();
  }
});

test("layers of which nothing was dropped are asked for nothing when sending is allowed", async () => {
  const { transformer, out, push, asked } = bench();
  const path = new SendPath(transformer, new Fake(), new CounterBook(), 2, "vp8", page, 3);
  path.run();
  path.streams([{ ssrc: 70, rid: "q", layer: 0 }, { ssrc: 71, rid: "h", layer: 1 }]);
  path.resumed();
  await push(layered(70, "key"), layered(71, "key"));
  assert.deepEqual([asked(), out.length], [0, 2]);
});

test("without layers every stream is the first one's", async () => {
  const { transformer, out, push } = bench();
  const path = new SendPath(transformer, new Fake(), new CounterBook(), 2, "vp8", page, 3);
  path.run();
  path.one();
  await push(layered(70, "key"));
  assert.equal(out.length, 1);
});

test("a frame leaves sealed or not at all", async () => {
  const { transformer, out, push } = bench();
  const fake = new Fake();
  const path = new SendPath(transformer, fake, new CounterBook(), 0, "opus", page);
  path.run();
  await push(frame([1, 2, 3]));
  assert.deepEqual(bytesOf(out[0]), [9]);
  for (const none of [null, { ok: false, why: "stopped:beacon" } as const]) {
    fake.sealed = none;
    await push(frame([1, 2, 3]));
  }
  assert.equal(out.length, 1);
  assert.equal(path.counters.dropped, 2);
  assert.equal(path.counters.sealed, 1);
});

test("after a dropped picture only a key frame may follow, and one is asked for", async () => {
  const { transformer, out, push, asked } = bench();
  const fake = new Fake();
  const path = new SendPath(transformer, fake, new CounterBook(), 2, "vp8", page);
  path.run();
  fake.sealed = { ok: false, why: "stopped:receipt" };
  await push(frame([1], "key"));
  fake.sealed = { ok: true, frame: Uint8Array.of(9) };
  path.resumed();
  await push(frame([1], "delta"), frame([2], "delta"));
  assert.equal(out.length, 0);
  assert.equal(asked(), 1);
  await push(frame([3], "key"), frame([4], "delta"));
  assert.equal(out.length, 2);
});

test("zero-length frames are dropped both ways", async () => {
  const sending = bench();
  const sender = new SendPath(sending.transformer, new Fake(), new CounterBook(), 0, "opus", page);
  sender.run();
  await sending.push(frame([]));
  assert.equal(sending.out.length, 0);
  assert.equal(sender.counters.empty, 1);
  const { out, push, counters } = receiving();
  await push(frame([]));
  assert.equal(out.length, 0);
  assert.equal(counters()?.empty, 1);
});

function receiving() {
  const { transformer, out, push, asked } = bench();
  const fake = new Fake();
  const book = new CounterBook();
  const tracks: TrackMap = new Map([["0", { mid: "0", participant: "bank-b/ben/1", slot: 2, codec: "vp8", active: true }]]);
  const path = new ReceivePath(transformer, fake, book, "0", tracks);
  path.run();
  const counters = () => book.all()[0];
  return { path, fake, out, push, asked, counters, tracks };
}

test("a frame that does not verify never reaches the decoder", async () => {
  const { fake, out, push, counters, asked } = receiving();
  fake.opened = { ok: false, kind: "rejected", why: "unauthentic" };
  await push(frame([1], "delta"));
  fake.opened = { ok: false, kind: "duplicate", why: "duplicate" };
  await push(frame([1], "delta"));
  fake.opened = { ok: false, kind: "unknown-epoch", why: "unknown-epoch" };
  await push(frame([1], "delta"));
  assert.equal(out.length, 0);
  assert.equal(counters()?.rejected, 1);
  assert.equal(counters()?.unknown, 1);
  assert.equal(counters()?.duplicates, 1);
  assert.equal(asked(), 1);
});

test("a section nobody announced lets nothing through", async () => {
  const { out, push, tracks } = receiving();
  tracks.clear();
  await push(frame([1], "key"));
  assert.equal(out.length, 0);
});

test("frames of the next epoch wait for it and come in order", async () => {
  const { path, fake, out, push, counters } = receiving();
  fake.opened = { ok: false, kind: "not-yet", why: "not-yet" };
  await push(frame([1], "key"), frame([2], "delta"));
  assert.equal(out.length, 0);
  fake.opened = { ok: true, frame: Uint8Array.of(7) };
  await push(frame([3], "delta"));
  assert.equal(out.length, 0, "what comes behind them waits too");
  path.epoch();
  await settle();
  assert.equal(out.length, 3);
  assert.equal(counters()?.held, 3);
});

test("at most 64 frames are held, and for at most a second", async () => {
  let now = 10_000;
  const clock = mock.method(performance, "now", () => now);
  const alarms: (() => void)[] = [];
  const timers = mock.method(globalThis, "setTimeout", (alarm: () => void) => alarms.push(alarm));
  try {
    const { path, fake, out, push, counters } = receiving();
    fake.opened = { ok: false, kind: "not-yet", why: "not-yet" };
    for (let one = 0; one < HOLD_FRAMES + 5; one += 1) await push(frame([one], "delta"));
    assert.equal(counters()?.dropped, 5);
    now += HOLD_MS + 20;
    alarms[alarms.length - 1]?.();
    await settle();
    assert.equal(counters()?.dropped, HOLD_FRAMES + 5);
    fake.opened = { ok: true, frame: Uint8Array.of(7) };
    path.epoch();
    await settle();
    assert.equal(out.length, 0);
  } finally {
    timers.mock.restore();
    clock.mock.restore();
  }
});
