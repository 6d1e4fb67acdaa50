// The two PeerConnections of a call and their repair. Knows when a transport is broken, not what a meeting is.

import { Publisher } from "../media/publisher";
import { Subscriber, type RemoteTrack } from "../media/subscriber";
import type { PageToServer, Relay, SubscribedTrack } from "../wire/client";
import type { LayerStream } from "../wire/worker";

/** A transport may be in trouble for so long before it is made anew, ms: ICE needs a moment to find another path. */
const REPAIR_MS = 2_500;
/** A new try so often while it stays broken, ms. */
const AGAIN_MS = 5_000;

export interface TransportEvents {
  send(message: PageToServer): void;
  states(publish: RTCPeerConnectionState, subscribe: RTCPeerConnectionState): void;
  tracks(tracks: RemoteTrack[]): void;
  /** Which stream of the publisher carries which layer. */
  streams(slot: number, streams: LayerStream[]): void;
  oneStream(slot: number): void;
  /** A new publisher stands, without tracks. */
  published(publisher: Publisher): void;
  /** The subscribe transport is broken: only a new hello brings a new offer. */
  subscribeBroken(): void;
}

export class Transports {
  publisher: Publisher | null = null;
  readonly subscriber: Subscriber;
  private publishState: RTCPeerConnectionState = "new";
  private subscribeState: RTCPeerConnectionState = "new";
  private publishTimer: ReturnType<typeof setTimeout> | undefined;
  private subscribeTimer: ReturnType<typeof setTimeout> | undefined;
  private closed = false;
  /** Ways around a network that lets nothing through to the SFU; the browser takes one only when it must. */
  private relays: Relay[] = [];

  constructor(private readonly worker: Worker, private readonly events: TransportEvents) {
    this.subscriber = new Subscriber(worker, {
      send: (message) => events.send(message),
      state: (state) => this.subscribeChanged(state),
      tracks: (tracks) => events.tracks(tracks),
    });
  }

  /** After an admission: keeps what still runs, makes what does not. */
  admitted(): void {
    if (this.publisher === null || this.publishState !== "connected") this.publish();
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

  /** Drops both: the next admission makes them anew. */
  reset(): void {
    clearTimeout(this.publishTimer);
    clearTimeout(this.subscribeTimer);
    this.publisher?.close();
    this.publisher = null;
    this.publishState = "new";
    this.subscriber.close();
  }

  close(): void {
    this.closed = true;
    this.reset();
  }

  private publish(): void {
    if (this.closed) return;
    this.publisher?.close();
    const publisher = new Publisher(this.worker, this.relays, {
      send: (message) => this.events.send(message),
      state: (state) => this.publishChanged(state),
      streams: (slot, streams) => this.events.streams(slot, streams),
      oneStream: (slot) => this.events.oneStream(slot),
    });
    this.publisher = publisher;
    this.publishState = "new";
    this.events.published(publisher);
    publisher.offer("first").catch((error: unknown) => console.warn("publish:", error));
  }

  private publishChanged(state: RTCPeerConnectionState): void {
    this.publishState = state;
    this.events.states(this.publishState, this.subscribeState);
    clearTimeout(this.publishTimer);
    if (state !== "failed" && state !== "disconnected") return;
    const repair = (): void => {
      this.publish();
      this.publishTimer = setTimeout(repair, AGAIN_MS);
    };
    this.publishTimer = setTimeout(repair, state === "failed" ? 0 : REPAIR_MS);
  }

  private subscribeChanged(state: RTCPeerConnectionState): void {
    this.subscribeState = state;
    this.events.states(this.publishState, this.subscribeState);
    clearTimeout(this.subscribeTimer);
    if (state !== "failed" && state !== "disconnected") return;
    const repair = (): void => {
      this.events.subscribeBroken();
      this.subscribeTimer = setTimeout(repair, AGAIN_MS);
    };
    this.subscribeTimer = setTimeout(repair, state === "failed" ? 0 : REPAIR_MS);
  }
}
