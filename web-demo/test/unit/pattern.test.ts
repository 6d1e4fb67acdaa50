// The test picture reads back, and the drives judge it by the same geometry.

import assert from "node:assert/strict";
import { test } from "node:test";
import { beepsOf, judgePicture, offsetOf, PATTERN } from "../../drive/recognise.mjs";
import * as pattern from "../../src/media/pattern";

test("every counter reads back from its squares and one wrong square is noticed", () => {
  for (const counter of [0, 1, 299, 0x8001, 0xffff]) {
    const cells = pattern.cellsOf(counter);
    assert.equal(cells.length, pattern.CELLS);
    assert.equal(pattern.counterOf(cells), counter);
    for (let at = 0; at < cells.length; at += 1) {
      assert.equal(pattern.counterOf(cells.map((cell, index) => (index === at ? !cell : cell))), null);
    }
  }
});

test("the drives' geometry is the page's", () => {
  const { WIDTH: width, HEIGHT: height, CELLS: cells, CELL: cell, ROW_TOP: rowTop, RATE: rate, FLASH_EVERY: flashEvery, FLASH_FOR: flashFor, FLASH: flash } = pattern;
  const bars = pattern.BARS.map((bar) => [...bar]);
  assert.deepEqual(PATTERN, { width, height, cells, cell, rowTop, rate, flashEvery, flashFor, flash, bars });
});

test("a picture that stands still or has wrong colours is no test picture", () => {
  const sample = (at: number, counter: number | null, worst = 3) => ({ at: at * 100, counter, worst, lit: false, width: 640, height: 360 });
  assert.equal(judgePicture([0, 1, 2, 3].map((at) => sample(at, at * 2))).ok, true);
  assert.equal(judgePicture([0, 1, 2, 3].map((at) => sample(at, 5))).ok, false);
  assert.equal(judgePicture([0, 1, 2, 3].map((at) => sample(at, at, 120))).ok, false);
  assert.equal(judgePicture([0, 1, 2, 3].map((at) => sample(at, null))).ok, false);
  assert.equal(judgePicture(null).ok, false);
});

test("the offset is the median of beep after flash", () => {
  const levels = Array.from({ length: 800 }, (_, at): [number, number] => [at * 10, (at * 10 + 5960) % 2000 < 200 ? 0.14 : 0.03]);
  const beeps = beepsOf(levels);
  assert.deepEqual(beeps, [40, 2040, 4040, 6040]);
  assert.equal(offsetOf([0, 2000, 4000, 6000], beeps), 40);
  assert.equal(offsetOf([0], [40]), null);
});

test("anna sounds at 440 Hz and people of the demonstration sound apart", () => {
  assert.equal(pattern.toneOf("anna"), 440);
  assert.notEqual(pattern.toneOf("ben"), pattern.toneOf("anna"));
});
