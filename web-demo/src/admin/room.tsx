// One room: the statement that holds, the change that waits, every version, the other firms' statements; and changing it.

import { useState } from "preact/hooks";
import { firmName } from "../call/problems";
import { desk } from "../front/admin";
import { clockTime, dateTime, language, listOf } from "../i18n";
import { ta } from "../i18n/admin";
import { useStore } from "../state/store";
import { Ask } from "../ui/dialog";
import { toast } from "../ui/toasts";
import type { DraftAnswer, FullStatement, Proposal, RoomPolicy, Version } from "../wire/admin";
import type { Administrator } from "./app";
import { Facts } from "./facts";
import { StatementForm } from "./form";
import { Changes, Chip, Hash, Page, problemOf, Simulation, useRead } from "./parts";
import { Review, type Planned } from "./review";

const AS_MEASURED: Planned = { client: null, region: null, hours: null };

/** Doing one thing at a time, with its trouble in words. */
function useAct(who: Administrator) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const act = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(problemOf(who.config, error));
    }
    setBusy(false);
  };
  return { busy, problem, act };
}

function Waiting({ who, policy, proposal, busy, onApprove, onWithdraw }: {
  who: Administrator; policy: RoomPolicy; proposal: Proposal; busy: boolean; onApprove: () => void; onWithdraw: () => void;
}) {
  const [asking, setAsking] = useState(false);
  const own = proposal.by === who.login.user;
  return (
    <section class="card waiting" aria-labelledby="waiting-title" data-testid="proposal">
      <h2 id="waiting-title">{ta("proposalTitle")}</h2>
      <p>{ta("proposedBy", { name: proposal.by, time: clockTime(proposal.until) })}</p>
      <Changes lines={proposal.changes} />
      <h3>{ta("simulation")}</h3>
      <Simulation config={who.config} outcome={proposal.simulation} />
      <div class="row end">
        {own && <p class="small why" data-testid="own-proposal">{ta("ownProposal")}</p>}
        <button type="button" class="button" disabled={busy} onClick={onWithdraw} data-testid="withdraw">{ta(own ? "withdraw" : "refuse")}</button>
        {!own && <button type="button" class="button primary" disabled={busy} onClick={() => setAsking(true)} data-testid="approve">{ta("approve")}</button>}
      </div>
      {asking && (
        <Ask title={ta("approveTitle")} why={ta("approveWhy", { serial: proposal.statement.serial, title: policy.title })}
          go={ta("approve")} onGo={onApprove} onClose={() => setAsking(false)} />
      )}
    </section>
  );
}

function History({ versions, busy, onHand }: { versions: Version[]; busy: boolean; onHand: () => void }) {
  return (
    <section aria-labelledby="history-title">
      <h2 id="history-title">{ta("history")}</h2>
      <ul class="requests" data-testid="history">
        {versions.map((one, at) => (
          <li key={one.hash} class="card" data-testid="version" data-serial={one.statement.serial}>
            <p>
              <strong>{ta("ofVersion", { serial: one.statement.serial, time: dateTime(one.statement.issued_at) })}</strong>
              {" · "}{ta("signedBy")} {one.by.length === 0 ? ta("ceremony") : listOf(one.by)} · <Hash value={one.hash} />{" "}
              <Chip good={one.handed}>{ta(one.handed ? "handed" : "notHanded")}</Chip>{" "}
              {!one.handed && at === 0 && <button type="button" class="button small-button" disabled={busy} onClick={onHand} data-testid="hand">{ta("hand")}</button>}
            </p>
            {one.changes.length > 0 && <Changes lines={one.changes} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Present({ who, policy, busy, onEdit, onHand }: {
  who: Administrator; policy: RoomPolicy; busy: boolean; onEdit: () => void; onHand: () => void;
}) {
  const [present] = policy.history;
  return (<>
    <section class="card" aria-labelledby="present-title">
      <div class="row">
        <h2 id="present-title">{ta("present")}</h2>
        <span class="spacer" />
        {policy.proposal === null && (
          <button type="button" class="button primary" disabled={busy} onClick={onEdit} data-testid="edit">{ta(present === undefined ? "begin" : "change")}</button>
        )}
      </div>
      {present === undefined ? <p class="empty">{ta("presentNone")}</p> : <Facts config={who.config} statement={present.statement} />}
    </section>
    {policy.history.length > 0 && <History versions={policy.history} busy={busy} onHand={onHand} />}
    <section aria-labelledby="others-title">
      <h2 id="others-title">{ta("othersTitle")}</h2>
      {policy.others.length === 0 && <p class="empty">{ta("othersNone")}</p>}
      {policy.others.map((one) => (
        <details key={one.firm} class="card samples" data-testid="other">
          <summary>{firmName(who.config, one.firm)}: {ta("ofVersion", { serial: one.serial, time: dateTime(one.issued_at) })}</summary>
          <Facts config={who.config} statement={one} />
        </details>
      ))}
    </section>
  </>);
}

export function RoomPage({ who, room }: { who: Administrator; room: string }) {
  const said = useStore(language);
  const read = useRead(who, () => desk.room(who.session, room), [said]);
  const eyes = useRead(who, () => desk.rooms(who.session));
  const [begin, setBegin] = useState<FullStatement | null>(null);
  const [answer, setAnswer] = useState<DraftAnswer | null>(null);
  const { busy, problem, act } = useAct(who);
  const administrators = eyes.value?.administrators ?? 1;

  const preview = (statement: FullStatement, planned: Planned): Promise<void> => act(async () => {
    setBegin(statement);
    setAnswer(await desk.draft(who.session, room, { language: language.get(), statement, ...planned }));
    scrollTo(0, 0);
  });
  const done = (policy: RoomPolicy): void => {
    setBegin(null);
    setAnswer(null);
    read.set(policy);
    toast(ta(policy.proposal === null ? "made" : "proposed"));
  };
  const consent = (statement: FullStatement): Promise<string> => who.keys.signConsent(JSON.stringify(statement));
  const sign = (statement: FullStatement): Promise<void> => act(async () => done(await desk.propose(who.session, room, await consent(statement))));
  const approve = (proposal: Proposal): Promise<void> => act(async () =>
    done(await desk.approve(who.session, room, proposal.id, await consent(proposal.statement))));
  const withdraw = (proposal: Proposal): Promise<void> => act(async () => {
    read.set(await desk.withdraw(who.session, room, proposal.id));
    toast(ta("withdrawn"));
  });
  const hand = (): Promise<void> => act(async () => read.set(await desk.hand(who.session, room)));

  return (<>
    <p><a href="#rooms" data-testid="all-rooms">{ta("back")}</a></p>
    <Page title={read.value?.title ?? room} read={read}>
      {(policy) => (
        <div class="stack">
          {problem !== null && <p class="error" role="alert" data-testid="problem">{problem}</p>}
          {answer !== null && (
            <Review who={who} answer={answer} measured={policy.hours} administrators={administrators} busy={busy}
              onAgain={(planned) => void preview(answer.statement, planned)} onSign={() => void sign(answer.statement)} onEdit={() => setAnswer(null)} />
          )}
          {answer === null && begin !== null && (
            <StatementForm config={who.config} begin={begin} busy={busy} onPreview={(statement) => void preview(statement, AS_MEASURED)} onClose={() => setBegin(null)} />
          )}
          {begin === null && (<>
            {policy.clashes.length > 0 && (
              <div class="error" role="alert" data-testid="clash"><h2>{ta("clashTitle")}</h2>{policy.clashes.map((text) => <p key={text}>{text}</p>)}</div>
            )}
            {policy.proposal !== null && (
              <Waiting who={who} policy={policy} proposal={policy.proposal} busy={busy}
                onApprove={() => policy.proposal !== null && void approve(policy.proposal)}
                onWithdraw={() => policy.proposal !== null && void withdraw(policy.proposal)} />
            )}
            <Present who={who} policy={policy} busy={busy} onEdit={() => setBegin(policy.draft)} onHand={() => void hand()} />
          </>)}
        </div>
      )}
    </Page>
  </>);
}
