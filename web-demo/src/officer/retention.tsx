// Retention: until when each meeting is kept and what holds it, and the acts that two officers sign. What is shown is what
// the recorder did, not what was asked for.

import { useState } from "preact/hooks";
import { count, dateTime, t, type Key } from "../i18n";
import type { RetentionAct, RetentionRow, RetentionWhat } from "../wire/retention";
import type { Officer } from "./app";
import { ListState } from "./parts";
import { titleOf, useBooks, WHATS } from "./retentionbooks";
import { ActDialog, ConsentDialog } from "./retentionsign";

const STATES: Record<RetentionAct["state"], { text: Key; kind: string }> = {
  waiting: { text: "retWaiting", kind: "open" }, lapsed: { text: "retLapsed", kind: "plain-chip" },
  signed: { text: "retSigned", kind: "open" }, done: { text: "retDone", kind: "good" }, refused: { text: "retRefused", kind: "bad" },
};

/** `#retention/<meeting>` shows that meeting alone. */
function chosen(): string | null {
  const [, meeting] = location.hash.slice(1).split("/");
  return meeting ?? null;
}

/** What may be asked for now; the front and the recorder judge it again. */
function possible(row: RetentionRow): RetentionWhat[] {
  if (row.problem !== null || row.phase === "disposed") return [];
  const expired = row.until <= Date.now();
  const all: RetentionWhat[] = ["hold"];
  if (row.holds.length > 0) all.push("release");
  if (row.raises.length > 0) all.push("raise");
  if (expired && row.holds.length === 0 && row.phase !== "disposing") all.push("dispose");
  return all;
}

function State({ row }: { row: RetentionRow }) {
  const expired = row.until <= Date.now();
  if (row.phase === "disposed") {
    return <span class="chip plain-chip" data-testid="retention-state">{t("retDisposed", { time: dateTime(row.disposed_at ?? 0) })}</span>;
  }
  const phase: Key | null = row.phase === "disposing" ? "retDisposing" : row.phase === "stopped" ? "retStopped" : null;
  return (
    <>
      <span class={`chip ${row.holds.length > 0 ? "bad" : "plain-chip"}`} data-testid="retention-state">
        {row.holds.length > 0 ? t("retHeld", { cases: row.holds.map((hold) => hold.case).join(", ") })
          : t(expired ? "retOver" : "retUntil", { time: dateTime(row.until) })}
      </span>
      {phase !== null && <span class="chip open">{t(phase)}</span>}
    </>
  );
}

function Meeting({ row, onAct }: { row: RetentionRow; onAct: (row: RetentionRow, what: RetentionWhat) => void }) {
  return (
    <li class="card request" data-testid="retention-meeting" data-meeting={row.meeting} data-phase={row.phase}>
      <div class="request-text">
        <p><strong>{titleOf(row, row.meeting)}</strong> · {t("retEnded", { time: dateTime(row.ended_at) })} <span class="small mono">{row.meeting.slice(0, 8)}</span></p>
        <p class="row">
          <State row={row} />
          <span class="small">
            {row.class_years > 0 ? t("retClass", { years: row.class_years }) : t("retNoClass")} · {t("retUntil", { time: dateTime(row.until) })}
          </span>
        </p>
        {row.holds.length > 0 && (
          <ul class="plain">
            {row.holds.map((hold) => (
              <li key={hold.case} class="small" data-testid="hold">
                {t("retHoldRow", { case: hold.case, reason: hold.reason, time: dateTime(hold.since), one: hold.by[0], two: hold.by[1] })}
              </li>
            ))}
          </ul>
        )}
        {row.phase === "disposed" && <p class="small">{t("retTombstone")}</p>}
        {row.problem !== null && <p class="error">{row.problem}</p>}
      </div>
      {row.inside ? <p class="small request-act">{t("offInRoster")}</p> : (
        <div class="request-act row">
          {possible(row).map((what) => (
            <button key={what} type="button" class={`button small-button${what === "dispose" ? " danger" : ""}`}
              data-testid={`retain-${what}`} onClick={() => onAct(row, what)}>{t(WHATS[what])}</button>
          ))}
        </div>
      )}
    </li>
  );
}

function Act({ officer, act, row, busy, onConsent }: {
  officer: Officer; act: RetentionAct; row: RetentionRow | undefined; busy: boolean; onConsent: () => void;
}) {
  const own = act.first === officer.login.user;
  const state = STATES[act.state];
  return (
    <li class="card request" data-testid="retention-act" data-meeting={act.meeting} data-what={act.what} data-state={act.state}>
      <div class="request-text">
        <p><strong>{t(WHATS[act.what])}</strong>{act.years !== null && ` (${t("retClass", { years: act.years })})`} · {titleOf(row, act.meeting)} · {t("offCase")} {act.case}</p>
        <p>{act.reason}</p>
        <p class="row">
          <span class={`chip ${state.kind}`}>{t(state.text)}</span>
          <span class="small">{act.second === null ? t("retBy", { name: act.first, time: dateTime(act.issued_at) })
            : t("retByTwo", { one: act.first, two: act.second, time: dateTime(act.issued_at) })}</span>
        </p>
        {act.detail !== "" && <p class="small">{t("retRecorderSays", { text: act.detail })}</p>}
      </div>
      {act.state === "waiting" && (
        <div class="request-act">
          {own ? <p class="small" data-testid="own-act">{t("offOwn")}</p>
            : row?.inside === true ? <p class="small">{t("offInRoster")}</p>
            : <button type="button" class="button primary" disabled={busy} onClick={onConsent} data-testid="consent">{t("retConsent")}</button>}
        </div>
      )}
    </li>
  );
}

export function RetentionPage({ officer }: { officer: Officer }) {
  const books = useBooks(officer);
  const [asking, setAsking] = useState<{ row: RetentionRow; what: RetentionWhat } | null>(null);
  const [consenting, setConsenting] = useState<RetentionAct | null>(null);
  const only = chosen();
  const list = { ...books, value: books.value === null ? null : [books.value] };
  return (
    <section aria-labelledby="retention-title">
      <div class="row head-row">
        <h1 id="retention-title">{t("offRetention")}</h1>
        <span class="spacer" />
        {only !== null && <a class="button" href="#retention" data-testid="retention-all">{t("offAll")}</a>}
        <button type="button" class="button" onClick={books.again} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      <p class="small">{t("retWhy")}</p>
      <ListState loaded={list} empty="">
        {([now]) => {
          if (now === undefined) return null;
          const fits = (one: { meeting: string }): boolean => only === null || one.meeting === only;
          const [meetings, acts] = [now.meetings.filter(fits), now.acts.filter(fits)];
          const rowOf = (meeting: string) => now.meetings.find((row) => row.meeting === meeting);
          return (<>
            {acts.length > 0 && <h2>{t("retActs")} ({count(acts.length)})</h2>}
            {acts.length > 0 && (
              <ul class="requests">
                {acts.map((act) => <Act key={act.id} officer={officer} act={act} row={rowOf(act.meeting)} busy={books.busy} onConsent={() => setConsenting(act)} />)}
              </ul>
            )}
            <h2>{t("retMeetings")} ({count(meetings.length)})</h2>
            {meetings.length === 0 ? <p class="empty">{t("offEmpty")}</p> : (
              <ul class="requests">
                {meetings.map((row) => <Meeting key={row.meeting} row={row} onAct={(of, what) => setAsking({ row: of, what })} />)}
              </ul>
            )}
          </>);
        }}
      </ListState>
      {asking !== null && <ActDialog officer={officer} books={books} row={asking.row} what={asking.what} onClose={() => setAsking(null)} />}
      {consenting !== null && <ConsentDialog officer={officer} books={books} act={consenting} onClose={() => setConsenting(null)} />}
    </section>
  );
}
