// The call: top line, banners, tiles, people, controls, dialogs, and the overlay while the connection is away.

import { useEffect, useRef, useState } from "preact/hooks";
import { language, t } from "../i18n";
import { clock } from "../state/clock";
import { useStore } from "../state/store";
import { Ask } from "../ui/dialog";
import { LanguageChoice, Warnings } from "../ui/frame";
import { Icon } from "../ui/icons";
import type { PageConfig } from "../wire/front";
import { Banners } from "./banners";
import { Elapsed } from "./clockview";
import { ChatPanel } from "./chat";
import { Controls, shortcut, type Open, type Panel } from "./controls";
import type { CallController } from "./controller";
import { Details } from "./details";
import { CodeDialog, DeviceDialog, Help } from "./dialogs";
import { Grid } from "./grid";
import { NoticesAsked } from "./notices";
import { codeGroups } from "./code";
import { PeoplePanel } from "./people";
import { firmName } from "./problems";
import { Reactions } from "./signs";
import { hearAll, Sound } from "./sound";
import { meetingLock, type CallState } from "./state";
import { FirstFrames, readStats } from "./stats";

/** A connection may be away so long before the overlay covers the call, ms: most breaks are shorter. */
const OVERLAY_MS = 800;

const LOCKS = {
  verified: { icon: "lock", text: "lockVerified" },
  waiting: { icon: "lockOpen", text: "lockWaiting" },
  failing: { icon: "lockBad", text: "lockFailing" },
  none: { icon: "lockOpen", text: "lockNone" },
} as const;

function Lock({ state }: { state: CallState }) {
  const lock = meetingLock(state, clock());
  const { icon, text } = LOCKS[lock];
  return (
    <span class={`lock ${lock}`} data-testid="lock" data-lock={lock} title={lock === "verified" ? t("lockVerifiedLong") : t(text)}>
      <Icon name={icon} size={16} /> {t(text)}
    </span>
  );
}

function RecordingChip({ config, state }: { config: PageConfig; state: CallState }) {
  const recording = state.recorders.filter(({ state: now, rule }) => now === "recording" && (rule === "must" || rule === "should"));
  if (recording.length === 0) return null;
  const names = recording.map((recorder) => firmName(config, recorder.firm)).join(", ");
  return <span class="rec" data-testid="rec-chip"><Icon name="record" size={16} /> {names}</span>;
}

function Overlay({ state, call }: { state: CallState; call: CallController }) {
  const [shown, setShown] = useState(false);
  const away = state.phase === "in" && state.link !== "open";
  useEffect(() => {
    if (!away) {
      setShown(false);
      return undefined;
    }
    const timer = setTimeout(() => setShown(true), OVERLAY_MS);
    return () => clearTimeout(timer);
  }, [away]);
  if (!shown) return null;
  return (
    <div class="overlay" role="alert" data-testid="reconnecting">
      <div class="overlay-card">
        <span class="spinner" aria-hidden="true" />
        <p class="overlay-title">{t("reconnecting")}</p>
        <p>{t(state.network === "down" ? "networkDown" : "reconnectingWhy")}</p>
        <button type="button" class="button" onClick={() => call.leave()}>{t("leave")}</button>
      </div>
    </div>
  );
}

function AtDoor() {
  return (
    <section class="at-door" role="status" data-testid="at-door">
      <h2>{t("waitingYou")}</h2>
      <p>{t("waitingYouWhy")}</p>
    </section>
  );
}

interface Props { config: PageConfig; call: CallController }

export function CallScreen({ config, call }: Props) {
  useStore(language);
  const state = useStore(call.state);
  const first = useRef(new FirstFrames());
  const wide = globalThis.innerWidth >= 900;
  const [panel, setPanel] = useState<Panel>(wide ? "people" : null);
  const [open, setOpen] = useState<Open | null>(null);
  const onOpen = (what: Open): void => {
    if (what === "people" || what === "chat") setPanel((shown) => (shown === what ? null : what));
    else setOpen(what);
  };
  useEffect(() => {
    const listener = (event: KeyboardEvent): void => shortcut(event, call, onOpen);
    document.addEventListener("keydown", listener);
    window.strongroomStats = () => readStats(call, first.current);
    return () => {
      document.removeEventListener("keydown", listener);
      delete window.strongroomStats;
    };
  }, [call]);
  for (const { track } of state.tracks) first.current.announce(track.participant);
  const close = (): void => setOpen(null);
  const title = state.terms?.title ?? state.room;
  const joining = state.phase === "joining";
  return (
    <div class={panel === null ? "call" : "call with-panel"} data-testid="call" data-phase={state.phase}>
      <Warnings config={config} />
      <header class="call-head">
        <h1>{title}</h1>
        <Lock state={state} />
        <RecordingChip config={config} state={state} />
        {state.locked && <span class="lock" data-testid="locked-chip"><Icon name="lock" size={16} /> {t("hostLocked")}</span>}
        <button type="button" class="code-chip" onClick={() => setOpen("code")} data-testid="code-chip" disabled={state.code === null}>
          <span class="hidden">{t("codeTitle")}: </span>{state.code === null ? "·····" : `${codeGroups(state.code.code).slice(0, 2).join(" ")} …`}
        </button>
        <span class="spacer" />
        {state.terms !== null && <Elapsed since={state.terms.started_at} />}
        <LanguageChoice />
      </header>
      <Banners config={config} state={state} />
      <main class="stage">
        {state.atDoor && <AtDoor />}
        {joining ? !state.atDoor && <p class="joining" role="status"><span class="spinner" aria-hidden="true" /> {t("joining")}</p>
          : <Grid config={config} state={state} call={call} onFrame={(who) => first.current.drew(who)} />}
      </main>
      {panel === "chat" && <ChatPanel config={config} state={state} call={call} />}
      {panel === "people" && <PeoplePanel config={config} state={state} call={call} onCode={() => setOpen("code")} />}
      {state.audioBlocked && (
        <div class="hear">
          <button type="button" class="button primary" data-testid="tap-to-hear" onClick={() => hearAll(call)}>
            <Icon name="sound" size={18} /> {t("tapToHear")}
          </button>
          <span class="small">{t("tapToHearWhy")}</span>
        </div>
      )}
      <Controls config={config} state={state} call={call} panel={panel} onOpen={onOpen} />
      <Reactions state={state} />
      <Sound call={call} state={state} />
      <Overlay state={state} call={call} />
      {state.asked && (
        <NoticesAsked config={config} statements={state.statements} onYes={() => call.acknowledge()} onLeave={() => call.leave()} />
      )}
      {open === "help" && <Help onClose={close} />}
      {open === "code" && <CodeDialog config={config} state={state} onClose={close} />}
      {open === "devices" && <DeviceDialog call={call} state={state} onClose={close} />}
      {open === "details" && <Details config={config} call={call} first={first.current} onClose={close} />}
      {open === "leave" && (
        <Ask title={t("leaveAsk")} go={t("leave")} danger="danger" onGo={() => call.leave()} onClose={close} />
      )}
    </div>
  );
}

declare global {
  interface Window { strongroomStats?: (() => Promise<unknown>) | undefined }
}
