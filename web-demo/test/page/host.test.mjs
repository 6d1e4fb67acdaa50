// Hosts in two real browsers against stand-in services: lobby, passcode, mute for all, hand-over, lock, end for all; hands
// and reactions.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { eventually, id, world } from "./kit.mjs";

let all;
let anna;
let ben;
const text = (person, name) => person.page.$eval(id(name), (element) => element.textContent).catch(() => "");
const has = async (person, selector) => (await person.page.$(selector)) !== null;
const person = (who) => `${id("person")}[data-participant^="${who}"]`;
const shot = async (who, name) => {
  const folder = process.env["HOST_SHOTS"];
  if (folder !== undefined) await who.page.screenshot({ path: `${folder}/${name}.png` });
};

before(async () => {
  all = await world();
  all.services.meeting.lobby = true;
  all.services.meeting.passcode = "482913";
  [anna, ben] = [await all.anna(), await all.ben()];
  for (const one of [anna, ben]) {
    await one.open();
    await one.page.setViewport({ width: 1280, height: 800 });
    await one.login();
  }
  await anna.join();
}, { timeout: 120_000 });
after(() => all?.close());

test("who comes without the passcode is asked for it, and with it stands at the door until a host lets it in", async () => {
  await ben.wait(`${id("join")}:not(:disabled)`);
  await ben.click("join");
  await ben.wait(`${id("over")}[data-code="passcode"]`);
  await ben.page.type(id("passcode"), "482913");
  await ben.page.keyboard.press("Enter");
  await ben.wait(id("at-door"));
  await shot(ben, "door");
  await anna.wait(id("waiter"));
  assert.match(await text(anna, "waiter"), /Ben/);
  await shot(anna, "waiting");
  await anna.click("admit");
  await ben.wait(`${id("call")}[data-phase="in"]`);
  await eventually("nobody waits", async () => !(await has(anna, id("waiting"))));
});

test("a host mutes everyone, each turns on the own microphone again, and nobody else has the host's controls", async () => {
  assert.equal(await has(ben, id("host-controls")), false);
  assert.equal(await has(ben, id("person-more")), false);
  await eventually("ben may speak", async () => (await ben.stats()).tracks.length > 0);
  if (await ben.muted()) await ben.page.keyboard.press("m");
  await eventually("ben speaks", async () => !(await ben.muted()));
  await anna.click("mute-all");
  await anna.click("ask-go");
  await eventually("ben is muted", () => ben.muted());
  assert.equal(await anna.muted(), false, "the host is not");
  await ben.page.keyboard.press("m");
  await eventually("ben speaks again by itself", async () => !(await ben.muted()));
  await anna.click("person-more");
  await shot(anna, "host");
  await anna.click("mute-one");
  await eventually("ben alone is muted", () => ben.muted());
});

test("H raises and lowers a hand, hands stand in order, and a reaction is seen and goes", async () => {
  await ben.page.keyboard.press("h");
  await anna.wait(`${id("hand-of")}[data-participant^="bank-b/ben"]`);
  await anna.page.keyboard.press("h");
  const order = () => ben.page.$$eval(id("hand-of"), (rows) => rows.map((row) => row.dataset.participant.split("/")[1]));
  await eventually("two hands in order", async () => String(await order()) === "ben,anna");
  await ben.click("react");
  await ben.click("react-applause");
  await anna.wait(`${id("reaction")}[data-sign="applause"]`);
  await shot(anna, "hands");
  await ben.page.keyboard.press("h");
  await eventually("one hand", async () => String(await order()) === "anna");
  await eventually("the reaction goes", async () => !(await has(anna, id("reaction"))));
});

test("the lock is shown, and no more when it is lifted", async () => {
  await anna.click("lock-meeting");
  await ben.wait(id("locked-chip"));
  await anna.click("lock-meeting");
  await eventually("unlocked", async () => !(await has(ben, id("locked-chip"))));
});

test("the page of a host at work has no barrier that axe knows", async () => {
  const axe = await readFile(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
  await anna.click("react");
  await anna.page.evaluate(axe);
  const found = await anna.page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.map((one) => `${one.impact} ${one.id}: ${one.nodes[0].html.slice(0, 120)}`);
  });
  assert.deepEqual(found, []);
  await anna.page.keyboard.press("Escape");
});

test("who is handed over to has the controls, and who gave them has not; then the end is for all", async () => {
  await anna.page.$eval(`${person("bank-b/ben")} details`, (details) => { details.open = true; });
  await anna.click("make-host");
  await anna.click("ask-go");
  await ben.wait(id("host-controls"));
  await eventually("anna gave them", async () => !(await has(anna, id("host-controls"))));
  await ben.click("end-all");
  await ben.click("ask-go");
  for (const one of [anna, ben]) await one.wait(`${id("over")}[data-code="ended"]`);
  await shot(anna, "ended");
});
