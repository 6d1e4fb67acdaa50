// A demonstration on one machine: two tones and two loudspeakers make an echo, so its second window joins muted. Pure.

import { tab } from "../state/tab";
import type { PageConfig } from "../wire/front";

/** Is this such a demonstration, and not somebody who reloads a page that was heard before? */
export function isRehearsal(config: PageConfig): boolean {
  const reloaded = performance.getEntriesByType("navigation")
    .some((entry) => (entry as PerformanceNavigationTiming).type === "reload");
  const resumed = tab.choice()?.muted === false && reloaded;
  return config.issuer === "development" && location.hostname.endsWith("localhost") && !resumed;
}
