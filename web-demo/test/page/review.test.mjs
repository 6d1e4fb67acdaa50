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

test("the second file of each lane goes on where the first ends", async () => {
  await carol.seek(4_300);
  await eventually("there", async () => (await carol.position()) >= 4_300);
  assert.equal((await carol.page.$$(id("lane-next"))).length, 2, "the next part is fetched before it is needed");
  await carol.play();
  await eventually("past the seam", async () => (await carol.position()) > 5_400);
  const lanes = await carol.lanes();
  assert.ok(lanes.every((lane) => lane.begin === 4_000 && lane.at_ms > 5_200), JSON.stringify(lanes));
  assert.ok(Math.abs(lanes[0].at_ms - lanes[1].at_ms) < 150, JSON.stringify(lanes));
  await carol.play();
});

test("chat stands beside the lanes, and a clip is marked by keys", async () => {
  assert.match(await carol.page.$eval(id("chat"), (element) => element.textContent), /alder file/);
  // files too: each a download, or named with the reason why it is not here
  assert.match(await carol.page.$eval(id("replay-files"), (element) => element.textContent),
    /Anna Ahrens: term sheet\.pdf 2\.6 MB · application\/pdf.*no key of this archive opens.*the service had it no more/);
  assert.deepEqual(await carol.page.$eval(id("replay-file"), (link) => [link.getAttribute("href"), link.download]), ["/replay/grant/file-0", "term sheet.pdf"]);
  await carol.seek(1_000);
  await carol.page.evaluate(() => document.activeElement.blur());
  await eventually("there", async () => Math.abs((await carol.position()) - 1_000) < 50);
  await carol.page.keyboard.press("i");
  await carol.seek(3_000);
  await carol.page.evaluate(() => document.activeElement.blur());
  await eventually("there", async () => Math.abs((await carol.position()) - 3_000) < 50);
  await carol.page.keyboard.press("o");
  await carol.wait(id("clip"));
  assert.match(await carol.page.$eval(id("clip-text"), (element) => element.textContent), /0:01 to 0:03/);
});

test("an export shows progress and ends, and the ledger has all of it", async () => {
  assert.equal(await carol.export(), "done");
  await carol.click("bundle-start");
  await carol.wait(`${id("bundle")}[data-state="done"]`);
  await carol.click("replay-back");
  const actions = (await carol.ledger()).reverse();
  assert.deepEqual(actions.slice(0, 6), ["search", "request", "approve", "open", "play", "seek"]);
  assert.ok(actions.includes("export"));
});
