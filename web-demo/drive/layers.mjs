// Layers in real browsers: anna sends her camera in layers, ben's tile of her is large, then small, then hidden. Judged
// by the height of the pictures that ben decodes. Prints one JSON line; exit 0 when each tile got the layer that fits.
//
//   node drive/layers.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --json

import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { Person } from "./person.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", "user-a": "anna", "user-b": "ben", room: "deal-room",
  json: false, "chromium-path": "", "browser-arg": [], shots: "",
};
/** A layer is chosen, asked for and there well within this on a busy machine, ms. */
const SETTLE_MS = 30_000;

async function heightSeen(person, from) {
  const stats = await person.stats();
  const track = stats?.tracks.find((one) => one.direction === "receive" && one.slot === 2 && one.participant === from);
  return track?.height ?? null;
}

/** Waits until the pictures have a height that `fits`; the last one seen otherwise. */
async function settled(person, from, fits) {
  const end = Date.now() + SETTLE_MS;
  let height = null;
  while (Date.now() < end) {
    height = await heightSeen(person, from);
    if (height !== null && fits(height)) return height;
    await new Promise((done) => setTimeout(done, 250));
  }
  return height;
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const sides = [];
  try {
    for (const side of ["a", "b"]) {
      const path = options["chromium-path"] === "" ? {} : { path: options["chromium-path"] };
      const { browser } = await launch({ kind: "chromium", ...path, args: options["browser-arg"] });
      const person = new Person(browser, { url: options[side], user: options[`user-${side}`], room: options.room });
      sides.push({ browser, person });
      await person.open();
      await person.login();
      await person.join();
    }
    const [anna, ben] = sides.map(({ person }) => person);
    await Promise.all([anna, ben].map((person) => person.until((stats) => stats.frames_decoded > 0)));
    const from = (await anna.stats()).participant;
    const sent = () => anna.page.evaluate(() => window.strongroomStats().then((stats) => stats.tracks
      .filter((track) => track.direction === "send" && track.slot >= 2 && track.slot < 16 && track.sealed > 0).map((track) => track.slot)));
    const large = await settled(ben, from, (height) => height >= 360);
    const slots = await sent();
    await ben.page.setViewport({ width: 480, height: 400 });
    const small = await settled(ben, from, (height) => height <= 180);
    if (options.shots !== "") await ben.screenshot(`${options.shots}/layers-small.png`);
    await ben.page.setViewport({ width: 1280, height: 800 });
    const again = await settled(ben, from, (height) => height >= 360);
    if (options.shots !== "") await ben.screenshot(`${options.shots}/layers-large.png`);
    const rejected = (await ben.stats()).frames_rejected;
    const ok = large >= 360 && small <= 180 && small > 0 && again >= 360 && slots.length >= 2 && rejected === 0;
    console.log(JSON.stringify({ ok, large, small, again, slots, rejected }));
    process.exitCode = ok ? 0 : 1;
    for (const { person } of sides) await person.leave();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
  await Promise.all(sides.map(({ browser }) => browser.close().catch(() => undefined)));
}

await main();
