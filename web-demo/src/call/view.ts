// What this page shows, and how large: the SFU sends no more than that. Said when it settled, and only when it changed.

import type { PageToServer, Wish } from "../wire/client";

/** Sizes settle so long before they are said, ms: a window being resized is not a new view at every step. */
const SETTLE_MS = 150;
/** A page may be hidden so long before its pictures stop, ms: one who looks something up is back by then. */
const HIDDEN_MS = 3_000;
/** Heights are said in steps of so many pixels: a tile that breathes is not a new view. */
const STEP = 16;

export interface Shown { participant: string; slot: number; height: number; pinned: boolean }

/** Wishes for the tiles; nothing is wished while the page is hidden. */
export function wishesOf(shown: readonly Shown[], pixelRatio: number, visible: boolean): Wish[] {
  return shown.map(({ participant, slot, height, pinned }) => ({
    participant,
    slot,
    max_height: visible ? Math.min(4_320, Math.ceil((height * pixelRatio) / STEP) * STEP) : 0,
    weight: pinned ? "pinned" : "normal",
  }));
}

export class View {
  private shown: readonly Shown[] = [];
  private said = "";
  private visible = true;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private hiding: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly send: (message: PageToServer) => void) {
    document.addEventListener("visibilitychange", this.changed);
  }

  show(shown: readonly Shown[]): void {
    this.shown = shown;
    this.settle();
  }

  /** The service may have forgotten what was said. */
  again(): void {
    this.said = "";
    this.settle();
  }

  close(): void {
    document.removeEventListener("visibilitychange", this.changed);
    clearTimeout(this.timer);
    clearTimeout(this.hiding);
  }

  private readonly changed = (): void => {
    clearTimeout(this.hiding);
    const apply = (): void => {
      this.visible = document.visibilityState === "visible";
      this.settle();
    };
    if (document.visibilityState === "visible") apply();
    else this.hiding = setTimeout(apply, HIDDEN_MS);
  };

  private settle(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.say(), SETTLE_MS);
  }

  private say(): void {
    const wishes = wishesOf(this.shown, globalThis.devicePixelRatio, this.visible);
    const text = JSON.stringify(wishes);
    if (text === this.said) return;
    this.said = text;
    this.send({ type: "view", wishes });
  }
}
