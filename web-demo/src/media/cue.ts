// Two short tones that say something changed for the record: down when it stands still, up when it goes on. Played here
// only; nothing of it is sent.

import { audioContext } from "./testSource";

const TONES = { down: [660, 440], up: [440, 660] } as const;
/** Length of one tone, s. */
const LENGTH_S = 0.16;

export function cue(kind: keyof typeof TONES): void {
  const context = audioContext();
  TONES[kind].forEach((frequency, at) => {
    const begin = context.currentTime + at * LENGTH_S;
    const oscillator = new OscillatorNode(context, { frequency });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setTargetAtTime(0.15, begin, 0.01);
    gain.gain.setTargetAtTime(0, begin + LENGTH_S * 0.7, 0.02);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(begin);
    oscillator.stop(begin + LENGTH_S * 2);
  });
}
