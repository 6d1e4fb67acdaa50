// What must not be missed: sending stopped, a recorder late or gone, a wrong clock, media in repair. Alerts are spoken.

import { clockTime, t, type Key } from "../i18n";
import { Icon } from "../ui/icons";
import type { PageConfig } from "../wire/front";
import { Blocked } from "./blocked";
import { firmName } from "./problems";
import type { Pause } from "./record";
import { nameOf, type CallState } from "./state";

/** Beyond it certificates may be judged out of time (signaling's rule too). */
const SKEW_MS = 60_000;

interface Banner { id: string; tone: "stop" | "warn"; text: string }

export function stoppedText(config: PageConfig, state: CallState): string | null {
  const { sending } = state;
  if (sending.state === "allowed") return null;
  switch (sending.why) {
    case "no-group":
      return t("stoppedGroup");
    case "receipt":
      return t("stoppedReceipt", { firm: firmName(config, sending.firm) });
    case "beacon":
      return t("stoppedBeacon");
    case "removal":
      return t("stoppedRemoval");
    case "removed":
    case "not-a-sender":
      return null;
    default:
      return t("stoppedOther", { why: sending.why });
  }
}

export function bannersOf(config: PageConfig, state: CallState): Banner[] {
  const banners: Banner[] = [];
  const stopped = stoppedText(config, state);
  if (stopped !== null && state.phase === "in") banners.push({ id: "stopped", tone: "stop", text: stopped });
  const ownFirmStopped = state.sending.state === "stopped" && state.sending.why === "beacon" ? config.firm : null;
  for (const recorder of state.recorders) {
    if (recorder.rule !== "must" && recorder.chat === "must" && recorder.state === "missing") {
      banners.push({ id: `chat-${recorder.firm}`, tone: "warn", text: t("recorderChatMissing", { firm: firmName(config, recorder.firm) }) });
    }
    if (recorder.rule !== "must" || recorder.firm === ownFirmStopped || recorder.state === "recording") continue;
    if (recorder.state === "missing" && state.epoch !== null && recorder.participant === null && stopped !== null) continue;
    const key = recorder.state === "late" ? "recorderLate" : "recorderMissing";
    banners.push({ id: `recorder-${recorder.firm}`, tone: "warn", text: t(key, { firm: firmName(config, recorder.firm) }) });
  }
  for (const firm of state.suspended) {
    if (banners.some((banner) => banner.id === `recorder-${firm}`) || firm === ownFirmStopped) continue;
    banners.push({ id: `suspended-${firm}`, tone: "warn", text: t("firmSuspended", { firm: firmName(config, firm) }) });
  }
  for (const [firm, pause] of Object.entries(state.pauses)) {
    const values = { firm: firmName(config, firm), name: nameOf(state, pause.by), time: clockTime(pause.until) };
    banners.push({ id: `pause-${firm}`, tone: "warn", text: t(pauseText(pause), values) });
  }
  if (Math.abs(state.clockSkewMs) > SKEW_MS) {
    banners.push({ id: "skew", tone: "warn", text: t("skew", { seconds: Math.round(Math.abs(state.clockSkewMs) / 1000) }) });
  }
  const broken = (value: RTCPeerConnectionState): boolean => value === "failed" || value === "disconnected";
  // a machine without any interface but loopback says it has no network, and may call itself all the same
  if (state.network === "down" && state.path === "lost") banners.push({ id: "network", tone: "warn", text: t("networkDown") });
  else if (state.path === "lost" || broken(state.publish) || broken(state.subscribe)) banners.push({ id: "media", tone: "warn", text: t("mediaTrouble") });
  return banners;
}

/** Who asked for a pause is told to wait until the recorder says that it stands still. */
function pauseText({ stands, reason }: Pause): Key {
  if (!stands) return "bannerPauseWait";
  return reason === "payment-card" ? "bannerPauseCard" : "bannerPauseLegal";
}

export function Banners({ config, state }: { config: PageConfig; state: CallState }) {
  return (
    <div class="banners" role="alert" aria-live="assertive" data-testid="banners">
      {bannersOf(config, state).map(({ id, tone, text }) => (
        <p key={id} class={`banner ${tone}`} data-testid={`banner-${id}`}><Icon name="warn" size={18} /> {text}</p>
      ))}
      <Blocked state={state} />
    </div>
  );
}
