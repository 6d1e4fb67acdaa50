// Numbers of a call: the worker's counters joined with getStats of both connections. Read by tests through
// `window.strongroomStats()` and by people in the connection dialog. Holds no content and no key.

import { clock } from "../state/clock";
import { SLOT } from "../wire/client";
import type { TrackCounters } from "../wire/worker";
import type { CallController } from "./controller";

export interface TrackStats extends TrackCounters {
  framesDecoded: number | null;
  framesPerSecond: number | null;
  width: number | null;
  height: number | null;
  packetsLost: number | null;
  freezes: number | null;
  pli: number | null;
  concealed: number | null;
}

export interface CallStats {
  participant: string | null;
  phase: string;
  epoch: number | null;
  sending: string;
  publish: { state: string; srtp: string | null; rttMs: number | null };
  subscribe: { state: string; srtp: string | null; rttMs: number | null };
  srtp: string | null;
  frames_decoded: number;
  frames_rejected: number;
  frames_opened: number;
  frames_sealed: number;
  frames_duplicate: number;
  /** Sealed before this device came in: cannot be opened by anybody who was not there. */
  frames_before: number;
  /** From the join click, or from the announcement of the first remote picture if that came later, ms. */
  first_frame_ms: number | null;
  tracks: TrackStats[];
}

type Report = Record<string, unknown> & { type: string };

async function reports(connection: RTCPeerConnection | null): Promise<Report[]> {
  if (connection === null) return [];
  const found: Report[] = [];
  (await connection.getStats()).forEach((report: Report) => found.push(report));
  return found;
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function hop(found: Report[], state: string): CallStats["publish"] {
  const transport = found.find((report) => report.type === "transport");
  const pair = found.find((report) => report.type === "candidate-pair" && (report["nominated"] === true || report["selected"] === true));
  const rtt = number(pair?.["currentRoundTripTime"]);
  const srtp = transport?.["srtpCipher"];
  return { state, srtp: typeof srtp === "string" ? srtp : null, rttMs: rtt === null ? null : rtt * 1000 };
}

/** When things were first seen, for the time to the first picture. */
export class FirstFrames {
  private readonly drawn = new Map<string, number>();
  private readonly announced = new Map<string, number>();

  drew(participant: string): void {
    if (!this.drawn.has(participant)) this.drawn.set(participant, clock());
  }
  announce(participant: string): void {
    if (!this.announced.has(participant)) this.announced.set(participant, clock());
  }
  /** The shortest over all others. */
  firstMs(joinedAt: number, me: string | null): number | null {
    let best: number | null = null;
    for (const [participant, at] of this.drawn) {
      if (participant === me) continue;
      const from = Math.max(joinedAt, this.announced.get(participant) ?? joinedAt);
      if (best === null || at - from < best) best = Math.max(0, at - from);
    }
    return best === null ? null : Math.round(best);
  }
}

export async function readStats(call: CallController, first: FirstFrames): Promise<CallStats> {
  const state = call.state.get();
  const { publish, subscribe } = call.connections();
  const [sent, received] = await Promise.all([reports(publish), reports(subscribe)]);
  const inbound = received.filter((report) => report.type === "inbound-rtp");
  const tracks = state.counters.map((track): TrackStats => {
    const report = track.direction === "receive" ? inbound.find((line) => line["mid"] === track.mid) : undefined;
    return {
      ...track,
      framesDecoded: number(report?.["framesDecoded"]),
      framesPerSecond: number(report?.["framesPerSecond"]),
      width: number(report?.["frameWidth"]),
      height: number(report?.["frameHeight"]),
      packetsLost: number(report?.["packetsLost"]),
      freezes: number(report?.["freezeCount"]),
      pli: number(report?.["pliCount"]),
      concealed: number(report?.["concealedSamples"]),
    };
  });
  const sum = (of: (track: TrackStats) => number | null): number => tracks.reduce((total, track) => total + (of(track) ?? 0), 0);
  const decoded = inbound.filter((line) => line["kind"] === "video")
    .reduce((total, line) => total + (number(line["framesDecoded"]) ?? 0), 0);
  const hops = { publish: hop(sent, state.publish), subscribe: hop(received, state.subscribe) };
  return {
    participant: state.me,
    phase: state.phase,
    epoch: state.epoch,
    sending: state.sending.state === "allowed" ? "allowed" : `stopped:${state.sending.why}`,
    ...hops,
    srtp: hops.subscribe.srtp ?? hops.publish.srtp,
    frames_decoded: decoded,
    frames_rejected: sum((track) => track.rejected),
    frames_opened: sum((track) => track.opened),
    frames_sealed: sum((track) => track.sealed),
    frames_duplicate: sum((track) => track.duplicates),
    frames_before: sum((track) => track.unknown),
    first_frame_ms: first.firstMs(call.joinedAt, state.me),
    tracks,
  };
}

export function slotName(slot: number): "mic" | "cam" | "screen" {
  if (slot === SLOT.microphone || slot === SLOT.screenAudio) return "mic";
  return slot >= SLOT.screen ? "screen" : "cam";
}
