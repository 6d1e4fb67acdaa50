// A path that is gone is noticed from silence, asked about, and mended; all in virtual time.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { LOOK_MS, MENDED_MS, PathWatch, SILENT_MS, STALE_MS, type Act } from "../../src/call/pathwatch";
import { SignalingLink } from "../../src/worker/link";

/** A call whose transports receive while they flow. */
class Call {
  readonly watch = new PathWatch();
  now = 1_000;
  private bytes = { publish: 1, subscribe: 1 };
  flows = { publish: true, subscribe: true };
  readonly acts: { at: number; act: Act }[] = [];

  take(act: Act): void {
    if (act !== null) this.acts.push({ at: this.now, act });
  }
  /** Lets `ms` pass, looking as the page does. */
  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end;) {
      this.now += LOOK_MS;
      if (this.flows.publish) this.bytes.publish += 100;
      if (this.flows.subscribe) this.bytes.subscribe += 1_000;
      this.take(this.watch.look(this.now, this.bytes));
    }
  }
  cut(): void {
    this.flows = { publish: false, subscribe: false };
  }
  mend(): void {
    this.flows = { publish: true, subscribe: true };
  }
  heard(connection: "new" | "old"): void {
    this.take(this.watch.heard(this.now, connection));
  }
  get last(): Act {
    return this.acts.at(-1)?.act ?? null;
  }
}

function steady(): Call {
  const call = new Call();
  call.pass(3_000);
  assert.deepEqual(call.acts, []);
  return call;
}

test("what flowed and falls silent is asked about within three looks, and once", () => {
  const call = steady();
  const from = call.now;
  call.cut();
  call.pass(SILENT_MS + LOOK_MS);
  assert.deepEqual(call.acts.map(({ act }) => act), ["probe"]);
  assert.ok((call.acts[0]?.at ?? 0) - from <= SILENT_MS + LOOK_MS);
});

test("one transport that falls silent is enough; what never flowed is not missed", () => {
  const half = steady();
  half.flows.subscribe = false;
  half.pass(1_000);
  assert.equal(half.last, "probe");
  const alone = new Call();
  alone.flows.subscribe = false;
  alone.pass(10_000);
  assert.deepEqual(alone.acts, []);
});

test("a new signaling connection renews the paths, and packets on them end it", () => {
  const call = steady();
  call.cut();
  call.pass(1_000);
  call.heard("new");
  assert.equal(call.last, "restart");
  assert.ok(call.watch.repairing);
  call.mend();
  call.pass(2 * LOOK_MS);
  assert.ok(!call.watch.troubled);
  call.pass(10_000);
  assert.equal(call.acts.length, 2);
});

test("silence while signaling answers as before is nobody's fault", () => {
  const call = steady();
  call.flows.subscribe = false;
  call.pass(1_000);
  call.heard("old");
  assert.ok(!call.watch.troubled && !call.watch.repairing);
  call.pass(10_000);
  assert.deepEqual(call.acts.map(({ act }) => act), ["probe"]);
});

test("a transport that says it is broken is mended although signaling stands", () => {
  const call = steady();
  call.take(call.watch.state(call.now, "subscribe", "disconnected"));
  call.heard("old");
  assert.deepEqual(call.acts.map(({ act }) => act), ["probe", "restart"]);
});

test("beyond what the SFU remembers the transports are made anew", () => {
  const call = steady();
  call.cut();
  call.pass(STALE_MS + 2 * LOOK_MS);
  call.heard("new");
  assert.equal(call.last, "renew");
});

test("a restart that brings nothing is followed by new transports; two repairs of a silent but connected call suffice", () => {
  const call = steady();
  call.cut();
  call.pass(1_000);
  call.heard("new");
  call.pass(MENDED_MS + LOOK_MS);
  assert.equal(call.last, "probe");
  call.heard("old");
  assert.equal(call.last, "renew");
  call.pass(MENDED_MS + LOOK_MS);
  assert.ok(!call.watch.troubled);
  call.pass(20_000);
  assert.deepEqual(call.acts.map(({ act }) => act), ["probe", "restart", "probe", "renew"]);
});

test("a transport that stays broken is made anew again and again", () => {
  const call = steady();
  call.cut();
  call.take(call.watch.state(call.now, "publish", "failed"));
  for (let turn = 0; turn < 5; turn += 1) {
    call.heard("old");
    call.pass(MENDED_MS + LOOK_MS);
  }
  assert.deepEqual(call.acts.filter(({ act }) => act === "renew").length, 4);
});

test("a network that is back is asked about at once", () => {
  const call = steady();
  call.cut();
  call.watch.offline(call.now);
  assert.ok(call.watch.repairing, "people are told at once");
  call.pass(5_000);
  const asked = call.acts.length;
  call.take(call.watch.online(call.now));
  assert.equal(call.acts.length, asked + 1);
  assert.equal(call.last, "probe");
});

/** A WebSocket that connects and answers when told to. */
class Socket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static made: Socket[] = [];
  readyState = Socket.CONNECTING;
  sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  constructor() {
    Socket.made.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = Socket.OPEN;
    this.onopen?.();
  }
}

/** Runs with virtual timers; `tick` lets time pass. */
function linked(play: (link: SignalingLink, said: string[], tick: (ms: number) => void) => void): void {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  Socket.made = [];
  const before = globalThis.WebSocket;
  Object.assign(globalThis, { WebSocket: Socket });
  let now = 0;
  const said: string[] = [];
  const link = new SignalingLink("ws://signaling", {
    link: (state) => said.push(state), opened: () => undefined, text: () => undefined, alive: () => said.push("alive"),
  }, () => now);
  try {
    play(link, said, (ms) => {
      for (let left = ms; left > 0; left -= 10) {
        now += 10;
        mock.timers.tick(10);
      }
    });
  } finally {
    link.close();
    mock.timers.reset();
    Object.assign(globalThis, { WebSocket: before });
  }
}

test("signaling that answers a question is kept, one that does not is dialled anew within 400 ms", () => linked((link, said, tick) => {
  Socket.made[0]?.open();
  link.probe();
  tick(100);
  Socket.made[0]?.onmessage?.({ data: "{}" });
  tick(1_000);
  assert.deepEqual([said.at(-1), Socket.made.length], ["alive", 1]);
  link.probe();
  tick(390);
  assert.equal(Socket.made.length, 1);
  tick(10);
  assert.equal(Socket.made.length, 2);
}));

test("a slow way is given three of its round trips", () => linked((link, _said, tick) => {
  Socket.made[0]?.open();
  tick(5_000);
  tick(500);
  Socket.made[0]?.onmessage?.({ data: "{}" });
  link.probe();
  tick(1_400);
  assert.equal(Socket.made.length, 1);
  tick(200);
  assert.equal(Socket.made.length, 2);
}));

test("a connection that hangs is given up, and one that waits for its turn is tried at once", () => linked((link, _said, tick) => {
  tick(4_000);
  tick(200);
  assert.equal(Socket.made.length, 2, "dialled again after its bound");
  Socket.made[1]?.onclose?.();
  link.probe();
  assert.equal(Socket.made.length, 3, "no pause when somebody asks");
}));
