// The archive of this firm: what was kept, whether it verifies, and asking to replay it.

import { useState } from "preact/hooks";
import { front } from "../front/api";
import { count, dateTime, span, t } from "../i18n";
import { Dialog } from "../ui/dialog";
import { toast } from "../ui/toasts";
import type { ArchivedMeeting, Search } from "../wire/front";
import type { Officer } from "./app";
import { textOf, useLoaded } from "./load";
import { Integrity, ListState, Paired, personOf, shortName } from "./parts";
import { SearchForm } from "./search";

/** What a request is for, where it is known before. */
export interface Preset { case?: string; reason?: string; fromMs?: number; toMs?: number }

export function RequestDialog({ officer, meeting, preset = {}, onClose }: {
  officer: Officer; meeting: ArchivedMeeting; preset?: Preset; onClose: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const send = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    try {
      const signed = await officer.keys.signRequest({
        meeting: meeting.meeting,
        manifestHash: meeting.manifest_hash,
        paired: meeting.paired?.integrity === "verified" ? meeting.paired.manifest_hash : null,
        case: String(form.get("case")).trim(),
        reason: String(form.get("reason")).trim(),
        fromMs: preset.fromMs ?? 0,
        toMs: Math.max(1, preset.toMs ?? meeting.ended_at - meeting.started_at),
        keys: form.get("keys") !== null,
      });
      await front.postRequest(officer.session, signed);
      toast(t("offSent"));
      onClose();
      location.hash = "requests";
    } catch (error) {
      setProblem(textOf(officer.config, error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={t("offRequestTitle", { title: meeting.title })} onClose={onClose} testid="request-dialog">
      <form onSubmit={(event) => void send(event)}>
        <p class="small">{t("offRequestWhy")}</p>
        <label class="field">{t("offCase")}<input name="case" required maxLength={100} value={preset.case ?? ""} data-testid="case" /></label>
        <label class="field">{t("offReason")}<textarea name="reason" required maxLength={1000} data-testid="reason">{preset.reason ?? ""}</textarea></label>
        {preset.fromMs !== undefined && <p class="small">{t("copPart", { from: span(preset.fromMs), to: span(preset.toMs ?? 0) })}</p>}
        {preset.fromMs === undefined && <label class="check"><input type="checkbox" name="keys" data-testid="with-keys" /> {t("offWithKeys")}</label>}
        {problem !== null && <p class="error" role="alert">{problem}</p>}
        <div class="row end">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button class="button primary" disabled={busy} data-testid="request-send">{t("offSend")}</button>
        </div>
      </form>
    </Dialog>
  );
}

export function Archive({ officer }: { officer: Officer }) {
  const loaded = useLoaded(officer.config, () => front.meetings(officer.session));
  const [found, setFound] = useState<ArchivedMeeting[] | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [asking, setAsking] = useState<ArchivedMeeting | null>(null);
  const search = async (wanted: Search): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      setFound(await front.search(officer.session, wanted));
    } catch (error) {
      setProblem(textOf(officer.config, error));
    }
    setBusy(false);
  };
  const shown = found === null ? loaded : { ...loaded, value: found };
  return (
    <section aria-labelledby="archive-title">
      <div class="row head-row">
        <h1 id="archive-title">{t("offArchive")}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={() => { setFound(null); loaded.again(); }} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      <SearchForm config={officer.config} busy={busy} searched={found !== null} onSearch={(wanted) => void search(wanted)} onClear={() => setFound(null)} />
      {problem !== null && <p class="error" role="alert">{problem}</p>}
      <ListState loaded={shown} empty={found === null ? t("offEmpty") : t("offNoneFound")}>
        {(meetings) => (
          <div class="scroll card flush">
            <table class="table" data-testid="meetings">
              <thead>
                <tr>
                  <th scope="col">{t("offMeeting")}</th><th scope="col">{t("offWhen")}</th><th scope="col">{t("offLength")}</th>
                  <th scope="col">{t("offWho")}</th><th scope="col">{t("offFrames")}</th><th scope="col">{t("offGaps")}</th>
                  <th scope="col">{t("offIntegrity")}</th><th scope="col"><span class="hidden">{t("offRequest")}</span></th>
                </tr>
              </thead>
              <tbody>
                {meetings.map((meeting) => {
                  const inside = meeting.participants.some((id) => personOf(id) === officer.me);
                  return (
                    <tr key={meeting.meeting} data-testid="meeting" data-meeting={meeting.meeting}>
                      <th scope="row">{meeting.title}<br /><span class="small mono">{meeting.meeting.slice(0, 8)}</span></th>
                      <td class="when">{dateTime(meeting.started_at)}</td>
                      <td>{meeting.integrity === "open" ? "–" : span(meeting.ended_at - meeting.started_at)}</td>
                      <td>{meeting.participants.map(shortName).join(", ")}</td>
                      <td>{count(meeting.frames)}</td>
                      <td class={meeting.gaps > 0 ? "gapped" : ""}>{count(meeting.gaps)}</td>
                      <td><Integrity value={meeting.integrity} />{meeting.paired !== undefined && <Paired copy={meeting.paired} />}</td>
                      <td>
                        {inside ? <span class="small">{t("offInRoster")}</span> : (
                          <button type="button" class="button" disabled={meeting.integrity === "open"} data-testid="request"
                            onClick={() => setAsking(meeting)}>{t("offRequest")}</button>
                        )}
                        {meeting.integrity !== "open" && <a class="button small-button" href={`#retention/${meeting.meeting}`} data-testid="retention">{t("offRetention")}</a>}
                      </td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        )}
      </ListState>
      {asking !== null && <RequestDialog officer={officer} meeting={asking} onClose={() => setAsking(null)} />}
    </section>
  );
}
