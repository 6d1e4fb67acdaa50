// The subscribe PeerConnection: the SFU always offers, the page answers. Every receiver gets its transform inside
// `ontrack`; whose frames a section carries is known to the worker before the page sees the offer.

import type { PageToServer, Relay, SubscribedTrack } from "../wire/client";
import type { TransformOptions } from "../wire/worker";

export interface RemoteTrack { track: SubscribedTrack; media: MediaStreamTrack; receiver: RTCRtpReceiver }

export interface SubscriberEvents {
  send(message: PageToServer): void;
  state(state: RTCPeerConnectionState): void;
  /** All tracks that are forwarded now. */
  tracks(tracks: RemoteTrack[]): void;
}

/** Which transport an offer is of: another name of the DTLS association (RFC 8842) is another one, not new ICE parameters. */
export function identityOf(sdp: string): string {
  const line = (name: string): string => new RegExp(`^a=${name}:(.*)$`, "m").exec(sdp)?.[1]?.trim() ?? "";
  return `${line("fingerprint")} ${line("tls-id")}`;
}

export class Subscriber {
  connection: RTCPeerConnection | null = null;
  private identity = "";
  private readonly known = new Map<string, RemoteTrack>();
  private order: Promise<void> = Promise.resolve();

  private relays: Relay[] = [];

  constructor(private readonly worker: Worker, private readonly events: SubscriberEvents) {}

  /** TURN servers for this connection and the next ones. */
  relayed(relays: Relay[]): void {
    this.relays = relays;
    this.connection?.setConfiguration({ bundlePolicy: "max-bundle", iceServers: relays });
  }

  /** Answers an offer; offers are answered one after another, the worker knows the tracks already. */
  offered(sdp: string, revision: number, tracks: SubscribedTrack[]): Promise<void> {
    this.order = this.order.then(() => this.answer(sdp, revision, tracks)).catch((error: unknown) => {
      console.warn("subscribe:", error);
    });
    return this.order;
  }

  close(): void {
    const connection = this.connection;
    this.connection = null;
    this.known.clear();
    connection?.close();
  }

  private async answer(sdp: string, revision: number, tracks: SubscribedTrack[]): Promise<void> {
    const identity = identityOf(sdp);
    if (this.connection !== null && (identity !== this.identity || this.connection.connectionState === "closed")) {
      this.close();
    }
    this.identity = identity;
    const connection = this.connection ?? this.open();
    this.connection = connection;
    await connection.setRemoteDescription({ type: "offer", sdp });
    const answer = await connection.createAnswer();
    await connection.setLocalDescription(answer);
    if (this.connection !== connection) return;
    this.events.send({ type: "answer", sdp: connection.localDescription?.sdp ?? answer.sdp ?? "", revision });
    this.publish(connection, tracks);
  }

  private open(): RTCPeerConnection {
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: this.relays });
    const transformed = new WeakSet<RTCRtpReceiver>();
    connection.ontrack = ({ receiver, transceiver }) => {
      if (transformed.has(receiver)) return;
      transformed.add(receiver);
      const options: TransformOptions = { direction: "receive", mid: transceiver.mid ?? "" };
      receiver.transform = new RTCRtpScriptTransform(this.worker, options);
    };
    connection.onconnectionstatechange = () => {
      if (this.connection === connection) this.events.state(connection.connectionState);
    };
    connection.onicecandidate = ({ candidate }) => {
      if (candidate === null || candidate.candidate === "" || this.connection !== connection) return;
      this.events.send({ type: "candidate", transport: "subscribe", candidate: candidate.candidate });
    };
    return connection;
  }

  private publish(connection: RTCPeerConnection, tracks: SubscribedTrack[]): void {
    this.known.clear();
    for (const track of tracks.filter(({ active }) => active)) {
      const transceiver = connection.getTransceivers().find(({ mid }) => mid === track.mid);
      if (transceiver === undefined || transceiver.currentDirection === "inactive") continue;
      const { receiver } = transceiver;
      this.known.set(track.mid, { track, media: receiver.track, receiver });
    }
    this.events.tracks([...this.known.values()]);
  }
}
