// Who signs in for a role and gets its certificate in this tab's worker: the pages of officers and of administrators begin so.

import { useEffect, useRef, useState } from "preact/hooks";
import { makeKeys } from "../call/app";
import { problemText } from "../call/problems";
import { WorkerProblem, type Keys } from "../state/keys";
import { tab } from "../state/tab";
import type { LoginSession, PageConfig } from "../wire/front";
import { front } from "./api";

/** `onOut`: what else ends with the session. */
export function useEnrolled(config: PageConfig, role: "administrator" | "compliance", onOut: () => void = () => undefined) {
  const may = (who: LoginSession): boolean => who.roles.includes(role);
  const kept = tab.login();
  const [login, setLogin] = useState<LoginSession | null>(kept !== null && may(kept) ? kept : null);
  const [session, setSession] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const keys = useRef<Keys | null>(null);
  keys.current ??= makeKeys(config);
  const worker = keys.current;

  const signOut = (): void => {
    // the front forgets the session too; where it cannot be reached, the session ends with the certificate
    if (session !== null) front.signOut(session).catch(() => undefined);
    tab.setLogin(null);
    setLogin(null);
    setSession(null);
    onOut();
  };
  const enrol = (who: LoginSession): void => {
    setProblem(null);
    worker.enrol({ session: who.session, user: who.user, name: who.name, device: tab.device(), role })
      .then((enrolled) => setSession(enrolled.session), (error: unknown) => {
        const found = error instanceof WorkerProblem ? error.problem : null;
        if (found?.code === "signed-out") signOut();
        else setProblem(problemText(config, found));
      });
  };
  useEffect(() => {
    if (login !== null) enrol(login);
  }, [login]);
  return { login, setLogin, session, problem, worker, signOut, enrol, may };
}
