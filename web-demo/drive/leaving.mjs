// What goes and comes: another camera or microphone in mid-call, a reload that is back within 3 s, a closed tab that is gone
// from the others' lists at once, not after the silence that a lost connection is given. Prints one JSON line.
//
//   node drive/leaving.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --json
//
// Exit 0 when all hold; else 1, with the reasons in `faults`.

import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { change, FAKE_DEVICES, plant } from "./devices.mjs";
import { PATIENCE_MS, Person } from "./person.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", room: "deal-room", json: false, "chromium-path": "", "browser-arg": [],
};
/** A reload is back, and a closed tab gone, within so long, ms. */
const WITHIN_MS = 3_000;

const people = (person) => person.page.$$eval('[data-testid="person"]', (rows) => rows.map((row) => row.dataset.participant));

/** Waits until `who` lists so many people; answers how long it took, ms, or null. */
async function untilPeople(who, count) {
  const from = Date.now();
  while ((await people(who)).length !== count) {
    if (Date.now() - from > PATIENCE_MS) return null;
    await new Promise((done) => setTimeout(done, 50));
  }
  return Date.now() - from;
}

async function act(found, anna, ben) {
  for (const person of [anna, ben]) {
    await person.open(null, (page) => page.evaluateOnNewDocument(plant));
    await person.login();
    await person.join();
  }
  await Promise.all([anna, ben].map((person) => person.until((stats) => stats.frames_decoded > 0)));
  const want = (holds, text) => holds || found.faults.push(text);

  await ben.unmute();
  await change(found, ben, anna);
  // a camera of 720 lines in three layers would slow down what follows
  await ben.click("cam");

  const from = Date.now();
  found.reload_ms = await anna.reload();
  const opened = (stats) => stats.frames_opened > 0 && stats.sending === "allowed";
  await anna.until(opened);
  found.reload_hears_ms = Date.now() - from;
  want(found.reload_ms <= WITHIN_MS, `a reload took ${found.reload_ms} ms`);
  found.same_code = (await untilPeople(ben, 2)) !== null && (await anna.code()) === (await ben.code());
  want(found.same_code, "the two have different codes after a reload");

  await anna.page.close({ runBeforeUnload: false });
  found.gone_ms = await untilPeople(ben, 1);
  want(found.gone_ms !== null && found.gone_ms <= WITHIN_MS, `a closed tab was listed for ${found.gone_ms} ms`);
  await ben.leave();
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const given = { ...(options["chromium-path"] === "" ? {} : { path: options["chromium-path"] }), args: options["browser-arg"] };
  const [one, other] = [await launch(given), await launch({ ...given, args: [...given.args, ...FAKE_DEVICES] })];
  const anna = new Person(one.browser, { url: options.a, user: "anna", room: options.room });
  const ben = new Person(other.browser, { url: options.b, user: "ben", room: options.room });
  const found = { faults: [] };
  try {
    await act(found, anna, ben);
  } catch (error) {
    found.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
    console.error(`--- ben\n${await ben.seen()}`);
  }
  await Promise.all([one, other].map(({ browser }) => browser.close().catch(() => undefined)));
  const ok = found.faults.length === 0;
  for (const fault of found.faults) console.error(fault);
  console.log(JSON.stringify({ ok, ...found, switches: one.switches }));
  process.exitCode = ok ? 0 : 1;
}

await main();
