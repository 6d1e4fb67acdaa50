// Signing in at the firm's own identity provider: in a window of its own, so that the worker lives on; or in this tab.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, id, world } from "./kit.mjs";

let all;
before(async () => {
  all = await world({ outside: true });
}, { timeout: 120_000 });
after(() => all?.close());

test("a window of its own signs in and gets a certificate without a question, and goes", async () => {
  const anna = await all.anna();
  await anna.open("/");
  await anna.click("login-go");
  await anna.click("room-deal-room");
  await anna.join();
  assert.deepEqual(all.services.provider.asked.map(({ purpose }) => purpose), ["login", "enrol"]);
  assert.match(all.services.provider.asked[1].nonce, /^[\w-]{43}$/);
  await eventually("the windows are closed", async () => {
    const pages = await anna.browser.pages();
    return pages.filter((page) => page.url().includes("/oidc/")).length === 0;
  });
}, { timeout: 60_000 });

test("where no window may be opened the tab goes there and comes back to where it was", async () => {
  const anna = await all.anna();
  await anna.open("/?room=deal-room", (page) => page.evaluateOnNewDocument(() => { window.open = () => null; }));
  await anna.click("login-go");
  await anna.wait(`${id("join")}:not([disabled])`);
  assert.equal(new URL(anna.page.url()).search, "?room=deal-room");
  await anna.click("join");
  // a certificate waits for a click
  await anna.wait(id("ask-go"));
}, { timeout: 60_000 });
