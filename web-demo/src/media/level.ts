// Loudness of a local track, for the pre-join meter and one's own speaking ring. Owns its analyser until stopped.

import { audioContext } from "./testSource";

/** Looked at so often, ms. */
const EVERY_MS = 80;

export function watchLevel(track: MediaStreamTrack, observer: (level: number) => void): () => void {
  const context = audioContext();
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) });
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const rms = Math.sqrt(sum / samples.length);
    // -60 dB is silence, -10 dB is loud speech
    const level = rms === 0 ? 0 : (20 * Math.log10(rms) + 60) / 50;
    observer(Math.max(0, Math.min(1, level)));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    source.disconnect();
  };
}
