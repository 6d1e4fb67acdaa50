// Two people of two firms hold a meeting: anna at firm a, ben at firm b, test picture and tone. Prints `{"met":true}`
// once they see one another, and one JSON line at the end.
//
// `canaries` are words of this run that no service of the operator may log or store.
// `av_offset_ms` is the worse of the two: beep after flash, median over the flashes seen.
//
//   node drive/meeting.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --seconds 20 --json
//
// Exit 0 when both see the other's picture and hear the other's tone and nothing was rejected; else 1.

import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { MOST_OFFSET_MS } from "./lanes.mjs";
import { PATIENCE_MS, Person } from "./person.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", "user-a": "anna", "user-b": "ben", room: "deal-room",
  seconds: 20, json: false, "browser-a": "chromium", "browser-b": "chromium", "chromium-path": "", "firefox-path": "",
  "browser-arg": [], shots: "", hold: false,
};
/** How far a recognised tone may be from the sent one, Hz: three bins of the analyser. */
const TONE_TOLERANCE_HZ = 5;
/** Sound against picture is measured for so long, s: four flashes and beeps. */
const MEASURE_S = 9;
/** Receivers move sound and picture together step by step; a busy machine throws them back. So often it is measured until it is good; the last counts. */
const MEASURE_TIMES = 3;
const TONES = { anna: 440, ben: 659 };

function pathFor(options, kind) {
  const path = options[`${kind}-path`];
  return path === "" ? {} : { path };
}

async function start(options, side) {
  const kind = options[`browser-${side}`];
  const { browser, switches } = await launch({ kind, ...pathFor(options, kind), args: kind === "chromium" ? options["browser-arg"] : [] });
  const person = new Person(browser, { url: options[side], user: options[`user-${side}`], room: options.room });
  return { browser, switches, person, kind };
}

async function report({ person, kind }, other, participant) {
  const [stats, tone] = [await person.stats(), await person.tone({ participant })];
  const picture = await person.picture({ participant });
  const recorders = await person.recorders().catch(() => []);
  return {
    user: person.who.user, browser: kind,
    frames_decoded: stats?.frames_decoded ?? 0, frames_opened: stats?.frames_opened ?? 0, frames_sealed: stats?.frames_sealed ?? 0,
    frames_rejected: stats?.frames_rejected ?? 0, frames_duplicate: stats?.frames_duplicate ?? 0,
    frames_before: stats?.frames_before ?? 0,
    first_frame_ms: stats?.first_frame_ms ?? null, srtp: stats?.srtp ?? null, tone_hz: tone, tone_wanted_hz: TONES[other] ?? null,
    picture_ok: picture.ok, picture, lock: await person.lock(), sending: stats?.sending ?? null,
    recorders_recording: recorders.filter((row) => row.state === "recording").length,
  };
}

/** Offsets of both people once they are good, or as they stay; `windows` has the worst of each measuring. */
async function measured(sides, ids, seconds) {
  const windows = [];
  for (;;) {
    const offsets = await Promise.all(sides.map(({ person }, at) => person.avOffset({ participant: ids[1 - at], seconds })));
    const worst = worstOf(offsets);
    windows.push(worst);
    if (worst === null || Math.abs(worst) <= MOST_OFFSET_MS || windows.length === MEASURE_TIMES) return { offsets, windows };
  }
}

/** The offset furthest from 0; null if none was measured. */
function worstOf(offsets) {
  return offsets.filter((offset) => offset !== null).reduce((worst, one) => (worst === null || Math.abs(one) > Math.abs(worst) ? one : worst), null);
}

/** One writes, the other reads; then the panel shows the people again. */
async function talked([one, other]) {
  const words = `word-${crypto.randomUUID()}`;
  await one.person.say(words);
  await other.person.click("chat");
  const end = Date.now() + PATIENCE_MS;
  const there = async () => ({ read: (await other.person.lines()).includes(words), kept: (await one.person.kept()).at(-1) ?? [] });
  let seen = await there();
  while (Date.now() < end && !(seen.read && seen.kept.length >= 2)) {
    await new Promise((done) => setTimeout(done, 100));
    seen = await there();
  }
  for (const { person } of [one, other]) await person.click("people");
  return { words, ...seen, ok: seen.read && seen.kept.length >= 2 };
}

function good(participant) {
  const heard = participant.tone_hz;
  const near = heard !== null && (participant.tone_wanted_hz === null || Math.abs(heard - participant.tone_wanted_hz) <= TONE_TOLERANCE_HZ);
  const toneRight = participant.tone_skipped !== null || near;
  return participant.picture_ok && toneRight && participant.frames_decoded > 0 && participant.frames_rejected === 0;
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const sides = [];
  let failed = null;
  try {
    for (const side of ["a", "b"]) {
      const started = await start(options, side);
      sides.push(started);
      await started.person.open();
      await started.person.login();
      await started.person.join();
    }
    for (const { person } of sides) await person.unmute();
    await Promise.all(sides.map(({ person }) => person.until((stats) => stats.frames_decoded > 0)));
    // others may be in the meeting: each judges the other of the two
    const ids = await Promise.all(sides.map(async ({ person }) => (await person.stats()).participant));
    console.log('{"met":true}');
    const chat = await talked(sides);
    // at the end: receivers bring sound and picture together over the first seconds
    const measure = Math.min(MEASURE_S, options.seconds);
    await new Promise((done) => setTimeout(done, (options.seconds - measure) * 1000));
    const { offsets, windows } = await measured(sides, ids, measure);
    const sound = await Promise.all(sides.map(({ person }) => person.hasSound()));
    const silent = sides.filter((_, at) => !sound[at]).map(({ kind }) => kind)[0];
    const tone_skipped = silent === undefined ? null : `${silent} has no sound clock: this machine has no audio device`;
    const users = [options["user-a"], options["user-b"]];
    const participants = [];
    for (const [at, side] of sides.entries()) participants.push({ ...(await report(side, users[1 - at], ids[1 - at])), av_offset_ms: offsets[at], tone_skipped });
    const codes = await Promise.all(sides.map(({ person }) => person.code().catch(() => null)));
    if (options.shots !== "") {
      for (const { person } of sides) await person.screenshot(`${options.shots}/meeting-${person.who.user}.png`);
    }
    const switches = [...new Map(sides.flatMap((side) => side.switches).map((one) => [one.name, one])).values()];
    const ok = chat.ok && participants.every(good) && codes[0] !== null && codes[0] === codes[1];
    const canaries = [chat.words, ...codes.filter((code) => code !== null), ...sides.map(({ person }) => person.who.password)];
    const result = { ok, chat, same_code: codes[0] === codes[1], av_offset_ms: worstOf(offsets), av_offset_windows: windows, canaries, switches, participants };
    console.log(JSON.stringify(result));
    process.exitCode = ok ? 0 : 1;
    if (options.hold) await new Promise(() => undefined);
    // a goodbye seals the archives now; without one the service waits for the silent
    for (const { person } of sides) await person.leave();
  } catch (error) {
    failed = error;
  }
  if (failed !== null) {
    console.error(failed.message);
    for (const { person } of sides) console.error(`--- ${person.who.user}\n${await person.seen()}`);
    process.exitCode = 1;
  }
  await Promise.all(sides.map(({ browser }) => browser.close().catch(() => undefined)));
}

await main();
