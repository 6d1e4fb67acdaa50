// The two PeerConnections of a call and their repair. Carries out what the watch of their paths asks for; knows nothing
// of a meeting.

import type { PictureCodec } from "../media/codecs";
import { Publisher } from "../media/publisher";
import { Subscriber, type RemoteTrack } from "../media/subscriber";
import type { PageToServer, Relay, SubscribedTrack } from "../wire/client";
import type { LayerStream } from "../wire/worker";
import { LOOK_MS, PathWatch, type Act, type Way } from "./pathwatch";

export interface TransportEvents {
  send(message: PageToServer): void;
  states(publish: RTCPeerConnectionState, subscribe: RTCPeerConnectionState): void;
  tracks(tracks: RemoteTrack[]): void;
  /** Which stream of the publisher carries which layer. */
  streams(slot: number, streams: LayerStream[]): void;
  oneStream(slot: number): void;
  /** A new publisher stands, without tracks. */
  published(publisher: Publisher): void;
  /** Is signaling still there? If it does not answer at once, a new connection is wanted. */
  probe(): void;
  /** The way through the network is being looked for, or found again; and does the device say that it has a network? */
  path(path: "lost" | "found", network: "up" | "down"): void;
}

export class Transports {
  publisher: Publisher | null = null;
  readonly subscriber: Subscriber;
  private publishState: RTCPeerConnectionState = "new";
  private subscribeState: RTCPeerConnectionState = "new";
  private closed = false;
  /** Ways around a network that lets nothing through to the SFU; the browser takes one only when it must. */
  private relays: Relay[] = [];
  private readonly watch = new PathWatch();
  private readonly looks: ReturnType<typeof setInterval>;
  private listening = false;
  private said = "";

  constructor(private readonly worker: Worker, private camera: PictureCodec, private readonly events: TransportEvents) {
    this.subscriber = new Subscriber(worker, {
      send: (message) => events.send(message),
      state: (state) => this.changed("subscribe", state),
      tracks: (tracks) => events.tracks(tracks),
    });
    this.looks = setInterval(() => void this.listen(), LOOK_MS);
    addEventListener("online", this.online);
    addEventListener("offline", this.offline);
  }

  /** After an admission: keeps what still runs, mends or makes what does not. */
  admitted(): void {
    if (this.publisher === null) return this.publish();
    const act = this.watch.heard(performance.now(), "new");
    if (act !== null) this.act(act);
    else if (this.watch.troubled) return;
    else if (this.publishState !== "connected") this.publish();
    // signaling forgot the sources with the connection, and an answer may have been lost with it
    else this.publisher.again().catch((error: unknown) => console.warn("publish:", error));
  }

  /** Signaling answered on the connection that it had. */
  alive(): void {
    this.act(this.watch.heard(performance.now(), "old"));
  }

  /** Before the first admission, and again before the credentials end: what runs takes the new ones at its next repair. */
  relayed(relays: Relay[]): void {
    this.relays = relays;
    this.publisher?.connection.setConfiguration({ iceServers: relays });
    this.subscriber.relayed(relays);
  }

  offered(sdp: string, revision: number, tracks: SubscribedTrack[]): void {
    void this.subscriber.offered(sdp, revision, tracks);
  }
  answered(sdp: string): void {
    this.publisher?.answer(sdp).catch((error: unknown) => console.warn("publish:", error));
  }

  /** The worker sees frames of a source whose streams it does not know. */
  look(slot: number): void {
    this.publisher?.look(slot).catch((error: unknown) => console.warn("publish: streams:", error));
  }

  /** The worker drops a layer's pictures until a key frame. It asks again while none comes. */
  keyFrame(slot: number, layer: number): void {
    this.publisher?.keyFrame(slot, layer).catch((error: unknown) => console.warn("publish: key frame:", error));
  }

  /** Somebody in the meeting takes no camera in this codec: VP8 from now on. The codec refused; null if it was VP8 already. */
  fallBack(): PictureCodec | null {
    const refused = this.camera;
    if (refused === "vp8") return null;
    this.camera = "vp8";
    this.publish();
    return refused;
  }

  /** Drops both: the next admission makes them anew. */
  reset(): void {
    this.publisher?.close();
    this.publisher = null;
    this.publishState = "new";
    this.subscriber.close();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.looks);
    removeEventListener("online", this.online);
    removeEventListener("offline", this.offline);
    this.reset();
  }

  private publish(): void {
    if (this.closed) return;
    this.publisher?.close();
    const publisher = new Publisher(this.worker, this.relays, this.camera, {
      send: (message) => this.events.send(message),
      state: (state) => this.changed("publish", state),
      streams: (slot, streams) => this.events.streams(slot, streams),
      oneStream: (slot) => this.events.oneStream(slot),
    });
    this.publisher = publisher;
    this.publishState = "new";
    this.events.published(publisher);
    publisher.offer("first").catch((error: unknown) => console.warn("publish:", error));
  }

  private changed(way: Way, state: RTCPeerConnectionState): void {
    if (way === "publish") this.publishState = state;
    else this.subscribeState = state;
    this.events.states(this.publishState, this.subscribeState);
    this.act(this.watch.state(performance.now(), way, state));
  }

  private async listen(): Promise<void> {
    if (this.listening) return;
    this.listening = true;
    try {
      const [publish, subscribe] = await Promise.all([received(this.publisher?.connection), received(this.subscriber.connection)]);
      if (!this.closed) this.act(this.watch.look(performance.now(), { publish, subscribe }));
    } finally {
      this.listening = false;
    }
  }

  private act(act: Act): void {
    if (act === "probe") this.events.probe();
    if (act === "renew") this.publish();
    // the SFU answers it with new parameters for the subscribe transport too
    if (act === "restart") this.publisher?.restart().catch((error: unknown) => console.warn("publish:", error));
    this.tell();
  }

  private tell(): void {
    const [path, network] = [this.watch.repairing ? "lost" : "found", navigator.onLine ? "up" : "down"] as const;
    if (this.said === `${path} ${network}`) return;
    this.said = `${path} ${network}`;
    this.events.path(path, network);
  }

  private readonly online = (): void => this.act(this.watch.online(performance.now()));
  private readonly offline = (): void => {
    this.watch.offline(performance.now());
    this.tell();
  };
}

/** Bytes that came in on a connection; null if there is none. */
async function received(connection: RTCPeerConnection | null | undefined): Promise<number | null> {
  if (connection === null || connection === undefined || connection.signalingState === "closed") return null;
  let bytes: number | null = null;
  (await connection.getStats()).forEach((report: Record<string, unknown>) => {
    if (report["type"] === "transport" && typeof report["bytesReceived"] === "number") bytes = report["bytesReceived"];
  });
  return bytes;
}
