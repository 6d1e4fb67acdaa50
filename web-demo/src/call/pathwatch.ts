// Notices that a call's way through the network is gone, long before ICE or TCP say so: media that flowed falls silent.
// Pure: told the time and what was seen, it answers what is to be done.

export type Way = "publish" | "subscribe";
/** What to do: ask signaling whether it is still there; renew the paths of both transports; make the transports anew. */
export type Act = "probe" | "restart" | "renew" | null;

/** The transports are looked at so often, ms. */
export const LOOK_MS = 250;
/** Sound comes every 20 ms, feedback every 100: so much silence is no gap between packets, ms. */
export const SILENT_MS = 500;
/** So many looks with something new in each: only what flows steadily can fall silent. */
const STEADY_LOOKS = 4;
/** The SFU forgets a transport after 5 s without a packet; paths are renewed only while it surely remembers, ms. */
export const STALE_MS = 3_500;
/** From a repair to the first packet on the new path, at most, ms: ten round trips of 200 ms; then the next repair. */
export const MENDED_MS = 2_500;
/** Asked again so often while no answer comes, ms. */
const ASK_AGAIN_MS = 2_000;
/** Repairs after which a connected transport on which nothing flows is believed to have nothing to say. */
const ENOUGH_REPAIRS = 2;

const WAYS: readonly Way[] = ["publish", "subscribe"];

interface Flow { bytes: number; grewAt: number | null; looks: number }
interface Trouble { since: number; steady: readonly Way[]; askedAt: number; repairedAt: number | null; repairs: number }

export class PathWatch {
  private readonly flows: Record<Way, Flow> = { publish: idle(0), subscribe: idle(0) };
  private readonly broken = new Set<Way>();
  private trouble: Trouble | null = null;
  /** The device said that it lost its network, and not yet that it is back. */
  private gone = false;

  get troubled(): boolean {
    return this.trouble !== null;
  }
  /** Trouble that people are told of: silence that a question clears up within a moment is none. */
  get repairing(): boolean {
    return this.trouble !== null && (this.trouble.repairs > 0 || this.broken.size > 0 || this.gone);
  }

  /** Bytes that each transport received since it began; null: there is none. */
  look(now: number, received: Record<Way, number | null>): Act {
    for (const way of WAYS) this.count(now, way, received[way] ?? 0);
    if (this.trouble !== null) return this.mend(now, this.trouble);
    const silent = WAYS.filter((way) => this.silent(now, way));
    return silent.length === 0 ? null : this.begin(now, Math.min(...silent.map((way) => this.flows[way].grewAt ?? now)));
  }

  /** What a connection says of itself. */
  state(now: number, way: Way, state: RTCPeerConnectionState): Act {
    if (state !== "failed" && state !== "disconnected") {
      this.broken.delete(way);
      return null;
    }
    this.broken.add(way);
    return this.trouble === null ? this.begin(now, this.flows[way].grewAt ?? now) : null;
  }

  /** The device has a network again: nothing that was open can be trusted. */
  online(now: number): Act {
    this.gone = false;
    if (this.trouble === null) return this.begin(now, this.lastGrowth() ?? now);
    this.trouble.askedAt = now;
    return "probe";
  }

  /** The device says that it has no network. */
  offline(now: number): void {
    this.gone = true;
    if (this.trouble === null) this.begin(now, this.lastGrowth() ?? now);
  }

  /** Signaling answered: on a `new` connection, or still on the one there was. */
  heard(now: number, connection: "new" | "old"): Act {
    const { trouble } = this;
    if (trouble === null || trouble.repairedAt !== null) return null;
    if (connection === "old" && this.broken.size === 0 && trouble.repairs === 0) {
      // the network stands, so the others merely have nothing to say: a transport that is broken will say so itself
      for (const way of WAYS) this.flows[way].looks = 0;
      this.trouble = null;
      return null;
    }
    const how = trouble.repairs === 0 && now - trouble.since < STALE_MS ? "restart" : "renew";
    trouble.repairedAt = now;
    trouble.repairs += 1;
    return how;
  }

  private count(now: number, way: Way, bytes: number): void {
    const flow = this.flows[way];
    // fewer than before: another connection
    if (bytes < flow.bytes) this.flows[way] = idle(bytes);
    else if (bytes > flow.bytes) {
      flow.looks = flow.grewAt !== null && now - flow.grewAt < SILENT_MS ? flow.looks + 1 : 1;
      flow.bytes = bytes;
      flow.grewAt = now;
    }
  }

  private silent(now: number, way: Way): boolean {
    const { grewAt, looks } = this.flows[way];
    return looks >= STEADY_LOOKS && grewAt !== null && now - grewAt >= SILENT_MS;
  }

  private lastGrowth(): number | null {
    const at = WAYS.flatMap((way) => this.flows[way].grewAt ?? []);
    return at.length === 0 ? null : Math.max(...at);
  }

  private begin(now: number, since: number): Act {
    const steady = WAYS.filter((way) => this.flows[way].looks >= STEADY_LOOKS);
    this.trouble = { since, steady, askedAt: now, repairedAt: null, repairs: 0 };
    return "probe";
  }

  private mend(now: number, trouble: Trouble): Act {
    const { repairedAt } = trouble;
    if (repairedAt === null) {
      if (now - trouble.askedAt < ASK_AGAIN_MS) return null;
    } else {
      const flows = trouble.steady.every((way) => (this.flows[way].grewAt ?? 0) > repairedAt);
      const waited = now - repairedAt >= MENDED_MS;
      if (this.broken.size === 0 && (flows || (waited && trouble.repairs >= ENOUGH_REPAIRS))) {
        for (const way of WAYS) this.flows[way].looks = 0;
        this.trouble = null;
        return null;
      }
      if (!waited) return null;
      trouble.repairedAt = null;
    }
    trouble.askedAt = now;
    return "probe";
  }
}

function idle(bytes: number): Flow {
  return { bytes, grewAt: null, looks: 0 };
}
