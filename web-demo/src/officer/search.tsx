// The search form of the archive: who, which firm, which room, when, which words in an opened chat. Only asks; the front
// writes the search to the ledger before it looks.

import { useState } from "preact/hooks";
import { t, type Key } from "../i18n";
import type { PageConfig, Search } from "../wire/front";

const DAY_MS = 86_400_000;

/** Begin of a day of `<input type="date">` in this browser's time; `null` for none. */
export function dayOf(value: string, plusDays = 0): number | null {
  const at = value === "" ? Number.NaN : new Date(`${value}T00:00:00`).getTime();
  return Number.isNaN(at) ? null : at + plusDays * DAY_MS - (plusDays > 0 ? 1 : 0);
}

export function searchOf(form: FormData): Search {
  const text = (name: string): string => String(form.get(name) ?? "").trim();
  return {
    person: text("person"), firm: text("firm"), room: text("room"), trade: text("trade"), counterparty: text("counterparty"),
    text: text("text"), from: dayOf(text("from")), to: dayOf(text("to"), 1),
  };
}

function Words({ name, label }: { name: Exclude<keyof Search, "from" | "to" | "firm">; label: Key }) {
  return <label class="field">{t(label)}<input name={name} type="search" maxLength={100} data-testid={`search-${name}`} /></label>;
}

interface Props { config: PageConfig; busy: boolean; searched: boolean; onSearch: (search: Search) => void; onClear: () => void }

export function SearchForm({ config, busy, searched, onSearch, onClear }: Props) {
  const [key, setKey] = useState(0);
  const send = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    onSearch(searchOf(new FormData(event.currentTarget)));
  };
  const clear = (): void => {
    setKey(key + 1);
    onClear();
  };
  return (
    <form key={key} class="card searching" role="search" aria-label={t("offSearchTitle")} onSubmit={send} data-testid="search-form">
      <div class="criteria">
        <Words name="person" label="offPerson" />
        <label class="field">{t("offFirm")}
          <select name="firm" data-testid="search-firm">
            <option value="">{t("offAnyFirm")}</option>
            {config.trust.firms.map(({ firm, name }) => <option key={firm} value={firm}>{name}</option>)}
          </select>
        </label>
        <Words name="room" label="offRoom" />
        <Words name="trade" label="offTrade" />
        <Words name="counterparty" label="offCounterparty" />
        <Words name="text" label="offChatText" />
        <label class="field">{t("offFrom")}<input name="from" type="date" data-testid="search-from" /></label>
        <label class="field">{t("offTo")}<input name="to" type="date" data-testid="search-to" /></label>
      </div>
      <div class="row">
        <button class="button primary" disabled={busy} data-testid="search-go">{t("offFind")}</button>
        {searched && <button type="button" class="button" onClick={clear} data-testid="search-clear">{t("offAll")}</button>}
        <span class="small">{t("offSearchWhy")}</span>
      </div>
    </form>
  );
}
