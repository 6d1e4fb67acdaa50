// Short notes at the edge, spoken by screen readers through one polite live region. They go by themselves.

import { store, useStore } from "../state/store";

/** A note stays so long, ms: long enough to read two lines. */
const STAY_MS = 6_000;
/** At most so many at once. */
const MOST = 4;

interface Toast { id: number; text: string; tone: "plain" | "warn" }
const toasts = store<Toast[]>([]);
let next = 1;

export function toast(text: string, tone: Toast["tone"] = "plain"): void {
  const id = next++;
  if (toasts.get().some((known) => known.text === text)) return;
  toasts.set([...toasts.get(), { id, text, tone }].slice(-MOST));
  setTimeout(() => toasts.set(toasts.get().filter((known) => known.id !== id)), STAY_MS);
}

export function Toasts() {
  const all = useStore(toasts);
  return (
    <div class="toasts" role="status" aria-live="polite" data-testid="toasts">
      {all.map(({ id, text, tone }) => <p key={id} class={`toast ${tone}`}>{text}</p>)}
    </div>
  );
}
