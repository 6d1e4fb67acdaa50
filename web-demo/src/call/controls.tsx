// The footer of a call: microphone, camera, people, devices, details, keys, leave.

import { t, type Key } from "../i18n";
import { Icon, type IconName } from "../ui/icons";
import type { PageConfig } from "../wire/front";
import type { CallController } from "./controller";
import { firmName } from "./problems";
import { ReactMenu } from "./signs";
import type { CallState } from "./state";

interface ButtonProps {
  icon: IconName; text: Key; testid: string; pressed?: boolean; keys?: string; tone?: "danger" | "off"; count?: number; why?: string; onClick: () => void;
}

function Control({ icon, text, testid, pressed, keys, tone, count = 0, why, onClick }: ButtonProps) {
  const shortcut = keys === undefined ? {} : { "aria-keyshortcuts": keys };
  const state = pressed === undefined ? {} : { "aria-pressed": pressed };
  const title = why ?? (keys === undefined ? t(text) : `${t(text)} (${keys.toUpperCase()})`);
  return (
    <button type="button" class={`control ${tone ?? ""}`} data-testid={testid} title={title} disabled={why !== undefined} onClick={onClick} {...state} {...shortcut}>
      <Icon name={icon} size={22} />
      <span class="control-text">{t(text)}</span>
      {count > 0 && <span class="control-count" aria-label={t("chatUnread", { count })} role="status" data-testid="unread">{count}</span>}
    </button>
  );
}

/** The firm whose statement allows no shared screens. */
function shareForbiddenBy(state: CallState): string | null {
  return state.statements.find((statement) => statement.conditions?.share === "refused")?.firm ?? null;
}

/** Telephones and some browsers have no way to pick a screen. */
const CAN_SHARE = typeof navigator !== "undefined" && navigator.mediaDevices?.getDisplayMedia !== undefined;

export type Open = "people" | "chat" | "code" | "details" | "help" | "devices" | "leave";

export type Panel = "people" | "chat" | null;

interface Props { config: PageConfig; state: CallState; call: CallController; panel: Panel; onOpen: (what: Open) => void }

export function Controls({ config, state, call, panel, onOpen }: Props) {
  const { micMuted, camOff, sharing } = state;
  const forbidden = shareForbiddenBy(state);
  const handUp = state.hands.some((hand) => hand.participant === state.me);
  return (
    <nav class="controls" aria-label={t("devices")}>
      <div class="control-group">
        <Control icon={micMuted ? "micOff" : "mic"} text={micMuted ? "micOff" : "mic"} testid="mic" keys="m" pressed={micMuted}
          {...(micMuted ? { tone: "off" as const } : {})} onClick={() => void call.setMuted(!micMuted)} />
        <Control icon={camOff ? "camOff" : "cam"} text={camOff ? "camOff" : "cam"} testid="cam" keys="v" pressed={camOff}
          {...(camOff ? { tone: "off" as const } : {})} onClick={() => void call.setCamOff(!camOff)} />
        {CAN_SHARE && (
          <Control icon="screen" text={sharing === null ? "share" : "shareStop"} testid="share" keys="s" pressed={sharing !== null}
            {...(forbidden === null ? {} : { why: t("shareForbidden", { firm: firmName(config, forbidden) }) })}
            onClick={() => void call.share(sharing === null)} />
        )}
        <Control icon="hand" text={handUp ? "handDown" : "hand"} testid="hand" keys="h" pressed={handUp} onClick={() => call.host.hand()} />
        <ReactMenu call={call} />
      </div>
      <div class="control-group">
        <Control icon="people" text="people" testid="people" keys="p" pressed={panel === "people"} onClick={() => onOpen("people")} />
        <Control icon="chat" text="chat" testid="chat" keys="c" pressed={panel === "chat"} count={panel === "chat" ? 0 : state.unread}
          onClick={() => onOpen("chat")} />
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

/** M, V, S, H, P, C and ? work wherever one is not typing and no dialog is open. */
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
      return CAN_SHARE && shareForbiddenBy(call.state.get()) === null ? void call.share(sharing === null) : undefined;
    case "h":
    case "H":
      return call.host.hand();
    case "p":
    case "P":
      return onOpen("people");
    case "c":
    case "C":
      event.preventDefault();
      return onOpen("chat");
    case "?":
      return onOpen("help");
    default:
      return;
  }
}
