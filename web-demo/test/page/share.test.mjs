// Sharing a screen in two real browsers against stand-in services: the other sees it large, and it goes when it ends.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, id, world } from "./kit.mjs";

let all;
let anna;
let ben;
before(async () => {
  all = await world();
  [anna, ben] = [await all.anna(), await all.ben()];
  // there is no one to pick a screen: a drawing stands in for what the browser's own dialog would give
  await anna.open(null, (page) => page.evaluateOnNewDocument(() => {
    const stand = async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 960, height: 540 });
      const pen = canvas.getContext("2d");
      let step = 0;
      setInterval(() => {
        pen.fillStyle = "rgb(250 250 250)";
        pen.fillRect(0, 0, 960, 540);
        pen.fillStyle = "rgb(20 40 60)";
        pen.font = "60px sans-serif";
        pen.fillText(`Slide ${step++}`, 80, 160);
      }, 200);
      return canvas.captureStream(5);
    };
    navigator.mediaDevices.getDisplayMedia = stand;
    globalThis.connections = [];
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration) {
        super(configuration);
        globalThis.connections.push(this);
      }
    };
  }));
  await ben.open();
  for (const person of [anna, ben]) {
    await person.login();
    await person.join();
  }
  for (const person of [anna, ben]) await person.until((stats) => stats.frames_decoded > 0);
}, { timeout: 120_000 });
after(() => all?.close());

const shown = (person) => person.page.$eval(id("remote-screen"), (video) => [video.videoWidth, video.videoHeight]).catch(() => null);

test("both transports know the relays that came before the admission", async () => {
  const known = await anna.page.evaluate(() => globalThis.connections.map((one) => one.getConfiguration().iceServers.flatMap(({ urls }) => urls)));
  const withRelay = known.filter((urls) => urls.includes("turn:127.0.0.1:9?transport=udp"));
  assert.equal(withRelay.length, 2, `publish and subscribe: ${JSON.stringify(known)}`);
});

test("S shares a screen: the other sees it large, sharp and named", async () => {
  await anna.page.keyboard.press("s");
  await eventually("ben sees the screen", async () => (await shown(ben))?.[0] === 960);
  const tile = await ben.page.$eval(".tile.screen", (element) => ({ chosen: element.classList.contains("chosen"), label: element.getAttribute("aria-label") }));
  assert.ok(tile.chosen, "it takes the stage by itself");
  assert.match(tile.label ?? "", /: /);
  if (process.env["SHARE_SHOT"] !== undefined) await ben.page.screenshot({ path: process.env["SHARE_SHOT"] });
});

test("two people share at once: both screens stand large, and who has one of them alone has the stage", async () => {
  await ben.page.evaluate(() => {
    navigator.mediaDevices.getDisplayMedia = async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
      const pen = canvas.getContext("2d");
      setInterval(() => {
        pen.fillStyle = `hsl(${Date.now() / 20} 60% 50%)`;
        pen.fillRect(0, 0, 640, 360);
      }, 200);
      return canvas.captureStream(5);
    };
  });
  await ben.page.keyboard.press("s");
  await eventually("anna sees ben's screen", async () => (await shown(anna))?.[0] === 640);
  for (const person of [anna, ben]) {
    await eventually("both are large", () => person.page.$$eval(".tile.screen.chosen", (tiles) => tiles.length === 2 && tiles.every((tile) => tile.clientHeight > 150 && tile.clientWidth > 400)));
  }
  if (process.env["SHARE_SHOT"] !== undefined) await anna.page.screenshot({ path: process.env["SHARE_SHOT"].replace(".png", "-two.png") });
  await ben.page.keyboard.press("s");
  await eventually("one is left", () => anna.page.$$eval(".tile.screen", (tiles) => tiles.length === 1));
});

test("S again ends it, and the people have the stage back", async () => {
  await anna.page.keyboard.press("s");
  await eventually("the screen is gone", async () => (await anna.page.$(".tile.screen")) === null);
});
