// The administrators' pages in real browsers against a stand-in front: four eyes over a statement, and how things stand.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { eventually, id, world } from "./kit.mjs";

const AXE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../node_modules/axe-core/axe.min.js");
const RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"];

let all;
let axe;
let adam;
let alma;
before(async () => {
  axe = await readFile(AXE, "utf8");
  all = await world();
  [adam, alma] = [await all.administrator("adam"), await all.administrator("alma")];
  for (const one of [adam, alma]) {
    await one.open();
    await one.enter();
  }
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

test("an account without the role is told so, and a call loads nothing of these pages", async () => {
  const anna = await all.administrator("anna");
  await anna.open();
  await anna.login();
  await anna.wait(id("problem"));
  assert.match(await anna.text("problem"), /no administrator/);
  await anna.page.goto(anna.who.url);
  await anna.wait(id("user"));
  const loaded = await anna.page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  assert.ok(!loaded.some((name) => /\/app-/.test(name)), loaded.join(" "));
});

test("a change is shown in words, with who would be refused, before it is signed", async () => {
  await adam.room("deal-room");
  await clean(adam, "room");
  await adam.click("edit");
  await clean(adam, "form");
  await adam.click("flag-guests");
  await adam.fill("years", "10");
  await adam.click("preview");
  await adam.wait(id("review"));
  assert.match(await adam.text("changes"), /stricter.*7 years → 10 years/);
  assert.match(await adam.text("simulation"), /3 of 4.*a guest of Banque Boréale.*admits no guests.*Call bank-a: Policy desk/s);
  assert.match(await adam.text("cost"), /48 GB/);
  await clean(adam, "review");
});

test("who proposed it cannot approve it; a second administrator's signature makes it, by keys alone", async () => {
  await adam.sign();
  assert.match(await adam.text("own-proposal"), /another administrator/);
  assert.equal(await adam.page.$(id("approve")), null);
  await clean(adam, "waiting");
  await alma.room("deal-room");
  await alma.wait(id("approve"));
  await alma.page.focus(id("approve"));
  await alma.page.keyboard.press("Enter");
  await alma.wait(id("ask-go"));
  await clean(alma, "approve");
  await alma.page.focus(id("ask-go"));
  await alma.page.keyboard.press("Enter");
  await eventually("it holds", async () => (await alma.serials())[0] === 2);
  assert.match(await alma.page.$eval(id("version"), (row) => row.textContent), /adam and alma/);
});

test("the ledger has each step, and its chain", async () => {
  await alma.tab("ledger");
  await alma.wait(id("chain"));
  const actions = await alma.page.$$eval(id("ledger-row"), (rows) => rows.map((row) => row.dataset.action));
  assert.deepEqual(actions, ["state", "agree", "propose"]);
});

test("a forecast is computed for planned hours", async () => {
  await alma.tab("forecast");
  await alma.fill("plan-hours", "100");
  await alma.click("compute");
  await eventually("a hundred hours", async () => /396 GB/.test(await alma.text("forecast")));
});

test("every page has no accessibility fault in every language, and fits at 200 % zoom", async () => {
  const seen = { rooms: "rooms", firms: "firm", custody: "tokens", forecast: "forecast", ledger: "ledger", health: "services" };
  for (const language of ["en", "fr", "de"]) {
    await alma.page.select(id("language"), language);
    for (const [view, part] of Object.entries(seen)) {
      await alma.tab(view);
      await alma.wait(id(part));
      await clean(alma, `${view} ${language}`);
    }
  }
  assert.match(await alma.text("alerts"), /Token archive antwortet nicht/);
  await alma.page.setViewport({ width: 640, height: 400 });
  for (const view of Object.keys(seen)) {
    await alma.tab(view);
    await alma.wait(id(seen[view]));
    assert.ok(await alma.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), view);
  }
});
