// The publish PeerConnection: the page always offers. Every sender gets its transform in the same turn as its
// transceiver, before any offer, and a track only once the worker holds a key: a late transform leaks clear frames.

import type { Codec, PageToServer, PublishedTrack, Relay } from "../wire/client";
import { SLOT } from "../wire/client";
import type { LayerStream, TransformOptions } from "../wire/worker";
import { isWanted, nestedEncoding, nestedHeights, type PictureCodec } from "./codecs";
import { heightOf, heightsOf, layersFor, RIDS, sendsLayers, type Layer } from "./layers";

export interface PublisherEvents {
  send(message: PageToServer): void;
  state(state: RTCPeerConnectionState): void;
  /** Which stream carries which layer is known. */
  streams(slot: number, streams: LayerStream[]): void;
  /** The other end takes no layers of this source: all it sends is one stream. */
  oneStream(slot: number): void;
}

/** W3C webrtc-extensions section "RTCSetParameterOptions"; tried with Chromium 156. */
interface KeyFrameSender extends RTCRtpSender {
  setParameters(parameters: RTCRtpSendParameters, options?: { encodingOptions: { keyFrame: boolean }[] }): Promise<void>;
}

interface Sending {
  transceiver: RTCRtpTransceiver;
  slot: number;
  codec: PictureCodec | "opus";
  /** Layers in use, of cameras; empty: one encoding. */
  layers: Layer[];
  /** Heights of the layers inside one encoding, lowest first; empty where it has none. */
  nested: number[];
  /** Layers that somebody needs; `null`: not told, all. */
  wanted: number[] | null;
  /** What each of them is worth encoding at, bit/s; null: no bound. */
  rates: (number | null)[];
  announced: boolean;
  /** Changes of its encodings under way. */
  changes: Promise<void>;
  /** Layers that are to begin with a whole picture at the next change. */
  keyFrames: Set<number>;
}

/** Upper bound of a camera in one encoding, bit/s: 720p30 VP8 looks clean at it. */
const CAMERA_BITRATE = 1_700_000;
/** Upper bounds of a shared screen: text must be sharp, slides need not move. */
const SCREEN_BITRATE = 2_500_000;
export const SCREEN_RATE = 15;

/** The codec wanted, with retransmission; null where the browser cannot say. */
function preferred(kind: "audio" | "video", wanted: PictureCodec | "opus"): RTCRtpCodec[] | null {
  const codecs = RTCRtpSender.getCapabilities?.(kind)?.codecs;
  if (codecs === undefined) return null;
  const main = codecs.filter((codec) => isWanted(wanted, codec));
  const repair = kind === "video" ? codecs.filter((codec) => codec.mimeType.toLowerCase() === "video/rtx") : [];
  return main.length === 0 ? null : [...main, ...repair];
}

function encodingsOf(layers: readonly Layer[]): RTCRtpEncodingParameters[] {
  return layers.map(({ rid, scale, bitrate, used }) => ({ rid, scaleResolutionDownBy: scale, maxBitrate: bitrate, active: used }));
}

function takesLayers(answer: string): boolean {
  return /^a=simulcast:recv /m.test(answer);
}

export class Publisher {
  readonly connection: RTCPeerConnection;
  /** One stream for sound and picture: receivers keep them together by it. */
  private readonly stream = new MediaStream();
  private readonly sendings: Sending[] = [];
  private answered = false;
  private early: string[] = [];
  private closed = false;
  /** Offers go one after another. */
  private order: Promise<void> = Promise.resolve();
  private settled: (() => void) | null = null;

  constructor(private readonly worker: Worker, relays: Relay[], camera: PictureCodec, private readonly events: PublisherEvents) {
    this.connection = new RTCPeerConnection({ iceServers: relays });
    this.add("audio", SLOT.microphone, "opus", [{}], []);
    const nested = nestedEncoding(camera, CAMERA_BITRATE);
    const layers = nested === null && sendsLayers() ? layersFor(720) : [];
    const encodings = nested ?? (layers.length > 0 ? encodingsOf(layers) : [{ maxBitrate: CAMERA_BITRATE }]);
    this.add("video", SLOT.camera, camera, encodings, layers);
    this.connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null && candidate.candidate !== "") this.candidate(candidate.candidate);
    };
    this.connection.onconnectionstatechange = () => {
      if (!this.closed) this.events.state(this.connection.connectionState);
    };
  }

  /** Every slot that frames are sealed under: one for each layer. */
  get slots(): { slot: number; codec: Codec }[] {
    return this.sendings.flatMap(({ slot, codec, layers }) => (
      Array.from({ length: Math.max(1, layers.length) }, (_, layer) => ({ slot: slot + layer, codec }))
    ));
  }

  /** Offers what is there; a second offer waits for the answer to the first. */
  offer(restart: "restart-ice" | "first"): Promise<void> {
    this.order = this.order.then(() => this.makeOffer(restart));
    return this.order;
  }

  /** New paths for what runs. An answer that is still awaited was to come on paths that are gone. */
  restart(): Promise<void> {
    this.settled?.();
    return this.offer("restart-ice");
  }
  /** Says again what is sent. */
  again(): Promise<void> {
    this.settled?.();
    return this.offer("first");
  }

  private async makeOffer(restart: "restart-ice" | "first"): Promise<void> {
    if (this.closed) return;
    const answered = new Promise<void>((done) => {
      this.settled = done;
    });
    const offer = await this.connection.createOffer({ iceRestart: restart === "restart-ice" });
    await this.connection.setLocalDescription(offer);
    const sending = this.sendings.filter(({ transceiver }) => transceiver.direction === "sendonly");
    const tracks: PublishedTrack[] = sending.map(({ transceiver, slot, codec }) => ({ mid: transceiver.mid ?? "", slot, codec }));
    const sdp = this.connection.localDescription?.sdp ?? offer.sdp ?? "";
    this.events.send({ type: "offer", sdp, tracks });
    for (const candidate of this.early) this.events.send({ type: "candidate", transport: "publish", candidate });
    this.early = [];
    this.answered = true;
    for (const one of sending) {
      one.announced = true;
      this.tellHeights(one);
    }
    await answered;
  }

  async answer(sdp: string): Promise<void> {
    if (this.connection.signalingState !== "have-local-offer") return;
    const layered = this.sendings.filter(({ layers }) => layers.length > 0);
    // said before the first frame can flow
    if (!takesLayers(sdp)) for (const { slot } of layered) this.events.oneStream(slot);
    try {
      await this.connection.setRemoteDescription({ type: "answer", sdp });
    } finally {
      this.settled?.();
    }
    for (const sending of layered) {
      if (takesLayers(sdp)) await this.look(sending.slot);
      else await this.oneEncoding(sending);
    }
  }

  /** Puts a track on a source; null stops it. Only after the worker holds a key. */
  async replace(slot: number, track: MediaStreamTrack | null): Promise<void> {
    const sending = this.sendings.find((entry) => entry.slot === slot);
    if (sending === undefined) return;
    if (track !== null && sending.layers.length > 0) {
      sending.layers = layersFor(heightOf(track));
      await this.apply(sending);
      this.tellHeights(sending);
    } else if (track !== null && slot === SLOT.camera && sending.codec !== "opus") {
      sending.nested = nestedHeights(sending.codec, heightOf(track));
      this.tellHeights(sending);
    }
    await sending.transceiver.sender.replaceTrack(track);
  }

  /** Somebody needs only these layers of a source, or none; nobody could take them at more than these rates, bit/s. */
  async want(slot: number, layers: number[], rates: (number | null)[] = []): Promise<void> {
    const sending = this.sendings.find((entry) => entry.slot === slot);
    if (sending === undefined) return;
    [sending.wanted, sending.rates] = [layers, rates];
    await this.apply(sending);
  }

  /** Adds the shared screen, or takes it away; an offer must follow. */
  screen(track: MediaStreamTrack | null): void {
    let sending = this.sendings.find((entry) => entry.slot === SLOT.screen);
    if (track === null) {
      if (sending === undefined) return;
      sending.transceiver.direction = "inactive";
      sending.announced = false;
      [sending.wanted, sending.rates] = [null, []];
      void sending.transceiver.sender.replaceTrack(null);
      return;
    }
    sending ??= this.add("video", SLOT.screen, "vp8", [{ maxBitrate: SCREEN_BITRATE, maxFramerate: SCREEN_RATE }], []);
    sending.transceiver.direction = "sendonly";
  }

  close(): void {
    this.closed = true;
    this.settled?.();
    this.connection.close();
  }

  private add(kind: "audio" | "video", slot: number, codec: Sending["codec"], encodings: RTCRtpEncodingParameters[], layers: Layer[]): Sending {
    const transceiver = this.connection.addTransceiver(kind, {
      direction: "sendonly", sendEncodings: encodings, streams: [this.stream],
    });
    const options: TransformOptions = { direction: "send", slot, codec, layers: Math.max(1, layers.length) };
    transceiver.sender.transform = new RTCRtpScriptTransform(this.worker, options);
    const codecs = preferred(kind, codec);
    if (codecs !== null) {
      try {
        transceiver.setCodecPreferences?.(codecs);
      } catch {
        // an old list: the SFU's answer decides then
      }
    }
    const sending: Sending = { transceiver, slot, codec, layers, nested: [], wanted: null, rates: [], announced: false, changes: Promise.resolve(), keyFrames: new Set() };
    this.sendings.push(sending);
    return sending;
  }

  /** Sizes, rates and pauses of the encodings as they are to be now. */
  private apply(sending: Sending): Promise<void> {
    const wanted = (at: number): boolean => sending.wanted === null || sending.wanted.includes(at);
    const most = sending.slot === SLOT.screen ? SCREEN_BITRATE : CAMERA_BITRATE;
    return this.change(sending, (encodings) => encodings.forEach((encoding, at) => {
      const layer = sending.layers[at];
      encoding.active = (layer?.used ?? true) && wanted(at);
      if (sending.codec === "opus") return;
      const bound = sending.rates[sending.wanted?.indexOf(at) ?? -1] ?? layer?.bitrate ?? most;
      encoding.maxBitrate = Math.min(layer?.most ?? most, bound);
      if (layer !== undefined) encoding.scaleResolutionDownBy = layer.scale;
    }));
  }

  /** The other end takes no layers: what is left is the first encoding, at its full size. */
  private oneEncoding(sending: Sending): Promise<void> {
    sending.layers = [];
    return this.change(sending, (encodings) => encodings.forEach((encoding) => {
      encoding.scaleResolutionDownBy = 1;
      encoding.maxBitrate = CAMERA_BITRATE;
      encoding.active = true;
    }));
  }

  /** Changes of a source follow one another: a browser refuses parameters that were read before another change ended. */
  private change(sending: Sending, edit: (encodings: RTCRtpEncodingParameters[]) => void): Promise<void> {
    sending.changes = sending.changes.then(async () => {
      if (this.closed) return;
      const sender: KeyFrameSender = sending.transceiver.sender;
      const parameters = sender.getParameters();
      edit(parameters.encodings);
      if (sending.keyFrames.size === 0) return sender.setParameters(parameters);
      const encodingOptions = parameters.encodings.map((_, at) => ({ keyFrame: sending.keyFrames.has(at) }));
      sending.keyFrames.clear();
      return sender.setParameters(parameters, { encodingOptions });
    }).catch((error: unknown) => console.warn("publish: encodings:", error));
    return sending.changes;
  }

  private tellHeights(sending: Sending): void {
    const heights = sending.layers.length > 0 ? heightsOf(sending.layers) : sending.nested;
    if (!sending.announced || heights.length === 0) return;
    this.events.send({ type: "layers", slot: sending.slot, heights });
  }

  /**
   * Only statistics say which stream carries which layer: the worker drops a layer's frames until it knows, and asks for
   * another look while it does.
   */
  async look(slot: number): Promise<void> {
    const sending = this.sendings.find((entry) => entry.slot === slot);
    if (sending === undefined || this.closed) return;
    const streams: LayerStream[] = [];
    (await sending.transceiver.sender.getStats()).forEach((report: Record<string, unknown>) => {
      const layer = RIDS.indexOf(report["rid"] as (typeof RIDS)[number]);
      if (report["type"] !== "outbound-rtp" || layer < 0 || typeof report["ssrc"] !== "number") return;
      streams.push({ ssrc: report["ssrc"], rid: String(report["rid"]), layer });
    });
    if (streams.length > 0) this.events.streams(slot, streams);
  }

  /**
   * Makes the encoder of a layer begin with a whole picture. The worker asks for layer after layer, a change takes 60 ms, and
   * Chromium makes whole pictures of all layers where one is asked: asked for one by one they would come three times.
   */
  async keyFrame(slot: number, layer: number): Promise<void> {
    const sending = this.sendings.find((entry) => entry.slot === slot);
    if (sending === undefined) return;
    const first = sending.keyFrames.size === 0;
    sending.keyFrames.add(layer);
    if (!first) return;
    await new Promise((done) => setTimeout(done, 0));
    if (sending.keyFrames.size > 0) await this.change(sending, () => undefined);
  }

  private candidate(candidate: string): void {
    if (this.answered) this.events.send({ type: "candidate", transport: "publish", candidate });
    else this.early.push(candidate);
  }
}
