// A panic in WebAssembly ends the worker for good; ordinary refusals do not.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Dead, guarded, isDead, whenDead } from "../../src/worker/engine";

test("an ordinary error passes, the first panic ends everything", () => {
  const reasons: string[] = [];
  whenDead((reason) => reasons.push(reason));
  assert.throws(() => guarded(() => { throw new Error("stopped:beacon"); }), /stopped:beacon/);
  assert.equal(isDead(), false);
  assert.throws(() => guarded(() => { throw new WebAssembly.RuntimeError("unreachable"); }), Dead);
  assert.equal(isDead(), true);
  let ran = false;
  assert.throws(() => guarded(() => { ran = true; }), Dead);
  assert.equal(ran, false);
  assert.deepEqual(reasons, ["unreachable"]);
});
