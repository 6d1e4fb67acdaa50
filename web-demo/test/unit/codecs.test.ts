// In which codec a camera is sent, and what is said of the layers inside.

import assert from "node:assert/strict";
import { test } from "node:test";
import { asPictureCodec, isWanted, nestedEncoding, nestedHeights } from "../../src/media/codecs";

test("a codec is known by its name, VP9 by its first profile alone", () => {
  const named = (mimeType: string, sdpFmtpLine?: string) => (sdpFmtpLine === undefined ? { mimeType } : { mimeType, sdpFmtpLine });
  assert.equal(isWanted("vp9", named("video/VP9", "profile-id=0")), true);
  assert.equal(isWanted("vp9", named("video/VP9")), true);
  assert.equal(isWanted("vp9", named("video/VP9", "profile-id=2")), false);
  assert.equal(isWanted("av1", named("video/AV1", "level-idx=5;profile=0;tier=0")), true);
  assert.equal(isWanted("opus", named("audio/opus", "minptime=10;useinbandfec=1")), true);
  assert.equal(isWanted("opus", named("audio/red")), false);
  assert.equal(isWanted("vp8", named("video/rtx", "apt=96")), false);
});

test("what is no picture codec is VP8", () => {
  assert.deepEqual([null, undefined, "", "opus", "h264", "av1"].map(asPictureCodec), ["vp8", "vp8", "vp8", "vp8", "vp8", "av1"]);
});

test("VP8 goes in simulcast, the others in one stream whose sizes are told", () => {
  assert.equal(nestedEncoding("vp8", 1), null);
  assert.deepEqual(nestedEncoding("vp9", 7), [{ maxBitrate: 7, scalabilityMode: "L3T3_KEY" }]);
  assert.deepEqual(nestedHeights("vp9", 720), [180, 360, 720]);
  assert.deepEqual(nestedHeights("vp9", 360), [180, 360]);
  assert.deepEqual(nestedHeights("av1", 720), [720]);
  assert.deepEqual(nestedHeights("vp8", 720), []);
});
