// Sign-in: at the firm's own identity provider, or with a password where the front has the development one. Keeps the session in
// this tab only.

import { useState } from "preact/hooks";
import { front, FrontProblem } from "../front/api";
import { signIn } from "../front/signin";
import { t } from "../i18n";
import { tab } from "../state/tab";
import { Frame } from "../ui/frame";
import type { LoginSession, PageConfig } from "../wire/front";
import { problemText } from "./problems";

interface Props { config: PageConfig; title: string; onLogin: (login: LoginSession) => void; refuse?: (login: LoginSession) => string | null }

export function Login({ config, title, onLogin, refuse }: Props) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const outside = config.issuer !== "development";
  const go = async (event: SubmitEvent & { currentTarget: HTMLFormElement }): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    // who closed the provider's window begins again
    setBusy(!outside);
    setProblem(null);
    try {
      const login = outside ? await signIn()
        : await front.login(String(form.get("user")).trim().toLowerCase(), String(form.get("password")));
      const refusal = refuse?.(login) ?? null;
      if (refusal !== null) setProblem(refusal);
      else {
        tab.setLogin(login);
        onLogin(login);
      }
    } catch (error) {
      const bad = error instanceof FrontProblem && (error.status === 401 || error.status === 403);
      setProblem(bad ? t("loginBad") : problemText(config, error instanceof FrontProblem ? error.problem : null));
    }
    setBusy(false);
  };
  return (
    <Frame config={config}>
      <form class="card narrow" onSubmit={(event) => void go(event)} data-testid="login">
        <h1>{title}</h1>
        {outside ? <p>{t("loginOutside", { firm: config.firm_name })}</p> : (
          <>
            <label class="field">{t("loginUser")}
              <input name="user" autocomplete="username" autocapitalize="none" spellcheck={false} required data-testid="user" />
            </label>
            <label class="field">{t("loginPassword")}
              <input name="password" type="password" autocomplete="current-password" required data-testid="password" />
            </label>
          </>
        )}
        {problem !== null && <p class="error" role="alert" data-testid="problem">{problem}</p>}
        <button class="button primary wide" disabled={busy} data-testid="login-go">{t("loginGo")}</button>
        <p class="small">{t("loginNote")}</p>
      </form>
    </Frame>
  );
}
