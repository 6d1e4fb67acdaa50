// A guest in a real browser against stand-in services: invited in the call, the page with link and code, the door, shown as
// whose guest to everybody; and the receipt that can be saved.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { eventually, id, world } from "./kit.mjs";

let all;
let anna;
let gus;
let link;
let code;
const text = (person, name) => person.page.$eval(id(name), (element) => element.textContent).catch(() => "");
const shot = async (who, name) => {
  const folder = process.env["HOST_SHOTS"];
  if (folder !== undefined) await who.page.screenshot({ path: `${folder}/${name}.png` });
};
async function clean(person) {
  const axe = await readFile(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
  await person.page.evaluate(axe);
  const found = await person.page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.map((one) => `${one.impact} ${one.id}: ${one.nodes[0].html.slice(0, 120)}`);
  });
  assert.deepEqual(found, []);
}

before(async () => {
  all = await world();
  [anna, gus] = [await all.anna(), await all.anna()];
  await anna.open();
  await anna.login();
  await anna.join();
}, { timeout: 120_000 });
after(() => all?.close());

test("a member invites in the call: a link, a calendar entry, and the code for another way", async () => {
  await anna.click("invite");
  await anna.wait(id("invite-name"));
  await anna.page.type(id("invite-name"), "Gus Guest");
  await clean(anna);
  await anna.page.keyboard.press("Enter");
  await anna.wait(id("invited"));
  link = await anna.page.$eval(id("invite-link"), (input) => input.value);
  code = await text(anna, "invite-code");
  assert.match(code, /^[2-9A-Z]{5}-[2-9A-Z]{5}$/);
  assert.match(await anna.page.$eval(id("invite-ics"), (a) => a.href), /\/api\/invitations\/guest-[0-9a-f]{16}\/meeting\.ics$/);
  assert.equal(link.includes(code.slice(0, 5)), false, "the code is not in the link");
  await clean(anna);
  await shot(anna, "invited");
  await anna.page.keyboard.press("Escape");
});

test("the guest sees who invites to what, is refused with a wrong code, and waits at the door with the right one", async () => {
  const { pathname, search } = new URL(link);
  await gus.open(`${pathname}${search}`);
  await gus.wait(id("guest-door"));
  assert.match(await text(gus, "guest-door"), /Anna Ahrens of Bank Aurelia invites you/);
  await clean(gus);
  await shot(gus, "guest");
  await gus.page.type(id("guest-code"), "wrong");
  await gus.click("guest-go");
  await gus.wait(`${id("join")}:not(:disabled)`);
  await gus.click("join");
  await gus.wait(`${id("over")}[data-code="bad-code"]`);
  await gus.click("to-rooms");
  await gus.wait(id("guest-code"));
  await gus.page.type(id("guest-code"), code);
  await gus.page.keyboard.press("Enter");
  await gus.wait(`${id("join")}:not(:disabled)`);
  await eventually("the service answers", () => gus.page.$eval(id("service"), (line) => line.dataset.reached === "true"));
  await gus.click("join");
  await gus.wait(id("at-door"));
  await anna.click("admit");
  await gus.wait(`${id("call")}[data-phase="in"]`);
});

test("everybody sees whose guest it is and who invited, and a guest invites nobody and is made no host", async () => {
  for (const one of [anna, gus]) {
    await one.wait(id("invited-by"));
    assert.match(await text(one, "invited-by"), /invited by Anna Ahrens/);
    await eventually("the tile says so too", () => one.page.$$eval(".tile .badge", (badges) => badges.some((badge) => badge.textContent === "guest of Bank Aurelia")));
  }
  assert.equal(await gus.page.$(id("invite")), null);
  await anna.click("person-more");
  assert.equal(await anna.page.$(id("make-host")), null);
  await shot(anna, "guest-in");
});

test("the receipt says how long, the code and what verified, and can be saved", async () => {
  await anna.page.keyboard.press("Escape");
  const said = await anna.code();
  await anna.page.evaluate(() => {
    globalThis.saved = [];
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => { globalThis.saved.push(blob.text()); return make(blob); };
  });
  await gus.leave();
  await anna.leave();
  assert.match(await text(anna, "receipt"), /You were in it for 1 min/);
  const code = await text(anna, "receipt-code");
  assert.match(code, /^(\d{5} ){5}\d{5}$/);
  await anna.click("receipt-save");
  const saved = await anna.page.evaluate(async () => (await Promise.all(globalThis.saved))[0]);
  for (const part of ["Project Alder", "Gus Guest", "Bank Aurelia keeps audio and video for 7 years", code, "none rejected"]) assert.ok(saved.includes(part), `${part}: ${saved}`);
  assert.ok(said.length > 0);
  await clean(anna);
  await shot(anna, "receipt");
});
