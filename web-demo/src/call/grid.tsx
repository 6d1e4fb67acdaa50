// The tiles: a grid that fills the room it has, or one large with the others beside it. Arrows move between tiles.

import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { clock } from "../state/clock";
import { SLOT } from "../wire/client";
import type { PageConfig } from "../wire/front";
import type { CallController } from "./controller";
import { firmName } from "./problems";
import { lockOf, mutedOf, peopleOf, viewOffOf, type CallState } from "./state";
import { Tile } from "./tile";

const ASPECT = 16 / 9;
const GAP = 10;

/** Columns that make tiles of 16:9 largest. */
export function columnsFor(tiles: number, width: number, height: number): number {
  let best = 1;
  let bestWidth = 0;
  for (let columns = 1; columns <= Math.max(1, tiles); columns += 1) {
    const rows = Math.ceil(tiles / columns);
    const wide = (width - GAP * (columns - 1)) / columns;
    const high = ((height - GAP * (rows - 1)) / rows) * ASPECT;
    const fit = Math.min(wide, high);
    if (fit > bestWidth) [best, bestWidth] = [columns, fit];
  }
  return best;
}

interface Props { config: PageConfig; state: CallState; call: CallController; onFrame: (participant: string) => void }

export function Grid({ config, state, call, onFrame }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 1, height: 1 });
  const [chosen, setChosen] = useState<string | null>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const people = peopleOf(state);
  const spotlight = people.some((person) => person.participant === chosen) ? chosen : null;
  const columns = columnsFor(people.length, size.width, size.height);
  const rows = Math.ceil(people.length / columns);
  const wide = Math.min((size.width - GAP * (columns - 1)) / columns, ((size.height - GAP * (rows - 1)) / rows) * ASPECT);
  const move = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const step = steps[event.key];
    const from = (document.activeElement as HTMLElement | null)?.dataset["tile"];
    if (step === undefined || from === undefined) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(people.length - 1, Number(from) + step));
    box.current?.querySelector<HTMLElement>(`[data-tile="${to}"]`)?.focus();
  };
  const style = { "--columns": String(columns), "--wide": `${Math.max(80, Math.floor(wide))}px` };
  const now = clock();
  return (
    <div ref={box} class={spotlight === null ? "grid" : "grid spotlight"} style={style} onKeyDown={move} data-testid="grid">
      {people.map((person, index) => {
        const remote = state.tracks.find(({ track }) => track.participant === person.participant && track.slot >= SLOT.camera && track.slot < SLOT.screen);
        const media = person.me ? call.media.view?.track ?? null : remote?.media ?? null;
        return (
          <Tile key={person.participant} person={person} firmName={firmName(config, person.firm)} media={media} index={index}
            off={viewOffOf(state, person.participant)} muted={mutedOf(state, person.participant)}
            speaking={state.speaking[person.participant] ?? false} mirrored={person.me && !state.testPicture}
            lock={person.me ? "none" : lockOf(state.counters, person.participant, now)}
            chosen={spotlight === person.participant}
            onChoose={() => setChosen(spotlight === person.participant ? null : person.participant)}
            onFrame={() => onFrame(person.participant)} />
        );
      })}
      {people.length <= 1 && state.phase === "in" && <p class="alone" role="status">{t("alone")}</p>}
    </div>
  );
}
