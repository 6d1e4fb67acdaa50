// The publish PeerConnection: the page always offers. Every sender gets its transform in the same turn as its
// transceiver, before any offer, and a track only once the worker holds a key: a late transform leaks clear frames.

import type { Codec, PageToServer, PublishedTrack } from "../wire/client";
import { SLOT } from "../wire/client";
import type { TransformOptions } from "../wire/worker";

export interface PublisherEvents {
  send(message: PageToServer): void;
  state(state: RTCPeerConnectionState): void;
}

interface Sending { transceiver: RTCRtpTransceiver; slot: number; codec: Codec }

/** Upper bound of a camera, bit/s: 720p30 VP8 looks clean at it. */
const CAMERA_BITRATE = 1_700_000;

/** The codecs of `kind` we seal, most wanted first, with retransmission; null where the browser cannot say. */
function preferred(kind: "audio" | "video"): RTCRtpCodec[] | null {
  const codecs = RTCRtpSender.getCapabilities?.(kind)?.codecs;
  if (codecs === undefined) return null;
  const wanted = kind === "audio" ? "audio/opus" : "video/vp8";
  const main = codecs.filter((codec) => codec.mimeType.toLowerCase() === wanted);
  const repair = kind === "video" ? codecs.filter((codec) => codec.mimeType.toLowerCase() === "video/rtx") : [];
  return main.length === 0 ? null : [...main, ...repair];
}

export class Publisher {
  readonly connection: RTCPeerConnection;
  /** One stream for sound and picture: receivers keep them together by it. */
  private readonly stream = new MediaStream();
  private readonly sendings: Sending[] = [];
  private answered = false;
  private early: string[] = [];
  private closed = false;

  constructor(worker: Worker, private readonly events: PublisherEvents) {
    this.connection = new RTCPeerConnection();
    this.add(worker, "audio", SLOT.microphone, "opus");
    this.add(worker, "video", SLOT.camera, "vp8");
    this.connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null && candidate.candidate !== "") this.candidate(candidate.candidate);
    };
    this.connection.onconnectionstatechange = () => {
      if (!this.closed) this.events.state(this.connection.connectionState);
    };
  }

  get slots(): { slot: number; codec: Codec }[] {
    return this.sendings.map(({ slot, codec }) => ({ slot, codec }));
  }

  async offer(restart: "restart-ice" | "first"): Promise<void> {
    const offer = await this.connection.createOffer({ iceRestart: restart === "restart-ice" });
    await this.connection.setLocalDescription(offer);
    const tracks: PublishedTrack[] = this.sendings.map(({ transceiver, slot, codec }) => ({
      mid: transceiver.mid ?? "", slot, codec,
    }));
    const sdp = this.connection.localDescription?.sdp ?? offer.sdp ?? "";
    this.events.send({ type: "offer", sdp, tracks });
    for (const candidate of this.early) this.events.send({ type: "candidate", transport: "publish", candidate });
    this.early = [];
    this.answered = true;
  }

  async answer(sdp: string): Promise<void> {
    if (this.connection.signalingState !== "have-local-offer") return;
    await this.connection.setRemoteDescription({ type: "answer", sdp });
  }

  /** Puts a track on a source; null stops it. Only after the worker holds a key. */
  async replace(slot: number, track: MediaStreamTrack | null): Promise<void> {
    const sending = this.sendings.find((entry) => entry.slot === slot);
    await sending?.transceiver.sender.replaceTrack(track);
  }

  close(): void {
    this.closed = true;
    this.connection.close();
  }

  private add(worker: Worker, kind: "audio" | "video", slot: number, codec: Codec): void {
    const encodings: RTCRtpEncodingParameters[] = kind === "video" ? [{ maxBitrate: CAMERA_BITRATE }] : [{}];
    const transceiver = this.connection.addTransceiver(kind, {
      direction: "sendonly", sendEncodings: encodings, streams: [this.stream],
    });
    const options: TransformOptions = { direction: "send", slot, codec };
    transceiver.sender.transform = new RTCRtpScriptTransform(worker, options);
    const codecs = preferred(kind);
    if (codecs !== null) {
      try {
        transceiver.setCodecPreferences?.(codecs);
      } catch {
        // an old list: the SFU's answer decides then
      }
    }
    this.sendings.push({ transceiver, slot, codec });
  }

  private candidate(candidate: string): void {
    if (this.answered) this.events.send({ type: "candidate", transport: "publish", candidate });
    else this.early.push(candidate);
  }
}
