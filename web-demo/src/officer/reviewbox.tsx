// Inside a replay: notes with their interval and the conclusion of this officer's review of the meeting.

import { useState } from "preact/hooks";
import { span, t } from "../i18n";
import type { Officer } from "./app";
import { useDesk } from "./desk";
import type { Clip } from "./export";
import { DisposeForm, hasEnded, History } from "./reviews";

interface Props { officer: Officer; meeting: string; durationMs: number; positionMs: number; clip: Clip; onSeek: (ms: number) => void }

export function ReviewBox({ officer, meeting, durationMs, positionMs, clip, onSeek }: Props) {
  const desk = useDesk(officer);
  const [text, setText] = useState("");
  const own = desk.value?.reviews.filter((one) => one.meeting === meeting && one.reviewer === officer.login.user) ?? [];
  const review = own.find((one) => !hasEnded(one)) ?? own[0];
  const at = Math.round(positionMs);
  const from = Math.min(clip.from ?? at, durationMs);
  const to = Math.min(Math.max(clip.to ?? (clip.from === null ? from : at), from), durationMs);
  const add = (event: SubmitEvent): void => {
    event.preventDefault();
    if (review === undefined) return;
    void desk.act({ act: "note", origin: review.origin, meeting, from_ms: from, to_ms: to, text: text.trim() }).then((done) => done && setText(""));
  };
  return (
    <section class="card" aria-labelledby="review-title" data-testid="review-box">
      <h2 id="review-title">{t("revBox")}</h2>
      {desk.problem !== null && <p class="error" role="alert">{desk.problem}</p>}
      {review === undefined ? <p class="small">{t("revNotAssigned")}</p> : (<>
        <History review={review} onGo={onSeek} />
        {!hasEnded(review) && (<>
          <p class="small">{t("revBoxWhy")}</p>
          <form onSubmit={add}>
            <label class="field">{t("revNote")} ({span(from)}–{span(to)})
              <textarea required maxLength={2000} rows={2} value={text} onInput={({ currentTarget }) => setText(currentTarget.value.replace(/\s+/g, " "))} data-testid="note-text" />
            </label>
            <div class="row end"><button class="button" disabled={desk.busy} data-testid="note-add">{t("revAddNote")}</button></div>
          </form>
          <DisposeForm review={review} desk={desk} onDone={() => undefined} />
        </>)}
      </>)}
    </section>
  );
}
