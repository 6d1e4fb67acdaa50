// Encodings of a source: changes that meet each other, and rates that follow what viewers can take.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Publisher } from "../../src/media/publisher";
import { SLOT } from "../../src/wire/client";

/** A sender as browsers are: it takes parameters only while those it handed out last are still the newest. */
class Sender {
  encodings: RTCRtpEncodingParameters[];
  transform: unknown = null;
  handed = 0;
  busy = false;
  taken: { keyFrame: boolean }[][] = [];

  constructor(encodings: RTCRtpEncodingParameters[]) {
    this.encodings = encodings.map((encoding) => ({ ...encoding }));
  }

  getParameters(): { encodings: RTCRtpEncodingParameters[]; transactionId: string } {
    this.handed += 1;
    return { encodings: this.encodings.map((encoding) => ({ ...encoding })), transactionId: String(this.handed) };
  }

  async setParameters(parameters: { encodings: RTCRtpEncodingParameters[]; transactionId: string }, options?: { encodingOptions: { keyFrame: boolean }[] }): Promise<void> {
    if (this.busy || parameters.transactionId !== String(this.handed)) throw new Error("InvalidStateError");
    this.busy = true;
    await new Promise((done) => setImmediate(done));
    this.busy = false;
    this.encodings = parameters.encodings;
    if (options !== undefined) this.taken.push(options.encodingOptions);
  }
}

class Connection {
  connectionState = "new";
  senders: Sender[] = [];

  addTransceiver(_kind: string, init: { sendEncodings: RTCRtpEncodingParameters[] }): unknown {
    const sender = new Sender(init.sendEncodings);
    this.senders.push(sender);
    return { sender, direction: "sendonly", mid: String(this.senders.length - 1) };
  }
}

function publish(): { publisher: Publisher; camera: Sender } {
  const connections: Connection[] = [];
  Object.assign(globalThis, {
    MediaStream: class {},
    RTCRtpScriptTransform: class {},
    RTCRtpSender: class {},
    RTCPeerConnection: class extends Connection {
      constructor() {
        super();
        connections.push(this);
      }
    },
  });
  Object.defineProperty(globalThis, "navigator", { value: { userAgent: "Chrome/156.0" }, configurable: true });
  const events = { send: () => undefined, state: () => undefined, streams: () => undefined, oneStream: () => undefined };
  const publisher = new Publisher({} as Worker, [], "vp8", events);
  const camera = connections[0]?.senders[1];
  assert.ok(camera !== undefined);
  return { publisher, camera };
}

const rates = (camera: Sender): (number | undefined)[] => camera.encodings.map(({ maxBitrate }) => maxBitrate);
const active = (camera: Sender): (boolean | undefined)[] => camera.encodings.map((encoding) => encoding.active);

test("changes of a source that meet each other are all made, in their order", async () => {
  const { publisher, camera } = publish();
  const warned: unknown[] = [];
  const warn = console.warn;
  console.warn = (...words: unknown[]) => warned.push(words);
  try {
    await Promise.all([
      publisher.want(SLOT.camera, [0, 2], [null, 900_000]),
      publisher.keyFrame(SLOT.camera, 2),
      publisher.want(SLOT.camera, [0, 1], [null, 400_000]),
    ]);
  } finally {
    console.warn = warn;
  }
  assert.deepEqual(warned, [], "the browser refused none");
  assert.deepEqual(camera.taken, [[{ keyFrame: false }, { keyFrame: false }, { keyFrame: true }]]);
  assert.deepEqual(active(camera), [true, true, false], "the last word counts");
  assert.deepEqual(rates(camera).slice(0, 2), [150_000, 400_000]);
});

test("layers that are asked for a whole picture one after the other make them in one change", async () => {
  const { publisher, camera } = publish();
  await Promise.all([0, 2].map((layer) => publisher.keyFrame(SLOT.camera, layer)));
  await publisher.keyFrame(SLOT.camera, 1);
  assert.deepEqual(camera.taken.map((options) => options.map(({ keyFrame }) => keyFrame)), [[true, false, true], [false, true, false]]);
});

test("a layer is encoded at what its best placed viewer could take, and never above its own most", async () => {
  const { publisher, camera } = publish();
  const full = rates(camera);
  await publisher.want(SLOT.camera, [0, 1, 2], [null, 5_000_000, 800_000]);
  assert.deepEqual(rates(camera), [full[0], 850_000, 800_000], "the middle one may be asked for more than usual");
  await publisher.want(SLOT.camera, [0, 2], [null, 900_000]);
  assert.deepEqual(rates(camera), [full[0], full[1], 900_000], "rates stand beside the layers they are of");
  await publisher.want(SLOT.camera, [0, 1, 2]);
  assert.deepEqual(rates(camera), full, "no rates: no bounds");
});
