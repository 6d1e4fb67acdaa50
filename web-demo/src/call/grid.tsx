// The tiles: a grid that fills the room it has, or one large with the others beside it. Arrows move between tiles.

import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { clock } from "../state/clock";
import { SLOT } from "../wire/client";
import type { PageConfig } from "../wire/front";
import type { CallController } from "./controller";
import { badgeOf } from "./problems";
import { qualityOf, troubleOf } from "./reception";
import { lockOf, mutedOf, peopleOf, viewOffOf, type CallState, type Person } from "./state";
import { Tile } from "./tile";
import type { Shown } from "./view";

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

/** One picture on the stage: a person's camera, or a screen that a person shares. */
interface Shape { person: Person; slot: number }

/** Screens that two people share at once stand large together. */
const SIDE_BY_SIDE = 2;

/** Chosen: no tile, not even a shared screen. */
const NONE = "none";

function keyOf({ person, slot }: Shape): string {
  return slot >= SLOT.screen ? `${person.participant} screen` : person.participant;
}

function trackOf(state: CallState, participant: string, from: number, to: number) {
  return state.tracks.find(({ track }) => track.participant === participant && track.slot >= from && track.slot < to);
}

/** Screens that are shared now, the others' first. */
function screensOf(state: CallState, people: readonly Person[]): Shape[] {
  const shared = people.filter((person) => (person.me ? state.sharing !== null : trackOf(state, person.participant, SLOT.screen, 32) !== undefined));
  return shared.sort((a, b) => Number(a.me) - Number(b.me)).map((person) => ({ person, slot: SLOT.screen }));
}

function mediaOf(state: CallState, call: CallController, { person, slot }: Shape): MediaStreamTrack | null {
  const screen = slot >= SLOT.screen;
  if (person.me) return screen ? state.sharing : call.media.view?.track ?? null;
  return trackOf(state, person.participant, screen ? SLOT.screen : SLOT.camera, screen ? 32 : SLOT.screen)?.media ?? null;
}

/** Tiles of others as they lie on the stage; what is scrolled away has no height. */
function shownIn(box: HTMLElement): Shown[] {
  const stage = box.getBoundingClientRect();
  return [...box.querySelectorAll<HTMLElement>("[data-tile]:not([data-me])")].map((tile) => {
    const { top, bottom, height } = tile.getBoundingClientRect();
    const visible = bottom > stage.top && top < stage.bottom;
    return {
      participant: tile.dataset["participant"] ?? "",
      slot: Number(tile.dataset["slot"]),
      height: visible ? height : 0,
      pinned: tile.classList.contains("chosen"),
    };
  });
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
  const tiles: Shape[] = [...screensOf(state, people), ...people.map((person) => ({ person, slot: SLOT.camera }))];
  // a screen that somebody shares is what the others came to see, unless they chose otherwise
  const shared = tiles.filter(({ slot }) => slot >= SLOT.screen).slice(0, SIDE_BY_SIDE).map(keyOf);
  const wanted = chosen === null ? shared : [chosen];
  const spotlight = wanted.filter((key) => tiles.some((tile) => keyOf(tile) === key));
  const columns = columnsFor(tiles.length, size.width, size.height);
  const rows = Math.ceil(tiles.length / columns);
  const wide = Math.min((size.width - GAP * (columns - 1)) / columns, ((size.height - GAP * (rows - 1)) / rows) * ASPECT);
  const layout = `${tiles.map(keyOf).join()} ${spotlight.join()} ${wide} ${size.height}`;
  useEffect(() => {
    if (box.current !== null) call.show(shownIn(box.current));
  }, [layout]);
  const move = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const step = steps[event.key];
    const from = (document.activeElement as HTMLElement | null)?.dataset["tile"];
    if (step === undefined || from === undefined) return;
    event.preventDefault();
    const to = Math.max(0, Math.min(tiles.length - 1, Number(from) + step));
    box.current?.querySelector<HTMLElement>(`[data-tile="${to}"]`)?.focus();
  };
  const style = { "--columns": String(columns), "--wide": `${Math.max(80, Math.floor(wide))}px` };
  const now = clock();
  return (
    <div ref={box} class={["grid", "grid spotlight", "grid spotlight two"][spotlight.length]} style={style} onKeyDown={move} data-testid="grid">
      {tiles.map((tile, index) => {
        const { person, slot } = tile;
        const key = keyOf(tile);
        const screen = slot >= SLOT.screen;
        const off = !screen && viewOffOf(state, person.participant);
        return (
          <Tile key={key} person={person} slot={slot} firmName={badgeOf(config, person)} media={mediaOf(state, call, tile)} index={index}
            off={off} muted={!screen && mutedOf(state, person.participant)}
            speaking={!screen && (state.speaking[person.participant] ?? false)} mirrored={person.me && !screen && !state.testPicture}
            lock={person.me ? "none" : lockOf(state.counters, person.participant, now)}
            trouble={person.me || off || !person.inGroup ? null : troubleOf(state, person.participant, slot, now)}
            quality={person.me ? null : qualityOf(state, person.participant)}
            chosen={spotlight.includes(key)}
            onChoose={() => setChosen(spotlight.length === 1 && spotlight[0] === key ? NONE : key)}
            onFrame={() => onFrame(person.participant)} />
        );
      })}
      {people.length <= 1 && state.phase === "in" && <p class="alone" role="status">{t("alone")}</p>}
    </div>
  );
}
