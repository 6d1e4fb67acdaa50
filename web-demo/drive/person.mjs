// One person at one page: signs in, joins, acts and reads counters, only through what the page offers to everybody.

import { hasSoundClock, readOffset, readPicture, readTone } from "./recognise.mjs";

/** Enough for a cold start of browser, WebAssembly and services on a busy machine with two cores, ms. */
export const PATIENCE_MS = 60_000;

const id = (name) => `[data-testid="${name}"]`;

export class Person {
  /** `who`: { url, user, password?, room?, tone? }. */
  constructor(browser, who) {
    this.browser = browser;
    this.who = { room: "deal-room", password: `${who.user}-demo`, ...who };
    this.log = [];
  }

  /** `before` may plant something in the page before its own scripts run. */
  async open(path = null, before = async () => undefined) {
    this.page = await this.browser.newPage();
    await before(this.page);
    await this.page.setViewport({ width: 1280, height: 800 });
    this.page.on("console", (message) => this.log.push(`${message.type()}: ${message.text()}`));
    this.page.on("pageerror", (error) => this.log.push(`pageerror: ${error?.message ?? error}`));
    const query = new URLSearchParams({ room: this.who.room });
    if (this.who.tone !== undefined) query.set("tone", String(this.who.tone));
    if (this.who.codec !== undefined) query.set("codec", this.who.codec);
    await this.page.goto(path === null ? `${this.who.url}/?${query}` : `${this.who.url}${path}`);
    return this;
  }

  async wait(selector, timeout = PATIENCE_MS) {
    try {
      return await this.page.waitForSelector(selector, { timeout, visible: true });
    } catch (error) {
      throw new Error(`${this.who.user}: ${selector} did not appear: ${error.message}\n${await this.seen()}`);
    }
  }
  /** What is on the page, for the message of a failed drive. */
  async seen() {
    if (this.page === undefined) return "(not opened)";
    const text = await this.page.evaluate(() => document.body.innerText.slice(0, 1500)).catch(() => "(no page)");
    return `${text}\n${this.log.slice(-20).join("\n")}`;
  }
  async click(name) {
    await this.wait(id(name));
    await this.page.click(id(name));
  }

  async login() {
    await this.wait(id("user"));
    await this.page.type(id("user"), this.who.user);
    await this.page.type(id("password"), this.who.password);
    await this.page.click(id("login-go"));
    return this;
  }

  /** From the rooms list or the link to the call itself. */
  async join() {
    const join = id("join");
    await this.wait(`${join}, ${id(`room-${this.who.room}`)}`);
    if ((await this.page.$(join)) === null) await this.click(`room-${this.who.room}`);
    await this.wait(`${join}:not([disabled])`);
    await this.page.click(join);
    await this.inCall();
    return this;
  }
  async inCall(timeout = PATIENCE_MS) {
    await this.wait(`${id("call")}[data-phase="in"], ${id("over")}`, timeout);
    const refused = await this.page.$eval(id("over"), (element) => element.dataset.code).catch(() => null);
    // what was acknowledged before joining may not be what binds: then it is asked again
    if ((await this.page.$(id("notices-yes"))) !== null) await this.click("notices-yes");
    if (refused !== null) throw new Error(`${this.who.user}: not let in (${refused})\n${await this.seen()}`);
  }

  async muted() {
    return this.page.$eval(id("mic"), (button) => button.getAttribute("aria-pressed") === "true");
  }
  async unmute() {
    if (await this.muted()) await this.click("mic");
  }
  async leave() {
    await this.click("leave");
    await this.click("ask-go");
    await this.wait(id("over"));
  }
  async reload() {
    const from = Date.now();
    await this.page.reload();
    await this.inCall();
    return Date.now() - from;
  }

  /** Writes to everybody and waits until it is out. */
  async say(text) {
    if ((await this.page.$(id("chat-text"))) === null) await this.click("chat");
    await this.wait(id("chat-text"));
    await this.page.type(id("chat-text"), text);
    await this.page.keyboard.press("Enter");
    const sent = (words, line) => [...document.querySelectorAll(line)]
      .some((one) => one.dataset.state === "sent" && one.querySelector(".line-words")?.textContent === words);
    await this.page.waitForFunction(sent, { timeout: PATIENCE_MS }, text, `${id("chat-line")}.mine`);
  }
  /** What stands in the chat; it must be open. */
  lines() {
    return this.page.$$eval(`${id("chat-line")} .line-words`, (lines) => lines.map((line) => line.textContent));
  }
  /** By which firms each of the own lines is kept. */
  kept() {
    return this.page.$$eval(`${id("chat-line")}.mine`, (lines) => lines.map((line) => line.dataset.kept.split(" ").filter((firm) => firm !== "")));
  }

  stats() {
    return this.page?.evaluate(() => window.strongroomStats?.() ?? null) ?? Promise.resolve(null);
  }
  /** Waits until `accept(stats)` holds; answers the last stats either way. */
  async until(accept, timeout = PATIENCE_MS) {
    const end = Date.now() + timeout;
    for (;;) {
      const stats = await this.stats();
      if (stats !== null && accept(stats)) return stats;
      if (Date.now() > end) return stats;
      await new Promise((done) => setTimeout(done, 200));
    }
  }
  lock() {
    return this.page.$eval(id("lock"), (element) => element.dataset.lock);
  }
  recorders() {
    return this.page.$$eval(id("recorder"), (rows) => rows.map((row) => ({ firm: row.dataset.firm, state: row.dataset.state })));
  }
  code() {
    return this.page.$eval(id("code"), (element) => [...element.children].map((part) => part.textContent).join(" "));
  }
  picture(options) {
    return readPicture(this.page, options);
  }
  tone(options) {
    return readTone(this.page, options);
  }
  hasSound() {
    return hasSoundClock(this.page);
  }
  avOffset(options) {
    return readOffset(this.page, options);
  }
  screenshot(path) {
    return this.page.screenshot({ path });
  }
}
