// Before the call: camera, microphone and loudspeaker are tried, the network looked at, and who records is said.
// Where there is no device the test source takes its place by itself.

import { useEffect, useRef, useState } from "preact/hooks";
import { t, type Key } from "../i18n";
import { asPictureCodec, sendable, type PictureCodec } from "../media/codecs";
import { listDevices, whenDevicesChange, type DeviceProblem, type Devices } from "../media/devices";
import { watchLevel } from "../media/level";
import { checkNetwork, reachService, type NetworkState } from "../media/network";
import { audioContext } from "../media/testSource";
import { LocalMedia } from "../media/source";
import type { Keys } from "../state/keys";
import { tab, type JoinChoice } from "../state/tab";
import { Frame } from "../ui/frame";
import { Icon } from "../ui/icons";
import type { Statement } from "../wire/client";
import type { LoginSession, PageConfig, RoomSummary } from "../wire/front";
import { Notices } from "./notices";

const CAMERA_PROBLEMS: Record<DeviceProblem, Key> = {
  none: "preNoCamera", denied: "preCameraDenied", busy: "preCameraBusy", failed: "preNoCamera",
};
const MICROPHONE_PROBLEMS: Record<DeviceProblem, Key> = {
  none: "preNoMicrophone", denied: "preMicrophoneDenied", busy: "preMicrophoneBusy", failed: "preNoMicrophone",
};

export function firstChoice(): JoinChoice {
  const codec = asPictureCodec(new URLSearchParams(location.search).get("codec"));
  return tab.choice() ?? { testPicture: false, testTone: false, camera: null, microphone: null, muted: false, videoOff: false, codec };
}

interface PickerProps {
  label: string; devices: MediaDeviceInfo[]; value: string | null; test: boolean; testLabel: string; testid: string;
  onPick: (device: string | null, test: boolean) => void;
}

const TEST = "test";
const DEFAULT = "default";

export function DevicePicker({ label, devices, value, test, testLabel, testid, onPick }: PickerProps) {
  const named = devices.filter((device) => device.deviceId !== "" && device.deviceId !== DEFAULT);
  return (
    <label class="field">{label}
      <select value={test ? TEST : value ?? DEFAULT} data-testid={testid}
        onChange={({ currentTarget }) => {
          const chosen = currentTarget.value;
          onPick(chosen === TEST || chosen === DEFAULT ? null : chosen, chosen === TEST);
        }}>
        {devices.length > 0 && <option value={DEFAULT}>{t("preDefault")}</option>}
        {named.map((device) => <option key={device.deviceId} value={device.deviceId}>{device.label || device.deviceId.slice(0, 8)}</option>)}
        <option value={TEST}>{testLabel}</option>
      </select>
    </label>
  );
}

const CODECS: Record<PictureCodec, Key> = { vp8: "preCodecVp8", vp9: "preCodecVp9", av1: "preCodecAv1" };

/** In which codec the camera is sent; nothing where there is no choice. */
function CodecPicker({ value, onPick }: { value: PictureCodec; onPick: (codec: PictureCodec) => void }) {
  const codecs = sendable();
  if (codecs.length < 2) return null;
  return (
    <label class="field">{t("preCodec")}
      <select value={value} data-testid="pick-codec" onChange={({ currentTarget }) => onPick(asPictureCodec(currentTarget.value))}>
        {codecs.map((codec) => <option key={codec} value={codec}>{t(CODECS[codec])}</option>)}
      </select>
    </label>
  );
}

function Meter({ track }: { track: MediaStreamTrack | null }) {
  const bar = useRef<HTMLMeterElement>(null);
  useEffect(() => {
    if (track === null) return undefined;
    return watchLevel(track, (level) => {
      if (bar.current !== null) bar.current.value = level;
    });
  }, [track]);
  return <meter ref={bar} class="meter" min={0} max={1} value={0} aria-label={t("preLevel")} data-testid="level" />;
}

function SpeakerTest() {
  const [played, setPlayed] = useState(false);
  const play = (): void => {
    const context = audioContext();
    const oscillator = new OscillatorNode(context, { frequency: 523 });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setTargetAtTime(0.2, context.currentTime, 0.02);
    gain.gain.setTargetAtTime(0, context.currentTime + 0.5, 0.08);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start();
    oscillator.stop(context.currentTime + 1);
    setPlayed(true);
  };
  return (
    <div class="field">
      <span>{t("preSpeaker")}</span>
      <button type="button" class="button" onClick={play} data-testid="speaker-test"><Icon name="sound" size={18} /> {t("preSpeakerTest")}</button>
      {played && <p class="small" role="status">{t("preSpeakerHeard")}</p>}
    </div>
  );
}

interface Props {
  config: PageConfig; login: LoginSession; keys: Keys; room: RoomSummary;
  onJoin: (media: LocalMedia, choice: JoinChoice) => void; onBack: () => void; onSignOut: () => void;
}

export function tonePreset(): number | null {
  const wanted = Number(new URLSearchParams(location.search).get("tone"));
  return wanted >= 100 && wanted <= 8000 ? wanted : null;
}

/** Opens what is chosen and shows it; closes it again unless the call takes it over. */
function usePreview(login: LoginSession) {
  const media = useRef<LocalMedia | null>(null);
  media.current ??= new LocalMedia(login.user, login.name, tonePreset());
  const local = media.current;
  const kept = useRef(false);
  const video = useRef<HTMLVideoElement>(null);
  const [choice, setChoice] = useState<JoinChoice>(firstChoice);
  const [devices, setDevices] = useState<Devices>({ cameras: [], microphones: [], speakers: [] });
  const [ready, setReady] = useState(false);
  const [, redraw] = useState(0);

  const open = async (next: JoinChoice): Promise<void> => {
    await local.openSound(next.microphone, next.testTone);
    if (next.videoOff) local.closeView();
    else await local.openView(next.camera, next.testPicture);
    setDevices(await listDevices());
    redraw((value) => value + 1);
  };
  useEffect(() => {
    void open(choice).finally(() => setReady(true));
    const stop = whenDevicesChange(() => void listDevices().then(setDevices));
    return () => {
      stop();
      if (!kept.current) local.close();
    };
  }, []);
  const track = local.view?.track ?? null;
  useEffect(() => {
    if (video.current !== null && track !== null) video.current.srcObject = new MediaStream([track]);
  }, [track, choice.videoOff]);

  const change = (part: Partial<JoinChoice>): void => {
    const next = { ...choice, ...part };
    setChoice(next);
    if (!("muted" in part || "codec" in part)) void open(next);
  };
  const take = (): LocalMedia => {
    kept.current = true;
    return local;
  };
  return { local, video, choice, devices, ready, change, take };
}

function useStatements(keys: Keys, room: RoomSummary): Statement[] | null {
  const [statements, setStatements] = useState<Statement[] | null>(null);
  useEffect(() => {
    if (room.statements === undefined || room.statements.length === 0) return;
    keys.statements(room.statements).then((judged) => setStatements(judged as Statement[]), () => setStatements(null));
  }, [room.room]);
  return statements;
}

/** Slower than this is heard as a delay when keys or people change. */
const SLOW_MS = 1_000;

function Service({ url }: { url: string }) {
  const [took, setTook] = useState<number | "checking" | null>("checking");
  useEffect(() => void reachService(url).then(setTook), [url]);
  const text = took === "checking" ? t("loading")
    : took === null ? t("preServiceNone", { host: new URL(url).host })
    : t(took > SLOW_MS ? "preServiceSlow" : "preServiceOk", { ms: took });
  return (
    <p class={took === null ? "error" : "small"} role={took === null ? "alert" : "status"} data-testid="service" data-reached={String(took !== null && took !== "checking")}>
      {t("preService")}: {text}
    </p>
  );
}

function Network() {
  const [network, setNetwork] = useState<NetworkState>("checking");
  useEffect(() => void checkNetwork().then(setNetwork), []);
  return (
    <p class={network === "none" ? "error" : "small"} role={network === "none" ? "alert" : "status"} data-testid="network">
      {t("preNetwork")}: {network === "checking" ? t("loading") : t(network === "ok" ? "preNetworkOk" : "preNetworkNone")}
    </p>
  );
}

function Checks({ preview, service }: { preview: ReturnType<typeof usePreview>; service: string }) {
  const { local: { sound, view }, choice, devices, change } = preview;
  const toneLabel = sound?.test === true && sound.hertz !== null ? t("preToneHz", { hertz: sound.hertz }) : t("preTestTone");
  return (
    <section class="card checks" aria-label={t("preTitle")}>
      <DevicePicker label={t("preCamera")} devices={devices.cameras} value={choice.camera} testid="pick-camera"
        test={view?.test ?? choice.testPicture} testLabel={t("preTestPicture")}
        onPick={(camera, testPicture) => change({ camera, testPicture, videoOff: false })} />
      {view?.problem != null && <p class="small note" role="status">{t(CAMERA_PROBLEMS[view.problem])}</p>}
      <CodecPicker value={asPictureCodec(choice.codec)} onPick={(codec) => change({ codec })} />
      <DevicePicker label={t("preMicrophone")} devices={devices.microphones} value={choice.microphone} testid="pick-microphone"
        test={sound?.test ?? choice.testTone} testLabel={toneLabel}
        onPick={(microphone, testTone) => change({ microphone, testTone })} />
      <Meter track={sound?.track ?? null} />
      {sound?.problem != null && <p class="small note" role="status">{t(MICROPHONE_PROBLEMS[sound.problem])}</p>}
      <SpeakerTest />
      <Network />
      <Service url={service} />
      <label class="check"><input type="checkbox" checked={choice.muted} data-testid="join-muted"
        onChange={({ currentTarget }) => change({ muted: currentTarget.checked })} /> {t("preMuted")}</label>
      <label class="check"><input type="checkbox" checked={choice.videoOff} data-testid="join-no-video"
        onChange={({ currentTarget }) => change({ videoOff: currentTarget.checked })} /> {t("preNoVideo")}</label>
    </section>
  );
}

export function PreJoin({ config, login, keys, room, onJoin, onBack, onSignOut }: Props) {
  const preview = usePreview(login);
  const statements = useStatements(keys, room);
  const { local: { sound, view }, video, choice, ready, take } = preview;
  const join = (): void => {
    // what is shown beside the button is what is acknowledged by it; if other statements bind, the call asks
    if (statements !== null) tab.setAcknowledged(room.statements ?? []);
    const testPicture = view?.test ?? choice.testPicture;
    onJoin(take(), { ...choice, testPicture, testTone: sound?.test ?? choice.testTone });
  };
  return (
    <Frame config={config} login={login} onSignOut={onSignOut} wide="wide">
      <div class="row title-row">
        <button type="button" class="button quiet" onClick={onBack}>← {t("back")}</button>
        <h1>{room.title}</h1>
      </div>
      <div class="prejoin">
        <div class="prejoin-left">
          <section class="preview" aria-label={t("preCamera")}>
            {choice.videoOff
              ? <div class="preview-off"><Icon name="camOff" size={36} /><p>{t("cameraOff")}</p></div>
              : <video ref={video} autoplay muted playsInline data-testid="preview" class={view?.test === true ? "" : "mirror"} />}
            <p class="preview-name">{login.name}</p>
          </section>
          <div class="join">
            <Notices config={config} statements={statements} rule={room.audio_video} />
            <button type="button" class="button primary large" disabled={!ready} data-testid="join" onClick={join}>{t("preJoin")}</button>
          </div>
        </div>
        <Checks preview={preview} service={config.signaling} />
      </div>
    </Frame>
  );
}
