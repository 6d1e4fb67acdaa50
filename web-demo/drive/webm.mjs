// Judges an exported WebM by its content with ffprobe and ffmpeg: streams, length, tones in its sound, light in its picture.

import { spawnSync } from "node:child_process";

/** So much of a long export is decoded, s. */
const LOOKED_AT_S = 600;
const RATE = 48_000;
/** Samples of one look at the spectrum: a quarter of a second tells tones 10 Hz apart. */
const BLOCK = RATE / 4;
/** Frequencies at which nobody sounds: what is there is noise, Hz. */
const SILENT_HZ = [310, 550, 730];
/** A tone is there if it is so much louder than the noise ... */
const OVER_NOISE = 8;
/** ... and than this, of full scale (the test tone is 0.04), ... */
const LEAST_LEVEL = 0.004;
/** ... in such a share of the blocks: people enter late, open their microphone later and leave early. */
const LEAST_SHARE = 0.3;
/** Mean light of a picture that is not black, of 255: black is 16, two small test pictures on black are above 30. */
const LEAST_LUMA = 24;

function run(program, args, encoding) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding, maxBuffer: 512 * 1024 * 1024 });
  if (error !== undefined) throw new Error(`${program} did not start (install ffmpeg): ${error.message}`);
  if (status !== 0) throw new Error(`${program} failed: ${String(stderr).slice(0, 500)}`);
  return stdout;
}

/** Amplitude of one frequency in a block, under a Hann window. */
export function goertzel(samples, from, length, hz) {
  const turn = 2 * Math.cos((2 * Math.PI * hz) / RATE);
  let [last, before] = [0, 0];
  for (let at = 0; at < length; at += 1) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / length);
    [last, before] = [samples[from + at] * window + turn * last - before, last];
  }
  const power = last * last + before * before - turn * last * before;
  return (4 * Math.sqrt(Math.max(0, power))) / length;
}

/** Share of blocks in which each tone sounds. */
export function sharesOf(samples, tones) {
  const blocks = Math.floor(samples.length / BLOCK);
  const heard = tones.map(() => 0);
  for (let block = 0; block < blocks; block += 1) {
    const level = (hz) => goertzel(samples, block * BLOCK, BLOCK, hz);
    const noise = Math.max(...SILENT_HZ.map(level));
    tones.forEach((hz, at) => {
      if (level(hz) > Math.max(LEAST_LEVEL, noise * OVER_NOISE)) heard[at] += 1;
    });
  }
  return heard.map((count) => (blocks === 0 ? 0 : Math.round((count / blocks) * 100) / 100));
}

function tonesOf(path, tones) {
  const raw = run("ffmpeg", ["-v", "error", "-i", path, "-map", "0:a:0", "-t", String(LOOKED_AT_S), "-ac", "1", "-ar", String(RATE), "-f", "f32le", "-"], "buffer");
  return sharesOf(new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + (raw.length & ~3))), tones);
}

/** Mean light of the whole picture over its seconds, 0 to 255. */
function lumaOf(path) {
  const raw = run("ffmpeg", ["-v", "error", "-i", path, "-map", "0:v:0", "-t", String(LOOKED_AT_S), "-vf", "fps=1,scale=64:36,format=gray", "-f", "rawvideo", "-"], "buffer");
  return raw.length === 0 ? null : Math.round(raw.reduce((sum, value) => sum + value, 0) / raw.length);
}

/** A file that was written as a stream may not say how long it is: then its last packet does. */
function durationOf(path, format) {
  const said = Number(format.duration);
  if (Number.isFinite(said)) return said;
  const times = run("ffprobe", ["-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path], "utf8").split("\n").map(Number.parseFloat);
  return times.reduce((most, time) => (time > most ? time : most), 0);
}

/** Answers { duration_s, video, audio, tones_ok, tone_shares, mean_luma, faults }. `wanted`: { duration_s, within_s, tones }. */
export function judgeWebm(path, wanted) {
  const { streams, format } = JSON.parse(run("ffprobe", ["-v", "error", "-show_streams", "-show_format", "-of", "json", path], "utf8"));
  const codecs = (kind) => streams.filter((stream) => stream.codec_type === kind).map((stream) => stream.codec_name);
  const [video, audio] = [codecs("video"), codecs("audio")];
  const duration_s = Math.round(durationOf(path, format) * 100) / 100;
  const tone_shares = audio.length === 0 ? wanted.tones.map(() => 0) : tonesOf(path, wanted.tones);
  const mean_luma = video.length === 0 ? null : lumaOf(path);
  const tones_ok = tone_shares.length > 0 && tone_shares.every((share) => share >= LEAST_SHARE);
  const faults = [];
  if (video.length !== 1 || !["vp8", "vp9"].includes(video[0])) faults.push(`the export's video streams: ${video.join(", ") || "none"}`);
  if (audio.length !== 1 || audio[0] !== "opus") faults.push(`the export's audio streams: ${audio.join(", ") || "none"}`);
  if (Math.abs(duration_s - wanted.duration_s) > wanted.within_s) faults.push(`the export lasts ${duration_s} s, the meeting ${wanted.duration_s} s`);
  if (!tones_ok) faults.push(`tones ${wanted.tones.join(", ")} Hz sound in ${tone_shares.join(", ")} of the export`);
  if (mean_luma === null || mean_luma < LEAST_LUMA) faults.push(`the export's picture is black (${mean_luma})`);
  return { duration_s, video: video.join(","), audio: audio.join(","), tones_ok, tone_shares, mean_luma, faults };
}
