// The review pages' way: sign in as compliance officer, get a certificate in the worker, then archive, requests,
// replay and ledger. The officer's key lives in the worker of this tab and ends with it.

import { useEffect, useState } from "preact/hooks";
import { Login } from "../call/login";
import { useEnrolled } from "../front/enrolled";
import { t, type Key } from "../i18n";
import type { Keys } from "../state/keys";
import { Frame } from "../ui/frame";
import type { LoginSession, Opened, PageConfig, ReplayRequest } from "../wire/front";
import { Alerts } from "./alerts";
import { Archive } from "./archive";
import { Copies } from "./copies";
import { LedgerPage } from "./ledger";
import { Replay } from "./replay";
import { Requests } from "./requests";
import { RetentionPage } from "./retention";
import { Reviews } from "./reviews";

type View = "archive" | "requests" | "reviews" | "alerts" | "copies" | "retention" | "ledger";
const VIEWS: readonly { view: View; text: Key }[] = [
  { view: "archive", text: "offArchive" }, { view: "requests", text: "offRequests" }, { view: "reviews", text: "offReviews" },
  { view: "alerts", text: "offAlerts" }, { view: "copies", text: "offCopies" }, { view: "retention", text: "offRetention" }, { view: "ledger", text: "offLedger" },
];

/** What the review pages need of the officer. */
export interface Officer { config: PageConfig; login: LoginSession; session: string; keys: Keys; me: string }
/** `startMs`: where the replay stands at first. */
export interface Playing { opened: Opened; request: ReplayRequest; startMs?: number }

function viewOf(): View {
  const wanted = location.hash.slice(1).split("/")[0];
  return VIEWS.find(({ view }) => view === wanted)?.view ?? "archive";
}

export function OfficerApp({ config }: { config: PageConfig }) {
  const [where, setWhere] = useState(location.hash);
  const view = viewOf();
  const [playing, setPlaying] = useState<Playing | null>(null);
  const { login, setLogin, session, problem, worker, signOut, enrol, may } = useEnrolled(config, "compliance", () => setPlaying(null));
  useEffect(() => {
    const changed = (): void => setWhere(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);

  if (login === null) {
    return <Login config={config} title={t("offLogin")} onLogin={setLogin} refuse={(who) => (may(who) ? null : t("offNotOfficer"))} />;
  }
  if (session === null) {
    return (
      <Frame config={config} login={login} onSignOut={signOut}>
        {problem === null ? <p role="status" aria-busy="true">{t("offEnrolling")}</p> : (
          <p class="error" role="alert">{problem} <button type="button" class="button" onClick={() => enrol(login)}>{t("retry")}</button></p>
        )}
      </Frame>
    );
  }
  const officer: Officer = { config, login, session, keys: worker, me: `${config.firm}/${login.user}` };
  return (
    <Frame config={config} login={login} onSignOut={signOut} wide="wide">
      {playing !== null ? <Replay officer={officer} playing={playing} onBack={() => setPlaying(null)} /> : (
        <>
          <nav class="tabs" aria-label={t("offTitle")}>
            {VIEWS.map(({ view: name, text }) => (
              <a key={name} href={`#${name}`} class="tab" aria-current={view === name ? "page" : undefined} data-testid={`tab-${name}`}>{t(text)}</a>
            ))}
          </nav>
          {view === "archive" && <Archive officer={officer} />}
          {view === "requests" && <Requests officer={officer} onPlay={setPlaying} />}
          {view === "reviews" && <Reviews officer={officer} onPlay={setPlaying} />}
          {view === "alerts" && <Alerts officer={officer} onPlay={setPlaying} />}
          {view === "copies" && <Copies officer={officer} onPlay={setPlaying} />}
          {view === "retention" && <RetentionPage key={where} officer={officer} />}
          {view === "ledger" && <LedgerPage officer={officer} />}
        </>
      )}
    </Frame>
  );
}
