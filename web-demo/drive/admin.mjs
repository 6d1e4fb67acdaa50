// One administrator at the firm's pages: signs in, changes a room's statement, approves; only through the page.

import { Person } from "./person.mjs";

const id = (name) => `[data-testid="${name}"]`;

export class Administrator extends Person {
  async open() {
    await super.open("/admin");
    return this;
  }
  async enter() {
    await this.login();
    await this.wait(id("tab-rooms"));
    return this;
  }
  async tab(name) {
    await this.click(`tab-${name}`);
  }
  async room(room) {
    await this.tab("rooms");
    await this.click(`show-${room}`);
    await this.wait(id("facts"));
  }
  async fill(name, value) {
    await this.wait(id(name));
    await this.page.$eval(id(name), (input) => { input.value = ""; });
    await this.page.type(id(name), value);
  }
  /** Opens the form, changes the years, and looks at what that means. */
  async draft(years) {
    await this.click("edit");
    await this.fill("years", String(years));
    await this.click("preview");
    await this.wait(id("review"));
  }
  async sign() {
    await this.click("sign");
    await this.page.waitForFunction((review) => document.querySelector(review) === null, {}, id("review"));
  }
  async approve() {
    await this.click("approve");
    await this.click("ask-go");
    await this.page.waitForFunction((waiting) => document.querySelector(waiting) === null, { timeout: 30_000 }, id("proposal"));
  }
  text(name) {
    return this.page.$eval(id(name), (element) => element.textContent);
  }
  /** Serials of the versions listed, newest first. */
  async serials() {
    await this.wait(id("history"));
    return this.page.$$eval(id("version"), (rows) => rows.map((row) => Number(row.dataset.serial)));
  }
}
