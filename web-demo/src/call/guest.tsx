// A guest at the inviting firm's page: who invites to what and when, the code that came another way, then the same pre-join
// and call as everybody's.

import { useEffect, useState } from "preact/hooks";
import { front, FrontProblem } from "../front/api";
import { dateTime, t } from "../i18n";
import { tab } from "../state/tab";
import { Frame } from "../ui/frame";
import type { InvitationView, LoginSession, PageConfig, RoomSummary } from "../wire/front";

/** The invitation that this page was opened with. */
export function guestOf({ pathname, search }: Location): string | null {
  return pathname.replace(/\/$/, "") === "/guest" ? new URLSearchParams(search).get("i") ?? "" : null;
}

/** What this tab kept, if it is of this invitation; a member's login is none of a guest's, and the other way round. */
export function loginFor(guest: string | null): LoginSession | null {
  const login = tab.login();
  if (login === null) return null;
  return (guest === null ? login.guest === undefined : login.guest !== undefined && login.user === guest) ? login : null;
}

interface Props { config: PageConfig; guest: string; onEnter: (login: LoginSession, room: RoomSummary) => void }

export function GuestDoor({ config, guest, onEnter }: Props) {
  const [view, setView] = useState<InvitationView | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [code, setCode] = useState("");
  useEffect(() => {
    front.invitation(guest).then(setView, (error: unknown) => {
      setProblem(t(error instanceof FrontProblem && error.status === 404 ? "guestNone" : "pFront"));
    });
  }, [guest]);
  const enter = (event: Event): void => {
    event.preventDefault();
    if (view === null || code.trim() === "") return;
    const { name, room, title, statements } = view;
    onEnter({ session: "", name, user: guest, roles: ["guest"], guest: { code: code.trim() } }, { room, title, statements, audio_video: "" });
  };
  return (
    <Frame config={config}>
      {problem !== null && <p class="error" role="alert">{problem}</p>}
      {view === null && problem === null && <p aria-busy="true">{t("loading")}</p>}
      {view !== null && (
        <form class="card guest-door" onSubmit={enter} data-testid="guest-door">
          <h1>{t("guestTitle", { title: view.title })}</h1>
          <p>{t("guestBy", { name: view.invited_by, firm: config.firm_name })}</p>
          <p>{t("guestWhen", { from: dateTime(view.valid_from), until: dateTime(view.valid_until) })}</p>
          <p>{t("guestAs", { name: view.name, firm: config.firm_name })}</p>
          <label class="field">{t("guestCode")}
            <input type="text" autocomplete="one-time-code" autocapitalize="characters" spellcheck={false} value={code} data-testid="guest-code"
              onInput={({ currentTarget }) => setCode(currentTarget.value)} />
          </label>
          <button type="submit" class="button primary" disabled={code.trim() === ""} data-testid="guest-go">{t("guestGo")}</button>
        </form>
      )}
    </Frame>
  );
}
