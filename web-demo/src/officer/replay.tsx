// Replay of an opened meeting: every speaker's lane in step with one clock, gaps in red, a watermark over it, and the
// ledger told before each play and seek.

import { useEffect, useRef, useState } from "preact/hooks";
import { front } from "../front/api";
import { clockTime, dateTime, span, t } from "../i18n";
import { Icon } from "../ui/icons";
import type { Lane, LaneEvent, LanePart } from "../wire/front";
import type { Officer, Playing } from "./app";
import { ReplayFiles } from "./replayfiles";
import { ExportBox, WHOLE, type Clip } from "./export";
import { textOf } from "./load";
import { Player, type PlayerView } from "./player";
import { ReviewBox } from "./reviewbox";
import { markText, Timeline } from "./timeline";

const SPEEDS = [0.5, 1, 1.5, 2];
const STEP_MS = 5_000;

/** One file of a lane. The one after it is there already, hidden, and waits at its begin. */
function PartVideo({ part, player, shown, onFail }: { part: LanePart; player: Player; shown: boolean; onFail: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (element === null) return undefined;
    player.add(element, part);
    return () => player.drop(element);
  }, [player]);
  return (
    <video ref={video} src={part.src} class={shown ? "" : "gone"} preload="auto" playsInline onError={onFail}
      data-testid={shown ? "lane-video" : "lane-next"} data-begin={part.begin_ms} />
  );
}

function LaneVideo({ lane, player, positionMs }: { lane: Lane; player: Player; positionMs: number }) {
  const [failed, setFailed] = useState(false);
  const away = positionMs < lane.from_ms || positionMs > lane.to_ms;
  const gap = lane.gaps.some(([from, to]) => positionMs >= from && positionMs < to);
  const now = Math.max(0, lane.parts.findLastIndex((part) => positionMs >= part.from_ms));
  return (
    <figure class={`lane-video${gap ? " in-gap" : ""}${away ? " away" : ""}`} data-testid="lane" data-participant={lane.participant}>
      {lane.parts.slice(now, now + 2).map((part, at) => (
        <PartVideo key={part.src} part={part} player={player} shown={at === 0} onFail={() => setFailed(true)} />
      ))}
      {gap && <span class="gap-flag">{t("offKindGap")}</span>}
      {failed && <p class="error">{t("offLaneFailed", { name: lane.name })}</p>}
      <figcaption>{lane.name}</figcaption>
    </figure>
  );
}

/** Seen on every frame of a screen recording: who replays, for which case, when. */
function Watermark({ text }: { text: string }) {
  return <div class="watermark" aria-hidden="true" data-testid="watermark">{Array.from({ length: 24 }, (_, at) => <span key={at}>{text}</span>)}</div>;
}

/** Marks as a list; a press goes there. */
function MarkList({ events, positionMs, empty, onSeek }: {
  events: LaneEvent[]; positionMs: number; empty: string; onSeek: (toMs: number) => void;
}) {
  if (events.length === 0) return <p class="small">{empty}</p>;
  const last = events.findLastIndex((event) => event.at_ms <= positionMs);
  return (
    <ol class="events">
      {events.map((event, at) => (
        <li key={at} class={`event-${event.kind}`} aria-current={at === last ? "true" : undefined}>
          <button type="button" class="link-button" onClick={() => onSeek(event.at_ms)}>
            {event.kind === "chat" ? <><span class="mono small">{span(event.at_ms)}</span> {event.text}</> : markText(event)}
          </button>
        </li>
      ))}
    </ol>
  );
}

export function Replay({ officer, playing, onBack }: { officer: Officer; playing: Playing; onBack: () => void }) {
  const { opened, request } = playing;
  const [view, setView] = useState<PlayerView>({ positionMs: 0, playing: false, rate: 1, waiting: false });
  const [problem, setProblem] = useState<string | null>(null);
  const [player] = useState(() => new Player(
    opened.duration_ms,
    (action, atMs) => front.played(officer.session, opened.grant, action, atMs),
    setView,
  ));
  const act = (work: Promise<void>): void => {
    work.then(() => setProblem(null), (error: unknown) => setProblem(textOf(officer.config, error)));
  };
  useEffect(() => {
    // from a hit or a note: the ledger is told of the jump as of any other
    if (playing.startMs !== undefined && playing.startMs > 0) act(player.seek(playing.startMs));
  }, [player]);
  const openedAt = useRef(Date.now());
  const [clip, setClip] = useState<Clip>(WHOLE);
  const chat = opened.events.filter((event) => event.kind === "chat");
  const events = opened.events.filter((event) => event.kind !== "chat");
  useEffect(() => {
    const keys = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement | null;
      if (target?.closest("input, select, textarea, dialog, button, a") != null) return;
      const at = player.clock.position(performance.now());
      if (event.key === " ") act(player.toggle());
      else if (event.key === "ArrowRight") act(player.seek(at + STEP_MS));
      else if (event.key === "ArrowLeft") act(player.seek(at - STEP_MS));
      else if (event.key === "i") setClip((now) => ({ ...now, from: Math.round(at) }));
      else if (event.key === "o") setClip((now) => ({ ...now, to: Math.round(at) }));
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", keys);
    return () => {
      document.removeEventListener("keydown", keys);
      player.close();
      // the clear meeting goes now, not when the grant ends; where the front cannot be reached, then it does
      front.close(officer.session, request.id).catch(() => undefined);
    };
  }, [player]);
  const mark = t("offWatermark", { name: officer.login.name, case: request.case, time: dateTime(openedAt.current) });
  return (
    <section aria-labelledby="replay-title" data-testid="replay-page" data-playing={view.playing} data-position={Math.round(view.positionMs)}>
      <div class="row head-row">
        <button type="button" class="button quiet" onClick={onBack} data-testid="replay-back">← {t("back")}</button>
        <h1 id="replay-title">{t("offReplay")} · {t("offCase")} {request.case}</h1>
        <span class="spacer" />
        <span class="small">{t("offUntil", { time: clockTime(opened.until) })}</span>
      </div>
      <p class="small">{t("offConfidential")}</p>
      {problem !== null && <p class="error" role="alert">{problem}</p>}
      <div class="screen" style={{ "--lanes": String(Math.min(3, Math.max(1, opened.lanes.length))) }}>
        {opened.lanes.map((lane) => <LaneVideo key={lane.parts[0]?.src} lane={lane} player={player} positionMs={view.positionMs} />)}
        <Watermark text={mark} />
      </div>
      <div class="row transport">
        <button type="button" class="button primary" onClick={() => act(player.toggle())} data-testid="play" aria-pressed={view.playing}>
          <Icon name={view.playing ? "pause" : "play"} size={18} /> {view.playing ? t("offPause") : t("offPlay")}
        </button>
        <span class="mono" data-testid="position">{span(view.positionMs)} / {span(opened.duration_ms)}</span>
        {view.waiting && <span class="spinner" role="status" aria-label={t("loading")} />}
        <span class="spacer" />
        <label class="row small">{t("offSpeed")}
          <select value={String(view.rate)} data-testid="speed" class="speed"
            onChange={({ currentTarget }) => player.setRate(Number(currentTarget.value))}>
            {SPEEDS.map((speed) => <option key={speed} value={String(speed)}>{speed} ×</option>)}
          </select>
        </label>
      </div>
      <Timeline opened={opened} clip={clip} positionMs={view.positionMs} onSeek={(to) => act(player.seek(to))} />
      <p class="small">{t("offKeys")}</p>
      <div class="replay-foot">
        <section class="card" aria-labelledby="chat-title" data-testid="chat">
          <h2 id="chat-title">{t("offChat")}</h2>
          <MarkList events={chat} positionMs={view.positionMs} empty={t("offNoChat")} onSeek={(to) => act(player.seek(to))} />
          <ReplayFiles files={opened.files ?? []} />
        </section>
        <section class="card" aria-labelledby="events-title">
          <h2 id="events-title">{t("offEvents")}</h2>
          <MarkList events={events} positionMs={view.positionMs} empty="–" onSeek={(to) => act(player.seek(to))} />
        </section>
        <ReviewBox officer={officer} meeting={request.meeting} durationMs={opened.duration_ms} positionMs={view.positionMs} clip={clip}
          onSeek={(to) => act(player.seek(to))} />
        <ExportBox officer={officer} request={request} positionMs={view.positionMs} clip={clip} onClip={setClip} />
      </div>
    </section>
  );
}
