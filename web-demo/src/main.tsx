// Entry of the page: reads the firm's settings, then shows the call or, at /officer, the review pages.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { CallApp } from "./call/app";
import { Callback, WindowQuestion } from "./call/callback";
import { front } from "./front/api";
import { isCallback } from "./front/signin";
import { chooseLanguage, language, t } from "./i18n";
import { OfficerApp } from "./officer/app";
import { useStore } from "./state/store";
import { Toasts } from "./ui/toasts";
import type { PageConfig } from "./wire/front";
import "./styles/base.css";
import "./styles/pages.css";
import "./styles/call.css";
import "./styles/officer.css";

function supported(): boolean {
  return typeof RTCRtpScriptTransform === "function" && typeof WebAssembly === "object" && isSecureContext;
}

function App() {
  // everything below is drawn again in another language; nothing is made again
  useStore(language);
  const [config, setConfig] = useState<PageConfig | null>(null);
  const [failed, setFailed] = useState(false);
  const load = (): void => {
    setFailed(false);
    front.config().then((answer) => {
      document.title = `${answer.firm_name} · Strongroom`;
      setConfig(answer);
    }, () => setFailed(true));
  };
  useEffect(load, []);
  const officer = location.pathname.replace(/\/$/, "") === "/officer";
  if (!officer && !supported()) return <p class="full error" role="alert">{t("unsupported")}</p>;
  if (failed) {
    return (
      <p class="full error" role="alert">
        {t("loadFailed", { firm: t("yourFirm") })} <button type="button" class="button" onClick={load}>{t("retry")}</button>
      </p>
    );
  }
  if (config === null) return <p class="full" aria-busy="true">{t("loading")}</p>;
  if (isCallback()) return <Callback config={config} />;
  return officer ? <OfficerApp config={config} /> : <CallApp config={config} />;
}

chooseLanguage(language.get());
const root = document.getElementById("app");
if (root !== null) {
  render(<><App /><WindowQuestion /><Toasts /></>, root);
}
