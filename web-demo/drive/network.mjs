// Networks that change in mid-call: ben's browser lives in a network namespace with two interfaces, the SFU outside it.
// An interface goes while another comes; one goes for a while and comes back; there is IPv6 only. Prints one JSON line.
//
//   node drive/network.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --signaling 8440 --json
//
// Exit 0 when media is back both ways each time; else 1, with the reasons in `faults`.

import { readArguments } from "./arguments.mjs";
import { pause, ways } from "./flow.mjs";
import { change, down, inside, meeting, network, steady, up } from "./inside.mjs";
import { door, Namespace } from "./namespace.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", signaling: 8440, room: "deal-room", json: false, "chromium-path": "",
  "browser-arg": [], host: "10.99.0.1", host6: "fd99::1", only: "",
};
/** Media that flows before a change, and that must flow again after it, ms. */
const STEADY_MS = 4_000;
/** Media comes back within 2 s; three times that on a machine that is busy with other things, ms. */
const BACK_MS = 6_000;

const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/** How long after `from` sound and picture flowed again at a page, ms; null: not yet. */
async function back(person, downAt, upAt) {
  const found = {};
  for (const kind of ["audio", "video"]) {
    const { ms, end } = await pause(person.page, kind, downAt - 300, upAt + 300);
    found[kind] = { pause_ms: ms, back_ms: end === null ? null : Math.max(0, end - upAt) };
  }
  return found;
}

/** Judges a change: `downAt` it went, `upAt` there was a network again. */
async function judge(found, people, name, downAt, upAt) {
  await rest(BACK_MS + STEADY_MS);
  const seen = { name };
  for (const person of people) {
    const { user } = person.who;
    seen[user] = await back(person, downAt, upAt);
    for (const [kind, { back_ms }] of Object.entries(seen[user])) {
      if (back_ms === null || back_ms > BACK_MS) found.faults.push(`${name}: ${kind} at ${user} was back after ${back_ms} ms`);
    }
  }
  seen.ways = await ways(people[1].page);
  found.changes.push(seen);
}

const BEN = (options) => ({ url: options.b, user: "ben" });

async function changes(found, options, space, anna) {
  for (const n of [1, 2]) space.pair(`way${n}`, network(n, [4]));
  change(space, up("way1", 1));
  const ben = await inside(found, options, space, options.host, BEN(options));
  const people = [anna, ben];
  for (const person of people) await person.unmute();
  await meeting(people);
  await rest(STEADY_MS);

  let downAt = Date.now();
  await judge(found, people, "one goes, another comes", downAt, change(space, [...down("way1"), ...up("way2", 2)]));
  downAt = change(space, down("way2"));
  await rest(2_000);
  await judge(found, people, "2 s without any, then the other", downAt, change(space, up("way1", 1)));
  downAt = change(space, down("way1"));
  await rest(5_000);
  await judge(found, people, "5 s without it", downAt, change(space, up("way1", 1)));
  await ben.leave();
}

async function six(found, options, space, anna) {
  space.pair("way6", network(6, [6]));
  space.run("sh", "-c", "ip link set way6 up; ip -6 route replace default via fd98:6::1");
  const ben = await inside(found, options, space, `[${options.host6}]`, BEN(options));
  const seen = await Promise.all([anna, ben].map((person) => person.until((stats) => stats.frames_decoded > 40)));
  found.ipv6 = { frames_decoded: seen.map((stats) => stats?.frames_decoded ?? 0), ways: await ways(ben.page) };
  for (const way of found.ipv6.ways) {
    if (way.state !== "connected" || !way.remote?.includes(":")) found.faults.push(`IPv6: a connection goes by ${JSON.stringify(way)}`);
  }
  if (found.ipv6.ways.length !== 2 || found.ipv6.frames_decoded.some((count) => count <= 40)) found.faults.push("IPv6: no meeting");
  await ben.leave();
}

const PARTS = { changes, six };

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const found = { faults: [], changes: [], open: [] };
  const ports = [Number(new URL(options.a).port), Number(new URL(options.b).port), options.signaling];
  const doors = await Promise.all([options.host, options.host6].flatMap((host) => ports.map((port) => door(host, port))));
  const spaces = [await Namespace.open()];
  let anna = null;
  try {
    anna = await steady(found, options, spaces[0]);
    for (const [name, part] of Object.entries(PARTS)) {
      if (options.only !== "" && options.only !== name) continue;
      spaces.push(await Namespace.open());
      await part(found, options, spaces.at(-1), anna);
    }
  } catch (error) {
    found.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
    console.error(await anna?.seen());
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
