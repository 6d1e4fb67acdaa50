// The record's own corner of the people panel: what the meeting is about, the pause for who may, the wish for a copy.

import { useState } from "preact/hooks";
import { listOf, t, type Key } from "../i18n";
import { WorkerProblem } from "../state/keys";
import { Ask, Dialog } from "../ui/dialog";
import { firmOf } from "../wire/client";
import type { PauseReason, What } from "../wire/worker";
import type { CallController } from "./controller";
import { mayAskCopy, mayPause, tagsOf } from "./record";
import type { CallState } from "./state";

const REASONS: Record<PauseReason, Key> = { "payment-card": "pauseCard", legal: "pauseLegal" };
const REFUSALS: Record<string, Key> = {
  "out-of-range": "tagsWrong", "no-pause": "pauseNo", "pause-too-long": "pauseTooLong", "no-copies": "copyNo", "too-fast": "chatTooFast", "not-in": "chatNotIn",
};

export function refusedText(error: unknown): string {
  const why = error instanceof WorkerProblem ? error.problem.detail : String(error);
  const key = REFUSALS[why];
  return key === undefined ? t("chatFailed", { why }) : t(key);
}

function PauseDialog({ longest, onGo, onClose }: { longest: number; onGo: (reason: PauseReason, ms: number) => void; onClose: () => void }) {
  const [reason, setReason] = useState<PauseReason>("payment-card");
  const steps = [30_000, 60_000, 120_000, 300_000, 600_000].filter((ms) => ms <= longest);
  const choices = steps.length === 0 ? [longest] : steps;
  const [ms, setMs] = useState(choices[0] ?? longest);
  return (
    <Dialog title={t("pauseTitle")} onClose={onClose} testid="pause-dialog">
      <p>{t("pauseWhy")}</p>
      <label class="field">{t("pauseReason")}
        <select value={reason} data-testid="pause-reason" onChange={({ currentTarget }) => setReason(currentTarget.value as PauseReason)}>
          {Object.entries(REASONS).map(([name, key]) => <option key={name} value={name}>{t(key)}</option>)}
        </select>
      </label>
      <label class="field">{t("pauseLength")}
        <select value={ms} data-testid="pause-length" onChange={({ currentTarget }) => setMs(Number(currentTarget.value))}>
          {choices.map((one) => <option key={one} value={one}>{t("pauseSeconds", { seconds: one / 1000 })}</option>)}
        </select>
      </label>
      <div class="row end">
        <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
        <button type="button" class="button danger" data-testid="pause-go" onClick={() => { onClose(); onGo(reason, ms); }}>{t("pauseGo")}</button>
      </div>
    </Dialog>
  );
}

export function RecordSection({ state, call }: { state: CallState; call: CallController }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [asking, setAsking] = useState<"pause" | "copy" | null>(null);
  const longest = mayPause(state.statements, state.me);
  const paused = state.me !== null && state.pauses[firmOf(state.me)] !== undefined;
  const declare = async (what: What): Promise<boolean> => {
    try {
      await call.words.declare(what);
      setWrong(null);
      return true;
    } catch (error) {
      setWrong(refusedText(error));
      return false;
    }
  };
  const tag = async (): Promise<void> => {
    if (text.trim() !== "" && await declare({ tags: tagsOf(text) })) setText("");
  };
  const tags = [...state.tags.trades, ...state.tags.counterparties];
  return (
    <section aria-labelledby="record-title" data-testid="record-section">
      <h2 id="record-title">{t("tagsTitle")}</h2>
      <p class="small" data-testid="tags">{tags.length === 0 ? t("tagsNone") : listOf(tags)}</p>
      <form class="row" onSubmit={(event) => { event.preventDefault(); void tag(); }}>
        <label class="field">{t("tagsAdd")}
          <input type="text" value={text} maxLength={200} data-testid="tags-text" onInput={({ currentTarget }) => setText(currentTarget.value)} />
        </label>
        <button type="submit" class="button" data-testid="tags-go">{t("tagsGo")}</button>
      </form>
      {wrong !== null && <p class="small error" role="alert" data-testid="record-wrong">{wrong}</p>}
      {longest !== null && (paused
        ? <button type="button" class="button" data-testid="resume" onClick={() => void declare({ resume: {} })}>{t("pauseEnd")}</button>
        : <button type="button" class="button" data-testid="pause" onClick={() => setAsking("pause")}>{t("pauseTitle")}…</button>)}
      {mayAskCopy(state.statements, state.me) && (state.copyAsked
        ? <p class="small" role="status" data-testid="copy-asked">{t("copyAsked")}</p>
        : <button type="button" class="button quiet" data-testid="copy" onClick={() => setAsking("copy")}>{t("copyTitle")}…</button>)}
      {asking === "pause" && longest !== null && (
        <PauseDialog longest={longest} onClose={() => setAsking(null)}
          onGo={(reason, at_most_ms) => void declare({ pause: { reason, at_most_ms } })} />
      )}
      {asking === "copy" && (
        <Ask title={t("copyTitle")} why={t("copyWhy")} go={t("copyGo")} onClose={() => setAsking(null)} onGo={() => void call.words.askCopy()} />
      )}
    </section>
  );
}
