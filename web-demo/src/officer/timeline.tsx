// The time line: one row per speaker with presence and gaps in red, marks for joins, leaves and key changes, and the
// seek bar over all. Draws and reports; the player acts.

import { useState } from "preact/hooks";
import { span, t, type Key } from "../i18n";
import type { LaneEvent, Opened } from "../wire/front";
import type { Clip } from "./export";

const KINDS: Record<string, Key> = { join: "offKindJoin", leave: "offKindLeave", epoch: "offKindEpoch", gap: "offKindGap",
  recorder: "offKindRecorder", incident: "offKindIncident", chat: "offChat", statement: "offKindStatement",
  pause: "offKindPause", notice: "offKindNotice", host: "offKindHost" };

/** Golden angle from a calm start: neighbours differ, and none is the red of a gap. */
function laneHue(at: number): number {
  return 170 + ((at * 137.5) % 150);
}

export function markText(event: LaneEvent): string {
  return t("offMark", { kind: t(KINDS[event.kind] ?? "offKindIncident"), time: span(event.at_ms), text: event.text });
}

interface Props { opened: Opened; clip: Clip; positionMs: number; onSeek: (toMs: number) => void }

export function Timeline({ opened, clip, positionMs, onSeek }: Props) {
  const [drag, setDrag] = useState<number | null>(null);
  const total = Math.max(1, opened.duration_ms);
  const part = (ms: number): string => `${(100 * Math.max(0, Math.min(total, ms))) / total}%`;
  const width = (from: number, to: number): string => `${(100 * Math.max(0, Math.min(total, to) - Math.max(0, from))) / total}%`;
  const shown = drag ?? positionMs;
  return (
    <div class="timeline" role="group" aria-label={t("offLanes")}>
      <div class="lanes">
        {opened.lanes.map((lane, at) => (
          <div key={lane.parts[0]?.src} class="lane-row">
            <span class="lane-name">{lane.name}</span>
            <span class="lane-track">
              <span class="lane-here" style={{ left: part(lane.from_ms), width: width(lane.from_ms, lane.to_ms), "--hue": String(laneHue(at)) }} />
              {lane.gaps.map(([from, to]) => (
                <span key={from} class="lane-gap" data-testid="gap" style={{ left: part(from), width: width(from, to) }}
                  title={t("offGapAt", { from: span(from), to: span(to) })} />
              ))}
            </span>
          </div>
        ))}
        <div class="lane-row marks" aria-hidden="true">
          <span class="lane-name">{t("offEvents")}</span>
          <span class="lane-track">
            {opened.events.map((event, at) => (
              <span key={at} class={`mark mark-${event.kind}`} style={{ left: part(event.at_ms) }} title={markText(event)} />
            ))}
          </span>
        </div>
        {clip.from !== null && clip.to !== null && clip.to > clip.from && (
          <div class="playhead-box" aria-hidden="true"><span class="clip" data-testid="clip" style={{ left: part(clip.from), width: width(clip.from, clip.to) }} /></div>
        )}
        <div class="playhead-box" aria-hidden="true"><span class="playhead" style={{ left: part(shown) }} /></div>
      </div>
      <div class="lane-row">
        <span class="lane-name mono">{span(shown)}</span>
        <input type="range" class="seek" min={0} max={total} step={100} value={shown} aria-label={t("offSeek")}
          aria-valuetext={span(shown)} data-testid="seek" onInput={({ currentTarget }) => setDrag(Number(currentTarget.value))}
          onChange={({ currentTarget }) => { setDrag(null); onSeek(Number(currentTarget.value)); }} />
      </div>
    </div>
  );
}
