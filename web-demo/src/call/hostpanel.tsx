// What only hosts see in the people panel: who waits to be let in, the meeting's own controls, and what each person's row
// offers. Everybody sees hands, in the order they went up.

import { useState } from "preact/hooks";
import { t } from "../i18n";
import { Ask, Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { firmOf, type ParticipantId } from "../wire/client";
import type { PageConfig } from "../wire/front";
import type { CallController } from "./controller";
import { handsOf } from "./hosting";
import { firmName } from "./problems";
import { nameOf, peopleOf, type CallState, type Person } from "./state";
import { FirmBadge } from "./tile";

interface Props { config: PageConfig; state: CallState; call: CallController }

export function isHost(state: CallState): boolean {
  return state.me !== null && state.hosts.includes(state.me);
}

/** Does a statement ask newcomers for a passcode? */
function asksPasscode(state: CallState): boolean {
  return state.statements.some((statement) => statement.conditions?.passcode === "wanted");
}

export function WaitingList({ config, state, call }: Props) {
  if (!isHost(state) || state.waiting.length === 0) return null;
  return (
    <section aria-labelledby="waiting-title" data-testid="waiting">
      <h2 id="waiting-title">{t("waitingTitle")} <span class="count">{state.waiting.length}</span></h2>
      <ul class="rows">
        {state.waiting.map(({ participant, name }) => (
          <li key={participant} class="person" data-testid="waiter" data-participant={participant}>
            <span class="person-name">{name}<FirmBadge firm={firmOf(participant)} name={firmName(config, firmOf(participant))} /></span>
            <button type="button" class="button small-button" data-testid="admit" aria-label={t("waitingAdmitNamed", { name })}
              onClick={() => call.host.order({ kind: "admit", participant })}>{t("waitingAdmit")}</button>
            <button type="button" class="button quiet small-button" data-testid="deny" aria-label={t("waitingDenyNamed", { name })}
              onClick={() => call.host.order({ kind: "deny", participant })}>{t("waitingDeny")}</button>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Hands({ state }: { state: CallState }) {
  const hands = handsOf(state, peopleOf(state).map((person) => person.participant));
  if (hands.length === 0) return null;
  return (
    <section aria-labelledby="hands-title" data-testid="hands">
      <h2 id="hands-title">{t("handsTitle")} <span class="count">{hands.length}</span></h2>
      <ol class="hands">
        {hands.map(({ participant }) => <li key={participant} data-testid="hand-of" data-participant={participant}>{nameOf(state, participant)}</li>)}
      </ol>
    </section>
  );
}

function PasscodeDialog({ onSet, onClose }: { onSet: (passcode: string) => void; onClose: () => void }) {
  const [passcode, setPasscode] = useState("");
  const fits = new TextEncoder().encode(passcode).length >= 4 && new TextEncoder().encode(passcode).length <= 64;
  return (
    <Dialog title={t("hostPasscodeTitle")} onClose={onClose} testid="passcode-dialog">
      <form onSubmit={(event) => { event.preventDefault(); if (fits) { onClose(); onSet(passcode); } }}>
        <p>{t("hostPasscodeWhy")}</p>
        <label class="field">{t("hostPasscodeField")}
          <input type="text" autocomplete="off" value={passcode} data-testid="passcode-new" onInput={({ currentTarget }) => setPasscode(currentTarget.value)} />
        </label>
        <div class="row end">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" class="button primary" disabled={!fits} data-testid="passcode-set">{t("hostPasscodeSet")}</button>
        </div>
      </form>
    </Dialog>
  );
}

export function HostSection({ state, call }: { state: CallState; call: CallController }) {
  const [asking, setAsking] = useState<"mute" | "end" | "passcode" | null>(null);
  if (!isHost(state)) return null;
  const close = (): void => setAsking(null);
  return (
    <section aria-labelledby="host-title" data-testid="host-controls">
      <h2 id="host-title">{t("hostTitle")}</h2>
      <div class="host-buttons">
        <button type="button" class="button" data-testid="mute-all" onClick={() => setAsking("mute")}>{t("hostMuteAll")}</button>
        <button type="button" class="button" data-testid="lock-meeting" aria-pressed={state.locked}
          onClick={() => call.host.order({ kind: state.locked ? "unlock" : "lock" })}>{t(state.locked ? "hostUnlock" : "hostLock")}</button>
        {asksPasscode(state) && (
          <button type="button" class="button" data-testid="set-passcode" onClick={() => setAsking("passcode")}>{t("hostPasscode")}</button>
        )}
        <button type="button" class="button" data-testid="end-all" onClick={() => setAsking("end")}>{t("hostEnd")}</button>
      </div>
      {asking === "mute" && (
        <Ask title={t("hostMuteAll")} why={t("hostMuteAllWhy")} go={t("hostMuteAll")} onGo={() => call.host.order({ kind: "mute-all" })} onClose={close} />
      )}
      {asking === "end" && (
        <Ask title={t("hostEndAsk")} why={t("hostEndWhy")} go={t("hostEnd")} danger="danger" onGo={() => call.host.order({ kind: "end" })} onClose={close} />
      )}
      {asking === "passcode" && <PasscodeDialog onSet={(passcode) => call.host.setPasscode(passcode)} onClose={close} />}
    </section>
  );
}

type Asked = { about: "remove" | "hand-over"; participant: ParticipantId };

/** What a host can do about one person. */
export function PersonActions({ person, muted, call }: { person: Person; muted: boolean; call: CallController }) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const { participant, name } = person;
  const close = (): void => setAsked(null);
  return (
    <>
    <details class="person-more" onKeyDown={(event) => { if (event.key === "Escape") event.currentTarget.open = false; }}>
      <summary class="button quiet small-button" data-testid="person-more" aria-label={t("hostMore", { name })}><Icon name="gear" size={16} /></summary>
      <div class="person-actions" onClick={(event) => event.currentTarget.parentElement?.removeAttribute("open")}>
        {!muted && (
          <button type="button" class="button small-button" data-testid="mute-one" aria-label={t("hostMuteNamed", { name })}
            onClick={() => call.host.order({ kind: "mute", participant })}>{t("hostMute")}</button>
        )}
        {person.role !== "guest" && (
          <button type="button" class="button small-button" data-testid="make-host"
            onClick={() => setAsked({ about: "hand-over", participant })}>{t("hostOver")}</button>
        )}
        <button type="button" class="button small-button" data-testid="remove"
          onClick={() => setAsked({ about: "remove", participant })}>{t("remove")}</button>
      </div>
    </details>
      {asked?.about === "remove" && (
        <Ask title={t("removeAsk", { name })} why={t("removeWhy")} go={t("remove")} danger="danger"
          onGo={() => call.host.order({ kind: "remove", participant })} onClose={close} />
      )}
      {asked?.about === "hand-over" && (
        <Ask title={t("hostOverAsk", { name })} why={t("hostOverWhy")} go={t("hostOver")}
          onGo={() => call.host.order({ kind: "hand-over", participant })} onClose={close} />
      )}
    </>
  );
}
