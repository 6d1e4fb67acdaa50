// Every screen is judged by axe-core (WCAG 2.2 AA and best practice) and works at 200 % zoom.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { id, world } from "./kit.mjs";

const AXE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../node_modules/axe-core/axe.min.js");
const RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];

let all;
let axe;
let anna;
before(async () => {
  axe = await readFile(AXE, "utf8");
  all = await world();
  anna = await all.anna();
  await anna.open("/");
}, { timeout: 120_000 });
after(() => all?.close());

async function clean(person, screen) {
  await person.page.evaluate(axe);
  const found = await person.page.evaluate(async (rules) => {
    const { violations } = await globalThis.axe.run(document, { runOnly: rules });
    return violations.map((one) => `${one.impact} ${one.id}: ${one.nodes[0].html.slice(0, 120)}`);
  }, RULES);
  assert.deepEqual(found, [], screen);
}

test("sign-in, rooms and pre-join have no accessibility fault", async () => {
  await anna.wait(id("user"));
  await clean(anna, "sign-in");
  await anna.login();
  await anna.wait(id("room-deal-room"));
  await clean(anna, "rooms");
  await anna.page.click(`${id("opened")} summary`);
  await anna.wait(id("opened-row"));
  await clean(anna, "who replayed me");
  await anna.click("room-deal-room");
  await anna.wait(`${id("join")}:not([disabled])`);
  await clean(anna, "pre-join");
});

test("the call, its banners and its dialogs have none", async () => {
  await anna.join();
  await clean(anna, "call");
  await anna.say("Something written");
  await clean(anna, "chat");
  await anna.page.$eval(id("chat-panel"), (panel) => {
    const dataTransfer = new DataTransfer();
    for (const name of ["deal.pdf", "slow.pdf"]) dataTransfer.items.add(new File(["x"], name, { type: "application/pdf" }));
    panel.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
  });
  await anna.wait(id("file-progress"));
  await clean(anna, "files");
  await anna.click("people");
  // a firm can be stopped only once it goes
  await anna.until((stats) => stats.sending === "allowed");
  all.services.meeting.stopFirm("bank-a");
  await anna.wait(id("banner-stopped"));
  await clean(anna, "stopped");
  for (const [open, dialog] of [["code-chip", "code-dialog"], ["open-details", "details"], ["help", "help-dialog"], ["devices", "device-dialog"]]) {
    await anna.click(open);
    await anna.wait(id(dialog));
    await clean(anna, dialog);
    await anna.page.keyboard.press("Escape");
    await anna.page.waitForFunction((selector) => document.querySelector(selector) === null, {}, id(dialog));
  }
});

test("at 200 % zoom nothing needs sideways scrolling and the controls are there", async () => {
  await anna.page.setViewport({ width: 640, height: 400 });
  for (const name of ["mic", "cam", "people", "leave"]) assert.ok(await anna.wait(id(name)));
  assert.ok(await anna.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await anna.page.setViewport({ width: 1280, height: 800 });
});

test("the page after a call and the review pages have none, in every language", async () => {
  await anna.leave();
  await clean(anna, "over");
  const carol = await all.officer("carol");
  await carol.open();
  await carol.enter();
  await carol.meetings();
  await clean(carol, "archive");
  for (const language of ["fr", "de"]) {
    await carol.page.select(id("language"), language);
    await carol.wait(id("tab-archive"));
    assert.equal(await carol.page.evaluate(() => document.documentElement.lang), language);
    await clean(carol, language);
    for (const view of ["reviews", "alerts", "copies", "retention", "ledger"]) {
      await carol.tab(view);
      await carol.wait({ reviews: id("review"), alerts: id("alert"), copies: id("copy"), retention: id("retention-meeting"), ledger: ".empty" }[view]);
      await clean(carol, `${view} ${language}`);
    }
    await carol.tab("reviews");
    await carol.click("assign");
    await carol.wait(id("assign-dialog"));
    await clean(carol, `assign ${language}`);
    await carol.page.keyboard.press("Escape");
    await carol.tab("alerts");
    await carol.click("words-edit");
    await carol.wait(id("words-form"));
    await clean(carol, `words ${language}`);
    await carol.tab("retention");
    await carol.wait(id("retain-dispose"));
    await carol.click("retain-dispose");
    await carol.wait(id("retention-dialog"));
    await clean(carol, `retention ${language}`);
    await carol.page.keyboard.press("Escape");
    await carol.tab("archive");
  }
});
