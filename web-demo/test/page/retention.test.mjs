// Retention on the review pages, in a real browser against the stand-in archive: a hold by two officers with the keyboard
// alone, and what may not be asked for.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { id, world } from "./kit.mjs";

let all;
let carol;
let chris;
before(async () => {
  all = await world();
  [carol, chris] = [await all.officer("carol"), await all.officer("chris")];
  for (const officer of [carol, chris]) {
    await officer.open();
    await officer.enter();
  }
}, { timeout: 120_000 });
after(() => all?.close());

const buttons = (officer, meeting) => officer.page.$$eval(`${id("retention-meeting")}[data-meeting="${meeting}"] button`, (found) => found.map((one) => one.dataset.testid));

test("a meeting leads to its retention, and only what fits its date and holds can be asked for", async () => {
  const [first, second] = (await carol.meetings()).map(({ meeting }) => meeting);
  await carol.page.click(`[data-meeting="${first}"] ${id("retention")}`);
  await carol.wait(id("retention-meeting"));
  assert.equal((await carol.page.$$(id("retention-meeting"))).length, 1, "that meeting alone");
  assert.deepEqual(await buttons(carol, first), ["retain-hold", "retain-raise"], "its time is not over");
  await carol.click("retention-all");
  await carol.wait(`[data-meeting="${second}"]`);
  assert.deepEqual(await buttons(carol, second), ["retain-hold", "retain-raise", "retain-dispose"]);
  const gone = `${id("retention-meeting")}[data-phase="disposed"]`;
  assert.match(await carol.page.$eval(gone, (row) => row.textContent), /Only its book is left/);
  assert.equal((await carol.page.$$(`${gone} button`)).length, 0);
});

test("one officer asks for a hold by keyboard, a second consents, and the page shows what the recorder did", async () => {
  const [{ meeting }] = await carol.meetings();
  await carol.tab("retention");
  const hold = `${id("retention-meeting")}[data-meeting="${meeting}"] ${id("retain-hold")}`;
  await carol.wait(hold);
  await carol.page.focus(hold);
  await carol.page.keyboard.press("Enter");
  await carol.wait(id("retention-case"));
  await carol.page.focus(id("retention-case"));
  await carol.page.keyboard.type("C-17");
  await carol.page.keyboard.press("Tab");
  await carol.page.keyboard.type("A claim of a client");
  await carol.page.keyboard.press("Tab");
  await carol.page.keyboard.press("Tab");
  await carol.page.keyboard.press("Enter");
  await carol.wait(`${id("retention-act")}[data-state="waiting"]`);
  assert.match(await carol.page.$eval(id("own-act"), (element) => element.textContent), /another officer/);
  await chris.tab("retention");
  await chris.wait(id("consent"));
  await chris.click("consent");
  await chris.wait(id("consent-go"));
  assert.match(await chris.page.$eval(id("consent-dialog"), (dialog) => dialog.textContent), /carol.*Project Alder.*C-17/s);
  await chris.click("consent-go");
  await chris.wait(`${id("retention-act")}[data-state="done"]`);
  assert.match(await chris.page.$eval(id("hold"), (row) => row.textContent), /C-17/);
  assert.deepEqual((await buttons(chris, meeting)), ["retain-hold", "retain-release", "retain-raise"]);
  assert.deepEqual((await carol.ledger()).slice(0, 2), ["retain-consent", "retain"]);
});
