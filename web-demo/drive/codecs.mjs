// Other codecs in real browsers: anna sends VP9 in layers inside one stream, ben AV1. Each must see the other's picture, a
// tile that shrinks gets a lower layer of the VP9, a page that is reloaded begins in the middle of both streams; then one
// that can decode neither comes, and both send VP8. In a room that nobody records: what is recorded is sent in VP8. Judged by pictures and by getStats. Prints one JSON line.
//
//   node drive/codecs.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --json
//
// Exit 0 when all holds; else 1, with the reasons in `faults`.

import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { Person } from "./person.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", room: "coffee-room", json: false, "chromium-path": "", "browser-arg": [],
};
/** Long enough for a busy machine: a layer is chosen within a quarter of a second, a new publisher stands after one. */
const SETTLE_MS = 25_000;
/** Pictures that a stream must have brought before it counts. */
const ENOUGH = 20;
/** A bar may be off by so much, of 255: coding blurs by up to 15, a color space that did not come shifts by 49. */
const MOST_OFF = 30;

/** Runs in the page before its own scripts. `lacks`: codecs that this browser is to have no decoder for. */
function plant(lacks) {
  window.driveConnections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      window.driveConnections.push(this);
    }
    setRemoteDescription(description) {
      if (description.type !== "offer" || lacks.length === 0) return super.setRemoteDescription(description);
      // a browser without a decoder does not know the name
      const name = new RegExp(`^(a=rtpmap:\\d+ )(?:${lacks.join("|")})/`, "i");
      const lines = description.sdp.split("\r\n").map((line) => line.replace(name, "$1X-none/"));
      return super.setRemoteDescription({ type: "offer", sdp: lines.join("\r\n") });
    }
  };
}

/** Runs in the page: pictures sent and received now, by codec. */
async function pictures() {
  const found = [];
  for (const connection of window.driveConnections.filter(({ connectionState }) => connectionState === "connected")) {
    const stats = await connection.getStats();
    for (const one of stats.values()) {
      if (one.kind !== "video" || (one.type !== "inbound-rtp" && one.type !== "outbound-rtp")) continue;
      found.push({
        way: one.type === "inbound-rtp" ? "in" : "out", codec: stats.get(one.codecId)?.mimeType?.toLowerCase() ?? null, mode: one.scalabilityMode ?? null,
        frames: one.framesDecoded ?? one.framesEncoded ?? 0, height: one.frameHeight ?? null, plis: one.pliCount ?? 0, ssrc: one.ssrc,
      });
    }
  }
  return found;
}

class Judge {
  constructor(found) {
    this.found = found;
  }
  want(holds, text) {
    if (!holds) this.found.faults.push(text);
  }

  /** Waits until `fits(one)` holds for a picture that goes `way` at `person`'s. */
  async until(person, what, way, fits) {
    const end = Date.now() + SETTLE_MS;
    let seen = [];
    while (Date.now() < end) {
      seen = (await person.page.evaluate(pictures)).filter((one) => one.way === way);
      const one = seen.find(fits);
      if (one !== undefined) return one;
      await new Promise((done) => setTimeout(done, 200));
    }
    this.want(false, `${person.who.user}: ${what}: ${JSON.stringify(seen)}`);
    return null;
  }

  /** A stream of this codec decodes, on and on, and shows the test picture. */
  async decodes(person, what, codec, size = () => true) {
    const first = await this.until(person, what, "in", (one) => one.codec === codec && one.frames >= ENOUGH && size(one.height));
    if (first === null) return null;
    const later = await this.until(person, `${what}, and goes on`, "in", (one) => one.ssrc === first.ssrc && one.frames >= first.frames + ENOUGH);
    const picture = await person.picture();
    const right = picture?.ok === true && picture.worst_colour <= MOST_OFF;
    this.want(right, `${person.who.user}: ${what}: not the test picture in its colors: ${JSON.stringify(picture)}`);
    return later;
  }
}

async function act(found, [anna, ben], guest) {
  const judge = new Judge(found);
  for (const person of [anna, ben]) {
    await person.open(null, (page) => page.evaluateOnNewDocument(plant, []));
    await person.login();
    await person.join();
  }
  found.sent = [
    await judge.until(anna, "sends VP9 in layers", "out", (one) => one.codec === "video/vp9" && /^L[23]T3_KEY$/.test(one.mode ?? "")),
    await judge.until(ben, "sends AV1", "out", (one) => one.codec === "video/av1"),
  ];
  found.large = [await judge.decodes(ben, "VP9, large", "video/vp9", (height) => height >= 360), await judge.decodes(anna, "AV1", "video/av1")];
  await ben.page.setViewport({ width: 480, height: 400 });
  found.small = await judge.decodes(ben, "VP9, small", "video/vp9", (height) => height <= 180);
  await ben.page.setViewport({ width: 1280, height: 800 });
  found.again = await judge.decodes(ben, "VP9, large again", "video/vp9", (height) => height >= 360);
  await ben.reload();
  found.late = [await judge.decodes(ben, "VP9, come late", "video/vp9")];
  await anna.reload();
  found.late.push(await judge.decodes(anna, "AV1, come late", "video/av1"));
  await guest.open(null, (page) => page.evaluateOnNewDocument(plant, ["VP9", "AV1"]));
  await guest.login();
  await guest.join();
  for (const person of [anna, ben]) await judge.until(person, "falls back to VP8", "out", (one) => one.codec === "video/vp8" && one.frames >= ENOUGH);
  found.fallen = [await judge.decodes(guest, "VP8 for one without decoders", "video/vp8"), await judge.decodes(ben, "VP8 for all", "video/vp8")];
  for (const person of [anna, ben]) {
    const rejected = (await person.stats())?.frames_rejected;
    judge.want(rejected === 0, `${person.who.user} rejected ${rejected} frames`);
  }
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const given = { ...(options["chromium-path"] === "" ? {} : { path: options["chromium-path"] }), args: options["browser-arg"] };
  // one each: a page behind another in its window draws nothing
  const [one, other, third] = [await launch(given), await launch(given), await launch(given)];
  const people = [
    new Person(one.browser, { url: options.a, user: "anna", room: options.room, codec: "vp9" }),
    new Person(other.browser, { url: options.b, user: "ben", room: options.room, codec: "av1" }),
  ];
  const guest = new Person(third.browser, { url: options.b, user: "ben", room: options.room });
  const found = { faults: [] };
  try {
    await act(found, people, guest);
    for (const person of [...people, guest]) await person.leave();
  } catch (error) {
    found.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
    for (const person of people) console.error(`--- ${person.who.user}\n${await person.seen().catch(() => "")}`);
  }
  await Promise.all([one, other, third].map(({ browser }) => browser.close().catch(() => undefined)));
  const ok = found.faults.length === 0;
  for (const fault of found.faults) console.error(fault);
  console.log(JSON.stringify({ ok, ...found, switches: one.switches }));
  process.exitCode = ok ? 0 : 1;
}

await main();
