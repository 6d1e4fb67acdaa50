// A meeting through a real TURN server, by UDP, by TCP and by TLS, and what that server must refuse. The pages are the
// shipped ones, allowed one kind of relay and nothing else (`plant`); the credentials are those that signaling made for
// them. Prints `{"met":true}` when the two see one another first, and one JSON line at the end.
//
//   node drive/relay.mjs --a http://bank-a.localhost:8441 --b http://bank-b.localhost:8442 --host 192.0.2.5 --port 3478 \
//     --tls-port 5349 --secret ... --leaving ... --coming ... --json
//
// `--leaving` is a second secret that is taken away, `--coming` one that is given, once the two have met: the operator's way
// of changing secrets. `--no-ipv6`: the server has no such addresses to relay with. Exit 0 when all holds; else 1, with the reasons in `faults`.

import { createHash } from "node:crypto";
import { connect } from "node:tls";
import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { PATIENCE_MS, Person } from "./person.mjs";
import { Turn, credential } from "./turn.mjs";

const USAGE = {
  a: "http://bank-a.localhost:8441", b: "http://bank-b.localhost:8442", room: "deal-room", json: false, "chromium-path": "",
  "browser-arg": [], host: "", port: 3478, "tls-port": 5349, secret: "", leaving: "", coming: "", "no-ipv6": false,
};
const PROTOCOLS = ["udp", "tcp", "tls"];
/** Pictures and pieces of sound that each must have decoded through a relay: more than what one lost path lets slip. */
const ENOUGH_FRAMES = 40;
/** What signaling promises: a credential ends within the hour, s. */
const LONGEST_S = 3_600;
/** `user-quota` of docs/deploy/coturn.conf. */
const QUOTA = 32;
/** What a client asks for as a matter of course; coturn grants one to all or to none. */
const OK = 200;
const WRONG_CREDENTIAL = 401;
const FORBIDDEN = 403;
const QUOTA_REACHED = 486;
/** Where a relay must not send: the host itself in every disguise, link-local and private nets, a neighbour, groups. */
const DENIED = {
  4: ["127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "198.51.100.1", "224.0.0.1", "255.255.255.255"],
  6: ["::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "fe80::1", "fd00::1", "2001:db8::1", "ff02::1"],
};

const seconds = () => Math.floor(Date.now() / 1000);

/** Runs in the page before its own scripts: its connections may use relays of one kind and nothing else. */
function plant(protocol) {
  const fits = (url) => (protocol === "tls" ? url.startsWith("turns:") : url.startsWith("turn:") && url.endsWith(`transport=${protocol}`));
  const narrowed = (configuration = {}) => {
    const iceServers = (configuration.iceServers ?? []).map((server) => ({ ...server, urls: [server.urls].flat().filter(fits) }));
    return { ...configuration, iceTransportPolicy: "relay", iceServers: iceServers.filter(({ urls }) => urls.length > 0) };
  };
  window.driveConnections = [];
  window.driveRelays = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      super(narrowed(configuration));
      window.driveRelays = configuration?.iceServers ?? [];
      window.driveConnections.push(this);
    }
    setConfiguration(configuration) {
      super.setConfiguration(narrowed(configuration));
    }
  };
}

/** Runs in the page: the path of each connection that is up. */
async function paths() {
  const found = [];
  for (const connection of window.driveConnections.filter(({ connectionState }) => connectionState === "connected")) {
    const stats = await connection.getStats();
    const transport = [...stats.values()].find(({ type }) => type === "transport");
    const pair = stats.get(transport?.selectedCandidatePairId);
    const [local, remote] = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
    found.push({ type: local?.candidateType, relay: local?.relayProtocol, url: local?.url, to: remote?.address, sent: pair?.bytesSent, received: pair?.bytesReceived });
  }
  return found;
}

/** A meeting of two new browsers with relays of one kind: what they saw and by which paths. `during` is called while they are in it. */
async function meet(options, given, protocol, during) {
  const from = Date.now();
  const browsers = await Promise.all([launch(given), launch(given)]);
  try {
    const people = ["anna", "ben"].map((user, at) => new Person(browsers[at].browser, { url: at === 0 ? options.a : options.b, user, room: options.room }));
    for (const person of people) {
      await person.open(null, (page) => page.evaluateOnNewDocument(plant, protocol));
      await person.login();
      await person.join();
    }
    const stats = await Promise.all(people.map((person) => person.until(({ frames_decoded }) => frames_decoded >= ENOUGH_FRAMES)));
    const ways = await Promise.all(people.map((person) => person.page.evaluate(paths)));
    const ms = Date.now() - from;
    await during(people[0]);
    for (const person of people) await person.leave();
    return {
      ms, paths: ways.flat(), first_frame_ms: stats.map((one) => one?.first_frame_ms ?? null),
      frames_decoded: stats.map((one) => one?.frames_decoded ?? 0), frames_rejected: stats.map((one) => one?.frames_rejected ?? null),
    };
  } finally {
    await Promise.all(browsers.map(({ browser }) => browser.close().catch(() => undefined)));
  }
}

function judge(met, protocol, host, want) {
  want(met.frames_decoded.every((frames) => frames >= ENOUGH_FRAMES), `${protocol}: not all saw and heard the other: ${met.frames_decoded}`);
  want(met.frames_rejected.every((frames) => frames === 0), `${protocol}: frames were rejected: ${met.frames_rejected}`);
  want(met.paths.length === 4, `${protocol}: ${met.paths.length} transports of 4 were up`);
  for (const path of met.paths) {
    const right = path.type === "relay" && path.relay === protocol && path.to === host && path.sent > 0 && path.received > 0;
    want(right, `${protocol}: a transport went another way: ${JSON.stringify(path)}`);
  }
}

const server = (options, protocol) => ({ protocol, host: options.host, port: options[protocol === "tls" ? "tls-port" : "port"] });

/** The code that one allocation gets. */
async function asked(where, given, version) {
  const turn = await new Turn(where, given).connect();
  const code = await turn.allocate(version);
  await turn.end();
  return code;
}

/** Attack D13: a relay that is made to send to its own host or to the operator's network. */
async function d13_a_relay_sends_to_the_sfu_and_to_nothing_else(options, given, want) {
  const asked = {};
  for (const protocol of PROTOCOLS) {
    for (const version of options["no-ipv6"] ? [4] : [4, 6]) {
      const turn = await new Turn(server(options, protocol), given).connect();
      const allocated = await turn.allocate(version);
      want(allocated === OK, `D13: no IPv${version} allocation over ${protocol} (${allocated}): nothing was tried`);
      const peers = version === 4 ? DENIED[4] : [...DENIED[6], `::ffff:${options.host}`];
      for (const ip of peers) {
        const codes = await turn.reach(ip, 9);
        want(codes.every((code) => code === FORBIDDEN), `D13: ${ip} over ${protocol} is not forbidden: ${codes}`);
      }
      // else all the refusals prove nothing
      if (version === 4) want((await turn.reach(options.host, 9)).every((code) => code === OK), `D13: the SFU cannot be reached over ${protocol}`);
      asked[`${protocol}${version}`] = peers.length;
      await turn.end();
    }
  }
  return asked;
}

/** Attack D14: one credential takes all allocations there are. */
async function d14_one_credential_has_a_quota_and_takes_nobody_elses(options, want) {
  const given = credential(options.secret, seconds() + 60);
  const all = [];
  let code = OK;
  while (code === OK && all.length <= QUOTA) {
    const turn = await new Turn(server(options, "udp"), given).connect();
    all.push(turn);
    code = await turn.allocate();
  }
  want(code === QUOTA_REACHED && all.length === QUOTA + 1, `D14: allocation ${all.length} of one credential was answered by ${code}`);
  const other = await asked(server(options, "udp"), credential(options.secret, seconds() + 60));
  want(other === OK, `D14: another credential got ${other} meanwhile`);
  for (const turn of all) await turn.end();
  return all.length - 1;
}

/** Attack D15: a credential that is old, forged or long-lived. */
async function d15_a_credential_that_is_old_or_forged_opens_nothing(options, given, want) {
  const left = Number(given.username.split(":")[0]) - seconds();
  want(left > 0 && left <= LONGEST_S, `D15: signaling's credential lives ${left} s more`);
  const forged = Buffer.from(given.credential, "base64");
  forged[0] ^= 1;
  const longer = `${seconds() + 10 * LONGEST_S}:${given.username.split(":")[1]}`;
  const bad = {
    "that has ended": credential(options.secret, seconds() - 5),
    "with a wrong signature": { ...given, credential: forged.toString("base64") },
    "with a longer life written into it": { ...given, username: longer },
    "of another secret": credential(options.coming, seconds() + 60),
    "without a time": { username: "anna", credential: credential(options.secret, "anna").credential },
  };
  for (const protocol of PROTOCOLS) {
    const good = await asked(server(options, protocol), given);
    want(good === OK, `D15: signaling's own credential got ${good} over ${protocol}`);
    for (const [what, one] of Object.entries(bad)) {
      const code = await asked(server(options, protocol), one);
      want(code === WRONG_CREDENTIAL, `D15: a credential ${what} got ${code} over ${protocol}`);
    }
  }
  return left;
}

/** A page believes no relay whose certificate nobody vouched for. */
async function unvouched(given, relays, want) {
  const from = Date.now();
  const { browser } = await launch(given);
  try {
    const page = await browser.newPage();
    const found = await page.evaluate(async (iceServers) => {
      const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" });
      connection.createDataChannel("");
      const seen = { candidates: 0, errors: 0 };
      const ended = new Promise((done) => {
        connection.onicecandidateerror = () => done((seen.errors += 1));
        connection.onicecandidate = ({ candidate }) => (candidate === null ? done() : (seen.candidates += 1));
      });
      await connection.setLocalDescription();
      await ended;
      return seen;
    }, relays.map((relay) => ({ ...relay, urls: relay.urls.filter((url) => url.startsWith("turns:")) })));
    want(found.candidates === 0 && found.errors > 0, "a relay with a certificate that nobody vouched for was believed");
    return { ...found, ms: Date.now() - from };
  } finally {
    await browser.close();
  }
}

/** Hash of the public key of whoever answers at the TLS port. */
function pin(options) {
  return new Promise((done, failed) => {
    const socket = connect({ host: options.host, port: options["tls-port"], rejectUnauthorized: false }, () => {
      const key = socket.getPeerX509Certificate().publicKey.export({ type: "spki", format: "der" });
      socket.destroy();
      done(createHash("sha256").update(key).digest("base64"));
    });
    socket.once("error", failed);
  });
}

/** Waits until a secret is (not) taken any more: the change is made beside us. */
async function settled(options, secret, wanted) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const code = await asked(server(options, "udp"), credential(secret, seconds() + 60));
    if (code === wanted || Date.now() > end) return code;
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** What coturn must refuse, asked with the credential that signaling made for a page. */
async function refusals(options, page, found, want) {
  const from = Date.now();
  found.relays = await page.evaluate(() => window.driveRelays);
  found.credential_left_s = await d15_a_credential_that_is_old_or_forged_opens_nothing(options, found.relays[0], want);
  found.denied_peers = await d13_a_relay_sends_to_the_sfu_and_to_nothing_else(options, found.relays[0], want);
  found.quota = await d14_one_credential_has_a_quota_and_takes_nobody_elses(options, want);
  found.refusals_ms = Date.now() - from;
}

async function act(options, plain, given, found) {
  const want = (holds, text) => holds || found.faults.push(text);
  const old = await new Turn(server(options, "tcp"), credential(options.leaving, seconds() + 60)).connect();
  want((await old.allocate()) === OK, "a second secret is not taken");
  found.meetings = {};
  for (const protocol of PROTOCOLS) {
    found.meetings[protocol] = await meet(options, given, protocol, async ({ page }) => {
      if (protocol !== PROTOCOLS[0]) return;
      await refusals(options, page, found, want);
      console.log('{"met":true}');
    });
    judge(found.meetings[protocol], protocol, options.host, want);
  }
  want((await settled(options, options.coming, OK)) === OK, "a new secret is not taken while the relay runs");
  want((await settled(options, options.leaving, WRONG_CREDENTIAL)) === WRONG_CREDENTIAL, "a secret that was taken away is still good");
  want((await old.refresh()) === OK, "an allocation ended with the secret that let it in");
  await old.end();
  found.unvouched = await unvouched(plain, found.relays, want);
  found.relays = found.relays.flatMap(({ urls }) => urls);
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const plain = { ...(options["chromium-path"] === "" ? {} : { path: options["chromium-path"] }), args: options["browser-arg"] };
  const found = { faults: [] };
  try {
    // only this one key, and nothing else, is believed beside the browser's own authorities
    const given = { ...plain, args: [...plain.args, `--ignore-certificate-errors-spki-list=${await pin(options)}`] };
    await act(options, plain, given, found);
  } catch (error) {
    found.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
  }
  const ok = found.faults.length === 0;
  for (const fault of found.faults) console.error(fault);
  console.log(JSON.stringify({ ok, ...found }));
  process.exitCode = ok ? 0 : 1;
}

await main();
