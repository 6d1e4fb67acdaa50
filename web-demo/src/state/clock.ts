// The page's clock as ms since 1970, monotonic while the page lives: comparable with the worker's counters.

export function clock(): number {
  return performance.timeOrigin + performance.now();
}
