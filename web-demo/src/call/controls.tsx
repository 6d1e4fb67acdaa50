// The footer of a call: microphone, camera, people, devices, details, keys, leave.

import { t, type Key } from "../i18n";
import { Icon, type IconName } from "../ui/icons";
import type { CallController } from "./controller";
import type { CallState } from "./state";

interface ButtonProps {
  icon: IconName; text: Key; testid: string; pressed?: boolean; keys?: string; tone?: "danger" | "off"; onClick: () => void;
}

function Control({ icon, text, testid, pressed, keys, tone, onClick }: ButtonProps) {
  const shortcut = keys === undefined ? {} : { "aria-keyshortcuts": keys };
  const state = pressed === undefined ? {} : { "aria-pressed": pressed };
  const title = keys === undefined ? t(text) : `${t(text)} (${keys.toUpperCase()})`;
  return (
    <button type="button" class={`control ${tone ?? ""}`} data-testid={testid} title={title} onClick={onClick} {...state} {...shortcut}>
      <Icon name={icon} size={22} />
      <span class="control-text">{t(text)}</span>
    </button>
  );
}

/** Telephones and some browsers have no way to pick a screen. */
const CAN_SHARE = typeof navigator !== "undefined" && navigator.mediaDevices?.getDisplayMedia !== undefined;

export type Open = "people" | "code" | "details" | "help" | "devices" | "leave";

interface Props { state: CallState; call: CallController; panel: boolean; onOpen: (what: Open) => void }

export function Controls({ state, call, panel, onOpen }: Props) {
  const { micMuted, camOff, sharing } = state;
  return (
    <nav class="controls" aria-label={t("devices")}>
      <div class="control-group">
        <Control icon={micMuted ? "micOff" : "mic"} text={micMuted ? "micOff" : "mic"} testid="mic" keys="m" pressed={micMuted}
          {...(micMuted ? { tone: "off" as const } : {})} onClick={() => void call.setMuted(!micMuted)} />
        <Control icon={camOff ? "camOff" : "cam"} text={camOff ? "camOff" : "cam"} testid="cam" keys="v" pressed={camOff}
          {...(camOff ? { tone: "off" as const } : {})} onClick={() => void call.setCamOff(!camOff)} />
        {CAN_SHARE && (
          <Control icon="screen" text={sharing === null ? "share" : "shareStop"} testid="share" keys="s" pressed={sharing !== null}
            onClick={() => void call.share(sharing === null)} />
        )}
      </div>
      <div class="control-group">
        <Control icon="people" text="people" testid="people" keys="p" pressed={panel} onClick={() => onOpen("people")} />
        <Control icon="gear" text="devices" testid="devices" onClick={() => onOpen("devices")} />
        <Control icon="info" text="details" testid="open-details" onClick={() => onOpen("details")} />
        <Control icon="keys" text="help" testid="help" keys="?" onClick={() => onOpen("help")} />
      </div>
      <div class="control-group">
        <Control icon="leave" text="leave" testid="leave" tone="danger" onClick={() => onOpen("leave")} />
      </div>
    </nav>
  );
}

/** M, V, S, P and ? work wherever one is not typing and no dialog is open. */
export function shortcut(event: KeyboardEvent, call: CallController, onOpen: (what: Open) => void): void {
  const target = event.target as HTMLElement | null;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (target?.closest("input, select, textarea, dialog") != null) return;
  const { micMuted, camOff, sharing } = call.state.get();
  switch (event.key) {
    case "m":
    case "M":
      return void call.setMuted(!micMuted);
    case "v":
    case "V":
      return void call.setCamOff(!camOff);
    case "s":
    case "S":
      return CAN_SHARE ? void call.share(sharing === null) : undefined;
    case "p":
    case "P":
      return onOpen("people");
    case "?":
      return onOpen("help");
    default:
      return;
  }
}
