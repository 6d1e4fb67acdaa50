// Requests to replay: where each stands, approving another officer's, opening one's own. One's own request says why
// one cannot approve it.

import { useState } from "preact/hooks";
import { front } from "../front/api";
import { clockTime, t } from "../i18n";
import { Ask } from "../ui/dialog";
import { toast } from "../ui/toasts";
import type { ReplayRequest } from "../wire/front";
import type { Officer, Playing } from "./app";
import { textOf, useLoaded } from "./load";
import { ListState, samePerson, shortName } from "./parts";

/** A grant lasts so long, s: a working session; custody allows at most 8 h. */
const GRANT_S = 4 * 3600;

function RequestRow({ officer, request, onApprove, onPlay, busy }: {
  officer: Officer; request: ReplayRequest; busy: boolean; onApprove: () => void; onPlay: () => void;
}) {
  const own = samePerson(request.requester, officer);
  const requester = shortName(request.requester);
  const approver = request.approver === null ? null : shortName(request.approver);
  const ended = request.until !== null && request.until < Date.now();
  return (
    <li class="card request" data-testid="replay-request" data-request={request.id} data-meeting={request.meeting}>
      <div class="request-text">
        <p><strong>{t("offCase")} {request.case}</strong> · {t("offBy", { name: requester })}</p>
        <p>{request.reason}</p>
        {request.keys && <p><span class="chip open">{t("offKeysAsked")}</span></p>}
        <p class="small mono">{request.meeting}</p>
        <p class="small">
          {approver === null ? t("offWaiting") : t("offApproved", { name: approver })}
          {request.until !== null && ` · ${ended ? t("offEnded") : t("offUntil", { time: clockTime(request.until) })}`}
        </p>
      </div>
      <div class="request-act">
        {approver === null && (own
          ? <p class="small" data-testid="own-request">{t("offOwn")}</p>
          : <button type="button" class="button primary" disabled={busy} onClick={onApprove} data-testid="approve">{t("offApprove")}</button>)}
        {approver !== null && !ended && (own
          ? <button type="button" class="button primary" disabled={busy} onClick={onPlay} data-testid="replay">{t("offReplay")}</button>
          : <p class="small">{t("offReplayOther", { name: requester })}</p>)}
      </div>
    </li>
  );
}

export function Requests({ officer, onPlay }: { officer: Officer; onPlay: (playing: Playing) => void }) {
  const loaded = useLoaded(officer.config, () => front.requests(officer.session));
  const [asking, setAsking] = useState<ReplayRequest | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  const act = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(textOf(officer.config, error));
    }
    setBusy(false);
  };
  const approve = (request: ReplayRequest): Promise<void> => act(async () => {
    const signed = await officer.keys.signApproval(request.signed, { seconds: GRANT_S });
    const answer = await front.approve(officer.session, request.id, signed);
    toast(t("offApproved", { name: shortName(answer.approver ?? officer.me) }));
    loaded.again();
  });
  const play = (request: ReplayRequest): Promise<void> => act(async () => {
    const opened = await front.open(officer.session, request.id);
    onPlay({ opened, request });
  });

  return (
    <section aria-labelledby="requests-title">
      <div class="row head-row">
        <h1 id="requests-title">{t("offRequests")}</h1>
        <span class="spacer" />
        <button type="button" class="button" onClick={loaded.again} data-testid="refresh">{t("offRefresh")}</button>
      </div>
      {problem !== null && <p class="error" role="alert" data-testid="problem">{problem}</p>}
      {busy && <p role="status" aria-busy="true"><span class="spinner" aria-hidden="true" /> {t("offOpening")}</p>}
      <ListState loaded={loaded} empty={t("offNoRequests")}>
        {(requests) => (
          <ul class="requests">
            {requests.map((request) => (
              <RequestRow key={request.id} officer={officer} request={request} busy={busy}
                onApprove={() => setAsking(request)} onPlay={() => void play(request)} />
            ))}
          </ul>
        )}
      </ListState>
      {asking !== null && (
        <Ask title={t("offApproveTitle")} why={t(asking.keys ? "offApproveKeys" : "offApproveWhy", { name: shortName(asking.requester), case: asking.case })}
          go={t("offApprove")} onGo={() => void approve(asking)} onClose={() => setAsking(null)} />
      )}
    </section>
  );
}
