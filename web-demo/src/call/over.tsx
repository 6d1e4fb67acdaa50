// After a call: a receipt of who was there and who keeps what; or in plain words why one is out and what to do.

import { useState } from "preact/hooks";
import { clockTime, dateTime, t } from "../i18n";
import { Frame } from "../ui/frame";
import { Icon } from "../ui/icons";
import type { LoginSession, PageConfig } from "../wire/front";
import { codeGroups } from "./code";
import { noticesOf } from "./notices";
import { badgeOf, problemText } from "./problems";
import { keptOf, minutesOf, receiptText, verifiedText } from "./receipt";
import type { CallState, Over } from "./state";
import { FirmBadge } from "./tile";

const TITLES = { left: "overLeft", removed: "overRemoved", refused: "overRefused", dead: "overDead" } as const;

function why(config: PageConfig, over: Over): string | null {
  if (over.why === "left") return null;
  if (over.why === "dead") return t("pDead");
  return problemText(config, over.problem);
}

function save(text: string, meeting: string): void {
  const href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  Object.assign(document.createElement("a"), { href, download: `strongroom-${meeting.slice(0, 8)}.txt` }).click();
  URL.revokeObjectURL(href);
}

function Receipt({ config, state }: { config: PageConfig; state: CallState }) {
  const { terms } = state;
  if (terms === null) return null;
  const people = Object.values(state.seen).filter((seen) => !seen.recorder);
  const kept = keptOf(state);
  return (
    <section class="card receipt" aria-labelledby="receipt" data-testid="receipt">
      <h2 id="receipt">{t("receiptTitle")}</h2>
      <p><strong>{terms.title}</strong>, {dateTime(terms.started_at)}</p>
      <p>{t("receiptLasted", { minutes: minutesOf(state, Date.now()) })}</p>
      <p class="small mono">{t("receiptMeeting", { id: terms.meeting })}</p>
      <h3>{t("receiptWho")}</h3>
      <ul class="rows">
        {people.map((seen) => (
          <li key={seen.participant} class="person">
            <span class="person-name">{seen.name}{seen.participant === state.me ? ` (${t("you")})` : ""}</span>
            <span class="small">{t("receiptFor", { from: clockTime(seen.from), to: clockTime(seen.to ?? Date.now()) })}</span>
            <FirmBadge firm={seen.firm} name={badgeOf(config, { firm: seen.firm, role: seen.participant in state.guests ? "guest" : null })} />
          </li>
        ))}
      </ul>
      <h3>{t("receiptKept")}</h3>
      {kept.length === 0 ? <p>{t("receiptNone")}</p> : (
        <ul>{kept.map((statement) => <li key={statement.firm}>{noticesOf(config, statement).join(" ")}</li>)}</ul>
      )}
      <h3>{t("receiptVerified")}</h3>
      <p data-testid="receipt-verified">{verifiedText(state)}</p>
      {state.code !== null && <p>{t("receiptCode")}: <span class="mono" data-testid="receipt-code">{codeGroups(state.code.code).join(" ")}</span></p>}
      <button type="button" class="button" data-testid="receipt-save" onClick={() => save(receiptText(config, state, Date.now()), terms.meeting)}>{t("receiptSave")}</button>
    </section>
  );
}

/** What was told to type; it is tried by joining again. */
function PasscodeForm({ onGo }: { onGo: (passcode: string) => void }) {
  const [passcode, setPasscode] = useState("");
  return (
    <form class="row" onSubmit={(event) => { event.preventDefault(); if (passcode !== "") onGo(passcode); }}>
      <label class="field">{t("passcodeField")}
        <input type="text" autocomplete="off" value={passcode} data-testid="passcode" onInput={({ currentTarget }) => setPasscode(currentTarget.value)} />
      </label>
      <button type="submit" class="button primary" data-testid="passcode-go">{t("preJoin")}</button>
    </form>
  );
}

interface Props {
  config: PageConfig; login: LoginSession; state: CallState; over: Over;
  onRejoin: (passcode?: string) => void; onRooms: () => void; onSignOut: () => void;
}

export function OverScreen({ config, login, state, over, onRejoin, onRooms, onSignOut }: Props) {
  const text = why(config, over);
  const code = "problem" in over ? over.problem.code : over.why;
  return (
    <Frame config={config} login={login} onSignOut={onSignOut}>
      <div data-testid="over" data-why={over.why} data-code={code}>
        <h1>{t(TITLES[over.why])}</h1>
        {text !== null && <p class="error" role="alert"><Icon name="warn" size={18} /> {text}</p>}
        {code === "passcode" && <PasscodeForm onGo={onRejoin} />}
        <div class="row">
          <button type="button" class="button primary" data-testid="rejoin"
            onClick={() => { if (over.why === "dead") location.reload(); else onRejoin(); }}>{t("rejoin")}</button>
          <button type="button" class="button" data-testid="to-rooms" onClick={onRooms}>{t("toRooms")}</button>
        </div>
        {over.why !== "refused" && <Receipt config={config} state={state} />}
      </div>
    </Frame>
  );
}
