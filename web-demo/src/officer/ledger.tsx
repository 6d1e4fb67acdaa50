// The ledger of the firm's archive token: who did what to which meeting, newest first, with each entry's own verdict.

import { useState } from "preact/hooks";
import { front } from "../front/api";
import { dateTime, t, type Key } from "../i18n";
import type { LedgerRow } from "../wire/front";
import type { Officer } from "./app";
import { textOf, useLoaded } from "./load";
import { Integrity, ListState, shortName } from "./parts";

const ACTIONS: Record<string, Key> = {
  request: "offActRequest", approve: "offActApprove", open: "offActOpen", play: "offActPlay", seek: "offActSeek",
  export: "offActExport", search: "offActSearch", refused: "offActRefused",
  sample: "revActSample", assign: "revActAssign", note: "revActNote", dispose: "revActDispose", words: "revActWords",
  match: "revActMatch", copy: "revActCopy", retain: "retActRetain", "retain-consent": "retActConsent",
};
/** Stands for the meeting in entries about all of them. */
const WHOLE_ARCHIVE = "archive";
/** Entries read at once; the front answers at most so many. */
const PAGE = 1_000;

async function read(session: string, before?: number): Promise<LedgerRow[]> {
  const rows = await front.ledger(session, before === undefined ? undefined : Math.max(0, before - PAGE));
  return rows.filter((row) => before === undefined || row.index < before).reverse();
}

export function LedgerPage({ officer }: { officer: Officer }) {
  const loaded = useLoaded(officer.config, () => read(officer.session));
  const [older, setOlder] = useState<LedgerRow[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const more = (before: number): void => {
    setProblem(null);
    read(officer.session, before).then((rows) => setOlder([...older, ...rows]), (error: unknown) => setProblem(textOf(officer.config, error)));
  };
  const again = (): void => {
    setOlder([]);
    loaded.again();
  };
  return (
    <section aria-labelledby="ledger-title">
      <div class="row head-row">
        <h1 id="ledger-title">{t("offLedger")}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={again} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      <p class="small">{t("offLedgerWhy")}</p>
      <ListState loaded={loaded} empty={t("offLedgerEmpty")}>
        {(newest) => {
          const rows = [...newest, ...older];
          const first = rows.at(-1)?.index ?? 0;
          return (<>
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
                    <td>{index}</td><td class="when">{dateTime(event.at)}</td><td>{shortName(event.actor)}</td>
                    <td>{t(ACTIONS[event.action] ?? "offAction")}</td><td class="mono small">{event.meeting === WHOLE_ARCHIVE ? t("offWholeArchive") : event.meeting.slice(0, 8)}</td>
                    <td class="ledger-note">{event.note}</td><td><Integrity value={integrity} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {problem !== null && <p class="error" role="alert">{problem}</p>}
          {first > 0 && <button type="button" class="button" onClick={() => more(first)} data-testid="older">{t("offOlder")}</button>}
          </>);
        }}
      </ListState>
    </section>
  );
}
