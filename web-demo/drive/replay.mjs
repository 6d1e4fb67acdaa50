// Two officers of one firm review a meeting: one asks, the other approves, the first replays and exports. What is
// replayed and exported is judged by content, then the ledger is read. Prints one JSON line.
//
//   node drive/replay.mjs --front http://bank-a.localhost:8441 --officer carol --approver chris --json
//
// Wants a meeting held with test picture and tone (drive/meeting.mjs) and ffmpeg. Without --meeting it takes the newest,
// and waits while that one is still open. --verify names strongroom-verify, for the evidence bundle. --except leaves the lanes of a device unjudged: a probe shows no test picture. `canaries` are words of this run that no service of the operator may log or store.
//
// Exit 0 when all of it is as it should be; else 1, with the reasons on stderr and in `faults`.

import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { readArguments } from "./arguments.mjs";
import { launch } from "./browser.mjs";
import { faultsOf, judgeLanes, judgeSeek } from "./lanes.mjs";
import { Officer } from "./review.mjs";
import { judgeWebm } from "./webm.mjs";

const USAGE = {
  front: "http://bank-a.localhost:8441", officer: "carol", approver: "chris", meeting: "", json: false, shots: "", except: "", verify: "",
  "chromium-path": "", "browser-arg": [],
};
/** A meeting is sealed and verified within so long of its end, ms. */
const SEAL_MS = 120_000;
/** Longest export, ms: pictures of several people are drawn into one on a busy machine. */
const EXPORT_MS = 300_000;
/** An export is so near to the meeting's length, s. */
const EXPORT_WITHIN_S = 2;
/** The seek goes to this share of the meeting. */
const SEEK_SHARE = 0.6;
/** What the ledger must have, in this order. */
const LEDGER = ["request", "approve", "open", "play", "seek", "export"];

const id = (name) => `[data-testid="${name}"]`;

function answerTo(page, method, ending) {
  return page.waitForResponse((answer) => answer.request().method() === method && new URL(answer.url()).pathname.endsWith(ending), { timeout: 60_000 });
}

/** The newest sealed and verified meeting, or the named one once it is. */
async function verified(officer, meeting) {
  const end = Date.now() + SEAL_MS;
  for (;;) {
    const rows = await officer.meetings();
    const row = meeting === "" ? rows[0] : rows.find((one) => one.meeting === meeting);
    if (row?.integrity === "good") return row.meeting;
    if (row?.integrity === "bad") throw new Error(`meeting ${row.meeting} does not verify`);
    if (Date.now() > end) throw new Error(`no sealed and verified meeting in ${SEAL_MS / 1000} s: ${JSON.stringify(rows.slice(0, 3))}`);
    await officer.click("refresh");
    await new Promise((done) => setTimeout(done, 500));
  }
}

/** Runs in the page: makes it take the officer's own requests for another's, as a page that was tampered with would. */
function disguise() {
  const honest = window.fetch;
  window.fetch = async (resource, init) => {
    const answer = await honest(resource, init);
    if (resource !== "/api/requests" || init?.method !== "GET" || !answer.ok) return answer;
    const rows = await answer.json();
    return Response.json(rows.map((row) => ({ ...row, requester: "somebody-else" })));
  };
  window.driveHonest = () => {
    window.fetch = honest;
  };
}

/** The page refuses an own approval, and behind a page that does not the service refuses it too. */
async function ownApproval(officer, request) {
  const page = await officer.ownRefusal();
  await officer.page.evaluate(disguise);
  await officer.click("refresh");
  const [answer] = await Promise.all([answerTo(officer.page, "POST", "/approval"), officer.approveButton(request)]);
  const problem = await answer.json().catch(() => ({}));
  const service = await officer.wait(id("problem"), 10_000).then((shown) => shown.evaluate((element) => element.textContent), () => "");
  await officer.page.evaluate(() => window.driveHonest());
  await officer.click("refresh");
  // any other refusal would say nothing about this rule
  const refused = page !== "" && answer.status() === 403 && problem.code === "two-persons";
  return { refused, page, status: answer.status(), code: problem.code ?? null, service };
}

/** Saves the finished export by the page's own button; answers the file. */
async function download(officer, folder, { button, ending }) {
  const browser = await officer.page.createCDPSession();
  await browser.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder });
  await officer.click(button);
  const end = Date.now() + 60_000;
  for (;;) {
    const [name] = (await readdir(folder)).filter((found) => found.endsWith(ending));
    if (name !== undefined) return path.join(folder, name);
    if (Date.now() > end) throw new Error(`nothing was downloaded:\n${await officer.seen()}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

async function exported(officer, opened, lanes, folder) {
  const [percents, began] = [[], Date.now()];
  const state = await officer.export(EXPORT_MS, (percent) => percents.at(-1) === percent || percents.push(percent));
  if (state !== "done") return { state, percents, faults: [`the export is ${state}:\n${await officer.seen()}`] };
  const x_realtime = Math.round((opened.duration_ms / (Date.now() - began)) * 100) / 100;
  const file = await download(officer, folder, { button: "export-download", ending: ".webm" });
  const tones = lanes.map((lane) => lane.tone_wanted_hz ?? lane.tone_hz).filter((hz) => hz !== null);
  const judged = judgeWebm(file, { duration_s: opened.duration_ms / 1000, within_s: EXPORT_WITHIN_S, tones });
  if (percents.some((percent, at) => at > 0 && percent < percents[at - 1])) judged.faults.push(`the export's progress goes back: ${percents}`);
  return { state, x_realtime, ...judged, bytes: (await stat(file)).size, percents };
}

/** The evidence bundle, judged by tar, sha256sum and, where it is named, the offline verifier. */
async function bundled(officer, folder, verifier) {
  const file = await download(officer, folder, { button: "bundle-start", ending: ".tar" });
  const faults = [];
  const tool = (program, parameters, cwd) => {
    const { status, stdout, stderr, error } = spawnSync(program, parameters, { cwd, encoding: "utf8" });
    if (status !== 0) faults.push(`the evidence bundle: ${program} ${error?.message ?? `${stdout}${stderr}`.trim().slice(0, 600)}`);
    return stdout ?? "";
  };
  tool("tar", ["-xf", file], folder);
  const bag = path.join(folder, path.basename(file, ".tar"));
  for (const list of ["manifest-sha256.txt", "tagmanifest-sha256.txt"]) tool("sha256sum", ["--strict", "--quiet", "-c", list], bag);
  const verified = verifier === "" ? null : /everything holds/.test(tool(verifier, ["."], bag));
  return { bytes: (await stat(file)).size, verified, faults };
}

/** Entries of this case, oldest first, and what is wrong with them. */
function judgeLedger(rows, { meeting, since, caseNumber }) {
  const own = rows.filter((row) => row.index > since && meeting.startsWith(row.meeting));
  const faults = own.filter((row) => row.integrity !== "good").map((row) => `ledger entry ${row.index} (${row.action}) does not verify`);
  const of = own.filter((row) => row.note.includes(caseNumber));
  let at = 0;
  for (const row of of) if (row.action === LEDGER[at]) at += 1;
  if (at < LEDGER.length) faults.push(`the ledger has no ${LEDGER[at]} in its order: ${of.map((row) => row.action).join(", ")}`);
  return { actions: of.map((row) => row.action), faults };
}

async function review(options, { officer, approver, shoot, found, folder }) {
  const caseNumber = `case-${randomBytes(5).toString("hex")}`;
  const reason = `order of events ${randomBytes(5).toString("hex")}`;
  found.canaries = [caseNumber, reason, officer.who.password, approver.who.password];
  await officer.open();
  await officer.enter();
  const since = Math.max(-1, ...(await officer.ledgerRows()).map((row) => row.index));
  const meeting = await verified(officer, options.meeting);
  found.meeting = meeting;
  await shoot("archive");
  const [sent] = await Promise.all([answerTo(officer.page, "POST", "/api/requests"), officer.request(meeting, { caseNumber, reason })]);
  const { id: request } = await sent.json();

  const own = await ownApproval(officer, request);
  Object.assign(found, { own_refused: own.refused, own_refusal: own });
  if (!own.refused) found.faults.push(`an own approval was not refused: ${JSON.stringify(own)}`);
  await shoot("requests");

  await approver.open();
  await approver.enter();
  await approver.approve(meeting, request);
  await approver.page.close();
  // a page behind another one draws no pictures
  await officer.page.bringToFront();

  const pressed = Date.now();
  const [answer] = await Promise.all([answerTo(officer.page, "POST", "/open"), officer.openReplay(meeting, request)]);
  const opened = await answer.json();
  if (options.except !== "") opened.lanes = opened.lanes.filter((lane) => !lane.participant.includes(options.except));
  found.duration_s = opened.duration_ms / 1000;
  await officer.play();
  // until the meeting's clock runs: every lane has begun
  await officer.page.waitForFunction((page) => Number(document.querySelector(page).dataset.position) > 0, { polling: "raf", timeout: 30_000 }, id("replay-page"));
  found.replay_start_ms = Date.now() - pressed;
  const judged = await judgeLanes(officer, opened);
  Object.assign(found, judged);
  found.faults.push(...faultsOf(judged));
  await shoot("replay");
  const seek = await judgeSeek(officer, opened, SEEK_SHARE);
  Object.assign(found, { seek_ok: seek.ok, seek });
  if (!seek.ok) found.faults.push(`seek: ${seek.why}`);
  if (await officer.page.$eval(id("replay-page"), (element) => element.dataset.playing === "true")) await officer.click("play");

  const { faults, ...file } = await exported(officer, opened, judged.lanes, folder);
  found.export = file;
  found.faults.push(...faults);
  const { faults: unsound, ...bundle } = await bundled(officer, folder, options.verify);
  found.bundle = bundle;
  found.faults.push(...unsound);
  await shoot("export");
  await officer.click("replay-back");
  const ledger = judgeLedger(await officer.ledgerRows(), { meeting, since, caseNumber });
  found.ledger = ledger.actions;
  found.faults.push(...ledger.faults);
  await shoot("ledger");
}

async function main() {
  const options = readArguments(process.argv.slice(2), USAGE);
  const given = options["chromium-path"] === "" ? {} : { path: options["chromium-path"] };
  const { browser, switches } = await launch({ ...given, args: options["browser-arg"] });
  const officer = new Officer(browser, { url: options.front, user: options.officer });
  // a context of its own: nothing of one officer's session is the other's
  const approver = new Officer(await browser.createBrowserContext(), { url: options.front, user: options.approver });
  const folder = await mkdtemp(path.join(tmpdir(), "strongroom-export-"));
  const shoot = async (name) => {
    if (options.shots !== "") await officer.screenshot(`${options.shots}/replay-${name}.png`);
  };
  const found = {
    meeting: null, duration_s: null, lanes: [], lanes_apart_ms: null, seek_ok: false, own_refused: false,
    export: { state: "none", duration_s: null, video: null, audio: null, tones_ok: false }, ledger: [], canaries: [], faults: [],
  };
  try {
    await review(options, { officer, approver, shoot, found, folder });
  } catch (error) {
    found.faults.push(error.message.split("\n")[0]);
    console.error(error.stack);
    for (const one of [officer, approver]) console.error(`--- ${one.who.user}\n${await one.seen()}`);
  }
  await rm(folder, { recursive: true, force: true });
  await browser.close().catch(() => undefined);
  const ok = found.faults.length === 0;
  for (const fault of found.faults) console.error(fault);
  console.log(JSON.stringify({ ok, ...found, switches }));
  process.exitCode = ok ? 0 : 1;
}

await main();
