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
  const copies = await carol.page.$$eval(id("paired"), (all) => all.map((one) => one.textContent));
  assert.deepEqual(copies, ["zwei Kopien, vereint", "zweite Kopie noch offen"]);
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

test("an assigned review is noted with the marked clip and concluded in the replay", async () => {
  await carol.wait(`${id("review-box")} ${id("note")}`);
  await carol.page.type(id("note-text"), "Asks for a reply");
  await carol.click("note-add");
  await carol.page.waitForFunction((box) => document.querySelector(box).value === "", {}, id("note-text"));
  await carol.page.click(`${id("note")} .link-button`);
  await eventually("the note leads there", async () => Math.abs((await carol.position()) - 2_000) < 60);
  await carol.page.type(id("dispose-text"), "Seen in full");
  await carol.click("dispose-go");
  await carol.wait(`${id("review-box")} ${id("disposed")}`);
});

test("an export shows progress and ends, and the ledger has all of it", async () => {
  assert.equal(await carol.export(), "done");
  await carol.click("bundle-start");
  await carol.wait(`${id("bundle")}[data-state="done"]`);
  await carol.click("replay-back");
  const actions = (await carol.ledger()).reverse();
  assert.deepEqual(actions.slice(0, 6), ["search", "request", "approve", "open", "play", "seek"]);
  for (const action of ["export", "note", "dispose"]) assert.ok(actions.includes(action), action);
});

test("a sample is drawn, a review assigned, and what is overdue says so", async () => {
  await carol.tab("reviews");
  await carol.click("draw-go");
  await carol.wait(id("samples"));
  await carol.click("assign");
  await carol.wait(`${id("assign-go")}:not([disabled])`);
  await carol.page.focus(id("assign-to"));
  await carol.page.keyboard.press("Enter");
  await carol.page.waitForFunction((dialog) => document.querySelector(dialog) === null, {}, id("assign-dialog"));
  assert.deepEqual((await carol.ledger()).slice(0, 2), ["assign", "sample"]);
});

test("a run of the word lists shows the line, and its hit leads into the replay at that time", async () => {
  await carol.tab("alerts");
  await carol.click("match-go");
  await carol.wait(id("match-done"));
  assert.match(await carol.page.$eval(id("hit"), (element) => element.textContent), /promises, version 3.*guaranteed/);
  await carol.click("hit-replay");
  await carol.wait(id("replay-page"));
  await eventually("at the hit", async () => Math.abs((await carol.position()) - 2_100) < 60);
  await carol.click("replay-back");
});

test("a copy is requested for the client's own part", async () => {
  await carol.tab("copies");
  await carol.wait(id("copy"));
  assert.equal(await carol.page.$eval(id("copy"), (row) => row.dataset.state), "asked");
  await carol.click("copy-prepare");
  await carol.wait(id("copy-file"));
  await carol.page.keyboard.press("Escape");
});
