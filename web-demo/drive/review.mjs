// One compliance officer at the review pages: signs in, requests, approves, replays, exports; only through the page.

import { Person } from "./person.mjs";

const id = (name) => `[data-testid="${name}"]`;

const rowOf = (meeting, request) => (request === null ? `[data-meeting="${meeting}"]` : `[data-request="${request}"]`);

export class Officer extends Person {
  async open() {
    await super.open("/officer");
    return this;
  }
  async enter() {
    await this.login();
    await this.wait(id("tab-archive"));
    return this;
  }
  async tab(name) {
    await this.click(`tab-${name}`);
  }

  async meetings() {
    await this.tab("archive");
    await this.wait(`${id("meetings")}, .empty`);
    return this.page.$$eval(id("meeting"), (rows) => rows.map((row) => ({
      meeting: row.dataset.meeting, integrity: row.querySelector('[data-testid="integrity"]').dataset.integrity,
    })));
  }
  /** Reads the archive again until a meeting is sealed and verified. */
  async untilVerified(timeout = 60_000) {
    const end = Date.now() + timeout;
    for (;;) {
      const found = (await this.meetings()).find((row) => row.integrity === "good");
      if (found !== undefined || Date.now() > end) return found ?? null;
      await this.click("refresh");
      await new Promise((done) => setTimeout(done, 500));
    }
  }

  /** Fills in the form and searches; answers the rows found. */
  async search({ person = "", firm = "", text = "" }) {
    await this.tab("archive");
    await this.wait(id("search-form"));
    if (person !== "") await this.page.type(id("search-person"), person);
    if (text !== "") await this.page.type(id("search-text"), text);
    if (firm !== "") await this.page.select(id("search-firm"), firm);
    await this.click("search-go");
    await this.wait(id("search-clear"));
    return this.page.$$eval(id("meeting"), (rows) => rows.map((row) => row.dataset.meeting));
  }
  async request(meeting, { caseNumber, reason }) {
    await this.tab("archive");
    const button = `[data-meeting="${meeting}"] ${id("request")}`;
    await this.wait(button);
    await this.page.click(button);
    await this.wait(id("case"));
    await this.page.type(id("case"), caseNumber);
    await this.page.type(id("reason"), reason);
    await this.click("request-send");
    await this.wait(id("replay-request"));
  }
  /** Own requests cannot be approved; answers why not. */
  async ownRefusal() {
    await this.wait(id("own-request"));
    return this.page.$eval(id("own-request"), (element) => element.textContent);
  }
  /** Approves the newest request about a meeting, or the one named. */
  async approve(meeting, request = null) {
    await this.tab("requests");
    await this.click("refresh");
    const rows = `${rowOf(meeting, request)} ${id("approve")}`;
    await this.wait(rows);
    const waiting = (await this.page.$$(rows)).length;
    await this.page.click(rows);
    await this.click("ask-go");
    const fewer = (selector, before) => document.querySelectorAll(selector).length < before;
    await this.page.waitForFunction(fewer, { timeout: 30_000 }, rows, waiting);
  }
  /** Only presses: for a request whose approval is to be refused. */
  async approveButton(request) {
    const button = `${rowOf(null, request)} ${id("approve")}`;
    await this.wait(button);
    await this.page.click(button);
    await this.click("ask-go");
  }
  async openReplay(meeting, request = null) {
    await this.tab("requests");
    await this.click("refresh");
    const button = `${rowOf(meeting, request)} ${id("replay")}`;
    await this.wait(button);
    await this.page.click(button);
    await this.wait(id("replay-page"));
  }

  position() {
    return this.page.$eval(id("replay-page"), (element) => Number(element.dataset.position));
  }
  async play() {
    await this.click("play");
  }
  async seek(ms) {
    await this.page.$eval(id("seek"), (element, to) => {
      element.value = String(to);
      element.dispatchEvent(new Event("change", { bubbles: true }));
    }, ms);
  }
  /** How far lanes are from one another and which of them draw, ms. */
  lanes() {
    return this.page.$$eval(id("lane-video"), (videos) => videos.map((video) => ({
      participant: video.closest("figure").dataset.participant, begin: Number(video.dataset.begin),
      at_ms: Number(video.dataset.begin) + Math.round(video.currentTime * 1000), ready: video.readyState,
      paused: video.paused, width: video.videoWidth, error: video.error?.message ?? null,
    })));
  }
  /** Exports; tells `onPercent` how far it says it is. Answers the last state. */
  async export(timeout = 120_000, onPercent = () => undefined) {
    await this.click("export-start");
    const state = () => this.page.$eval(id("export"), (element) => element.dataset.state);
    const end = Date.now() + timeout;
    for (;;) {
      const now = await state();
      const percent = await this.page.$eval(`${id("export")} progress`, (bar) => bar.value).catch(() => null);
      if (percent !== null) onPercent(percent);
      if (["done", "failed", "cancelled"].includes(now) || Date.now() > end) return now;
      await new Promise((done) => setTimeout(done, 300));
    }
  }
  async ledger() {
    await this.tab("ledger");
    await this.wait(`${id("ledger")}, .empty`);
    return this.page.$$eval(id("ledger-row"), (rows) => rows.map((row) => row.dataset.action));
  }  /** The whole ledger, oldest first. */
  async ledgerRows() {
    await this.tab("ledger");
    await this.wait(`${id("ledger")}, .empty`);
    const rows = await this.page.$$eval(id("ledger-row"), (found) => found.map((row) => ({
      index: Number(row.cells[0].textContent), action: row.dataset.action, actor: row.cells[2].textContent, meeting: row.cells[4].textContent,
      note: row.cells[5].textContent, integrity: row.querySelector('[data-testid="integrity"]').dataset.integrity,
    })));
    return rows.sort((one, two) => one.index - two.index);
  }
}
