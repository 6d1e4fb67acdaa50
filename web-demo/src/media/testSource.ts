// Test picture and test tone as live tracks, for machines without camera or microphone. One clock drives both, so the
// flash and the beep fall together. Owns its canvas and its oscillator until stopped.

import { drawPattern, flashes, HEIGHT, hueOf, RATE, WIDTH } from "./pattern";

/** Loudness of the tone between and in beeps: quiet enough for a room of people with speakers on. */
const QUIET = 0.04;
const BEEP = 0.2;

let audio: AudioContext | null = null;

/** After a reload browsers hold sound back until somebody does something: the first key or click wakes it. */
function waking(context: AudioContext): AudioContext {
  const wake = (): void => {
    context.resume().then(() => {
      for (const kind of ["pointerdown", "keydown"] as const) removeEventListener(kind, wake, true);
    }, () => undefined);
  };
  for (const kind of ["pointerdown", "keydown"] as const) addEventListener(kind, wake, true);
  return context;
}

/** The page's one audio context. */
export function audioContext(): AudioContext {
  audio ??= waking(new AudioContext({ sampleRate: 48_000 }));
  if (audio.state === "suspended") void audio.resume().catch(() => undefined);
  return audio;
}

export interface Tone { track: MediaStreamTrack; beep(loud: boolean): void; stop(): void }

export function startTone(hertz: number): Tone {
  const context = audioContext();
  const oscillator = new OscillatorNode(context, { type: "sine", frequency: hertz });
  const gain = new GainNode(context, { gain: QUIET });
  const out = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  oscillator.connect(gain).connect(out);
  oscillator.start();
  const track = out.stream.getAudioTracks()[0];
  if (track === undefined) throw new Error("the audio destination has no track");
  return {
    track,
    beep: (loud) => gain.gain.setTargetAtTime(loud ? BEEP : QUIET, context.currentTime, 0.004),
    stop: () => {
      oscillator.stop();
      track.stop();
    },
  };
}

export interface Picture { track: MediaStreamTrack; stop(): void }

export function startPicture(label: string, user: string, onFlash: (lit: boolean) => void): Picture {
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const pen = canvas.getContext("2d", { alpha: false });
  if (pen === null) throw new Error("this browser draws no canvas");
  const hue = hueOf(user);
  const begin = performance.now();
  let last = -1;
  let lit = false;
  // frames leave when they are drawn: a capture at a rate of its own would shift them against the beep
  const stream = canvas.captureStream(0) as MediaStream & { requestFrame?: () => void };
  const track = stream.getVideoTracks()[0] as (MediaStreamTrack & { requestFrame?: () => void }) | undefined;
  if (track === undefined) throw new Error("the canvas gives no track");
  // the specification has it on the track, Firefox on the stream
  const emit = (): void => (track.requestFrame === undefined ? stream.requestFrame?.() : track.requestFrame());
  const draw = (): void => {
    const counter = Math.floor(((performance.now() - begin) / 1000) * RATE) & 0xffff;
    if (counter === last) return;
    last = counter;
    drawPattern(pen, counter, label, hue);
    emit();
    if (flashes(counter) !== lit) {
      lit = !lit;
      onFlash(lit);
    }
  };
  draw();
  const timer = setInterval(draw, 1000 / RATE / 2);
  return {
    track,
    stop: () => {
      clearInterval(timer);
      track.stop();
    },
  };
}
