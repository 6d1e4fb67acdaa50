// What the identity provider's window shows when it comes back: nothing, for a moment; and the question of a browser that opens no
// window without a click.

import { useEffect, useState } from "preact/hooks";
import { comeBack, goOn, waiting } from "../front/signin";
import { FrontProblem } from "../front/api";
import { t } from "../i18n";
import { useStore } from "../state/store";
import { tab } from "../state/tab";
import { Ask } from "../ui/dialog";
import type { PageConfig } from "../wire/front";
import { problemText } from "./problems";

export function Callback({ config }: { config: PageConfig }) {
  const [text, setText] = useState<string>(t("loading"));
  useEffect(() => {
    comeBack((login) => tab.setLogin(login)).then((next) => {
      if (next !== null) return location.replace(next);
      window.close();
      setText(t("signInDone"));
    }, (error: unknown) => setText(problemText(config, error instanceof FrontProblem ? error.problem : null)));
  }, []);
  return <p class="full" role="status" data-testid="callback">{text}</p>;
}

export function WindowQuestion() {
  const address = useStore(waiting);
  if (address === null) return null;
  return <Ask title={t("signInAgainTitle")} why={t("signInAgain")} go={t("goOn")} onGo={goOn} onClose={() => undefined} />;
}
