// Export of an open grant: starts it, shows how far it is, cancels it, offers the file. Polls the front.

import { useEffect, useState } from "preact/hooks";
import { front } from "../front/api";
import { span, t } from "../i18n";
import type { ExportState, ReplayRequest } from "../wire/front";
import type { Officer } from "./app";
import { textOf } from "./load";

const POLL_MS = 700;

/** What is copied, ms from the begin; an end that is not marked is the meeting's. */
export interface Clip { from: number | null; to: number | null }
export const WHOLE: Clip = { from: null, to: null };

function going(job: ExportState | null): boolean {
  return job?.state === "queued" || job?.state === "running";
}

/** Offers a file to the browser's download. */
function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** The meeting's own files, with what an examiner needs to check them. */
function BundleBox({ officer, request }: { officer: Officer; request: ReplayRequest }) {
  const [state, setState] = useState<"none" | "busy" | "done">("none");
  const [problem, setProblem] = useState<string | null>(null);
  const fetchIt = (): void => {
    setState("busy");
    setProblem(null);
    front.bundle(officer.session, request.id).then((blob) => {
      save(blob, `strongroom-${request.meeting}.tar`);
      setState("done");
    }, (error: unknown) => {
      setState("none");
      setProblem(textOf(officer.config, error));
    });
  };
  return (
    <section class="card export" aria-labelledby="bundle-title" data-testid="bundle" data-state={state}>
      <h2 id="bundle-title">{t("offBundle")}</h2>
      <p class="small">{t(request.keys ? "offBundleKeys" : "offBundleWhy")}</p>
      {problem !== null && <p class="error" role="alert">{problem}</p>}
      <div class="row">
        <button type="button" class="button" disabled={state === "busy"} onClick={fetchIt} data-testid="bundle-start">{t("offBundleGet")}</button>
        {state !== "none" && <span role="status">{t(state === "busy" ? "offBundleBusy" : "offBundleDone")}</span>}
      </div>
    </section>
  );
}

/** Marks the begin and the end of a clip where the replay stands. */
function ClipMarks({ clip, positionMs, onClip }: { clip: Clip; positionMs: number; onClip: (clip: Clip) => void }) {
  const at = Math.round(positionMs);
  const marked = clip.from !== null || clip.to !== null;
  return (
    <div class="row clip-row">
      <button type="button" class="button small-button" onClick={() => onClip({ ...clip, from: at })} data-testid="clip-from">{t("offClipFrom")}</button>
      <button type="button" class="button small-button" onClick={() => onClip({ ...clip, to: at })} data-testid="clip-to">{t("offClipTo")}</button>
      <span class="small" role="status" data-testid="clip-text">
        {marked ? t("offClip", { from: clip.from === null ? t("offBegin") : span(clip.from), to: clip.to === null ? t("offEnd") : span(clip.to) }) : t("offClipNone")}
      </span>
      {marked && <button type="button" class="button quiet small-button" onClick={() => onClip(WHOLE)}>{t("offClipClear")}</button>}
    </div>
  );
}

interface Props { officer: Officer; request: ReplayRequest; positionMs: number; clip: Clip; onClip: (clip: Clip) => void }

export function ExportBox({ officer, request, positionMs, clip, onClip }: Props) {
  const [job, setJob] = useState<ExportState | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const fail = (error: unknown): void => setProblem(textOf(officer.config, error));
  useEffect(() => {
    if (job === null || !going(job)) return undefined;
    const timer = setTimeout(() => front.exportState(officer.session, job.id).then(setJob, fail), POLL_MS);
    return () => clearTimeout(timer);
  }, [job]);
  const start = (): void => {
    setProblem(null);
    front.startExport(officer.session, request.id, clip).then(setJob, fail);
  };
  const cancel = (): void => {
    if (job === null) return;
    front.cancelExport(officer.session, job.id).then(() => setJob({ ...job, state: "cancelled" }), fail);
  };
  const download = (done: ExportState): void => {
    if (done.href === null) return;
    front.exportFile(officer.session, done.href).then((blob) => save(blob, `strongroom-${request.meeting.slice(0, 8)}.webm`), fail);
  };
  return (<div class="copies">
    <section class="card export" aria-labelledby="export-title" data-testid="export" data-state={job?.state ?? "none"}>
      <h2 id="export-title">{t("offExport")}</h2>
      <p class="small">{t("offExportWhy")}</p>
      <ClipMarks clip={clip} positionMs={positionMs} onClip={onClip} />
      {problem !== null && <p class="error" role="alert">{problem}</p>}
      {job !== null && going(job) ? (
        <div class="row">
          <progress class="progress" max={100} value={job.percent} aria-label={t("offExport")} />
          <span role="status">{job.state === "queued" ? t("offExportQueued") : t("offExportRunning", { percent: job.percent })}</span>
          <button type="button" class="button" onClick={cancel} data-testid="export-cancel">{t("cancel")}</button>
        </div>
      ) : (
        <div class="row">
          <button type="button" class="button" onClick={start} data-testid="export-start">{t("offExport")}</button>
          {job?.state === "done" && job.href !== null && (
            <>
              <span role="status">{t("offExportDone")}</span>
              <button type="button" class="button primary" onClick={() => download(job)} data-testid="export-download">{t("offDownload")}</button>
            </>
          )}
          {job?.state === "failed" && <span class="error" role="alert">{t("offExportFailed", { detail: job.detail ?? "" })}</span>}
          {job?.state === "cancelled" && <span role="status">{t("offExportCancelled")}</span>}
        </div>
      )}
    </section>
    <BundleBox officer={officer} request={request} />
  </div>);
}
