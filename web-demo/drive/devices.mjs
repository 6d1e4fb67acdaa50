// Other devices in mid-call, with Chromium's fake ones: chosen from the menu, and unplugged. Each time sound and picture must
// go on at the other side.

/** A device is opened and its media sealed, sent and decoded well within this on a busy machine, ms. */
const GOES_ON_MS = 20_000;
/** Pictures and pieces of sound that nothing left over from the device before amounts to. */
const ENOUGH = { video: 20, audio: 100 };

/** Switches of a browser with fake devices that asks nobody. The second camera gives depths, the third JPEG: the fourth is like the first. */
export const FAKE_DEVICES = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=device-count=4"];

/** Runs in the page before its own scripts: keeps the tracks that devices gave. */
export function plant() {
  window.driveTracks = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = await open(constraints);
    window.driveTracks.push(...stream.getTracks());
    return stream;
  };
}

/** What `who` has received so far of the pictures and the sound of `from`. */
async function received(who, from) {
  const { tracks } = await who.stats();
  const of = (fits) => tracks.filter((track) => track.direction === "receive" && track.participant === from && fits(track.slot));
  return {
    video: of((slot) => slot >= 2 && slot < 16).reduce((sum, track) => sum + (track.framesDecoded ?? 0), 0),
    audio: of((slot) => slot === 0).reduce((sum, track) => sum + track.opened, 0),
  };
}

async function goesOn(found, what, who, from) {
  const before = await received(who, from);
  const begin = Date.now();
  for (;;) {
    const now = await received(who, from);
    if (Object.entries(ENOUGH).every(([kind, count]) => now[kind] - before[kind] >= count)) break;
    if (Date.now() - begin > GOES_ON_MS) {
      found.faults.push(`${what}: ${JSON.stringify({ before, now })} at the other side`);
      break;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  found.devices.push({ what, goes_on_ms: Date.now() - begin });
}

const live = (page, kind) => page.evaluate((wanted) => window.driveTracks.filter((track) => track.kind === wanted && track.readyState === "live")
  .map((track) => track.getSettings().deviceId), kind);

/** `person` changes devices, `other` watches. */
export async function change(found, person, other) {
  const { page } = person;
  const from = (await person.stats()).participant;
  found.devices = [];
  await goesOn(found, "as it began", other, from);
  await person.click("devices");
  await person.wait('[data-testid="device-dialog"]');
  for (const [name, kind] of [["camera", "video"], ["microphone", "audio"]]) {
    const select = `[data-testid="call-${name}"]`;
    const [used] = await live(page, kind);
    const values = await page.$$eval(`${select} option`, (options) => options.map(({ value }) => value));
    const next = values.findLast((value) => !["default", "test", used].includes(value));
    if (next === undefined) throw new Error(`there is no other ${name}: ${values}`);
    await page.select(select, next);
    await goesOn(found, `another ${name}`, other, from);
    const now = await live(page, kind);
    if (now.length !== 1 || now[0] !== next) found.faults.push(`another ${name}: ${now.length} are open`);
  }
  await page.keyboard.press("Escape");
  for (const kind of ["video", "audio"]) {
    // as the browser does when a device is pulled out: its track has ended, the list has changed
    await page.evaluate((wanted) => {
      for (const track of window.driveTracks) if (track.kind === wanted) track.stop();
      navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
    }, kind);
    await goesOn(found, `${kind} unplugged`, other, from);
    if ((await live(page, kind)).length !== 1) found.faults.push(`${kind} unplugged: no other device took its place`);
  }
}
