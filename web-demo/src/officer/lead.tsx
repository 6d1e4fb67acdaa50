// The way from a review, an alert or a copy into the replay: request, wait, or open at a moment.

import { useState } from "preact/hooks";
import { span, t } from "../i18n";
import { toast } from "../ui/toasts";
import type { Officer, Playing } from "./app";
import { RequestDialog, type Preset } from "./archive";
import { openAt, type Ways } from "./desk";
import { textOf } from "./load";

interface Props {
  officer: Officer; ways: Ways; meeting: string; startMs: number; preset: Preset; label?: string; testid?: string; onPlay: (playing: Playing) => void;
}

export function Lead({ officer, ways, meeting, startMs, preset, label, testid, onPlay }: Props) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const way = ways.of(meeting);
  if (way.at === "unknown") return null;
  if (way.at === "inside") return <span class="small">{t("offInRoster")}</span>;
  if (way.at === "waiting") return <span class="small">{t("revWaiting")}</span>;
  if (way.at === "ask") {
    return (<>
      <button type="button" class="button small-button" onClick={() => setAsking(true)} data-testid="lead-request">{label ?? t("revRequest")}</button>
      {asking && <RequestDialog officer={officer} meeting={way.meeting} preset={preset} onClose={() => { setAsking(false); ways.again(); }} />}
    </>);
  }
  const open = (): void => {
    setBusy(true);
    openAt(officer, way.request, startMs).then(onPlay, (error: unknown) => {
      setBusy(false);
      toast(textOf(officer.config, error), "warn");
    });
  };
  return (
    <button type="button" class="button small-button" disabled={busy} onClick={open} data-testid={testid ?? "lead-replay"}>
      {startMs > 0 ? t("revReplayAt", { time: span(startMs) }) : t("revReplay")}
    </button>
  );
}
