// What the archive will hold and cost, per room over the years, and what ends when.

import { useState } from "preact/hooks";
import { desk } from "../front/admin";
import { count } from "../i18n";
import { money, size, ta } from "../i18n/admin";
import type { ForecastRoom } from "../wire/admin";
import type { Administrator } from "./app";
import { Page, RULES, TIERS, useRead } from "./parts";

function Room({ room }: { room: ForecastRoom }) {
  const most = room.years.at(-1)?.bytes ?? 0;
  return (
    <li class="card" data-testid="forecast-room" data-room={room.room}>
      <h2>{room.title}</h2>
      <p class="small">{ta(RULES[room.audio_video])} · {ta(TIERS[room.tier])} · {ta("years")}: {room.retention_years} · {ta("hours")}: {count(room.cost.hours)}</p>
      <dl class="facts statement-facts">
        <div><dt>{ta("kept")}</dt><dd>{ta("keptMeetings", { n: count(room.meetings), size: size(room.bytes) })}</dd></div>
        <div><dt>{ta("perMonth")}</dt><dd>{size(room.cost.bytes_a_month)}</dd></div>
        <div><dt>{ta("firstMonth")}</dt><dd>{money(room.cost.first_month_cents)}</dd></div>
        <div><dt>{ta("fullMonth")}</dt><dd>{money(room.cost.full_month_cents)}</dd></div>
      </dl>
      {room.years.length > 0 && (
        <table class="table" data-testid="years-table" aria-label={`${room.title}: ${ta("growth")}`}>
          <thead><tr><th scope="col">{ta("year")}</th><th scope="col">{ta("size")}</th><th scope="col">{ta("costMonth")}</th></tr></thead>
          <tbody>
            {room.years.map((year) => (
              <tr key={year.year}>
                <th scope="row">{ta("yearN", { n: year.year })}</th>
                <td><meter min={0} max={most} value={year.bytes} aria-label={ta("yearN", { n: year.year })} /> {size(year.bytes)}</td>
                <td>{money(year.month_cents)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </li>
  );
}

export function ForecastPage({ who }: { who: Administrator }) {
  const [planned, setPlanned] = useState<{ hours: number | null; price: number | null }>({ hours: null, price: null });
  const read = useRead(who, () => desk.forecast(who.session, planned.hours, planned.price), [planned]);
  const compute = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const number = (name: string): number | null => (String(form.get(name) ?? "") === "" ? null : Number(form.get(name)));
    setPlanned({ hours: number("hours"), price: number("price") });
  };
  return (
    <Page title={ta("forecast")} why={ta("forecastWhy")} read={read}>
      {(forecast) => (<div class="stack">
        <form class="card criteria" onSubmit={compute}>
          <label class="field">{ta("planned")}<input name="hours" type="number" min={0} max={6000} data-testid="plan-hours" /></label>
          <label class="field">{ta("price")}<input name="price" type="number" min={0} max={100_000} defaultValue={String(forecast.price)} /></label>
          <button class="button" data-testid="compute">{ta("compute")}</button>
        </form>
        {forecast.left_out > 0 && <p class="small">{ta("leftOut", { n: count(forecast.left_out) })}</p>}
        {forecast.rooms.length === 0 && <p class="empty">{ta("forecastNone")}</p>}
        <ul class="requests" data-testid="forecast">{forecast.rooms.map((room) => <Room key={room.room} room={room} />)}</ul>
        <section aria-labelledby="expiries-title">
          <h2 id="expiries-title">{ta("expiries")}</h2>
          {forecast.expiries.length === 0 ? <p class="empty">{ta("expiriesNone")}</p> : (
            <div class="scroll card flush">
              <table class="table">
                <thead><tr><th scope="col">{ta("year")}</th><th scope="col">{ta("meetings")}</th><th scope="col">{ta("size")}</th></tr></thead>
                <tbody>{forecast.expiries.map((row) => <tr key={row.year}><th scope="row">{row.year}</th><td>{count(row.meetings)}</td><td>{size(row.bytes)}</td></tr>)}</tbody>
              </table>
            </div>
          )}
        </section>
      </div>)}
    </Page>
  );
}
