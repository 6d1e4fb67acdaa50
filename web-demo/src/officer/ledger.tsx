// The ledger of the firm's archive token: who did what to which meeting, newest first, with each entry's own verdict.

import { front } from "../front/api";
import { dateTime, t, type Key } from "../i18n";
import type { LedgerRow } from "../wire/front";
import type { Officer } from "./app";
import { useLoaded } from "./load";
import { Integrity, ListState, shortName } from "./parts";

const ACTIONS: Record<string, Key> = {
  request: "offActRequest", approve: "offActApprove", open: "offActOpen", play: "offActPlay", seek: "offActSeek",
  export: "offActExport", refused: "offActRefused",
};
/** Entries read at once; custody answers at most so many. */
const PAGE = 1_000;
/** Entries read in all: beyond it the ledger is read with tools, not eyes. */
const MOST = 10_000;

async function readAll(session: string): Promise<LedgerRow[]> {
  const rows: LedgerRow[] = [];
  for (;;) {
    const part = await front.ledger(session, rows.length);
    rows.push(...part);
    if (part.length < PAGE || rows.length >= MOST) return rows.reverse();
  }
}

export function LedgerPage({ officer }: { officer: Officer }) {
  const loaded = useLoaded(officer.config, () => readAll(officer.session));
  return (
    <section aria-labelledby="ledger-title">
      <div class="row head-row">
        <h1 id="ledger-title">{t("offLedger")}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={loaded.again} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      <p class="small">{t("offLedgerWhy")}</p>
      <ListState loaded={loaded} empty={t("offLedgerEmpty")}>
        {(rows) => (
          <div class="scroll card flush">
            <table class="table" data-testid="ledger">
              <thead>
                <tr>
                  <th scope="col">{t("offIndex")}</th><th scope="col">{t("offTime")}</th><th scope="col">{t("offActor")}</th>
                  <th scope="col">{t("offAction")}</th><th scope="col">{t("offMeeting")}</th><th scope="col">{t("offNote")}</th>
                  <th scope="col">{t("offIntegrity")}</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ index, event, integrity }) => (
                  <tr key={index} data-testid="ledger-row" data-action={event.action}>
                    <td>{index}</td><td>{dateTime(event.at)}</td><td>{shortName(event.actor)}</td>
                    <td>{t(ACTIONS[event.action] ?? "offAction")}</td><td class="mono small">{event.meeting.slice(0, 8)}</td>
                    <td>{event.note}</td><td><Integrity value={integrity} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </ListState>
    </section>
  );
}
