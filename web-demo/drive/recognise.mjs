// Recognises the test picture and the test tone of another participant by their content: pixels of the remote video
// through a canvas, the spectrum of the remote sound through an analyser. Geometry as in src/media/pattern.ts.

/** Squares of the counter row, its calibration and the bars; `test/pattern.test.mjs` holds it to the page's own. */
export const PATTERN = {
  width: 640, height: 360, cells: 20, cell: 32, rowTop: 160, rate: 20, flashEvery: 40, flashFor: 4,
  flash: { x: 528, y: 214, width: 80, height: 64 },
  bars: [[191, 191, 191], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191], [32, 32, 32]],
};

/** Runs in the page: reads one video element `times` times. */
async function look(pattern, selector, times, everyMs) {
  const videos = [...document.querySelectorAll(selector)].filter((video) => video.videoWidth > 0);
  const video = videos[0];
  if (video === undefined) return null;
  const canvas = document.createElement("canvas");
  canvas.width = pattern.width;
  canvas.height = pattern.height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const mean = (x, y, width, height) => {
    const { data } = pen.getImageData(x, y, width, height);
    const sum = [0, 0, 0];
    for (let at = 0; at < data.length; at += 4) for (let part = 0; part < 3; part += 1) sum[part] += data[at + part];
    return sum.map((value) => value / (data.length / 4));
  };
  const grey = (colour) => (colour[0] + colour[1] + colour[2]) / 3;
  const samples = [];
  for (let time = 0; time < times; time += 1) {
    pen.drawImage(video, 0, 0, pattern.width, pattern.height);
    const inset = pattern.cell / 4;
    const levels = Array.from({ length: pattern.cells }, (_, at) =>
      grey(mean(at * pattern.cell + inset, pattern.rowTop + inset, pattern.cell - 2 * inset, pattern.cell - 2 * inset)));
    const middle = (levels[0] + levels[1]) / 2;
    const bits = levels.map((level) => level > middle);
    let counter = 0;
    for (const bit of bits.slice(2, 18)) counter = counter * 2 + (bit ? 1 : 0);
    const parity = (first) => bits.slice(2, 18).filter((bit, at) => bit && at % 2 === first).length % 2 === 1;
    const readable = levels[0] - levels[1] > 80 && bits[18] === parity(0) && bits[19] === parity(1);
    const barWidth = pattern.width / pattern.bars.length;
    const worst = Math.max(...pattern.bars.map((want, at) => {
      const got = mean(at * barWidth + barWidth / 4, 40, barWidth / 2, 60);
      return Math.max(...want.map((part, index) => Math.abs(part - got[index])));
    }));
    const { flash } = pattern;
    const lit = grey(mean(flash.x + 8, flash.y + 8, flash.width - 16, flash.height - 16)) > 128;
    samples.push({ at: performance.now(), media_s: video.currentTime, counter: readable ? counter : null, worst, lit, width: video.videoWidth, height: video.videoHeight });
    await new Promise((done) => setTimeout(done, everyMs));
  }
  return samples;
}

/** Judges the samples of one video. */
export function judgePicture(samples) {
  if (samples === null) return { ok: false, why: "no remote video with a picture" };
  const read = samples.filter((sample) => sample.counter !== null);
  const worst = Math.max(...samples.map((sample) => sample.worst));
  const steps = read.slice(1).map((sample, at) => (sample.counter - read[at].counter) & 0xffff);
  const moved = read.length > 1 ? (read[read.length - 1].counter - read[0].counter) & 0xffff : 0;
  const seconds = read.length > 1 ? (read[read.length - 1].at - read[0].at) / 1000 : 0;
  const forward = steps.every((step) => step < 0x8000);
  const rate = seconds > 0 ? moved / seconds : 0;
  const why = read.length * 2 < samples.length ? "the counter row is not readable"
    : worst > 80 ? `a bar is off by ${Math.round(worst)}`
    : !forward ? "the counter runs backwards"
    : moved === 0 ? "the picture stands still" : null;
  return {
    ok: why === null, why, counters_read: read.length, samples: samples.length, counter_rate: Math.round(rate * 10) / 10,
    worst_colour: Math.round(worst), width: samples[0]?.width ?? 0, height: samples[0]?.height ?? 0,
  };
}

/** Where a participant is seen or heard: in the meeting, or in one lane of a replay. */
function placeOf(kind, participant, lane) {
  if (lane !== null) return `[data-testid="lane"][data-participant="${lane}"] video`;
  return participant === null ? `[data-testid="${kind}"]` : `[data-testid="${kind}"][data-participant="${participant}"]`;
}

export async function readPicture(page, { participant = null, lane = null, times = 12, everyMs = 120 } = {}) {
  return judgePicture(await page.evaluate(look, PATTERN, placeOf("remote-video", participant, lane), times, everyMs));
}

/** The numbers of the pictures shown, each with the place in its file (`media_s`); unreadable ones are left out. */
export async function readCounters(page, { lane, times = 5, everyMs = 60 }) {
  const samples = await page.evaluate(look, PATTERN, placeOf("remote-video", null, lane), times, everyMs);
  return (samples ?? []).filter((sample) => sample.counter !== null);
}

/** Runs in the page: gives it `driveSound`, which opens the sound of a live stream or of a file that plays. */
function soundInPage() {
  window.driveSound ??= async (element) => {
    const live = element.srcObject !== null;
    // a file's element belongs to one context for good: all of them share one
    const context = live ? new AudioContext({ sampleRate: 48000, latencyHint: "interactive" })
      : (window.driveContext ??= new AudioContext({ sampleRate: 48000, latencyHint: "interactive" }));
    // Firefox's sound clock stands still on a machine without any audio device: then nothing can be heard
    const runs = await Promise.race([context.resume().then(() => true), new Promise((done) => setTimeout(() => done(false), 3000))]);
    if (!runs) return null;
    if (live) {
      return { context, source: new MediaStreamAudioSourceNode(context, { mediaStream: element.srcObject }), release: () => context.close() };
    }
    if (element.driveSource === undefined) {
      element.driveSource = new MediaElementAudioSourceNode(context, { mediaElement: element });
      element.driveSource.connect(context.destination);
    }
    return { context, source: element.driveSource, release: (node) => element.driveSource.disconnect(node) };
  };
}

/** Runs in the page: the strongest frequency of one sound. */
async function listen(selector, listenMs) {
  const audio = [...document.querySelectorAll(selector)].find((element) => element.srcObject !== null || element.currentSrc !== "");
  if (audio === undefined) return null;
  const sound = await window.driveSound(audio);
  if (sound === null) return null;
  const { context, source } = sound;
  const analyser = new AnalyserNode(context, { fftSize: 32768, smoothingTimeConstant: 0 });
  source.connect(analyser);
  await new Promise((done) => setTimeout(done, listenMs));
  const spectrum = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(spectrum);
  await sound.release(analyser);
  let peak = 0;
  spectrum.forEach((level, at) => {
    if (level > spectrum[peak]) peak = at;
  });
  const sorted = [...spectrum].sort((one, two) => one - two);
  return { hz: (peak * 48000) / 32768, level_db: spectrum[peak], floor_db: sorted[Math.floor(sorted.length / 2)] };
}

/** Runs in the page: does this browser's sound clock run at all? */
async function ticks() {
  const context = new AudioContext();
  const runs = await Promise.race([context.resume().then(() => true), new Promise((done) => setTimeout(() => done(false), 3000))]);
  await context.close().catch(() => undefined);
  return runs;
}
export function hasSoundClock(page) {
  return page.evaluate(ticks);
}

/** Frequency of the other's tone in Hz, or null if there is only noise or silence. */
export async function readTone(page, { participant = null, lane = null, listenMs = 1200 } = {}) {
  await page.evaluate(soundInPage);
  const heard = await page.evaluate(listen, placeOf("remote-audio", participant, lane), listenMs);
  if (heard === null || !Number.isFinite(heard.level_db) || heard.level_db < -80 || heard.level_db - heard.floor_db < 20) return null;
  return Math.round(heard.hz);
}

/** Runs in the page: begins of flashes in the picture and of beeps in the sound, ms of one clock. */
async function edges(pattern, videoSelector, audioSelector, seconds) {
  const video = [...document.querySelectorAll(videoSelector)].find((element) => element.videoWidth > 0);
  const audio = [...document.querySelectorAll(audioSelector)].find((element) => element.srcObject !== null || element.currentSrc !== "");
  if (video === undefined || audio === undefined) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [16, 16];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const sound = await window.driveSound(audio);
  if (sound === null) return null;
  const analyser = new AnalyserNode(sound.context, { fftSize: 512, smoothingTimeConstant: 0 });
  sound.source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const flashes = [];
  const levels = [];
  let lit = true;
  const end = performance.now() + seconds * 1000;
  const frame = (shownAt) => {
    const { x, y, width, height } = pattern.flash;
    const scale = [video.videoWidth / pattern.width, video.videoHeight / pattern.height];
    pen.drawImage(video, (x + 8) * scale[0], (y + 8) * scale[1], (width - 16) * scale[0], (height - 16) * scale[1], 0, 0, 16, 16);
    const now = pen.getImageData(8, 8, 1, 1).data[0] > 128;
    if (now && !lit) flashes.push(shownAt);
    lit = now;
  };
  const watch = (_now, { expectedDisplayTime }) => {
    if (performance.now() > end) return;
    frame(expectedDisplayTime);
    video.requestVideoFrameCallback(watch);
  };
  if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(watch);
  while (performance.now() < end) {
    analyser.getFloatTimeDomainData(samples);
    levels.push([performance.now(), Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)]);
    if (!("requestVideoFrameCallback" in video)) frame(performance.now());
    await new Promise((done) => setTimeout(done, 8));
  }
  await sound.release(analyser);
  return { flashes, levels };
}

/** Begins of beeps: where the level rises over the middle between quiet and loud. */
export function beepsOf(levels) {
  const sorted = levels.map(([, level]) => level).sort((one, two) => one - two);
  const quiet = sorted[Math.floor(sorted.length * 0.3)] ?? 0;
  const loud = sorted[Math.floor(sorted.length * 0.98)] ?? 0;
  if (loud < 0.001 || loud < quiet * 2) return [];
  const middle = (quiet + loud) / 2;
  const begins = [];
  for (let at = 1; at < levels.length; at += 1) if (levels[at - 1][1] < middle && levels[at][1] >= middle) begins.push(levels[at][0]);
  return begins.filter((begin, at) => at === 0 || begin - begins[at - 1] > 500);
}

/** Median of beep minus nearest flash, ms; null with fewer than two pairs. */
export function offsetOf(flashes, beeps) {
  const pairs = flashes.map((flash) => {
    const nearest = beeps.reduce((best, beep) => (Math.abs(beep - flash) < Math.abs(best - flash) ? beep : best), Infinity);
    return nearest - flash;
  }).filter((offset) => Math.abs(offset) < 900).sort((one, two) => one - two);
  return pairs.length < 2 ? null : Math.round(pairs[Math.floor(pairs.length / 2)] * 10) / 10;
}

/** How far sound is behind the picture where they are received or replayed, ms. */
export async function readOffset(page, { participant = null, lane = null, seconds = 9 } = {}) {
  await page.evaluate(soundInPage);
  const [video, audio] = ["remote-video", "remote-audio"].map((kind) => placeOf(kind, participant, lane));
  const seen = await page.evaluate(edges, PATTERN, video, audio, seconds);
  return seen === null ? null : offsetOf(seen.flashes, beepsOf(seen.levels));
}
