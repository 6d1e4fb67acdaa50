// Entry of the page: reads the firm's settings, then shows the call, at /officer the review pages, or at /admin, from a chunk
// of their own, the administrators' pages.

import { render, type ComponentType } from "preact";
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

/** The administrators' pages are a file of their own: nobody loads them for a call. */
function Administration({ config }: { config: PageConfig }) {
  const [Pages, setPages] = useState<ComponentType<{ config: PageConfig }> | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    import("./admin/app").then((loaded) => setPages(() => loaded.AdminApp), () => setFailed(true));
  }, []);
  if (failed) return <p class="full error" role="alert">{t("loadFailed", { firm: config.firm_name })}</p>;
  return Pages === null ? <p class="full" aria-busy="true">{t("loading")}</p> : <Pages config={config} />;
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
  const place = location.pathname.replace(/\/$/, "");
  const [officer, admin] = [place === "/officer", place === "/admin"];
  if (!officer && !admin && !supported()) return <p class="full error" role="alert">{t("unsupported")}</p>;
  if (failed) {
    return (
      <p class="full error" role="alert">
        {t("loadFailed", { firm: t("yourFirm") })} <button type="button" class="button" onClick={load}>{t("retry")}</button>
      </p>
    );
  }
  if (config === null) return <p class="full" aria-busy="true">{t("loading")}</p>;
  if (isCallback()) return <Callback config={config} />;
  if (admin) return <Administration config={config} />;
  return officer ? <OfficerApp config={config} /> : <CallApp config={config} />;
}

chooseLanguage(language.get());
const root = document.getElementById("app");
if (root !== null) {
  render(<><App /><WindowQuestion /><Toasts /></>, root);
}
