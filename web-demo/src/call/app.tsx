// The banker's way through the page: sign in, choose a room, check devices, call, receipt. A reload inside a call
// goes straight back into it.

import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import type { LocalMedia } from "../media/source";
import { LocalMedia as Media } from "../media/source";
import { Keys } from "../state/keys";
import { useStore } from "../state/store";
import { tab, type JoinChoice } from "../state/tab";
import { toast } from "../ui/toasts";
import type { LoginSession, PageConfig, RoomSummary } from "../wire/front";
import { front } from "../front/api";
import { firmOf } from "../wire/client";
import { CallController } from "./controller";
import type { Notice } from "./notice";
import { CallScreen } from "./callscreen";
import { GuestDoor, guestOf, loginFor } from "./guest";
import { Login } from "./login";
import { OverScreen } from "./over";
import { firstChoice, PreJoin, tonePreset } from "./prejoin";
import { firmName, problemText } from "./problems";
import { Rooms } from "./rooms";

type Step =
  | { at: "rooms" }
  | { at: "prejoin"; room: RoomSummary }
  | { at: "call"; room: RoomSummary; call: CallController };

function say(config: PageConfig, notice: Notice): void {
  switch (notice.kind) {
    case "joined":
    case "gone": {
      const { kind, recorder, participant } = notice;
      const name = recorder ? t("recorderOf", { firm: firmName(config, firmOf(participant)) }) : notice.name;
      if (kind === "joined") return toast(t(recorder ? "toastRecorderJoined" : "toastJoined", { name }));
      return toast(t(recorder ? "toastRecorderGone" : "toastGone", { name }), recorder ? "warn" : "plain");
    }
    case "joined-muted":
      return toast(t("toastJoinedMuted"));
    case "device-lost":
      return toast(t(notice.device === "camera" ? "toastCameraLost" : "toastMicrophoneLost"), "warn");
    case "codec-refused":
      return toast(t("toastCodecRefused", { codec: notice.codec.toUpperCase() }));
    case "waiting":
      return toast(t("waitingOne", { name: notice.who.name, firm: firmName(config, firmOf(notice.who.participant)) }), "warn");
    case "hand":
      return toast(t("handUpBy", { name: notice.name }));
    case "told":
      return toast(t(notice.text, { name: notice.name, to: notice.to ?? "" }), notice.text === "toldEnd" ? "warn" : "plain");
    case "incident":
      return toast(t("toastIncident", { text: notice.text }), "warn");
    case "problem":
      return toast(problemText(config, notice.problem), "warn");
    default:
      return undefined;
  }
}

export function makeKeys(config: PageConfig): Keys {
  const keys = new Keys();
  keys.setup({
    firm: config.firm,
    signaling: config.signaling,
    trust: JSON.stringify(config.trust),
    clientId: config.client_id,
    origin: location.origin,
    development: config.issuer === "development",
  });
  return keys;
}

function InCall({ config, login, step, onRejoin, onRooms, onSignOut }: {
  config: PageConfig; login: LoginSession; step: Step & { at: "call" };
  onRejoin: (passcode?: string) => void; onRooms: () => void; onSignOut: () => void;
}) {
  const state = useStore(step.call.state);
  if (state.phase === "over" && state.over !== null) {
    return <OverScreen config={config} login={login} state={state} over={state.over} onRejoin={onRejoin} onRooms={onRooms} onSignOut={onSignOut} />;
  }
  return <CallScreen config={config} call={step.call} />;
}

export function CallApp({ config }: { config: PageConfig }) {
  const guest = guestOf(location);
  const [login, setLogin] = useState<LoginSession | null>(() => loginFor(guest));
  const [step, setStep] = useState<Step>({ at: "rooms" });
  const keys = useRef<Keys | null>(null);
  keys.current ??= makeKeys(config);
  const worker = keys.current;

  const signOut = (): void => {
    tab.setLogin(null);
    tab.setRoom(null);
    setLogin(null);
    setStep({ at: "rooms" });
  };
  const enter = (room: RoomSummary, who: LoginSession, media: LocalMedia, choice: JoinChoice, passcode: string | null = null): void => {
    const call = new CallController(config, who, worker, media, { room: room.room, passcode }, choice, (notice) => say(config, notice));
    setStep({ at: "call", room, call });
    void call.start();
  };
  const open = (who: LoginSession, room: RoomSummary): void => {
    const back = tab.room();
    if (back?.room === room.room) enter(room, who, new Media(who.user, who.name, tonePreset()), firstChoice());
    else setStep({ at: "prejoin", room });
  };

  useEffect(() => {
    if (login === null) return;
    const wanted = tab.room()?.room ?? new URLSearchParams(location.search).get("room");
    if (wanted === null) return;
    const back = tab.room();
    // inside a call nothing is asked of the front first: every request would lengthen the way back
    if (back !== null) open(login, { room: back.room, title: back.room, audio_video: "" });
    else {
      if (login.guest !== undefined) return;
      front.rooms(login.session).then((rooms) => {
        const room = rooms.find((known) => known.room === wanted);
        if (room !== undefined) setStep({ at: "prejoin", room });
        else toast(t("pNotAMember"), "warn");
      }, () => undefined);
    }
  }, [login]);

  if (guest !== null && (login === null || step.at === "rooms")) {
    return <GuestDoor config={config} guest={guest} onEnter={(who, room) => { tab.setLogin(who); setLogin(who); open(who, room); }} />;
  }
  if (login === null) {
    return <Login config={config} title={t("loginTitle", { firm: config.firm_name })} onLogin={setLogin} />;
  }
  switch (step.at) {
    case "rooms":
      return <Rooms config={config} login={login} onSignOut={signOut} onRoom={(room) => setStep({ at: "prejoin", room })} />;
    case "prejoin":
      return (
        <PreJoin config={config} login={login} keys={worker} room={step.room} onSignOut={signOut}
          onBack={() => setStep({ at: "rooms" })} onJoin={(media, choice) => enter(step.room, login, media, choice)} />
      );
    case "call":
      return (
        <InCall config={config} login={login} step={step} onSignOut={signOut} onRooms={() => setStep({ at: "rooms" })}
          onRejoin={(passcode) => enter(step.room, login, new Media(login.user, login.name, tonePreset()), firstChoice(), passcode ?? null)} />
      );
  }
}
