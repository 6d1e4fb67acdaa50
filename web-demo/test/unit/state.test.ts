// What the screens say follows from what happened: locks, banners, roster notes, layout, texts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bannersOf } from "../../src/call/banners";
import { verdictOf } from "../../src/call/verdict";
import { columnsFor } from "../../src/call/grid";
import { arrivals, withRoster } from "../../src/call/notice";
import { noticeOf, noticesOf } from "../../src/call/notices";
import { withFile, withShared } from "../../src/call/files";
import { fileKeepers, filesForbiddenBy, tooMuch, withKept, withNewMeeting, withSaid, withWaiting } from "../../src/call/said";
import { mayPause, tagsOf, withDeclared, withStanding, withTime } from "../../src/call/record";
import { initialState, lockOf, meetingLock, type CallState } from "../../src/call/state";
import { de } from "../../src/i18n/de";
import { deOfficer } from "../../src/i18n/de.officer";
import { deFiles } from "../../src/i18n/de.files";
import { deSaid } from "../../src/i18n/de.said";
import { en } from "../../src/i18n/en";
import { enOfficer } from "../../src/i18n/en.officer";
import { enFiles } from "../../src/i18n/en.files";
import { enSaid } from "../../src/i18n/en.said";
import { fr } from "../../src/i18n/fr";
import { frOfficer } from "../../src/i18n/fr.officer";
import { frFiles } from "../../src/i18n/fr.files";
import { frSaid } from "../../src/i18n/fr.said";
import { identityOf } from "../../src/media/subscriber";
import { correct, MasterClock } from "../../src/officer/master";
import type { PageConfig } from "../../src/wire/front";
import type { RosterEntry, Statement } from "../../src/wire/client";
import { newCounters } from "../../src/worker/counters";

const config: PageConfig = {
  firm: "bank-a", firm_name: "Bank A", signaling: "", issuer: "development", warnings: [], client_id: "",
  trust: { version: 1, firms: [{ firm: "bank-a", name: "Bank A" }, { firm: "bank-b", name: "Bank B" }] },
};
const ben = "bank-b/ben/1";
const entry = (participant: string, recorder = false): RosterEntry => ({ participant, recorder, host: false, leaf: 0, sources: [] });
const inCall = (part: Partial<CallState>): CallState => ({ ...initialState("deal-room"), phase: "in", me: "bank-a/anna/1", ...part });

test("only frames that verified lately close the lock", () => {
  const track = { ...newCounters("receive", "0", 2, "vp8"), participant: ben };
  assert.equal(lockOf([], ben, 0), "none");
  assert.equal(lockOf([track], ben, 1000), "waiting");
  assert.equal(lockOf([{ ...track, opened: 10, lastAt: 900 }], ben, 1000), "verified");
  assert.equal(lockOf([{ ...track, opened: 10, lastAt: 900 }], ben, 9000), "waiting");
  assert.equal(lockOf([{ ...track, opened: 10, rejected: 5, lastAt: 900 }], ben, 1000), "failing");
  const state = inCall({ roster: { [ben]: entry(ben) } });
  assert.equal(meetingLock(state, 1000), "waiting");
  assert.equal(meetingLock({ ...state, counters: [{ ...track, opened: 1, lastAt: 999 }] }, 1000), "verified");
});

test("a stopped sender and a missing recorder are said plainly, once", () => {
  const own = inCall({
    sending: { state: "stopped", why: "beacon", firm: "bank-a" }, epoch: 3, suspended: ["bank-a"],
    recorders: [{ firm: "bank-a", participant: "bank-a/recorder-1/1", state: "missing", rule: "must", chat: "off" }],
  });
  const texts = bannersOf(config, own).map((banner) => banner.text);
  assert.deepEqual(texts, ["Your firm's recorder is not reachable. Nothing you say is sent until it is back."]);
  const others = inCall({
    sending: { state: "allowed" }, epoch: 3, suspended: ["bank-b"],
    recorders: [{ firm: "bank-b", participant: ben, state: "missing", rule: "must", chat: "off" }],
  });
  assert.deepEqual(bannersOf(config, others).map((banner) => banner.text), ["Bank B's recorder is missing. Bank B's people are not sending."]);
  assert.deepEqual(bannersOf(config, inCall({ sending: { state: "allowed" } })), []);
});

test("a lost way is said, as a lost network only where media is lost too", () => {
  const ids = (part: Partial<CallState>): string[] => bannersOf(config, inCall({ sending: { state: "allowed" }, ...part })).map(({ id }) => id);
  assert.deepEqual(ids({ network: "down" }), []);
  assert.deepEqual(ids({ network: "down", path: "lost" }), ["network"]);
  assert.deepEqual(ids({ path: "lost" }), ["media"]);
});

test("notices are computed from statements and name the firm", () => {
  const statement: Statement = {
    firm: "bank-b", room: "r", audio_video: "must", chat: "off", files: "off", tier: "full", retention_years: 5, recorder_grace_ms: 2000,
  };
  assert.equal(noticeOf(config, statement), "Bank B keeps audio and video for 5 years.");
  assert.equal(noticeOf(config, { ...statement, tier: "audio" }), "Bank B keeps audio for 5 years.");
  assert.equal(noticeOf(config, { ...statement, audio_video: "off" }), "Bank B keeps no recording.");
  assert.deepEqual(noticesOf(config, { ...statement, audio_video: "off", files: "must" }), ["Bank B keeps the files that are sent for 5 years."]);
  const whole: Statement = { ...statement, chat: "forbidden", files: "forbidden", conditions: { notice: { de: "Bitte nur Deutsch.", en: "Calls are reviewed." } } };
  assert.deepEqual(noticesOf(config, whole), [
    "Bank B keeps audio and video for 5 years.", "Bank B forbids chat.", "Bank B forbids files.", "Bank B adds: Calls are reviewed.",
  ]);
});

test("coming and going is noted, oneself and the first roster are not", () => {
  const first = withRoster(inCall({}), { [ben]: entry(ben) }, 1);
  assert.deepEqual(first.notices, []);
  const recorder = "bank-b/recorder-1/1";
  const second = withRoster(inCall(first.patch), { [ben]: entry(ben), [recorder]: entry(recorder, true) }, 2);
  assert.deepEqual(second.notices, [], "a name is known only when the certificate is");
  const member = { leaf: 3, participant: recorder, name: "recorder-1", role: "recorder" as const, firm: "bank-b" };
  assert.deepEqual(arrivals(inCall({ epoch: 4 }), [member], [recorder], []), [{ kind: "joined", participant: recorder, name: "recorder-1", recorder: true }]);
  assert.deepEqual(arrivals(inCall({ epoch: null }), [member], [recorder], []), []);
  assert.deepEqual(arrivals(inCall({ epoch: 4 }), [member], [recorder], [recorder]), [], "a resync is no arrival");
  const third = withRoster(inCall(second.patch), { [recorder]: entry(recorder, true) }, 3);
  assert.deepEqual(third.notices.map((notice) => notice.kind), ["gone"]);
  assert.equal(third.patch.seen[ben]?.to, 3);
});

test("a passing refusal inside a call is waited for, but not for ever, and a removal is one", () => {
  const problem = (code: string) => ({ code, detail: "", firm: null });
  assert.equal(verdictOf(problem("media-unavailable"), true, 0), "again");
  assert.equal(verdictOf(problem("media-unavailable"), true, 40), "refused");
  assert.equal(verdictOf(problem("media-unavailable"), false, 0), "refused");
  assert.equal(verdictOf(problem("removed"), true, 0), "removed");
  assert.equal(verdictOf(problem("policy-clash"), true, 0), "refused");
});

test("tiles fill the room they have", () => {
  assert.equal(columnsFor(1, 1000, 600), 1);
  assert.equal(columnsFor(2, 1600, 500), 2);
  assert.equal(columnsFor(2, 500, 900), 1);
  assert.equal(columnsFor(9, 1600, 900), 3);
});

test("another DTLS association is another transport, new ICE parameters are not", () => {
  const sdp = "v=0\r\na=ice-ufrag:abcd\r\na=fingerprint:sha-256 00:11\r\na=tls-id:dtls-0123456789abcdef\r\n";
  assert.equal(identityOf(sdp), identityOf(sdp.replace("abcd", "efgh")));
  assert.notEqual(identityOf(sdp), identityOf(sdp.replace("dtls-0", "dtls-1")));
  assert.notEqual(identityOf(sdp), identityOf(sdp.replace("00:11", "00:22")));
});

test("the master clock keeps position over pause, seek and speed", () => {
  const clock = new MasterClock(10_000);
  clock.play(100);
  assert.equal(clock.position(1100), 1000);
  clock.setRate(1100, 2);
  assert.equal(clock.position(1600), 2000);
  clock.pause(1600);
  assert.equal(clock.position(9999), 2000);
  clock.seek(9999, 50_000);
  assert.equal(clock.position(9999), 10_000);
  assert.equal(clock.ended(9999), true);
  clock.play(10_000);
  assert.equal(clock.position(10_000), 0);
});

test("a lane is nudged when near and set when far", () => {
  assert.deepEqual(correct(5, 5.01, 1), { kind: "none" });
  assert.deepEqual(correct(5, 4.95, 1), { kind: "rate", rate: 1.05 });
  assert.deepEqual(correct(5, 5.05, 1), { kind: "rate", rate: 0.95 });
  assert.deepEqual(correct(5, 4, 1), { kind: "jump", toS: 5 });
});

test("a line waits, is sent once, and is kept; what waited when another meeting begins is lost", () => {
  const me = "bank-a/anna/1";
  const waiting = inCall({ lines: withWaiting(inCall({}), 1, "hello", 10) });
  assert.deepEqual(waiting.lines.map(({ state, words }) => [state, words]), [["waiting", "hello"]]);
  const event = { type: "said" as const, from: me, epoch: 2, sequence: 1, at: 20, words: "hello" };
  const sent = inCall({ lines: withSaid(waiting, event) });
  assert.deepEqual(sent.lines.map(({ state, at }) => [state, at]), [["sent", 20]]);
  assert.equal(withWaiting(sent, 1, "hello", 30), sent.lines, "the event may come before the answer");
  assert.deepEqual(withKept(sent, 1, "bank-a")[0]?.kept, ["bank-a"]);
  const anew = withNewMeeting(waiting.lines, "m1");
  assert.equal(anew[0]?.state, "lost");
  assert.equal(withWaiting(inCall({ lines: anew }), 1, "again", 40).length, 2);
  assert.equal(tooMuch("é".repeat(2_000)), 0);
  assert.equal(tooMuch("é".repeat(2_001)), 2);
});

test("who keeps the chat alone is not said to keep nothing", () => {
  const statement: Statement = {
    firm: "bank-b", room: "r", audio_video: "off", chat: "must", files: "off", tier: "full", retention_years: 5, recorder_grace_ms: 2000,
  };
  assert.deepEqual(noticesOf(config, statement), ["Bank B keeps what is written in the chat for 5 years."]);
  assert.equal(noticesOf(config, { ...statement, audio_video: "must" }).length, 2);
  assert.deepEqual(noticesOf(config, { ...statement, chat: "off" }), ["Bank B keeps no recording."]);
});

test("who may pause is named by the own firm's statement alone, and a pause ends by itself and is not made longer", () => {
  const statement: Statement = {
    firm: "bank-a", room: "r", audio_video: "must", chat: "must", files: "off", tier: "full", retention_years: 5, recorder_grace_ms: 2000,
    pause: { by: ["sam"], at_most_ms: 60_000 },
  };
  assert.equal(mayPause([statement], "bank-a/sam/1"), 60_000);
  assert.equal(mayPause([statement], "bank-a/anna/1"), null);
  assert.equal(mayPause([statement], "bank-b/sam/1"), null);
  const pause = { pause: { reason: "payment-card" as const, at_most_ms: 30_000 } };
  const paused = inCall({ sending: { state: "allowed" }, ...withDeclared(inCall({}), "bank-a/sam/1", pause, 1_000) });
  assert.match(bannersOf(config, paused)[0]?.text ?? "", /Bank A's record stands still until .* a payment card is read out \(Sam\)/);
  assert.deepEqual(withDeclared(paused, "bank-a/sam/1", pause, 20_000), {});
  // who asked for it waits for the recorder's word
  const asked = inCall({ sending: { state: "allowed" }, ...withDeclared(inCall({}), "bank-a/anna/1", pause, 1_000) });
  assert.match(bannersOf(config, asked)[0]?.text ?? "", /about to stand still/);
  assert.match(bannersOf(config, { ...asked, ...withStanding(asked, "bank-a") })[0]?.text ?? "", /stands still until/);
  assert.deepEqual(withStanding(inCall({}), "bank-a"), {});
  assert.equal(Object.keys(withTime(paused, 30_999)).length, 1);
  assert.deepEqual(withTime(paused, 31_000), {});
  assert.deepEqual(withDeclared(paused, "bank-a/sam/1", { resume: {} }, 2_000), { pauses: {} });
});

test("tags are told apart by their form", () => {
  assert.deepEqual(tagsOf("IRS-4711, 5493001KJTIIGC8Y1R12"), { trades: ["IRS-4711"], counterparties: ["5493001KJTIIGC8Y1R12"] });
  const first = inCall(withDeclared(inCall({}), "bank-a/anna/1", { tags: { trades: ["b"], counterparties: [] } }, 1));
  assert.deepEqual(withDeclared(first, "bank-b/ben/1", { tags: { trades: ["a", "b"], counterparties: [] } }, 2), { tags: { trades: ["a", "b"], counterparties: [] } });
});

test("every language says the same things with the same places for names", () => {
  const places = (text: string): string => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort().join();
  const base: Record<string, string> = { ...en, ...enOfficer, ...enSaid, ...enFiles };
  for (const other of [{ ...fr, ...frOfficer, ...frSaid, ...frFiles }, { ...de, ...deOfficer, ...deSaid, ...deFiles }] as Record<string, string>[]) {
    assert.deepEqual(Object.keys(other).sort(), Object.keys(base).sort());
    for (const [key, text] of Object.entries(base)) assert.equal(places(other[key] ?? ""), places(text), key);
  }
});

test("a file on its way becomes the line that everybody sees, and one firm's word forbids files", () => {
  const shared = { type: "shared" as const, from: "bank-a/anna/1", epoch: 1, sequence: 4, at: 9, blob: "b1", file: "f1", size: 10, name: "a.pdf", mediaType: "application/pdf" };
  const waiting = { key: "file b1", from: "bank-a/anna/1", name: "Anna", mine: true, words: null, at: 1, state: "waiting" as const, kept: [],
    file: { id: "b1", blob: "b1", name: "a.pdf", mediaType: "", size: 10, moving: { done: 1, of: 2 }, wrong: null } };
  const state = inCall({ lines: [waiting] });
  const told = withShared(state, shared);
  assert.deepEqual([told.length, told[0]?.state, told[0]?.file?.id, told[0]?.file?.moving], [1, "sent", "f1", null]);
  assert.deepEqual(withKept({ ...state, lines: told }, 4, "bank-a")[0]?.kept, ["bank-a"]);
  assert.equal(withShared(state, { ...shared, from: ben, name: null }).length, 2, "another's is a line of its own");
  assert.equal(withFile(told, "f1", (file) => ({ ...file, wrong: "gone" }))[0]?.file?.wrong, "gone");
  const of = (firm: string, files: string): Statement => ({ firm, files }) as unknown as Statement;
  assert.deepEqual(fileKeepers([of("bank-a", "must"), of("bank-b", "off")]), ["bank-a"]);
  assert.deepEqual([filesForbiddenBy([of("bank-a", "off")]), filesForbiddenBy([of("bank-a", "must"), of("bank-b", "forbidden")])], [null, "bank-b"]);
});
