// A running time, drawn once a second on its own so that nothing else is drawn again.

import { useEffect, useState } from "preact/hooks";
import { span } from "../i18n";

export function Elapsed({ since }: { since: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return <time class="elapsed">{span(now - since)}</time>;
}
