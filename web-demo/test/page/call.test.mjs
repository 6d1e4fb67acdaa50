// The call page in two real browsers against stand-in services: what people see when things go well and when not.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { eventually, id, world } from "./kit.mjs";

let all;
let anna;
let ben;
before(async () => {
  all = await world();
  [anna, ben] = [await all.anna(), await all.ben()];
  for (const person of [anna, ben]) {
    await person.open();
    await person.login();
    await person.join();
  }
}, { timeout: 120_000 });
after(() => all?.close());

test("the second window joins muted and speaks after M", async () => {
  assert.equal(await anna.muted(), false);
  assert.equal(await ben.muted(), true);
  await ben.page.keyboard.press("m");
  await eventually("ben speaks", async () => !(await ben.muted()));
});

test("each sees the other's moving picture and hears the other's tone", async () => {
  for (const [person, hertz] of [[anna, 659], [ben, 440]]) {
    await person.until((stats) => stats.frames_decoded > 20);
    const picture = await person.picture();
    assert.ok(picture.ok, `${person.who.user}: ${picture.why}`);
    const tone = await person.tone();
    assert.ok(tone !== null && Math.abs(tone - hertz) <= 5, `${person.who.user} hears ${tone}`);
    const stats = await person.stats();
    assert.equal(stats.frames_rejected, 0);
    assert.ok(stats.first_frame_ms > 0);
  }
});

test("the lock closes by frames that verified, and both show one code", async () => {
  await eventually("anna's lock", async () => (await anna.lock()) === "verified");
  assert.equal(await anna.code(), await ben.code());
});

test("recorders are rows of their own with their live state", async () => {
  assert.deepEqual(await anna.recorders(), [{ firm: "bank-a", state: "recording" }, { firm: "bank-b", state: "recording" }]);
});

test("a missing recorder stops its firm and says so, and it resumes by itself", async () => {
  all.services.meeting.stopFirm("bank-a");
  await anna.wait(id("banner-stopped"));
  const text = await anna.page.$eval(id("banner-stopped"), (element) => element.textContent);
  assert.match(text, /Your firm's recorder is not reachable/);
  await ben.wait(id("banner-recorder-bank-a"));
  await eventually("frames are dropped", async () => (await anna.stats()).tracks.some((track) => track.dropped > 0));
  const sealed = (await anna.stats()).frames_sealed;
  await eventually("more were dropped", async () => (await anna.stats()).tracks.some((track) => track.dropped > 10));
  assert.ok((await anna.stats()).frames_sealed - sealed <= 2, "nothing is sealed while stopped");
  all.services.meeting.resumeFirm("bank-a");
  await eventually("the banner goes", async () => (await anna.page.$(id("banner-stopped"))) === null);
  const before = (await ben.stats()).frames_decoded;
  await eventually("ben decodes again", async () => (await ben.stats()).frames_decoded > before + 10);
});

test("V turns the camera off and on, and the other sees it", async () => {
  await anna.page.keyboard.press("v");
  await eventually("ben sees it", () => ben.page.evaluate(() => document.querySelectorAll(".tile-off .avatar").length > 0));
  await anna.page.keyboard.press("v");
  const before = (await ben.stats()).frames_decoded;
  await eventually("ben decodes again", async () => (await ben.stats()).frames_decoded > before + 10);
});

test("C opens the chat, Enter sends, the other is told and reads it, and who keeps it is said", async () => {
  await anna.page.keyboard.press("c");
  await anna.wait(id("chat-text"));
  await anna.page.type(id("chat-text"), "The price is 99.5 <b>");
  await anna.page.keyboard.press("Enter");
  await eventually("ben is told", () => ben.page.$eval(id("unread"), (badge) => badge.textContent === "1").catch(() => false));
  await ben.say("Agreed");
  assert.deepEqual(await ben.lines(), ["The price is 99.5 <b>", "Agreed"]);
  assert.equal(await ben.page.$(id("unread")), null);
  await eventually("anna reads it", async () => (await anna.lines()).includes("Agreed"));
  await eventually("it is kept", () => anna.page.$eval(`${id("chat-line")}.mine`, (line) => /kept by Bank Aurelia/.test(line.textContent)));
  assert.match(await anna.page.$eval(id("chat-keepers"), (line) => line.textContent), /Bank Aurelia and Banque Boréale keep/);
  // a key typed into a message is no shortcut
  await anna.page.type(id("chat-text"), "m");
  assert.equal(await anna.muted(), false);
  await anna.page.$eval(id("chat-text"), (field) => { field.value = "x".repeat(4_100); field.dispatchEvent(new Event("input", { bubbles: true })); });
  await anna.click("chat-send");
  assert.match(await anna.page.$eval(id("chat-wrong"), (line) => line.textContent), /100 characters more/);
  for (const person of [anna, ben]) await person.click("people");
});

test("a file is attached and dropped, seen by name, size and type, and saved under its name by a press", async () => {
  for (const person of [anna, ben]) await person.click("chat");
  await anna.wait(id("file-attach"));
  assert.match(await anna.page.$eval(id("chat-keepers"), (line) => line.textContent), /Bank Aurelia and Banque Boréale keep files/);
  const folder = await mkdtemp(path.join(tmpdir(), "sr-files-"));
  const sheet = path.join(folder, "term sheet.txt");
  await writeFile(sheet, "the price is 99.5");
  await (await anna.page.$(id("file-pick"))).uploadFile(sheet);
  await ben.wait(id("file-get"));
  assert.match(await ben.page.$eval(id("file"), (file) => file.textContent), /term sheet\.txt17 B · text\/plainNobody has looked/);
  await eventually("its sender sees who keeps it", () =>
    anna.page.$eval(`${id("chat-line")}.mine:last-child`, (line) => /term sheet.*kept by Bank Aurelia/s.test(line.textContent)));
  await ben.page.evaluate(() => {
    const make = URL.createObjectURL;
    HTMLAnchorElement.prototype.click = function () { window.saved = { ...window.saved, name: this.download }; };
    URL.createObjectURL = (blob) => { window.saved = { type: blob.type, size: blob.size }; return make.call(URL, blob); };
  });
  await ben.page.$eval(id("file-get"), (button) => button.focus());
  await ben.page.keyboard.press("Enter");
  await eventually("it is saved", async () => (await ben.page.evaluate(() => window.saved?.name)) === "term sheet.txt");
  assert.deepEqual(await ben.page.evaluate(() => window.saved), { type: "application/octet-stream", size: 17, name: "term sheet.txt" });
  const drop = (name) => anna.page.$eval(id("chat-panel"), (panel, file) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["x".repeat(2_000)], file, { type: "application/pdf" }));
    panel.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
  }, name);
  await drop("bent.pdf");
  await eventually("ben sees it", async () => (await ben.page.$$(id("file-get"))).length === 2);
  await (await ben.page.$$(id("file-get")))[1].click();
  await ben.wait(`${id("file-wrong")}`);
  assert.match(await ben.page.$eval(id("file-wrong"), (line) => line.textContent), /not what was sent/);
  await drop("slow.pdf");
  await anna.wait(id("file-progress"));
  assert.match(await anna.page.$eval(id("file-progress"), (bar) => bar.getAttribute("aria-label")), /^Sending slow\.pdf: \d+ %$/);
  await anna.click("file-cancel");
  await eventually("taken back", () => anna.page.$eval(id("file-wrong"), (line) => line.textContent === "taken back"));
  assert.equal((await ben.page.$$(id("file"))).length, 2);
  for (const person of [anna, ben]) await person.click("people");
  await rm(folder, { recursive: true });
});

test("what the meeting is about is named, a pause is announced to all and ended, a copy is asked for", async () => {
  await anna.page.type(id("tags-text"), "IRS-4711, 5493001KJTIIGC8Y1R12");
  await anna.click("tags-go");
  await eventually("ben sees it", () => ben.page.$eval(id("tags"), (line) => /IRS-4711/.test(line.textContent) && /5493001/.test(line.textContent)));
  assert.equal(await ben.page.$(id("pause")), null, "ben is not named by his firm");
  await anna.click("pause");
  await anna.wait(id("pause-dialog"));
  await anna.click("pause-go");
  await anna.wait(id("banner-pause-bank-a"));
  await eventually("the recorder says that it stands still", () =>
    anna.page.$eval(id("banner-pause-bank-a"), (line) => /stands still until/.test(line.textContent)));
  await ben.wait(id("banner-pause-bank-a"));
  assert.match(await ben.page.$eval(id("banner-pause-bank-a"), (line) => line.textContent), /Bank Aurelia's record stands still until .* payment card/);
  await anna.click("resume");
  await eventually("it goes on", async () => (await ben.page.$(id("banner-pause-bank-a"))) === null);
  await anna.click("copy");
  await anna.click("ask-go");
  await anna.wait(id("copy-asked"));
});

test("arrows move over tiles, Enter enlarges, ? lists the keys", async () => {
  await anna.page.focus('[data-tile="0"]');
  await anna.page.keyboard.press("ArrowDown");
  await anna.page.keyboard.press("ArrowRight");
  assert.equal(await anna.page.evaluate(() => document.activeElement.dataset.tile), "1");
  await anna.page.keyboard.press("Enter");
  await anna.wait(".grid.spotlight");
  await anna.page.keyboard.press("Enter");
  await eventually("all tiles", async () => (await anna.page.$(".grid.spotlight")) === null);
  await anna.page.keyboard.press("?");
  await anna.wait(id("help-dialog"));
  await anna.page.keyboard.press("Escape");
  await eventually("closed", async () => (await anna.page.$(id("help-dialog"))) === null);
});

test("a lost connection is said, retried and healed without a question", async () => {
  const before = (await anna.stats()).frames_decoded;
  all.services.dropSockets();
  await eventually("both are back", async () => (await anna.page.$(id("reconnecting"))) === null && (await ben.page.$(id("reconnecting"))) === null);
  await eventually("anna decodes on", async () => (await anna.stats()).frames_decoded > before + 20);
});

test("who is inside when the statements change acknowledges anew before anything more is sent", async () => {
  all.services.meeting.more = 3;
  all.services.dropSockets();
  for (const person of [anna, ben]) {
    await person.wait(id("notices-dialog"));
    assert.match(await person.page.$eval(id("notices-dialog"), (dialog) => dialog.textContent), /Bank Aurelia keeps audio and video for 10 years/);
    await person.click("notices-yes");
    await eventually("it is gone", async () => (await person.page.$(id("notices-dialog"))) === null);
  }
  // the streams of before may end only now, and their count with them
  let least = (await anna.stats()).frames_decoded;
  await eventually("anna decodes on", async () => {
    const now = (await anna.stats()).frames_decoded;
    least = Math.min(least, now);
    return now > least + 20;
  });
});

test("a service that refuses for a moment is waited for", async () => {
  const member = [...all.services.meeting.members.values()].find((one) => one.id.startsWith("bank-a/"));
  all.services.meeting.send(member, { type: "refusal", code: "media-unavailable", detail: "", firm: null });
  member.socket.close();
  await anna.wait(id("reconnecting"));
  await eventually("anna is back", async () => (await anna.page.$(id("reconnecting"))) === null);
  await eventually("ben sees her again", async () => (await ben.picture({ times: 6 })).ok, 30_000);
});

test("a reload comes back into the meeting by itself", async (context) => {
  const took = await ben.reload();
  context.diagnostic(`back in the meeting after ${took} ms`);
  assert.ok(took < 9_000, `${took} ms`);
  await ben.until((stats) => stats.frames_decoded > 5);
  assert.ok((await ben.stats()).frames_decoded > 5);
});

test("who is removed reads why and gets a receipt", async () => {
  await anna.click("person-more");
  await anna.click("remove");
  await anna.click("ask-go");
  await ben.wait(`${id("over")}[data-code="removed"]`);
  await ben.wait(id("receipt"));
});

test("a panic in WebAssembly stops everything and says what to do", async () => {
  const member = [...all.services.meeting.members.values()][0];
  all.services.meeting.send(member, { type: "stub-panic" });
  await anna.wait(`${id("over")}[data-why="dead"]`);
  const text = await anna.page.$eval(id("over"), (element) => element.textContent);
  assert.match(text, /Reload the page/);
});
