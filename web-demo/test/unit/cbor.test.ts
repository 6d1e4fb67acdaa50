// Known answers of RFC 8949 appendix A and RFC 4648 for what grants are made of.

import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../../src/worker/bytes";
import { encodeCbor, type Cbor } from "../../src/worker/cbor";

const hex = (value: Cbor): string => Buffer.from(encodeCbor(value)).toString("hex");

test("numbers, text, lists and maps have the one shortest form", () => {
  const known: [Cbor, string][] = [
    [0, "00"], [23, "17"], [24, "1818"], [1000, "1903e8"], [1000000, "1a000f4240"], [1000000000000, "1b000000e8d4a51000"],
    ["", "60"], ["IETF", "6449455446"], ["ü", "62c3bc"], [[1, [2, 3]], "8201820203"], [{ a: 1, b: [2, 3] }, "a26161016162820203"],
    [true, "f5"], [null, "f6"],
  ];
  for (const [value, wanted] of known) assert.equal(hex(value), wanted);
  assert.throws(() => encodeCbor(-1), RangeError);
  assert.throws(() => encodeCbor(1.5), RangeError);
});

test("base64url has no padding and reads back", () => {
  assert.equal(encode(Uint8Array.of(0xfb, 0xff, 0xfe)), "-__-");
  assert.equal(encode(Uint8Array.of(0x66)), "Zg");
  for (const length of [0, 1, 2, 3, 40_000]) {
    const bytes = Uint8Array.from({ length }, (_, at) => at * 7);
    assert.deepEqual(decode(encode(bytes)), bytes);
  }
});
