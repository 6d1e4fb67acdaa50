// Layers of a camera, wishes for tiles, and why a tile is not what it could be.

import assert from "node:assert/strict";
import { test } from "node:test";
import { feedKey, qualityOf, troubleOf, withFeeds } from "../../src/call/reception";
import { initialState, type CallState } from "../../src/call/state";
import { wishesOf } from "../../src/call/view";
import { heightsOf, layersFor, sendsLayers } from "../../src/media/layers";
import type { Feed } from "../../src/wire/client";
import { newCounters } from "../../src/worker/counters";

test("a large camera is sent in three sizes, a small one in two, a tiny one in one", () => {
  assert.deepEqual(heightsOf(layersFor(720)), [180, 360, 720]);
  assert.deepEqual(heightsOf(layersFor(360)), [180, 360]);
  assert.deepEqual(heightsOf(layersFor(180)), [180]);
  for (const height of [180, 360, 720, 1080]) {
    const layers = layersFor(height);
    assert.deepEqual(layers.map(({ rid }) => rid), ["q", "h", "f"], "the names never change: they are negotiated once");
    const used = layers.filter((layer) => layer.used);
    assert.ok(used.every(({ bitrate }, at) => at === 0 || bitrate > (used[at - 1]?.bitrate ?? 0)));
  }
});

test("layers are sent where the worker can tell them apart", () => {
  assert.equal(sendsLayers("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36"), true);
  assert.equal(sendsLayers("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0 Safari/537.36"), true);
  assert.equal(sendsLayers("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), false);
});

test("wishes are the tiles' heights in device pixels, and none while the page is hidden", () => {
  const shown = [{ participant: "a/anna/1", slot: 2, height: 201.5, pinned: true }, { participant: "a/ben/1", slot: 2, height: 0, pinned: false }];
  const heights = (ratio: number, visible: boolean): number[] => wishesOf(shown, ratio, visible).map((wish) => wish.max_height);
  assert.deepEqual([heights(1, true), heights(2, true), heights(1, false)], [[208, 0], [416, 0], [0, 0]]);
  assert.deepEqual(wishesOf(shown, 1, true).map((wish) => wish.weight), ["pinned", "normal"]);
});

const ANNA = "bank-a/anna/1";
function receiving(feed: Partial<Feed> | null, lastAt: number | null, change: Partial<CallState> = {}): CallState {
  const track = { ...newCounters("receive", "s1", 2, "vp8"), participant: ANNA, lastAt, opened: lastAt === null ? 0 : 5 };
  const whole: Feed = { participant: ANNA, slot: 2, layer: 1, height: 360, limit: "wish", sender: "good", ...feed };
  return { ...initialState("room"), counters: [track], feeds: feed === null ? {} : withFeeds({}, [whole]), ...change };
}

test("every picture that is missing, frozen or small has its reason", () => {
  const now = 100_000;
  const why = (state: CallState): string | null => troubleOf(state, ANNA, 2, now);
  assert.equal(why(receiving({}, now)), null);
  assert.equal(why(receiving({}, now, { suspended: ["bank-a"] })), "suspended");
  assert.equal(why(receiving({ limit: "link", layer: null }, now - 9_000)), "link-none");
  assert.equal(why(receiving({ limit: "link" }, now)), "link-small");
  assert.equal(why(receiving({ limit: "sender", layer: null }, now - 9_000)), "sender-none");
  assert.equal(why(receiving({ limit: "sender", layer: null, sender: "poor" }, now - 9_000)), "sender-poor");
  assert.equal(why(receiving({ limit: "hidden", layer: null }, now - 9_000)), null);
  assert.equal(why(receiving({}, now - 9_000)), "waiting");
  const locked = receiving({}, null);
  locked.counters = locked.counters.map((track) => ({ ...track, held: 3 }));
  assert.equal(why(locked), "no-key");
});

test("a person's link is as good as the worse of both ends", () => {
  assert.equal(qualityOf(receiving(null, null), ANNA), null);
  assert.equal(qualityOf(receiving({}, null), ANNA), "good");
  assert.equal(qualityOf(receiving({ limit: "link" }, null), ANNA), "fair");
  assert.equal(qualityOf(receiving({ sender: "poor" }, null), ANNA), "poor");
  assert.equal(feedKey(ANNA, 2), "bank-a/anna/1 2");
});
