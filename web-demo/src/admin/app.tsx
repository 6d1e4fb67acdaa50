// The administrators' pages: login with the role, enrolment of an administrator's leaf in the worker, then the firm's
// statements and how its keys, recorders and archive fare. A chunk of its own: the call does not load it.

import { useEffect, useState } from "preact/hooks";
import { Login } from "../call/login";
import { useEnrolled } from "../front/enrolled";
import { t } from "../i18n";
import { ta, type AdminKey } from "../i18n/admin";
import type { Keys } from "../state/keys";
import { Frame } from "../ui/frame";
import type { LoginSession, PageConfig } from "../wire/front";
import { CustodyPage } from "./custody";
import { FirmsPage } from "./firms";
import { ForecastPage } from "./forecast";
import { HealthPage } from "./health";
import { LedgerPage } from "./ledger";
import { RoomPage } from "./room";
import { RoomsPage } from "./rooms";

const VIEWS = ["rooms", "firms", "custody", "forecast", "ledger", "health"] as const satisfies readonly AdminKey[];
type View = (typeof VIEWS)[number];

/** What the pages need of the administrator. */
export interface Administrator { config: PageConfig; login: LoginSession; session: string; keys: Keys }

/** `#view` or `#rooms/<room>`. */
function placeOf(): { view: View; room: string | null } {
  const [wanted, room] = location.hash.slice(1).split("/");
  const view = VIEWS.find((name) => name === wanted) ?? "rooms";
  return { view, room: view === "rooms" && room !== undefined && room !== "" ? decodeURIComponent(room) : null };
}

export function AdminApp({ config }: { config: PageConfig }) {
  const { login, setLogin, session, problem, worker, signOut, enrol, may } = useEnrolled(config, "administrator");
  const [place, setPlace] = useState(placeOf);
  useEffect(() => {
    const changed = (): void => setPlace(placeOf());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);

  if (login === null) {
    return <Login config={config} title={ta("login")} onLogin={setLogin} refuse={(who) => (may(who) ? null : ta("notAdministrator"))} />;
  }
  if (session === null) {
    return (
      <Frame config={config} login={login} onSignOut={signOut}>
        {problem === null ? <p role="status" aria-busy="true">{ta("enrolling")}</p> : (
          <p class="error" role="alert">{problem} <button type="button" class="button" onClick={() => enrol(login)}>{t("retry")}</button></p>
        )}
      </Frame>
    );
  }
  const administrator: Administrator = { config, login, session, keys: worker };
  const { view, room } = place;
  return (
    <Frame config={config} login={login} onSignOut={signOut} wide="wide">
      <nav class="tabs" aria-label={ta("title")}>
        {VIEWS.map((name) => (
          <a key={name} href={`#${name}`} class="tab" aria-current={view === name ? "page" : undefined} data-testid={`tab-${name}`}>{ta(name)}</a>
        ))}
      </nav>
      {view === "rooms" && room === null && <RoomsPage who={administrator} />}
      {room !== null && <RoomPage key={room} who={administrator} room={room} />}
      {view === "firms" && <FirmsPage who={administrator} />}
      {view === "custody" && <CustodyPage who={administrator} />}
      {view === "forecast" && <ForecastPage who={administrator} />}
      {view === "ledger" && <LedgerPage who={administrator} />}
      {view === "health" && <HealthPage who={administrator} />}
    </Frame>
  );
}
