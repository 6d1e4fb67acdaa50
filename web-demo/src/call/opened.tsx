// "Who replayed me": what the signed ledger says of openings of this person's own meetings, as far as the firm shows it.

import { useState } from "preact/hooks";
import { front, FrontProblem } from "../front/api";
import { dateTime, t } from "../i18n";
import type { LoginSession, PageConfig } from "../wire/front";
import type { OpenedRow, OpenedToMe } from "../wire/review";
import { problemText } from "./problems";

function Row({ row }: { row: OpenedRow }) {
  const said = [row.by === null ? null : t("opnBy", { name: row.by }), row.case === null ? null : t("opnCase", { case: row.case })];
  return (
    <li data-testid="opened-row">
      {dateTime(row.at)}: {t(row.action === "open" ? "opnOpened" : "opnExported", { title: row.title, begin: dateTime(row.started_at) })}
      {said.filter((part) => part !== null).map((part) => `, ${part}`).join("")}
    </li>
  );
}

export function OpenedBox({ config, login }: { config: PageConfig; login: LoginSession }) {
  const [found, setFound] = useState<OpenedToMe | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  // asked only when somebody wants to know: custody reads its ledger for it
  const load = (): void => {
    setProblem(null);
    front.opened(login.session).then(setFound, (error: unknown) => setProblem(problemText(config, error instanceof FrontProblem ? error.problem : null)));
  };
  return (
    <details class="card opened" data-testid="opened" onToggle={({ currentTarget }) => { if (currentTarget.open) load(); }}>
      <summary>{t("opnTitle")}</summary>
      <p class="small">{t("opnWhy")}</p>
      {problem !== null && <p class="error" role="alert">{problem} <button type="button" class="button" onClick={load}>{t("retry")}</button></p>}
      {found === null && problem === null && <p aria-busy="true">{t("loading")}</p>}
      {found !== null && !found.shown && <p>{t("opnHidden")}</p>}
      {found !== null && found.shown && (<>
        {found.after_days > 0 && <p class="small">{t("opnAfter", { days: found.after_days })}</p>}
        {found.rows.length === 0 ? <p>{t("opnNone")}</p> : <ul class="plain">{found.rows.map((row, at) => <Row key={at} row={row} />)}</ul>}
      </>)}
    </details>
  );
}
