// Judges the lanes of a replay by their content, as they play: picture, tone, sound against picture, lane against lane,
// and where a seek lands. Reads the page's elements; changes nothing but where their sound goes through.

import { PATTERN, readCounters, readOffset, readPicture, readTone } from "./recognise.mjs";

/** How far a recognised tone may be from the sent one, Hz: three bins of the analyser. */
export const TONE_TOLERANCE_HZ = 5;
/** Sound against picture, ms: beyond it people notice. */
export const MOST_OFFSET_MS = 100;
/** Lane against lane, ms, median: a lane further off is set anew by the page. */
export const MOST_APART_MS = 120;
/** A seek lands so near, ms. */
export const MOST_SEEK_MS = 500;
/** Tones of the test people, Hz. */
export const TONES = { anna: 440, ben: 659 };

/** After the slower lane's begin: microphones open, sound and picture are together, ms. */
const SETTLE_MS = 1_500;
/** Picture and tone take so long of the replay, s. */
const ROOM_S = 4;
/** Longest measuring of sound against picture, s: four flashes and beeps; shortest: two. */
const MEASURE_S = [5, 9];

const userOf = (participant) => participant.replace(/^sr:\/\//, "").split("/")[1] ?? participant;

function median(values) {
  const sorted = [...values].sort((one, two) => one - two);
  return sorted.length === 0 ? null : sorted[Math.floor(sorted.length / 2)];
}
function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/** The time in which every lane is there, ms. */
export function common(opened) {
  return { from: Math.max(...opened.lanes.map((lane) => lane.from_ms)), to: Math.min(...opened.lanes.map((lane) => lane.to_ms)) };
}

async function untilPosition(officer, ms, timeout = 60_000) {
  const end = Date.now() + timeout;
  while ((await officer.position()) < ms) {
    if (Date.now() > end) throw new Error(`the replay did not reach ${ms} ms in ${timeout} ms:\n${JSON.stringify(await officer.lanes())}`);
    await pause(100);
  }
}

/** Median of how far the lanes are from one another, ms. */
async function apart(officer, times = 9, everyMs = 250) {
  const spreads = [];
  for (let time = 0; time < times; time += 1) {
    const at = (await officer.lanes()).map((lane) => lane.at_ms);
    spreads.push(Math.max(...at) - Math.min(...at));
    await pause(everyMs);
  }
  return median(spreads);
}

/** Plays from where it stands and judges every lane. Answers { lanes, lanes_apart_ms }. */
export async function judgeLanes(officer, opened) {
  const { from, to } = common(opened);
  await untilPosition(officer, from + SETTLE_MS);
  const names = opened.lanes.map((lane) => lane.participant);
  const each = (read) => Promise.all(names.map((lane) => read(lane)));
  const pictures = await each((lane) => readPicture(officer.page, { lane }));
  const left = (to - (await officer.position())) / 1000 - ROOM_S;
  const seconds = Math.max(MEASURE_S[0], Math.min(MEASURE_S[1], left));
  const [offsets, spread] = await Promise.all([
    each((lane) => readOffset(officer.page, { lane, seconds })), apart(officer),
  ]);
  const tones = await each((lane) => readTone(officer.page, { lane }));
  const lanes = names.map((participant, at) => {
    const name = userOf(participant);
    return {
      name, picture_ok: pictures[at].ok, tone_hz: tones[at], av_offset_ms: offsets[at], tone_wanted_hz: TONES[name] ?? null,
      picture: pictures[at], gaps: opened.lanes[at].gaps.length,
    };
  });
  return { lanes, lanes_apart_ms: spread };
}

/** What is wrong with the lanes, in words; empty if nothing. */
export function faultsOf({ lanes, lanes_apart_ms: spread }) {
  const faults = lanes.length < 2 ? [`${lanes.length} lanes, at least two are wanted`] : [];
  for (const lane of lanes) {
    if (!lane.picture_ok) faults.push(`${lane.name}: ${lane.picture.why}`);
    const wanted = lane.tone_wanted_hz;
    if (lane.tone_hz === null) faults.push(`${lane.name}: no tone`);
    else if (wanted !== null && Math.abs(lane.tone_hz - wanted) > TONE_TOLERANCE_HZ) faults.push(`${lane.name}: ${lane.tone_hz} Hz, not ${wanted}`);
    if (lane.av_offset_ms === null) faults.push(`${lane.name}: flash and beep were not seen twice`);
    else if (Math.abs(lane.av_offset_ms) > MOST_OFFSET_MS) faults.push(`${lane.name}: sound is ${lane.av_offset_ms} ms off its picture`);
  }
  const heard = lanes.map((lane) => lane.tone_hz).filter((hz) => hz !== null).sort((one, two) => one - two);
  if (heard.some((hz, at) => at > 0 && hz - heard[at - 1] <= 2 * TONE_TOLERANCE_HZ)) faults.push("two lanes sound alike");
  if (spread === null || spread > MOST_APART_MS) faults.push(`lanes are ${spread} ms apart`);
  return faults;
}

/** Runs in the page: moves the slider and waits until all lanes show the new place. */
async function land(toMs, patienceMs) {
  const of = (name) => [...document.querySelectorAll(`[data-testid="${name}"]`)];
  const begin = performance.now();
  const slider = of("seek")[0];
  slider.value = String(toMs);
  slider.dispatchEvent(new Event("change", { bubbles: true }));
  for (;;) {
    await new Promise((done) => setTimeout(done, 20));
    const videos = of("lane-video");
    // until then the old place is shown
    const near = (video) => Math.abs(video.currentTime * 1000 - toMs) < 1_500;
    const there = videos.every((video) => near(video) && !video.seeking && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA);
    const took = Math.round(performance.now() - begin);
    if (there) return { took_ms: took, lanes_ms: videos.map((video) => Math.round(video.currentTime * 1000)) };
    if (took > patienceMs) return null;
  }
}

/** Picture number minus what the place in the file says, median, in pictures: the same before and after a true seek. */
async function phase(officer, lane) {
  const read = await readCounters(officer.page, { lane });
  return median(read.map((sample) => sample.counter - sample.media_s * PATTERN.rate));
}

/** Seeks to a share of the meeting while it plays and judges where it lands: by the lanes' clocks and by the pictures' numbers. */
export async function judgeSeek(officer, opened, share) {
  const lanes = opened.lanes.map((lane) => lane.participant);
  const to = Math.round((opened.duration_ms * share) / 100) * 100;
  // from near by, a seek could not be told from playing on
  if (Math.abs((await officer.position()) - to) < 3_000) {
    const away = Math.max(common(opened).from, to - 6_000);
    if (await officer.page.evaluate(land, away, 20_000) === null) return { ok: false, to_ms: to, why: `the seek to ${away} ms did not land` };
  }
  const before = await Promise.all(lanes.map((lane) => phase(officer, lane)));
  const landed = await officer.page.evaluate(land, to, 20_000);
  if (landed === null) return { ok: false, to_ms: to, why: "did not land in 20 s" };
  const clock_ms = Math.max(...landed.lanes_ms.map((at) => Math.abs(at - to)));
  const pictures = await Promise.all(lanes.map((lane) => readPicture(officer.page, { lane })));
  const after = await Promise.all(lanes.map((lane) => phase(officer, lane)));
  const known = before.every((value) => value !== null) && after.every((value) => value !== null);
  const content_ms = known ? Math.round(Math.max(...before.map((value, at) => Math.abs(after[at] - value))) * 1000 / PATTERN.rate) : null;
  const still = pictures.find((picture) => !picture.ok);
  const why = clock_ms > MOST_SEEK_MS ? `landed ${clock_ms} ms away`
    : still !== undefined ? still.why
    : content_ms === null ? "the pictures' numbers are not readable"
    : content_ms > MOST_SEEK_MS ? `its pictures are ${content_ms} ms from where they belong` : null;
  return { ok: why === null, why, to_ms: to, took_ms: landed.took_ms, clock_error_ms: clock_ms, content_error_ms: content_ms };
}
