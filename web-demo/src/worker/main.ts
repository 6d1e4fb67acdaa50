// Entry of the one worker: reads the page's closed list of messages, holds the device's key and the meeting. Keys never
// leave it; when WebAssembly panics it tells the page, sends nothing more and closes.

import type { Problem } from "../wire/client";
import type { FromWorker, ToWorker, WorkerSetup } from "../wire/worker";
import { CounterBook } from "./counters";
import { die, guarded, isDead, whenDead, type Engine, type LeafKey } from "./engine";
import { enrol, enrolGuest } from "./enrol";
import { signAct, signApproval, signConsent, signRequest, signRetention, signRetentionConsent, type Officer } from "./grants";
import { invite } from "./invite";
import { Meeting } from "./meeting";
import { problemOf, Refused } from "./refused";
import { scope, type ScriptTransformer } from "./scope";
import { loadEngine } from "./wasm";

/** Counters go to the page so often, ms: the lock and the statistics are drawn from them. */
const COUNTERS_MS = 500;

const book = new CounterBook();
let setup: WorkerSetup | null = null;
let device: { key: LeafKey; chain: string[]; invitation: string | null } | null = null;
let meeting: Meeting | null = null;
/** Transforms that came before there was a meeting to serve them. */
let early: ScriptTransformer[] = [];

const tell = (message: FromWorker): void => scope.postMessage(message);

whenDead((reason) => {
  meeting?.stop();
  meeting = null;
  device = null;
  tell({ type: "dead", reason });
});

const engine: Promise<Engine> = loadEngine();
engine.then(() => tell({ type: "ready" }), (error: unknown) => die(`WebAssembly did not start: ${String(error)}`));

function mine(): { setup: WorkerSetup; key: LeafKey; chain: string[]; invitation: string | null } {
  if (setup === null || device === null) {
    throw new Refused({ code: "internal", detail: "this device is not enrolled", firm: null });
  }
  return { setup, ...device };
}

async function officer(): Promise<Officer> {
  const live = await engine;
  const { setup: config, key, chain } = mine();
  return { engine: live, key, chain, firm: config.firm };
}

/** Whoever waits for a token: enrolments come one after the other. */
let tokenWanted: ((token: { idToken: string } | { problem: Problem }) => void) | null = null;

function askPage(nonce: string, session: string): Promise<string> {
  return new Promise((done, failed) => {
    tokenWanted = (token) => ("idToken" in token ? done(token.idToken) : failed(new Refused(token.problem)));
    tell({ type: "token-wanted", nonce, session });
  });
}

/** Answers a question of the page. */
async function answer(id: number, work: () => Promise<unknown>): Promise<void> {
  try {
    tell({ type: "done", id, value: await work() });
  } catch (error) {
    tell({ type: "failed", id, problem: problemOf(error) });
  }
}

async function join(room: string, passcode: string | null): Promise<void> {
  const live = await engine;
  const { setup: config, key, chain, invitation } = mine();
  meeting?.stop();
  const makeSession = () => {
    const session = live.openSession(key, chain, config.trust, room, Date.now());
    session.bring(passcode, invitation);
    return session;
  };
  const read = (signed: string[]) => guarded(() => live.judgeStatements(config.trust, signed));
  meeting = new Meeting(config.signaling, makeSession, read, book, tell);
  for (const transformer of early) meeting.transform(transformer);
  early = [];
}

/** Says something in the meeting; a code tells why it was not said. */
function say<T>(tell: (live: Meeting) => T): T {
  try {
    if (meeting === null) throw new Error("not-in");
    return tell(meeting);
  } catch (error) {
    throw new Refused({ code: "not-said", detail: error instanceof Error ? error.message : String(error), firm: null });
  }
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.type) {
    case "setup":
      setup = message.setup;
      return;
    case "enrol":
      return answer(message.id, async () => {
        if (setup === null) throw new Refused({ code: "internal", detail: "no set-up", firm: null });
        const enrolled = await enrol(await engine, setup, message.enrolment, askPage);
        device = { key: enrolled.key, chain: enrolled.chain, invitation: null };
        return { session: enrolled.session };
      });
    case "enrol-guest":
      return answer(message.id, async () => {
        if (setup === null) throw new Refused({ code: "internal", detail: "no set-up", firm: null });
        device = await enrolGuest(await engine, setup, message.guest);
        return null;
      });
    case "invite":
      return answer(message.id, async () => invite({ engine: await engine, ...mine() }, message.ask));
    case "token":
      tokenWanted?.(message.token);
      tokenWanted = null;
      return;
    case "statements":
      return answer(message.id, async () => {
        const live = await engine;
        return guarded(() => live.judgeStatements(setup?.trust ?? "", message.signed));
      });
    case "sign-request":
      return answer(message.id, async () => signRequest(await officer(), message.request));
    case "sign-act":
      return answer(message.id, async () => signAct(await officer(), message.act));
    case "sign-approval":
      return answer(message.id, async () => signApproval(await officer(), message.signedRequest, message.approve));
    case "sign-consent":
      return answer(message.id, async () => signConsent(await officer(), message.statement));
    case "sign-retention":
      return answer(message.id, async () => signRetention(await officer(), message.retain));
    case "sign-retention-consent":
      return answer(message.id, async () => signRetentionConsent(await officer(), message.signedAct));
    case "say":
      return answer(message.id, async () => say((live) => live.say(message.text)));
    case "declare":
      return answer(message.id, async () => say((live) => live.declare(message.what)));
    case "share":
      return answer(message.id, async () => say((live) => live.share(message.name, message.mediaType, new Uint8Array(message.bytes))));
    case "fetch":
      return answer(message.id, async () => say((live) => live.fetch(message.file)));
    case "cancel-share":
      meeting?.cancelShare(message.blob);
      return;
    case "cancel-fetch":
      meeting?.cancelFetch(message.file);
      return;
    case "acknowledge":
      meeting?.acknowledge(message.language);
      return;
    case "join":
      return join(message.room, message.passcode);
    case "order":
      meeting?.order(message.order);
      return;
    case "set-passcode":
      meeting?.setPasscode(message.passcode);
      return;
    case "sign":
      meeting?.sign(message.sign);
      return;
    case "leave":
      meeting?.leave();
      meeting = null;
      return;
    case "probe":
      meeting?.probe();
      return;
    case "remove":
      meeting?.remove(message.participant);
      return;
    case "add-source":
      meeting?.addSource(message.slot, message.codec);
      return;
    case "layer-streams":
      meeting?.layerStreams(message.slot, message.streams);
      return;
    case "one-stream":
      meeting?.oneStream(message.slot);
      return;
    case "signal":
      meeting?.signal(message.message);
  }
}

let order: Promise<void> = Promise.resolve();
scope.onmessage = (event) => {
  if (isDead()) return;
  // questions are answered side by side; what acts on the meeting keeps its order
  if ("id" in event.data) void handle(event.data);
  else order = order.then(() => handle(event.data)).catch((error: unknown) => console.warn("worker:", error));
};
scope.onrtctransform = (event) => {
  if (meeting === null) early.push(event.transformer);
  else meeting.transform(event.transformer);
};

setInterval(() => {
  const tracks = book.all();
  if (tracks.length > 0) tell({ type: "counters", tracks });
}, COUNTERS_MS);
