// The CBOR of a statement, as an administrator signs it: byte for byte what the firm's custody encodes (the front's tests read
// the same file).

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCbor } from "../../src/worker/cbor";
import known from "./statement.json";

test("a statement as the front told it becomes the bytes that custody encodes", () => {
  const told = JSON.parse(JSON.stringify(known.statement));
  assert.equal(Buffer.from(encodeCbor(told)).toString("hex"), known.cbor);
});
