// Attack T10: media before there is a key. A page is fed pictures and sound before its group has a key, its worker is
// broken and ended while tracks are replaced, and the SFU, which opens the hop, counts every frame that is not sealed.
// A page without transforms is the control: the same counter sees its frames, and nobody hears them. Prints one JSON line.
//
//   node drive/unsealed.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --metrics http://127.0.0.1:9100/metrics --json
//
// The page itself is the shipped one; what is planted in it stands in `plant` and `holdTheKey`. Exit 0 when all holds.

import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { PATIENCE_MS, Person } from "./person.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", metrics: "", room: "coffee-room", json: false,
  "chromium-path": "", "browser-arg": [],
};
/** Frames of one source that must have been offered before "nothing was sent" means something. */
const ENOUGH_FRAMES = 20;
/** What was already sealed leaves the packetizer and its pacer within so long, ms ... */
const DRAIN_MS = 500;
/** ... and then nothing may be sent for so long: 40 pictures and 100 pieces of sound. */
const WATCH_MS = 2_000;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Runs in the page before its own scripts: keeps hold of senders and workers. `fault`: "early" puts tracks on senders before there is a key, "open" leaves transforms out. */
function plant(fault) {
  window.driveSenders = [];
  window.driveWorkers = [];
  window.driveTrack = (kind) => {
    if (kind === "audio") {
      const context = new AudioContext();
      const oscillator = new OscillatorNode(context, { frequency: 330 });
      const out = new MediaStreamAudioDestinationNode(context);
      oscillator.connect(out);
      oscillator.start();
      return out.stream.getAudioTracks()[0];
    }
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
    const pen = canvas.getContext("2d");
    let drawn = 0;
    setInterval(() => {
      pen.fillStyle = `hsl(${(drawn += 9) % 360} 80% 50%)`;
      pen.fillRect(0, 0, 320, 180);
    }, 50);
    return canvas.captureStream(20).getVideoTracks()[0];
  };
  window.driveReplace = () => Promise.all(window.driveSenders.map(({ kind, sender }) => sender.replaceTrack(window.driveTrack(kind))));
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function addTransceiver(kind, init) {
    const transceiver = add.call(this, kind, init);
    window.driveSenders.push({ kind, sender: transceiver.sender, connection: this });
    if (fault === "early") void transceiver.sender.replaceTrack(window.driveTrack(kind));
    return transceiver;
  };
  window.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      window.driveWorkers.push(this);
    }
  };
  if (fault === "open") Object.defineProperty(RTCRtpSender.prototype, "transform", { set: () => undefined, get: () => null });
}

/** Runs in the worker before it dials: what the group says waits until `driveRelease`. */
function holdTheKey() {
  const ofTheGroup = new Set(["welcome", "commit", "commit-adds", "epoch-ready", "group-info", "application"]);
  const { get, set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onmessage");
  let waiting = [];
  const put = function put(handler) {
    set.call(this, (event) => {
      if (waiting !== null && ofTheGroup.has(JSON.parse(event.data).type)) waiting.push(() => handler(event));
      else handler(event);
    });
  };
  Object.defineProperty(WebSocket.prototype, "onmessage", { get, set: put });
  self.driveRelease = () => {
    const all = waiting;
    waiting = null;
    for (const one of all) one();
  };
}

/** Runs in the page: what each sender put on the wire, packets by kind, pictures its encoder made, and whether it is connected. */
async function sent() {
  const packets = {};
  let encoded = 0;
  let connected = false;
  for (const { kind, sender, connection } of window.driveSenders) {
    connected = connection.connectionState === "connected";
    packets[kind] = 0;
    (await sender.getStats()).forEach((report) => {
      // what is sent again was sealed when it was sent first
      if (report.type !== "outbound-rtp") return;
      packets[kind] += report.packetsSent - (report.retransmittedPacketsSent ?? 0);
      encoded += report.framesEncoded ?? 0;
    });
  }
  return { packets, encoded, connected };
}

/** Frames that the SFU refused because they were not in SFrame form, since it started. */
async function refusedBySfu(address) {
  const text = await (await fetch(address)).text();
  const found = /^strongroom_sfu_refused_not_sealed_total (\d+)$/m.exec(text);
  if (found === null) throw new Error(`no counter of frames not sealed at ${address}:\n${text.slice(0, 300)}`);
  return Number(found[1]);
}

async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await pause(100);
  }
}

const ofSource = (stats, direction, participant) => (stats?.tracks ?? []).filter((track) => track.direction === direction && (participant === null || track.participant === participant));
const sum = (tracks, of) => tracks.reduce((total, track) => total + track[of], 0);

class Scene {
  constructor(options, ben) {
    this.options = options;
    this.ben = ben;
    this.faults = [];
  }
  want(holds, text) {
    if (!holds) this.faults.push(text);
  }
  refused() {
    return refusedBySfu(this.options.metrics);
  }
  async openedByBen(participant) {
    return sum(ofSource(await this.ben.stats(), "receive", participant), "opened");
  }
  /** A page of anna's with something planted; stands before the join. */
  async page(browser, fault) {
    const anna = new Person(browser, { url: this.options.a, user: "anna", room: this.options.room });
    await anna.open(null, (page) => page.evaluateOnNewDocument(plant, fault));
    await anna.login();
    return anna;
  }
}

async function t10_media_before_there_is_a_key_is_never_sent(scene, browser) {
  const before = await scene.refused();
  const anna = await scene.page(browser, "early");
  await anna.wait(`[data-testid="join"], [data-testid="room-${scene.options.room}"]`);
  for (const worker of anna.page.workers()) await worker.evaluate(holdTheKey);
  await anna.join();
  await until("frames are offered before there is a key", async () => {
    const sources = ofSource(await anna.stats(), "send", null);
    // a camera's layers are counted one by one
    const offered = [sources.filter(({ slot }) => slot === 0), sources.filter(({ slot }) => slot >= 2)];
    return offered.every((of) => sum(of, "dropped") >= ENOUGH_FRAMES) && (await anna.page.evaluate(sent)).connected;
  });
  const early = { packets: (await anna.page.evaluate(sent)).packets, dropped: sum(ofSource(await anna.stats(), "send", null), "dropped") };
  for (const [kind, packets] of Object.entries(early.packets)) scene.want(packets === 0, `${packets} packets of ${kind} were sent before there was a key`);
  for (const worker of anna.page.workers()) await worker.evaluate(() => self.driveRelease());
  await anna.unmute();
  await until("ben opens what follows the key", async () => (await scene.openedByBen((await anna.stats())?.participant)) > ENOUGH_FRAMES);
  early.refused = (await scene.refused()) - before;
  scene.want(early.refused === 0, `the SFU saw ${early.refused} frames that were not sealed`);
  return { anna, early };
}

/** Breaks the worker by `how`, replaces the tracks, and watches that nothing leaves any more. */
async function broken(scene, anna, how) {
  const before = await scene.refused();
  const me = (await anna.stats()).participant;
  await until("ben opens anna's frames", async () => (await scene.openedByBen(me)) > ENOUGH_FRAMES);
  const look = async () => ({ ...(await anna.page.evaluate(sent)), opened: await scene.openedByBen(me) });
  await how(anna.page);
  await anna.page.evaluate(() => window.driveReplace());
  await pause(DRAIN_MS);
  const from = await look();
  await pause(WATCH_MS);
  const to = await look();
  await anna.page.close();
  const packets = Object.fromEntries(Object.keys(to.packets).map((kind) => [kind, to.packets[kind] - from.packets[kind]]));
  return { packets, encoded: to.encoded - from.encoded, opened: to.opened - from.opened, refused: (await scene.refused()) - before };
}

const WAYS = {
  /** The transform throws on every frame from now on. */
  thrown: (page) => Promise.all(page.workers().map((worker) => worker.evaluate(() => {
    TransformStreamDefaultController.prototype.enqueue = () => {
      throw new Error("broken");
    };
  }))),
  ended: (page) => page.evaluate(() => window.driveWorkers.forEach((worker) => worker.terminate())),
};

async function t10_a_crashed_worker_and_a_replaced_track_send_nothing(scene, browser, first) {
  const seen = {};
  let anna = first;
  for (const [name, how] of Object.entries(WAYS)) {
    anna ??= await (await scene.page(browser, "none")).join();
    await anna.unmute();
    const found = await broken(scene, anna, how);
    seen[name] = found;
    anna = null;
    for (const [kind, packets] of Object.entries(found.packets)) scene.want(packets === 0, `${name}: ${packets} packets of ${kind} were sent afterwards`);
    scene.want(found.encoded >= ENOUGH_FRAMES, `${name}: only ${found.encoded} pictures were encoded: nothing was there to be sent`);
    scene.want(found.opened === 0, `${name}: ben opened ${found.opened} more frames`);
    scene.want(found.refused === 0, `${name}: the SFU saw ${found.refused} frames that were not sealed`);
  }
  return seen;
}

/** The control: shows that the counter counts, and that the SFU passes such frames on to nobody. */
async function t10_a_page_without_transforms_is_counted_and_heard_by_nobody(scene, browser) {
  const before = await scene.refused();
  const anna = await scene.page(browser, "open");
  await anna.join();
  await anna.unmute();
  await until("the SFU counts frames that are not sealed", async () => (await scene.refused()) - before > ENOUGH_FRAMES);
  const me = (await anna.stats()).participant;
  const seen = { ...(await anna.page.evaluate(sent)), refused: (await scene.refused()) - before, opened: await scene.openedByBen(me) };
  scene.want(seen.packets.video > 0, "the control sent nothing");
  scene.want(seen.opened === 0, `ben opened ${seen.opened} frames of a page that seals nothing`);
  const got = ofSource(await scene.ben.stats(), "receive", me);
  scene.want(sum(got, "rejected") === 0 && sum(got, "framesDecoded") === 0, "frames in the clear reached ben's browser");
  await anna.leave();
  await anna.page.close();
  return seen;
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const given = { ...(options["chromium-path"] === "" ? {} : { path: options["chromium-path"] }), args: options["browser-arg"] };
  const { browser, switches } = await launch(given);
  // another browser: pages of one would share its background throttling
  const { browser: other } = await launch(given);
  const ben = new Person(other, { url: options.b, user: "ben", room: options.room });
  const scene = new Scene(options, ben);
  const found = {};
  try {
    await ben.open();
    await ben.login();
    await ben.join();
    const { anna, early } = await t10_media_before_there_is_a_key_is_never_sent(scene, browser);
    found.before_a_key = early;
    found.crashed = await t10_a_crashed_worker_and_a_replaced_track_send_nothing(scene, browser, anna);
    found.control = await t10_a_page_without_transforms_is_counted_and_heard_by_nobody(scene, browser);
    found.rejected = (await ben.stats()).frames_rejected;
    scene.want(found.rejected === 0, `ben's worker rejected ${found.rejected} frames`);
    await ben.leave();
  } catch (error) {
    scene.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
    console.error(`--- ben\n${await ben.seen()}`);
  }
  await Promise.all([browser, other].map((one) => one.close().catch(() => undefined)));
  for (const fault of scene.faults) console.error(fault);
  const ok = scene.faults.length === 0;
  console.log(JSON.stringify({ ok, ...found, faults: scene.faults, switches }));
  process.exitCode = ok ? 0 : 1;
}

await main();
