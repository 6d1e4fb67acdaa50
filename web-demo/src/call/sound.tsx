// Plays the others. Where the browser holds sound back until a click, says so and offers the click. Also watches
// loudness for the speaking rings.

import { useEffect, useRef } from "preact/hooks";
import { watchLevel } from "../media/level";
import { SLOT } from "../wire/client";
import type { RemoteTrack } from "../media/subscriber";
import type { CallController } from "./controller";
import type { CallState } from "./state";

const LOOK_MS = 200;
/** RTP audio level, linear: about -34 dBov. */
const LOUD = 0.02;
/** Local level on the meter's scale. */
const LOUD_LOCAL = 0.45;
/** The ring stays so long after the last loud moment, ms. */
const LINGER_MS = 600;

function Player({ media, participant, onBlocked }: { media: MediaStreamTrack; participant: string; onBlocked: (blocked: boolean) => void }) {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (audio === null) return;
    audio.srcObject = new MediaStream([media]);
    audio.play().then(() => onBlocked(false), (error: unknown) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") onBlocked(true);
    });
  }, [media]);
  return <audio ref={element} autoplay data-testid="remote-audio" data-participant={participant} />;
}

export function soundTracks(state: CallState): RemoteTrack[] {
  return state.tracks.filter(({ track }) => track.slot === SLOT.microphone || track.slot === SLOT.screenAudio);
}

/** Starts every player again from inside a click. */
export function hearAll(call: CallController): void {
  for (const audio of document.querySelectorAll<HTMLAudioElement>("audio[data-participant]")) {
    audio.play().then(() => call.state.patch({ audioBlocked: false }), () => undefined);
  }
}

/** Loudness as received: from the packets where they say it, else from what was decoded. */
async function levelOf(receiver: RTCRtpReceiver): Promise<number> {
  const said = receiver.getSynchronizationSources()[0]?.audioLevel;
  if (said !== undefined) return said;
  let level = 0;
  (await receiver.getStats()).forEach((report: { type: string; audioLevel?: number }) => {
    if (report.type === "inbound-rtp") level = report.audioLevel ?? level;
  });
  return level;
}

function useSpeaking(call: CallController, state: CallState): void {
  const latest = useRef(state);
  latest.current = state;
  const loudAt = useRef(new Map<string, number>());
  const track = call.media.sound?.track ?? null;
  useEffect(() => {
    if (track === null) return undefined;
    return watchLevel(track, (level) => {
      const me = latest.current.me;
      const sent = latest.current.sending.state === "allowed" && track.enabled;
      if (me !== null && level > LOUD_LOCAL && sent) loudAt.current.set(me, performance.now());
    });
  }, [track]);
  useEffect(() => {
    const timer = setInterval(() => {
      const now = performance.now();
      for (const { track: { participant }, receiver } of soundTracks(latest.current)) {
        void levelOf(receiver).then((level) => {
          if (level > LOUD) loudAt.current.set(participant, now);
        });
      }
      const speaking: Record<string, boolean> = {};
      for (const [participant, at] of loudAt.current) if (now - at < LINGER_MS) speaking[participant] = true;
      const before = Object.keys(latest.current.speaking).sort().join();
      if (before !== Object.keys(speaking).sort().join()) call.state.patch({ speaking });
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
}

export function Sound({ call, state }: { call: CallController; state: CallState }) {
  useSpeaking(call, state);
  return (
    <div class="hidden" aria-hidden="true">
      {soundTracks(state).map(({ track, media }) => (
        <Player key={`${track.mid} ${track.participant}`} media={media} participant={track.participant}
          onBlocked={(blocked) => call.state.patch({ audioBlocked: blocked })} />
      ))}
    </div>
  );
}
