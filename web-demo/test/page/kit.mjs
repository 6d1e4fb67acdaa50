// Kit of the page tests: builds the page over the stand-in module, serves it, opens people in Chromium.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../../drive/browser.mjs";
import { Administrator } from "../../drive/admin.mjs";
import { Officer } from "../../drive/review.mjs";
import { Person } from "../../drive/person.mjs";
import { serve } from "../stub/serve.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
/** The stand-in for the SFU joins two browsers directly: they must see each other's addresses. */
const DIRECT = ["--disable-features=WebRtcHideLocalIpsWithMdns"];

let built = false;
function build() {
  if (built) return;
  const { status, stderr } = spawnSync(process.execPath, ["build.mjs", "--out", "test/out/dist", "--pkg", "test/stub/pkg"], { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  built = true;
}

/** One world per test file: services and as many browsers as people. */
export async function world(options = {}) {
  build();
  const services = await serve(0, options);
  const browsers = [];
  const browser = async () => {
    const { browser: one } = await launch({ args: DIRECT });
    browsers.push(one);
    return one;
  };
  const [a, b] = services.origins;
  return {
    services,
    anna: async () => new Person(await browser(), { url: a, user: "anna" }),
    ben: async () => new Person(await browser(), { url: b, user: "ben" }),
    administrator: async (user) => new Administrator(await browser(), { url: a, user }),
    officer: async (user) => new Officer(await browser(), { url: a, user }),
    close: async () => {
      await Promise.all(browsers.map((one) => one.close()));
      services.close();
    },
  };
}

export const id = (name) => `[data-testid="${name}"]`;

/** Waits until `holds()` is true; says what was expected when it never is. */
export async function eventually(what, holds, timeout = 15_000) {
  const end = Date.now() + timeout;
  for (;;) {
    if (await holds()) return;
    if (Date.now() > end) throw new Error(`never true: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
