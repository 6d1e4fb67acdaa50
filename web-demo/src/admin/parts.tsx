// Small parts of the administrators' pages: what is being read, problems in their words, lists of changes and refusals.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { firmName } from "../call/problems";
import { FrontProblem } from "../front/api";
import { t } from "../i18n";
import { ta, type AdminKey } from "../i18n/admin";
import { textOf } from "../officer/load";
import { WorkerProblem } from "../state/keys";
import type { ChangeLine, Rule, Simulated, Tier } from "../wire/admin";
import type { PageConfig } from "../wire/front";
import type { Administrator } from "./app";

const PROBLEMS: Record<string, AdminKey> = {
  "two-persons": "pTwo", "stale": "pStale", "waiting": "pWaiting", "over": "pOver", "expired": "pExpired", "another-change": "pAnother",
};
export const RULES: Record<Rule, AdminKey> = { must: "ruleMust", should: "ruleShould", off: "ruleOff", forbidden: "ruleForbidden" };
export const TIERS: Record<Tier, AdminKey> = { "audio": "tierAudio", "p360": "tierP360", "full": "tierFull", "screen-only": "tierScreen" };
const EFFECTS: Record<ChangeLine["effect"], AdminKey> = { stricter: "effectStricter", looser: "effectLooser", own: "effectOwn" };

export function problemOf(config: PageConfig, error: unknown): string {
  const code = error instanceof FrontProblem || error instanceof WorkerProblem ? error.problem.code : "";
  const key = PROBLEMS[code];
  return key === undefined ? textOf(config, error) : ta(key);
}

export interface Read<T> { value: T | null; problem: string | null; again: () => void; set: (value: T) => void }

/** Reads when the page appears and whenever `on` changes. */
export function useRead<T>(who: Administrator, read: () => Promise<T>, on: readonly unknown[] = []): Read<T> {
  const [value, set] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const again = (): void => {
    setProblem(null);
    read().then(set, (error: unknown) => setProblem(problemOf(who.config, error)));
  };
  useEffect(again, on);
  return { value, problem, again, set };
}

/** Heading with a button to read again, and what was read. */
export function Page<T>({ title, why, read, children }: {
  title: string; why?: string; read: Read<T>; children: (value: T) => ComponentChildren;
}) {
  return (
    <section aria-labelledby="admin-title">
      <div class="row head-row">
        <h1 id="admin-title">{title}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={read.again} data-testid="refresh">{ta("refresh")}</button>
      </div>
      {why !== undefined && <p class="small">{why}</p>}
      {read.problem !== null && (
        <p class="error" role="alert" data-testid="problem">{read.problem} <button type="button" class="button" onClick={read.again}>{t("retry")}</button></p>
      )}
      {read.value === null ? read.problem === null && <p aria-busy="true">{t("loading")}</p> : children(read.value)}
    </section>
  );
}

/** A chip that says good or bad, in words and colour. */
export function Chip({ good, children }: { good: boolean; children: ComponentChildren }) {
  return <span class={`chip ${good ? "good" : "bad"}`}>{children}</span>;
}

export function Changes({ lines }: { lines: ChangeLine[] }) {
  if (lines.length === 0) return <p class="empty" data-testid="no-change">{ta("noChange")}</p>;
  // the words end with the effect in brackets: the chip says it
  const bare = (text: string): string => text.replace(/ \([^()]*\)$/, "");
  return (
    <ul class="plain" data-testid="changes">
      {lines.map((line) => (
        <li key={line.text} data-effect={line.effect}>
          <span class={`chip ${line.effect === "stricter" ? "open" : "plain-chip"}`}>{ta(EFFECTS[line.effect])}</span> {bare(line.text)}
        </li>
      ))}
    </ul>
  );
}

export function Simulation({ config, outcome }: { config: PageConfig; outcome: Simulated }) {
  const { clashes, refused, entered, of } = outcome;
  return (
    <div data-testid="simulation" aria-live="polite">
      {clashes.map((said) => <p key={said} class="error">{said}</p>)}
      {clashes.length === 0 && refused.length === 0 && <p>{ta("simulationNone", { of })}</p>}
      {refused.length > 0 && (<>
        <p>{ta("entered", { entered, of })}</p>
        <ul class="plain">
          {refused.map((one) => (
            <li key={`${one.firm}/${one.user}/${one.said}`} data-testid="refused">
              <strong>{one.guest ? ta("guestOf", { firm: firmName(config, one.firm) }) : `${one.user} (${firmName(config, one.firm)})`}</strong>: {one.said}
            </li>
          ))}
        </ul>
      </>)}
    </div>
  );
}

/** The begin of a hash: enough to compare by eye. */
export function Hash({ value }: { value: string }) {
  return <span class="mono small" title={value}>{value.slice(0, 16)}</span>;
}
