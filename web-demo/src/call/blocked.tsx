// Why nothing may be said although everybody is there: the firm's custody cannot prove its archive keys, and a meeting that
// must be recorded does not start without that proof. Asks the own front, and only while the recorder is waited for.

import { useEffect, useState } from "preact/hooks";
import { front } from "../front/api";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import type { CallState } from "./state";

/** Between two questions while sending is stopped: the recorder tries again every 15 s. */
const ASK_MS = 5_000;

function waitsForRecorder({ phase, sending }: CallState): boolean {
  return phase === "in" && sending.state === "stopped" && (sending.why === "receipt" || sending.why === "beacon");
}

export function Blocked({ state }: { state: CallState }) {
  const [blocked, setBlocked] = useState(false);
  const waits = waitsForRecorder(state);
  useEffect(() => {
    if (!waits) {
      setBlocked(false);
      return undefined;
    }
    let over = false;
    const ask = (): void => {
      front.recording().then((answer) => { if (!over) setBlocked(answer.blocked !== null); }, () => undefined);
    };
    ask();
    const timer = setInterval(ask, ASK_MS);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [waits]);
  if (!waits || !blocked) return null;
  return <p class="banner stop" data-testid="banner-blocked"><Icon name="warn" size={18} /> {t("blockedProbe")}</p>;
}
