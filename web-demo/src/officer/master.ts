// The master clock of a replay: one position on the meeting's time line that all lanes follow. Told the time; pure.

/** A lane further off than this is set, not nudged, s: people notice lips and sound apart from about 0.1 s on. */
export const JUMP_S = 0.12;
/** Below this nothing is done, s. */
export const NEAR_S = 0.03;
/** How strongly a lane is nudged. */
export const NUDGE = 0.05;

export class MasterClock {
  private base = 0;
  private since: number | null = null;
  private speed = 1;

  constructor(readonly durationMs: number) {}

  get playing(): boolean {
    return this.since !== null;
  }
  get rate(): number {
    return this.speed;
  }
  position(now: number): number {
    const run = this.since === null ? 0 : (now - this.since) * this.speed;
    return Math.max(0, Math.min(this.durationMs, this.base + run));
  }
  play(now: number): void {
    if (this.since !== null) return;
    if (this.base >= this.durationMs) this.base = 0;
    this.since = now;
  }
  pause(now: number): void {
    this.base = this.position(now);
    this.since = null;
  }
  seek(now: number, toMs: number): void {
    this.base = Math.max(0, Math.min(this.durationMs, toMs));
    if (this.since !== null) this.since = now;
  }
  setRate(now: number, rate: number): void {
    this.base = this.position(now);
    if (this.since !== null) this.since = now;
    this.speed = rate;
  }
  ended(now: number): boolean {
    return this.position(now) >= this.durationMs;
  }
}

export type Correction = { kind: "none" } | { kind: "rate"; rate: number } | { kind: "jump"; toS: number };

/** What brings a lane at `laneS` back to the master at `masterS`. */
export function correct(masterS: number, laneS: number, rate: number): Correction {
  const behind = masterS - laneS;
  if (Math.abs(behind) > JUMP_S * Math.max(1, rate)) return { kind: "jump", toS: masterS };
  if (Math.abs(behind) < NEAR_S) return { kind: "none" };
  return { kind: "rate", rate: rate * (1 + Math.sign(behind) * NUDGE) };
}
