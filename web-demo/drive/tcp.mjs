// A meeting without UDP: the pages are the shipped ones, but see no UDP address of the SFU, as in a network that lets none
// out. Every transport must run over TCP, with pictures that decode. Prints one JSON line.
//
//   node drive/tcp.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --json
//
// Exit 0 when all holds; else 1, with the reasons in `faults`.

import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { Person } from "./person.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", room: "deal-room", json: false, "chromium-path": "", "browser-arg": [],
};
/** Pictures that each must have decoded: more than what one lost path lets slip. */
const ENOUGH_FRAMES = 40;

/** Runs in the page before its own scripts: what the SFU says of UDP is not heard. */
function plant() {
  window.driveConnections = [];
  window.driveUnheard = 0;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      window.driveConnections.push(this);
    }
    setRemoteDescription(description) {
      const lines = description.sdp.split("\r\n");
      const heard = lines.filter((line) => !/^a=candidate:\S+ \d+ udp /i.test(line));
      window.driveUnheard += lines.length - heard.length;
      return super.setRemoteDescription({ type: description.type, sdp: heard.join("\r\n") });
    }
  };
}

/** Runs in the page: by what each connection goes. */
async function ways() {
  const found = [];
  for (const connection of window.driveConnections.filter(({ connectionState }) => connectionState !== "closed")) {
    const stats = await connection.getStats();
    const transport = [...stats.values()].find(({ type }) => type === "transport");
    const pair = stats.get(transport?.selectedCandidatePairId);
    const [local, remote] = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
    found.push({ state: connection.connectionState, local: local?.protocol ?? null, remote: remote?.protocol ?? null, srtp: transport?.srtpCipher ?? null });
  }
  return { unheard: window.driveUnheard, found };
}

async function act(found, people) {
  const want = (holds, text) => holds || found.faults.push(text);
  for (const person of people) {
    await person.open(null, (page) => page.evaluateOnNewDocument(plant));
    await person.login();
    await person.join();
  }
  for (const person of people) {
    const { user } = person.who;
    const stats = await person.until(({ frames_decoded }) => frames_decoded >= ENOUGH_FRAMES);
    const decoded = stats?.frames_decoded ?? 0;
    const { unheard, found: connections } = await person.page.evaluate(ways);
    found.participants.push({ user, frames_decoded: decoded, frames_rejected: stats?.frames_rejected ?? null, first_frame_ms: stats?.first_frame_ms ?? null, connections });
    want(decoded >= ENOUGH_FRAMES, `${user} decoded ${decoded} pictures`);
    want(stats?.frames_rejected === 0, `${user} rejected ${stats?.frames_rejected} frames`);
    want(unheard > 0, `${user}: the SFU named no UDP address, so this shows nothing`);
    want(connections.length === 2, `${user} has ${connections.length} connections`);
    for (const one of connections) {
      want(one.state === "connected" && one.local === "tcp" && one.remote === "tcp", `${user}: a connection goes by ${JSON.stringify(one)}`);
    }
  }
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const given = { ...(options["chromium-path"] === "" ? {} : { path: options["chromium-path"] }), args: options["browser-arg"] };
  const [one, other] = [await launch(given), await launch(given)];
  const people = [
    new Person(one.browser, { url: options.a, user: "anna", room: options.room }),
    new Person(other.browser, { url: options.b, user: "ben", room: options.room }),
  ];
  const found = { faults: [], participants: [] };
  try {
    await act(found, people);
  } catch (error) {
    found.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
    for (const person of people) console.error(`--- ${person.who.user}\n${await person.seen().catch(() => "")}`);
  }
  await Promise.all([one, other].map(({ browser }) => browser.close().catch(() => undefined)));
  const ok = found.faults.length === 0;
  for (const fault of found.faults) console.error(fault);
  console.log(JSON.stringify({ ok, ...found, switches: one.switches }));
  process.exitCode = ok ? 0 : 1;
}

await main();
