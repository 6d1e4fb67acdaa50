// Word lists and what they matched: changing the lists, running them over the meetings that this officer may open, hits
// that lead into the replay.

import { useState } from "preact/hooks";
import { front } from "../front/api";
import { count, dateTime, span, t } from "../i18n";
import type { AlertRow, HitRow, MatchRun, WordsList, WordsRow } from "../wire/review";
import type { Officer, Playing } from "./app";
import { useDesk, useWays, type Desk, type Ways } from "./desk";
import { Lead } from "./lead";
import { textOf } from "./load";
import { AssignDialog, Missing } from "./reviews";

const MAX_LISTS = 20;

function Editor({ words, desk, onClose }: { words: WordsRow | null; desk: Desk; onClose: () => void }) {
  const first: WordsList[] = words?.lists ?? [];
  const [lists, setLists] = useState<{ name: string; text: string }[]>(
    first.length === 0 ? [{ name: "", text: "" }] : first.map((list) => ({ name: list.name, text: list.words.join("\n") })),
  );
  const version = (words?.version ?? 0) + 1;
  const change = (at: number, part: Partial<{ name: string; text: string }>): void => {
    setLists(lists.map((list, n) => (n === at ? { ...list, ...part } : list)));
  };
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    const lines = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    const made = lists.map((list) => ({ name: list.name.trim(), words: lines(list.text) }));
    void desk.act({ act: "words", version, lists: made }).then((done) => done && onClose());
  };
  return (
    <form onSubmit={send} data-testid="words-form">
      <p class="small">{t("revWordsWhy")}</p>
      <div class="word-lists">
        {lists.map((list, at) => (
          <fieldset key={at} class="card">
            <label class="field">{t("revListName")}
              <input required maxLength={32} pattern="[A-Za-z0-9\-]+" value={list.name} onInput={({ currentTarget }) => change(at, { name: currentTarget.value })} data-testid="list-name" />
            </label>
            <label class="field">{t("revListWords")}
              <textarea rows={6} value={list.text} onInput={({ currentTarget }) => change(at, { text: currentTarget.value })} data-testid="list-words" />
            </label>
            <button type="button" class="button quiet small-button" onClick={() => setLists(lists.filter((_, n) => n !== at))}>{t("revRemoveList", { name: list.name })}</button>
          </fieldset>
        ))}
      </div>
      <div class="row end">
        <button type="button" class="button" disabled={lists.length >= MAX_LISTS} onClick={() => setLists([...lists, { name: "", text: "" }])}>{t("revAddList")}</button>
        <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
        <button class="button primary" disabled={desk.busy} data-testid="words-save">{t("revSaveWords", { version })}</button>
      </div>
    </form>
  );
}

function Words({ words, desk }: { words: WordsRow | null; desk: Desk }) {
  const [editing, setEditing] = useState(false);
  return (
    <section class="card" aria-labelledby="words-title" data-testid="words" data-version={words?.version ?? 0}>
      <div class="row">
        <h2 id="words-title">{t("revWords")}</h2>
        <span class="small">{words === null ? t("revWordsNone") : t("revWordsVersion", { version: words.version, name: words.by, time: dateTime(words.at) })}</span>
        <span class="spacer" />
        {!editing && <button type="button" class="button small-button" onClick={() => setEditing(true)} data-testid="words-edit">{t("revEdit")}</button>}
      </div>
      {editing ? <Editor words={words} desk={desk} onClose={() => setEditing(false)} /> : (
        <ul class="plain">
          {words?.lists.map((list) => <li key={list.name}><strong>{list.name}</strong>: {list.words.join(", ")}</li>)}
        </ul>
      )}
      {words !== null && <p class="small mono">{t("copHash", { hash: words.hash })}</p>}
    </section>
  );
}

/** A line that was found by this run, if it was. */
function lineOf(run: MatchRun | null, meeting: string, hit: HitRow): string | undefined {
  const hits = run?.meetings.filter((one) => one.meeting === meeting).flatMap((one) => one.hits) ?? [];
  return hits.find((one) => one.list === hit.list && one.at_ms === hit.at_ms)?.line;
}

function Alert({ officer, alert, run, desk, ways, onPlay }: {
  officer: Officer; alert: AlertRow; run: MatchRun | null; desk: Desk; ways: Ways; onPlay: (playing: Playing) => void;
}) {
  const [assigning, setAssigning] = useState(false);
  const given = desk.value?.reviews.some((one) => one.origin === alert.index && one.meeting === alert.meeting) ?? false;
  const preset = { case: t("revCase", { index: alert.index }), reason: t("revFromAlert", { index: alert.index }) };
  return (
    <li class="card request" data-testid="alert" data-meeting={alert.meeting}>
      <div class="request-text">
        <p><strong>{alert.title === "" ? alert.meeting.slice(0, 8) : alert.title}</strong> · {dateTime(alert.at)} · {alert.by}</p>
        <ul class="plain">
          {alert.hits.map((hit, at) => (
            <li key={at} class="hit" data-testid="hit">
              <span class="mono small">{span(hit.at_ms)}</span> <span class="chip open">{t("revHit", { list: hit.list, version: alert.version })}</span>{" "}
              {lineOf(run, alert.meeting, hit) ?? <span class="small">{t("revSealed")}</span>}{" "}
              <Lead officer={officer} ways={ways} meeting={alert.meeting} startMs={hit.at_ms} preset={preset} onPlay={onPlay} testid="hit-replay" />
            </li>
          ))}
        </ul>
      </div>
      <div class="request-act row">
        {!given && <button type="button" class="button small-button" onClick={() => setAssigning(true)} data-testid="alert-assign">{t("revAssign")}</button>}
      </div>
      {assigning && <AssignDialog officer={officer} origin={alert.index} meeting={alert.meeting} desk={desk} onClose={() => setAssigning(false)} />}
    </li>
  );
}

export function Alerts({ officer, onPlay }: { officer: Officer; onPlay: (playing: Playing) => void }) {
  const desk = useDesk(officer);
  const ways = useWays(officer);
  const [run, setRun] = useState<MatchRun | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const go = (): void => {
    setBusy(true);
    setProblem(null);
    front.matchWords(officer.session).then((done) => {
      setRun(done);
      desk.again();
    }, (error: unknown) => setProblem(textOf(officer.config, error))).finally(() => setBusy(false));
  };
  const now = desk.value;
  const found = run?.meetings.reduce((sum, one) => sum + one.hits.length, 0) ?? 0;
  return (
    <section aria-labelledby="alerts-title">
      <div class="row head-row">
        <h1 id="alerts-title">{t("offAlerts")}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={() => { desk.again(); ways.again(); }} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      {desk.problem !== null && <p class="error" role="alert">{desk.problem} <button type="button" class="button" onClick={desk.again}>{t("retry")}</button></p>}
      {now === null ? desk.problem === null && <p aria-busy="true">{t("loading")}</p> : (<>
        <Missing desk={now} />
        <Words key={now.words?.version ?? 0} words={now.words} desk={desk} />
        <div class="card searching">
          <p class="small">{t("revRunWhy")}</p>
          <div class="row">
            <button type="button" class="button primary" disabled={busy || now.words === null} onClick={go} data-testid="match-go">{t("revRun")}</button>
            {busy && <span role="status" aria-busy="true"><span class="spinner" aria-hidden="true" /> {t("revRunning")}</span>}
            {run !== null && !busy && (
              <span role="status" data-testid="match-done">{run.meetings.length === 0 ? t("revRunNone") : t("revRunDone", { count: count(run.meetings.length), hits: count(found) })}</span>
            )}
          </div>
          {problem !== null && <p class="error" role="alert">{problem}</p>}
          {run?.meetings.filter((one) => one.problem !== null).map((one) => <p key={one.meeting} class="error">{one.meeting.slice(0, 8)}: {one.problem}</p>)}
        </div>
        {now.alerts.length === 0 ? <p class="empty">{t("revNoAlerts")}</p> : (
          <ul class="requests">
            {now.alerts.map((alert) => <Alert key={alert.index} officer={officer} alert={alert} run={run} desk={desk} ways={ways} onPlay={onPlay} />)}
          </ul>
        )}
      </>)}
    </section>
  );
}
