// Counts of frames per track, kept where frames are sealed and opened. Pure bookkeeping.

import type { Codec, ParticipantId } from "../wire/client";
import type { TrackCounters } from "../wire/worker";

export function newCounters(direction: "send" | "receive", mid: string | null, slot: number, codec: Codec): TrackCounters {
  return {
    direction, mid, slot, codec, participant: null, sealed: 0, opened: 0, dropped: 0, rejected: 0, unknown: 0, duplicates: 0,
    held: 0, empty: 0, firstAt: null, lastAt: null, lastError: null,
  };
}

export class CounterBook {
  private readonly tracks = new Map<string, TrackCounters>();

  /** The counters of one track; a section that now carries someone else's track starts anew. */
  of(direction: "send" | "receive", mid: string | null, slot: number, codec: Codec, who: ParticipantId | null): TrackCounters {
    const key = direction === "send" ? `send ${slot}` : `receive ${mid ?? ""} ${who ?? ""} ${slot}`;
    let found = this.tracks.get(key);
    if (found === undefined) {
      found = newCounters(direction, mid, slot, codec);
      found.participant = who;
      this.tracks.set(key, found);
    }
    return found;
  }

  all(): TrackCounters[] {
    return [...this.tracks.values()].map((track) => ({ ...track }));
  }
}

/** This worker's clock as ms since 1970, monotonic while it lives. */
export function clock(): number {
  return performance.timeOrigin + performance.now();
}
