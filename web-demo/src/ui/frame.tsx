// The frame of the light pages (login, rooms, pre-join, review): header with firm, warnings, language, sign-out.

import type { ComponentChildren } from "preact";
import { chooseLanguage, language, LANGUAGES, t, type Language } from "../i18n";
import { useStore } from "../state/store";
import type { LoginSession, PageConfig } from "../wire/front";
import { Icon } from "./icons";

export function LanguageChoice() {
  const now = useStore(language);
  return (
    <label class="language">
      <span class="hidden">{t("language")}</span>
      <select value={now} data-testid="language"
        onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}>
        {LANGUAGES.map(({ id, name }) => <option key={id} value={id} lang={id}>{name}</option>)}
      </select>
    </label>
  );
}

export function Warnings({ config }: { config: PageConfig }) {
  const lines = config.issuer === "development" ? [t("devIdp")] : [];
  const others = config.warnings.filter((line) => !/development identity/i.test(line));
  const all = [...lines, ...others];
  if (all.length === 0) return null;
  return (
    <aside class="warnings" aria-label={t("warnings")} data-testid="warnings">
      <p><Icon name="warn" size={16} /> {all.map((line) => <span key={line}>{line}</span>)}</p>
    </aside>
  );
}

interface Props { config: PageConfig; login?: LoginSession | null; onSignOut?: () => void; children: ComponentChildren; wide?: "wide" }

export function Frame({ config, login, onSignOut, children, wide }: Props) {
  return (
    <div class="page">
      <a class="skip" href="#main">{t("skip")}</a>
      <Warnings config={config} />
      <header class="page-head">
        <p class="brand"><Icon name="lock" size={18} /> <span>{t("product")}</span></p>
        <p class="page-firm">{config.firm_name}</p>
        <div class="row">
          {login != null && <span class="page-user">{login.name}</span>}
          {login != null && onSignOut !== undefined && (
            <button type="button" class="button quiet" data-testid="sign-out" onClick={onSignOut}>{t("signOut")}</button>
          )}
          <LanguageChoice />
        </div>
      </header>
      <main id="main" class={wide === undefined ? "page-main" : "page-main wide"}>{children}</main>
    </div>
  );
}
