// A member invites a guest: name and time, then link, calendar file and the one-time code, which is shown here once.

import { useState } from "preact/hooks";
import { front } from "../front/api";
import { t } from "../i18n";
import { Dialog } from "../ui/dialog";
import type { InvitationView } from "../wire/front";
import type { CallController } from "./controller";
import type { CallState } from "./state";

const LENGTHS_MIN = [30, 60, 120, 240, 480];
const NAME_MOST = 64;

/** May this person invite, under everybody's statements? */
export function mayInvite(state: CallState): boolean {
  const own = state.members.find((member) => member.participant === state.me);
  return own?.role === "member" && state.statements.every((statement) => statement.conditions?.guests !== "refused");
}

function local(at: number): string {
  const date = new Date(at);
  return new Date(at - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function Made({ view, code }: { view: InvitationView; code: string }) {
  return (
    <div data-testid="invited">
      <label class="field">{t("inviteLink")}
        <input type="text" readOnly value={view.link} data-testid="invite-link" onFocus={({ currentTarget }) => currentTarget.select()} />
      </label>
      <p><a class="link" href={front.calendarOf(view.guest)} download="meeting.ics" data-testid="invite-ics">{t("inviteCalendar")}</a></p>
      <p>{t("inviteCodeWhy", { name: view.name })}</p>
      <p class="invite-code" data-testid="invite-code">{code}</p>
    </div>
  );
}

export function InviteDialog({ state, call, onClose }: { state: CallState; call: CallController; onClose: () => void }) {
  const [name, setName] = useState("");
  const [from, setFrom] = useState(() => local(Date.now()));
  const [minutes, setMinutes] = useState(60);
  const [made, setMade] = useState<{ view: InvitationView; code: string } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const go = async (event: Event): Promise<void> => {
    event.preventDefault();
    const begin = new Date(from).getTime();
    if (name.trim() === "" || Number.isNaN(begin) || call.frontSession === null) return;
    try {
      const { signed, code } = await call.keys.invite({ room: state.room, name, from: begin, until: begin + minutes * 60_000 });
      setMade({ view: await front.invite(call.frontSession, signed), code });
    } catch (error) {
      setProblem(t("inviteFailed", { why: error instanceof Error ? error.message : String(error) }));
    }
  };
  return (
    <Dialog title={t("inviteTitle")} onClose={onClose} testid="invite-dialog">
      {made !== null ? <Made {...made} /> : (
        <form onSubmit={(event) => void go(event)}>
          <label class="field">{t("inviteName")}
            <input type="text" maxLength={NAME_MOST} value={name} data-testid="invite-name" onInput={({ currentTarget }) => setName(currentTarget.value)} />
          </label>
          <label class="field">{t("inviteFrom")}
            <input type="datetime-local" value={from} data-testid="invite-from" onInput={({ currentTarget }) => setFrom(currentTarget.value)} />
          </label>
          <label class="field">{t("inviteLength")}
            <select value={minutes} onChange={({ currentTarget }) => setMinutes(Number(currentTarget.value))}>
              {LENGTHS_MIN.map((length) => <option key={length} value={length}>{t("inviteMinutes", { minutes: length })}</option>)}
            </select>
          </label>
          {problem !== null && <p class="error" role="alert">{problem}</p>}
          <div class="row end">
            <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
            <button type="submit" class="button primary" disabled={name.trim() === ""} data-testid="invite-go">{t("inviteGo")}</button>
          </div>
        </form>
      )}
    </Dialog>
  );
}
