// Starts a browser for a drive: Chromium by CDP or Firefox by WebDriver BiDi, headless, with no other switch than what
// automation needs. Every further switch has a reason that goes into the output.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FIREFOX = ["/usr/bin/firefox-esr", "/usr/bin/firefox"];

const PULSEAUDIO = "/usr/bin/pulseaudio";

/** Firefox's sound has no clock without a device, so a machine without one gets a silent one of its own. */
function silentDevice() {
  if (!existsSync(PULSEAUDIO)) return null;
  const folder = mkdtempSync(join(tmpdir(), "strongroom-sound-"));
  const server = `unix:${folder}/native`;
  const load = [`module-native-protocol-unix socket=${folder}/native auth-anonymous=1`, "module-null-sink"];
  const arguments_ = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", ...load.map((module) => `--load=${module}`)];
  const env = { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder };
  const child = spawn(PULSEAUDIO, arguments_, { env, stdio: "ignore" });
  const end = () => {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  return { server, end };
}

function first(candidates, what) {
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`no ${what} found; install it or name it with --${what}-path`);
  return found;
}

/** Switches beyond `--headless`, each with its reason. */
function switches(extra) {
  const reason = process.env.STRONGROOM_NO_SANDBOX;
  const given = extra.map((name) => ({ name, why: "asked for on the command line" }));
  if (reason !== undefined && reason !== "") given.push({ name: "--no-sandbox", why: reason });
  else if (process.getuid?.() === 0 && !extra.includes("--no-sandbox")) {
    given.push({ name: "--no-sandbox", why: "runs as root, where Chromium has no sandbox" });
  }
  return given;
}

/**
 * `options`: { kind: "chromium" | "firefox", path?, args?: string[], headed?: boolean, pipe?: boolean }; `pipe` for a browser
 * whose loopback is not ours. Answers { browser, switches }.
 */
export async function launch(options = {}) {
  const kind = options.kind ?? "chromium";
  const extra = options.args ?? [];
  if (kind === "firefox") {
    const device = silentDevice();
    const browser = await puppeteer.launch({
      env: device === null ? process.env : { ...process.env, PULSE_SERVER: device.server },
      browser: "firefox",
      executablePath: options.path ?? first(FIREFOX, "firefox"),
      headless: options.headed !== true,
      args: extra,
      extraPrefsFirefox: { "media.autoplay.default": 0, "permissions.default.microphone": 2, ...(options.prefs ?? {}) },
    });
    if (device !== null) browser.once("disconnected", device.end);
    const used = [
      { name: "media.autoplay.default=0", why: "no person is there to click for sound" },
      { name: "permissions.default.microphone=2", why: "the silent device is no microphone: the page's own tone is the source" },
    ];
    return { browser, switches: used };
  }
  const used = switches(extra);
  const browser = await puppeteer.launch({
    browser: "chrome",
    executablePath: options.path ?? first(CHROMIUM, "chromium"),
    headless: options.headed !== true,
    pipe: options.pipe === true,
    args: used.map(({ name }) => name),
    // puppeteer's own long list of switches would make another browser of it
    ignoreDefaultArgs: ["--disable-features=Translate,AcceptCHFrame,MediaRouter,OptimizationHints,RenderDocument,ProcessPerSiteUpToMainFrameThreshold,IsolateSandboxedIframes"],
  });
  return { browser, switches: used };
}
