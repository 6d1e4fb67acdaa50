// Supervision: drawing samples, the queue of reviews with what is overdue first, assigning and concluding them.

import { useState } from "preact/hooks";
import { count, dateTime, span, t, type Key } from "../i18n";
import { Dialog } from "../ui/dialog";
import type { Disposition, ReviewRow, SampleRow, Supervision } from "../wire/review";
import type { SignedAct } from "../wire/worker";
import type { Officer, Playing } from "./app";
import { useDesk, useWays, type Desk, type Ways } from "./desk";
import { Lead } from "./lead";
import { ListState, shortName } from "./parts";
import { dayOf } from "./search";

const DAY_MS = 86_400_000;
export const DISPOSITIONS: Record<Disposition, Key> = { "no-finding": "revNoFinding", "follow-up": "revFollowUp", "escalate": "revEscalate" };

export function hasEnded(review: ReviewRow): boolean {
  const last = review.dispositions.at(-1);
  return last !== undefined && last.disposition !== "follow-up";
}

/** `<input type="date">` of a time, in this browser's days. */
function dateOf(ms: number): string {
  const at = new Date(ms);
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")}`;
}

export function Missing({ desk }: { desk: Supervision }) {
  if (desk.missing.length === 0) return null;
  return <p class="error" role="alert" data-testid="missing">{t("revMissing", { list: desk.missing.slice(0, 20).join(", ") })}</p>;
}

function DrawForm({ desk }: { desk: Desk }) {
  const now = Date.now();
  const send = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string): string => String(form.get(name) ?? "").trim();
    void desk.act({
      act: "sample", percent: Number(text("percent")), room: text("room"), counterparty: text("counterparty").toUpperCase(),
      from: dayOf(text("from")) ?? 0, to: Math.min(dayOf(text("to"), 1) ?? now, now), due_days: Number(text("days")),
    });
  };
  return (
    <form class="card searching" onSubmit={send} aria-label={t("revDraw")} data-testid="draw-form">
      <div class="criteria">
        <label class="field">{t("revPercent")}<input name="percent" type="number" min={1} max={100} required value="10" data-testid="draw-percent" /></label>
        <label class="field">{t("revRoomId")}<input name="room" maxLength={100} data-testid="draw-room" /></label>
        <label class="field">{t("offCounterparty")}<input name="counterparty" maxLength={20} /></label>
        <label class="field">{t("revDueDays")}<input name="days" type="number" min={1} max={366} required value="14" /></label>
        <label class="field">{t("offFrom")}<input name="from" type="date" required value={dateOf(now - 90 * DAY_MS)} /></label>
        <label class="field">{t("offTo")}<input name="to" type="date" required value={dateOf(now)} /></label>
      </div>
      <div class="row">
        <button class="button primary" disabled={desk.busy} data-testid="draw-go">{t("revDraw")}</button>
        <span class="small why">{t("revDrawWhy")}</span>
      </div>
    </form>
  );
}

function Samples({ samples }: { samples: SampleRow[] }) {
  if (samples.length === 0) return null;
  return (
    <details class="card samples" data-testid="samples">
      <summary>{t("revSamples")} ({count(samples.length)})</summary>
      <ul class="plain">
        {samples.map((one) => (
          <li key={one.index} data-testid="sample">
            {t("revSampleRow", { percent: one.percent, all: one.population, time: dateTime(one.at), name: one.by, count: one.drawn.length })}
            {one.room !== "" && ` · ${t("revRoomId")} ${one.room}`}{one.counterparty !== "" && ` · ${one.counterparty}`}
            <br /><span class="small mono">{t("revSeed", { index: one.index, seed: one.seed, hash: one.population_hash })}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

export function AssignDialog({ officer, origin, meeting, desk, onClose }: {
  officer: Officer; origin: number; meeting: string; desk: Desk; onClose: () => void;
}) {
  const send = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const due = dayOf(String(form.get("due")), 1) ?? Date.now() + 14 * DAY_MS;
    void desk.act({ act: "assign", origin, meeting, reviewer: String(form.get("reviewer")).trim(), due }).then((done) => done && onClose());
  };
  return (
    <Dialog title={t("revAssignTitle")} onClose={onClose} testid="assign-dialog">
      <form onSubmit={send}>
        <p class="small">{t("revAssignWhy")}</p>
        <label class="field">{t("revAssignTo")}<input name="reviewer" required maxLength={64} value={officer.login.user} data-testid="assign-to" /></label>
        <label class="field">{t("revUntil")}<input name="due" type="date" required value={dateOf(Date.now() + 14 * DAY_MS)} min={dateOf(Date.now())} /></label>
        <div class="row end">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button class="button primary" disabled={desk.busy} data-testid="assign-go">{t("revSign")}</button>
        </div>
      </form>
    </Dialog>
  );
}

export function DisposeForm({ review, desk, onDone }: { review: ReviewRow; desk: Pick<Desk, "act" | "busy">; onDone: () => void }) {
  const send = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const what: SignedAct = {
      act: "dispose", origin: review.origin, meeting: review.meeting, disposition: String(form.get("disposition")), text: String(form.get("text")).trim(),
    };
    void desk.act(what).then((done) => done && onDone());
  };
  return (
    <form onSubmit={send} data-testid="dispose-form">
      <label class="field">{t("revDisposeTitle")}
        <select name="disposition" data-testid="disposition">
          {Object.entries(DISPOSITIONS).map(([value, text]) => <option key={value} value={value}>{t(text)}</option>)}
        </select>
      </label>
      <label class="field">{t("revWhy")}<input name="text" required maxLength={2000} data-testid="dispose-text" /></label>
      <div class="row end"><button class="button primary" disabled={desk.busy} data-testid="dispose-go">{t("revSign")}</button></div>
    </form>
  );
}

/** Notes and dispositions of a review; a press on a note leads into the replay there, where `lead` is given. */
export function History({ review, onGo }: { review: ReviewRow; onGo?: (ms: number) => void }) {
  return (
    <ul class="plain">
      {review.notes.map((note, at) => (
        <li key={at} data-testid="note">
          {onGo === undefined ? <span class="mono small">{span(note.from_ms)}–{span(note.to_ms)}</span>
            : <button type="button" class="link-button mono small" onClick={() => onGo(note.from_ms)}>{span(note.from_ms)}–{span(note.to_ms)}</button>}
          {" "}{note.text} <span class="small">({note.by})</span>
        </li>
      ))}
      {review.dispositions.map((one, at) => (
        <li key={`d${at}`} data-testid="disposed" data-disposition={one.disposition}>
          <strong>{t("revBy", { disposition: t(DISPOSITIONS[one.disposition]), name: one.by, time: dateTime(one.at) })}</strong>: {one.text}
        </li>
      ))}
    </ul>
  );
}

function Row({ officer, review, desk, ways, onPlay }: { officer: Officer; review: ReviewRow; desk: Desk; ways: Ways; onPlay: (playing: Playing) => void }) {
  const [open, setOpen] = useState<"none" | "assign" | "dispose">("none");
  const own = review.reviewer === officer.login.user;
  const ended = hasEnded(review);
  const overdue = !ended && review.due < Date.now();
  const preset = { case: t("revCase", { index: review.origin }), reason: t(review.source === "sample" ? "revFromSample" : "revFromAlert", { index: review.origin }) };
  return (
    <li class={`card request${overdue ? " overdue" : ""}`} data-testid="review" data-meeting={review.meeting} data-origin={review.origin}>
      <div class="request-text">
        <p><strong>{review.title === "" ? review.meeting.slice(0, 8) : review.title}</strong> · {dateTime(review.started_at)} · {span(review.length_ms)}</p>
        <p class="small">{review.participants.map(shortName).join(", ")}</p>
        <p class="row">
          <span class="chip plain-chip">{t(review.source === "sample" ? "revFromSample" : "revFromAlert", { index: review.origin })}</span>
          {!ended && <span class={`chip ${overdue ? "bad" : "plain-chip"}`} data-testid="due">{t(overdue ? "revOverdue" : "revDue", { time: dateTime(review.due) })}</span>}
          <span class={`chip ${review.reviewer === null ? "open" : "plain-chip"}`}>{review.reviewer === null ? t("revUnassigned") : t("revReviewer", { name: review.reviewer })}</span>
          {review.reviewer !== null && <span class="small">{review.opened_at === null ? t("revNotOpened") : t("revOpenedAt", { time: dateTime(review.opened_at) })}</span>}
        </p>
        <History review={review} />
      </div>
      {!ended && (
        <div class="request-act row">
          <button type="button" class="button small-button" onClick={() => setOpen("assign")} data-testid="assign">{t("revAssign")}</button>
          {own && <Lead officer={officer} ways={ways} meeting={review.meeting} startMs={0} preset={preset} onPlay={onPlay} />}
          {own && <button type="button" class="button small-button" onClick={() => setOpen("dispose")} data-testid="dispose">{t("revDispose")}</button>}
        </div>
      )}
      {open === "assign" && <AssignDialog officer={officer} origin={review.origin} meeting={review.meeting} desk={desk} onClose={() => setOpen("none")} />}
      {open === "dispose" && (
        <Dialog title={t("revDisposeTitle")} onClose={() => setOpen("none")} testid="dispose-dialog">
          <DisposeForm review={review} desk={desk} onDone={() => setOpen("none")} />
        </Dialog>
      )}
    </li>
  );
}

export function Reviews({ officer, onPlay }: { officer: Officer; onPlay: (playing: Playing) => void }) {
  const desk = useDesk(officer);
  const ways = useWays(officer);
  const list = { ...desk, value: desk.value === null ? null : [desk.value] };
  return (
    <section aria-labelledby="reviews-title">
      <div class="row head-row">
        <h1 id="reviews-title">{t("offReviews")}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={() => { desk.again(); ways.again(); }} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      <DrawForm desk={desk} />
      <ListState loaded={list} empty="">
        {([now]) => {
          if (now === undefined) return null;
          const ended = now.reviews.filter(hasEnded);
          const queue = now.reviews.filter((review) => !hasEnded(review));
          const rows = (some: ReviewRow[]) => (
            <ul class="requests">
              {some.map((review) => <Row key={`${review.origin}.${review.meeting}`} officer={officer} review={review} desk={desk} ways={ways} onPlay={onPlay} />)}
            </ul>
          );
          return (<>
            <Missing desk={now} />
            <Samples samples={now.samples} />
            <h2>{t("revQueue")} ({count(queue.length)})</h2>
            {queue.length === 0 ? <p class="empty">{t("revNone")}</p> : rows(queue)}
            {ended.length > 0 && <><h2>{t("revEnded")} ({count(ended.length)})</h2>{rows(ended)}</>}
          </>);
        }}
      </ListState>
    </section>
  );
}
