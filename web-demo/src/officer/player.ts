// Holds the lanes' media elements to the master clock. Every play and seek is told to the ledger before it happens.

import { correct, MasterClock, NEAR_S } from "./master";

/** Lanes are looked at so often, ms. */
const LOOK_MS = 100;

export interface PlayerView { positionMs: number; playing: boolean; rate: number; waiting: boolean }
export type Tell = (action: "play" | "seek", atMs: number) => Promise<void>;

/** What of the meeting an element plays, ms. */
export interface Piece { begin_ms: number; from_ms: number; to_ms: number }

export class Player {
  readonly clock: MasterClock;
  private readonly lanes = new Map<HTMLMediaElement, Piece>();
  private readonly timer: ReturnType<typeof setInterval>;
  private wanted = false;
  private busy: Promise<void> = Promise.resolve();

  constructor(durationMs: number, private readonly tell: Tell, private readonly draw: (view: PlayerView) => void) {
    this.clock = new MasterClock(durationMs);
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  add(lane: HTMLMediaElement, piece: Piece): void {
    this.lanes.set(lane, piece);
  }
  drop(lane: HTMLMediaElement): void {
    this.lanes.delete(lane);
  }

  play(): Promise<void> {
    return this.next(async () => {
      if (this.wanted) return;
      const now = performance.now();
      await this.tell("play", this.clock.ended(now) ? 0 : this.clock.position(now));
      this.wanted = true;
      this.clock.play(performance.now());
      this.look();
    });
  }
  pause(): void {
    this.wanted = false;
    this.clock.pause(performance.now());
    for (const lane of this.lanes.keys()) lane.pause();
    this.look();
  }
  toggle(): Promise<void> {
    if (!this.wanted) return this.play();
    this.pause();
    return Promise.resolve();
  }
  seek(toMs: number): Promise<void> {
    return this.next(async () => {
      const to = Math.max(0, Math.min(this.clock.durationMs, toMs));
      await this.tell("seek", to);
      this.clock.seek(performance.now(), to);
      for (const [lane, piece] of this.lanes) this.set(lane, Math.max(0, to - piece.begin_ms) / 1000);
      this.look();
    });
  }
  setRate(rate: number): void {
    this.clock.setRate(performance.now(), rate);
    this.look();
  }
  close(): void {
    clearInterval(this.timer);
    for (const lane of this.lanes.keys()) lane.pause();
  }

  /** One after another: the ledger keeps the order of what was done. */
  private next(work: () => Promise<void>): Promise<void> {
    const run = this.busy.then(work);
    this.busy = run.catch(() => undefined);
    return run;
  }

  private set(lane: HTMLMediaElement, seconds: number): void {
    if (lane.readyState >= HTMLMediaElement.HAVE_METADATA && !lane.seeking) lane.currentTime = seconds;
  }

  private past(lane: HTMLMediaElement, seconds: number): boolean {
    return lane.ended || (Number.isFinite(lane.duration) && seconds >= lane.duration);
  }

  private look(): void {
    const now = performance.now();
    if (this.clock.playing && this.clock.ended(now)) this.pause();
    const at = this.clock.position(now);
    const live: [HTMLMediaElement, number][] = [];
    for (const [lane, piece] of this.lanes) {
      if (lane.error !== null) continue;
      if (at < piece.from_ms || at >= piece.to_ms) this.waitAt(lane, piece);
      else if (!this.past(lane, (at - piece.begin_ms) / 1000)) live.push([lane, (at - piece.begin_ms) / 1000]);
    }
    const waiting = this.wanted && live.some(([lane]) => lane.seeking || lane.readyState < HTMLMediaElement.HAVE_FUTURE_DATA);
    if (this.wanted && waiting && this.clock.playing) this.clock.pause(now);
    else if (this.wanted && !waiting && !this.clock.playing) this.clock.play(now);
    for (const [lane, seconds] of live) this.follow(lane, seconds);
    this.draw({ positionMs: this.clock.position(now), playing: this.wanted, rate: this.clock.rate, waiting });
  }

  /** The piece after the one that plays stands where it begins, so that it goes on without a pause. */
  private waitAt(lane: HTMLMediaElement, piece: Piece): void {
    if (!lane.paused) lane.pause();
    const start = (piece.from_ms - piece.begin_ms) / 1000;
    if (Math.abs(lane.currentTime - start) > NEAR_S) this.set(lane, start);
  }

  private follow(lane: HTMLMediaElement, seconds: number): void {
    if (lane.seeking || lane.readyState < HTMLMediaElement.HAVE_METADATA) return;
    const fix = correct(seconds, lane.currentTime, this.clock.rate);
    if (fix.kind === "jump") lane.currentTime = fix.toS;
    const rate = fix.kind === "rate" ? fix.rate : this.clock.rate;
    if (lane.playbackRate !== rate) lane.playbackRate = rate;
    if (this.clock.playing && lane.paused) lane.play().catch(() => undefined);
    if (!this.clock.playing && !lane.paused) lane.pause();
  }
}
