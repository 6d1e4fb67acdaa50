// What a change would mean, before anybody signs it: differences, who would be refused, notices, cost.

import { LANGUAGES, count } from "../i18n";
import { money, size, ta } from "../i18n/admin";
import type { DraftAnswer } from "../wire/admin";
import type { Administrator } from "./app";
import { Changes, Simulation } from "./parts";

/** How people come in the simulation, and for how many hours the cost is computed. */
export interface Planned { client: number | null; region: string | null; hours: number | null }

interface Props {
  who: Administrator; answer: DraftAnswer; measured: number; administrators: number; busy: boolean;
  onAgain: (planned: Planned) => void; onSign: () => void; onEdit: () => void;
}

export function Review({ who, answer, measured, administrators, busy, onAgain, onSign, onEdit }: Props) {
  const { cost } = answer;
  const again = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string): string => String(form.get(name) ?? "").trim();
    const number = (name: string): number | null => (text(name) === "" ? null : Number(text(name)));
    onAgain({ client: number("client"), region: text("region") || null, hours: number("hours") });
  };
  return (
    <section aria-labelledby="review-title" data-testid="review">
      <h2 id="review-title">{ta("reviewTitle")}</h2>
      <div class="card">
        <h3>{ta("changes")}</h3>
        <Changes lines={answer.changes} />
      </div>
      <form class="card" onSubmit={again}>
        <h3>{ta("simulation")}</h3>
        <p class="small">{ta("simulationWhy")}</p>
        <Simulation config={who.config} outcome={answer.simulation} />
        <h3>{ta("cost")}</h3>
        <p class="small">{ta("costWhy", { hours: count(cost.hours), measured: count(measured) })}</p>
        <dl class="facts statement-facts" data-testid="cost">
          <div><dt>{ta("perMonth")}</dt><dd>{size(cost.bytes_a_month)}</dd></div>
          <div><dt>{ta("held")}</dt><dd>{size(cost.bytes_held)}</dd></div>
          <div><dt>{ta("firstMonth")}</dt><dd>{money(cost.first_month_cents)}</dd></div>
          <div><dt>{ta("fullMonth")}</dt><dd>{money(cost.full_month_cents)}</dd></div>
        </dl>
        <div class="criteria">
          <label class="field">{ta("withClient")}<input name="client" type="number" min={0} max={4_294_967_295} /></label>
          <label class="field">{ta("withRegion")}<input name="region" maxLength={64} /></label>
          <label class="field">{ta("hours")}<input name="hours" type="number" min={0} max={6000} defaultValue={String(cost.hours)} data-testid="hours" /></label>
        </div>
        <button class="button" disabled={busy} data-testid="again">{ta("again")}</button>
      </form>
      <div class="card">
        <h3>{ta("noticesRead")}</h3>
        {LANGUAGES.map(({ id, name }) => (
          <details key={id} open={id === "en"} data-testid={`read-${id}`}>
            <summary>{name}</summary>
            <ul lang={id}>{answer.notices[id].map((line) => <li key={line}>{line}</li>)}</ul>
          </details>
        ))}
      </div>
      <div class="row end">
        <button type="button" class="button" onClick={onEdit} data-testid="edit-again">{ta("edit")}</button>
        <button type="button" class="button primary" disabled={busy || answer.changes.length === 0} onClick={onSign} data-testid="sign">
          {ta(administrators > 1 ? "signPropose" : "sign")}
        </button>
      </div>
    </section>
  );
}
