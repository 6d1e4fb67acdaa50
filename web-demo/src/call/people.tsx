// Who is here: people with firm and state, recorders as rows of their own, live from their beacons, and the code that
// everybody compares.

import { useState } from "preact/hooks";
import { clockTime, listOf, t, type Key } from "../i18n";
import { Icon } from "../ui/icons";
import { firmOf } from "../wire/client";
import type { PageConfig } from "../wire/front";
import type { RecorderState } from "../wire/worker";
import { codeGroups } from "./code";
import type { CallController } from "./controller";
import { Hands, HostSection, isHost, PersonActions, WaitingList } from "./hostpanel";
import { InviteDialog, mayInvite } from "./invite";
import { badgeOf, firmName } from "./problems";
import { RecordSection } from "./recordpanel";
import { mutedOf, nameOf, peopleOf, type CallState } from "./state";
import { FirmBadge } from "./tile";

const RECORDER_STATES: Record<RecorderState["state"], Key> = { recording: "recRecording", late: "recLate", missing: "recMissing" };

/** A recorder of the chat alone is not recording. */
function stateText({ state, rule }: RecorderState): Key {
  const chatAlone = state === "recording" && rule !== "must" && rule !== "should";
  return chatAlone ? "recChat" : RECORDER_STATES[state];
}

/** How many of a firm's recorders keep the meeting, where there are more than one. */
function paired({ copies = [] }: RecorderState): string {
  if (copies.length < 2) return "";
  const good = copies.filter((copy) => copy.state === "recording").length;
  return ` · ${t("recCopies", { good: String(good), all: String(copies.length) })}`;
}

/** A person's name, or whose recorder it is. */
function labelOf(config: PageConfig, state: CallState, id: string): string {
  const recorder = state.seen[id]?.recorder ?? state.members.find((member) => member.participant === id)?.role === "recorder";
  return recorder ? t("recorderOf", { firm: firmName(config, firmOf(id)) }) : nameOf(state, id);
}

/** 6 x 5 digits with what changed since. */
export function HumanCode({ config, state, large }: { config: PageConfig; state: CallState; large?: "large" }) {
  const { code } = state;
  if (code === null) return <p class="small">{t("codeNone")}</p>;
  const names = (ids: string[]): string => listOf(ids.map((id) => labelOf(config, state, id)));
  const time = clockTime(code.since);
  const { added = [], removed = [] } = code.changedBy ?? {};
  const others = added.filter((id) => id !== state.me);
  const changed = others.length > 0 ? t("codeChangedAdded", { time, names: names(others) })
    : removed.length > 0 ? t("codeChangedRemoved", { time, names: names(removed) }) : t("codeSince", { time });
  return (
    <div class={large === undefined ? "code" : "code large"}>
      <p class="code-digits" data-testid="code">{codeGroups(code.code).map((group, at) => <span key={at}>{group}</span>)}</p>
      <p class="small" data-testid="code-since">{changed}</p>
    </div>
  );
}

function Recorders({ config, state }: { config: PageConfig; state: CallState }) {
  const stated = state.recorders.map((recorder) => recorder.firm);
  const off = state.statements.filter((line) => !stated.includes(line.firm) && (line.audio_video === "off" || line.audio_video === "forbidden"));
  if (state.recorders.length === 0 && off.length === 0) return <p class="small">{t("noRecorder")}</p>;
  return (
    <ul class="rows">
      {state.recorders.map((recorder) => {
        const firm = firmName(config, recorder.firm);
        return (
          <li key={recorder.firm} class={`person recorder ${recorder.state}`} data-testid="recorder" data-firm={recorder.firm} data-state={recorder.state}>
            <Icon name="record" />
            <span class="person-name">{t("recorderOf", { firm })}</span>
            <span class="person-state">{t(stateText(recorder))}{paired(recorder)}</span>
          </li>
        );
      })}
      {off.map((line) => (
        <li key={line.firm} class="person recorder off">
          <Icon name="record" />
          <span class="person-name">{t("recorderOf", { firm: firmName(config, line.firm) })}</span>
          <span class="person-state">{t("recOff")}</span>
        </li>
      ))}
    </ul>
  );
}

interface Props { config: PageConfig; state: CallState; call: CallController; onCode: () => void }

export function PeoplePanel({ config, state, call, onCode }: Props) {
  const people = peopleOf(state);
  const host = isHost(state);
  const [inviting, setInviting] = useState(false);
  return (
    <aside class="panel" aria-label={t("people")} data-testid="people-panel">
      <WaitingList config={config} state={state} call={call} />
      <Hands state={state} />
      <h2>{t("recordersTitle")}</h2>
      <Recorders config={config} state={state} />
      <h2>{t("peopleTitle")} <span class="count">{people.length}</span></h2>
      <ul class="rows">
        {people.map((person) => (
          <li key={person.participant} class="person" data-testid="person" data-participant={person.participant}>
            <Icon name={mutedOf(state, person.participant) ? "micOff" : "mic"} />
            <span class="person-name">
              {person.name}
              <span class="person-notes">
                {[person.me ? t("you") : "", person.host ? t("host") : "", person.inGroup ? "" : t("entering"),
                  mutedOf(state, person.participant) ? t("muted") : ""].filter((note) => note !== "").join(" · ")}
              </span>
              <FirmBadge firm={person.firm} name={badgeOf(config, person)} />
              {person.role === "guest" && (
                <span class="person-notes" data-testid="invited-by">{t("guestInvitedBy", { name: state.guests[person.participant] ?? "?" })}</span>
              )}
            </span>
            {host && !person.me && <PersonActions person={person} muted={mutedOf(state, person.participant)} call={call} />}
          </li>
        ))}
      </ul>
      {mayInvite(state) && <button type="button" class="button quiet" data-testid="invite" onClick={() => setInviting(true)}>{t("inviteTitle")}…</button>}
      <HostSection state={state} call={call} />
      <h2>{t("codeTitle")}</h2>
      <HumanCode config={config} state={state} />
      <button type="button" class="button quiet" onClick={onCode} data-testid="open-code">{t("codeTitle")}…</button>
      <RecordSection state={state} call={call} />
      {inviting && <InviteDialog state={state} call={call} onClose={() => setInviting(false)} />}
    </aside>
  );
}
