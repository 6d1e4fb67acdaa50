// A bad network: ben's browser receives through the TUN relay, which plays one schedule of the seeded link (50 ms each way,
// a queue of 300 ms): a second of 20 % loss, 8 s of 1 Mbit/s, 15 s of 300 kbit/s, at the end 5 % loss. Measured by getStats at ben, each
// second. Prints a JSON line for each window and one with the verdict.
//
//   node drive/impaired.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --signaling 8440 --relay target/debug/tun-relay --json
//
// Exit 0 when sound came through, pictures flowed, and the layer went down and came back; else 1. Nothing is judged by speed.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { readArguments } from "./arguments.mjs";
import { inside, meeting, steady } from "./inside.mjs";
import { door, Namespace } from "./namespace.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", signaling: 8440, room: "deal-room", json: false, "chromium-path": "",
  "browser-arg": [], host: "10.99.0.1", relay: "", shots: "",
};
const DOWN = "0:10000,4:10000:200000,5:10000,11:1000,19:300,34:10000,54:10000:50000";
const UP = "0:10000,4:10000:200000,5:10000,54:10000:50000";
/** What is looked at together: seconds of the schedule. `concealed`: at most such a share of the sound is made up. */
const WINDOWS = [
  { name: "wide", from: 0, to: 4, concealed: 0.1, frames: 20 },
  { name: "20 % loss for 1 s", from: 4, to: 11, concealed: 0.2, frames: 35 },
  { name: "1 Mbit/s", from: 11, to: 19, concealed: 0.2, frames: 40 },
  { name: "300 kbit/s", from: 19, to: 34, concealed: 0.3, frames: 60 },
  { name: "wide again", from: 34, to: 54, concealed: 0.1, frames: 100 },
  { name: "5 % loss", from: 54, to: 69, concealed: 0.15, frames: 75 },
];
const SECONDS = 69;
/** Height of the test picture in its highest layer, which 300 kbit/s does not carry. */
const HIGHEST = 360;
/** The estimate of a link grows from below; on a busy machine it takes so long, ms. */
const GROWN_MS = 30_000;

const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/** The relay, with its far interface in the namespace. */
async function relayed(options, space) {
  const words = ["--pdeathsig", "KILL", "--", options.relay, "--near", "bad-us", "--far", "bad", "--down", DOWN, "--up", UP, "--seed", "1"];
  const child = spawn("setpriv", words, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const [line] = await once(lines, "line");
  if (line !== "ready") throw new Error(`the relay says ${line}`);
  execFileSync("ip", ["address", "add", "10.98.8.1/24", "dev", "bad-us"]);
  execFileSync("ip", ["link", "set", "bad", "netns", String(space.child.pid)]);
  space.ip("address", "add", "10.98.8.2/24", "dev", "bad");
  space.ip("link", "set", "bad", "up");
  space.ip("route", "replace", "default", "dev", "bad");
  const tallies = [];
  lines.on("line", (text) => tallies.push(text));
  return {
    begin: () => child.stdin.write("begin\n"),
    end: async () => {
      child.stdin.end();
      await once(child, "close");
      return tallies;
    },
  };
}

/** Counters of what ben receives. */
function counters(page) {
  return page.evaluate(async () => {
    const sum = { decoded: 0, freezes: 0, frozen_ms: 0, concealed: 0, samples: 0, height: 0, held_ms: 0, emitted: 0 };
    for (const connection of window.driveConnections.filter(({ connectionState }) => connectionState !== "closed")) {
      for (const report of (await connection.getStats()).values()) {
        if (report.type !== "inbound-rtp") continue;
        if (report.kind === "audio") {
          sum.concealed += report.concealedSamples - (report.silentConcealedSamples ?? 0);
          sum.samples += report.totalSamplesReceived;
          continue;
        }
        sum.decoded += report.framesDecoded;
        sum.freezes += report.freezeCount;
        sum.frozen_ms += Math.round(report.totalFreezesDuration * 1_000);
        sum.held_ms += report.jitterBufferDelay * 1_000;
        sum.emitted += report.jitterBufferEmittedCount;
        sum.height = Math.max(sum.height, report.frameHeight ?? 0);
      }
    }
    return sum;
  });
}

/** What a window's samples say. */
function judged(samples, { name, from, to, concealed, frames }, faults) {
  const inWindow = samples.filter(({ at }) => at >= from - 0.5 && at <= to + 0.5);
  const [first, last] = [inWindow[0], inWindow.at(-1)];
  const grew = (of) => last[of] - first[of];
  const heights = inWindow.map(({ height }) => height).filter((height, at, all) => height !== all[at - 1]);
  const share = grew("samples") > 0 ? grew("concealed") / grew("samples") : null;
  const seen = {
    window: name, frames: grew("decoded"), freezes: grew("freezes"), frozen_ms: grew("frozen_ms"), concealed: share === null ? null : Math.round(share * 1_000) / 1_000,
    buffer_ms: grew("emitted") > 0 ? Math.round(grew("held_ms") / grew("emitted")) : null, heights,
  };
  if (share === null || share > concealed) faults.push(`${name}: ${share} of the sound was made up, at most ${concealed}`);
  if (seen.frames < frames) faults.push(`${name}: ${seen.frames} pictures, at least ${frames}`);
  return seen;
}

async function act(found, options, space, anna) {
  const relay = await relayed(options, space);
  const ben = await inside(found, options, space, options.host, { url: options.b, user: "ben" });
  for (const person of [anna, ben]) await person.unmute();
  await meeting([anna, ben]);
  let before = 0;
  for (const end = Date.now() + GROWN_MS; Date.now() < end && before < HIGHEST; await rest(500)) before = (await counters(ben.page)).height;
  relay.begin();
  const began = Date.now();
  const samples = [];
  const whys = new Set();
  for (let second = 0; second <= SECONDS; second += 1) {
    await rest(began + second * 1_000 - Date.now());
    samples.push({ at: (Date.now() - began) / 1_000, ...(await counters(ben.page)) });
    const shown = await ben.page.$$eval('[data-testid="tile-why"], [data-testid="tile-link"]', (all) => all.map((one) => one.dataset.why ?? one.dataset.link));
    for (const why of shown) whys.add(why);
    if (options.shots !== "" && [2, 13, 21, 24, 30, 50].includes(second)) await ben.screenshot(`${options.shots}/impaired-${second}.png`);
  }
  found.windows = WINDOWS.map((window) => judged(samples, window, found.faults));
  for (const window of found.windows) console.log(JSON.stringify(window));
  const least = Math.min(...samples.filter(({ at }) => at > 21 && at < 34).map(({ height }) => height));
  const again = samples.filter(({ at }) => at > 34 && at < 54).map(({ height }) => height).at(-1);
  Object.assign(found, { before, least, again, told: [...whys] });
  if (!(least < before)) found.faults.push(`300 kbit/s: the picture stayed at ${least} lines`);
  if (!(again >= before)) found.faults.push(`wide again: the picture came back to ${again} lines of ${before}`);
  await ben.leave();
  found.relay = await relay.end();
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const found = { faults: [], open: [] };
  const ports = [Number(new URL(options.a).port), Number(new URL(options.b).port), options.signaling];
  const doors = await Promise.all(ports.map((port) => door(options.host, port)));
  const spaces = [await Namespace.open(), await Namespace.open()];
  try {
    await act(found, options, spaces[1], await steady(found, options, spaces[0]));
  } catch (error) {
    found.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
  }
  await Promise.all(found.open.map((one) => one.close().catch(() => undefined)));
  spaces.forEach((space) => space.close());
  doors.forEach((one) => one.close());
  const { open: _open, ...said } = found;
  const ok = found.faults.length === 0;
  for (const fault of found.faults) console.error(fault);
  console.log(JSON.stringify({ ok, ...said }));
  process.exit(ok ? 0 : 1);
}

await main();
