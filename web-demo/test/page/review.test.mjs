// The review pages in real browsers against a stand-in archive: two officers, replay in step, ledger, export.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sample } from "./sample.mjs";
import { eventually, id, world } from "./kit.mjs";

let all;
let carol;
let chris;
before(async () => {
  await sample();
  all = await world();
  [carol, chris] = [await all.officer("carol"), await all.officer("chris")];
  for (const officer of [carol, chris]) {
    await officer.open();
    await officer.enter();
  }
}, { timeout: 120_000 });
after(() => all?.close());

test("an account without the role is told so", async () => {
  const anna = await all.officer("anna");
  await anna.open();
  await anna.login();
  await anna.wait(id("problem"));
  assert.match(await anna.page.$eval(id("problem"), (element) => element.textContent), /no compliance officer/);
});

test("the archive shows what verifies and names what does not", async () => {
  const rows = await carol.meetings();
  assert.deepEqual(rows.map((row) => row.integrity), ["good", "bad"]);
});

test("a search narrows the list, is in the ledger, and all can be shown again", async () => {
  const found = await carol.search({ person: "bea", firm: "bank-b" });
  assert.equal(found.length, 1);
  await carol.click("search-clear");
  assert.equal((await carol.meetings()).length, 2);
  assert.deepEqual(await carol.ledger(), ["search"]);
});

test("one's own request cannot be approved, a second officer's approval opens it", async () => {
  const [{ meeting }] = await carol.meetings();
  await carol.request(meeting, { caseNumber: "C-2026", reason: "Order of events" });
  assert.match(await carol.ownRefusal(), /another officer/);
  await chris.approve(meeting);
  await carol.openReplay(meeting);
});

test("lanes play in step, seek together, and a gap is red", async () => {
  await carol.play();
  await eventually("it plays", async () => (await carol.position()) > 1000);
  const lanes = await carol.lanes();
  assert.equal(lanes.length, 2);
  assert.ok(Math.abs(lanes[0].at_ms - lanes[1].at_ms) < 150, JSON.stringify(lanes));
  await carol.seek(2500);
  await eventually("both moved", async () => (await carol.lanes()).every((lane) => lane.at_ms >= 2400));
  assert.equal((await carol.page.$$(id("gap"))).length, 1);
  assert.ok(await carol.page.$(id("watermark")));
  await carol.page.evaluate(() => document.activeElement.blur());
  await carol.page.keyboard.press(" ");
  await eventually("paused", async () => (await carol.lanes()).every((lane) => lane.paused));
});

test("an export shows progress and ends, and the ledger has all of it", async () => {
  assert.equal(await carol.export(), "done");
  await carol.click("replay-back");
  const actions = (await carol.ledger()).reverse();
  assert.deepEqual(actions.slice(0, 6), ["search", "request", "approve", "open", "play", "seek"]);
  assert.ok(actions.includes("export"));
});
