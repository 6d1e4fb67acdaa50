// Runs the page's tests: unit tests (bundled for Node) and page tests (Chromium against stand-in services).
//   node test/run.mjs [unit|page]

import { spawnSync } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "out", "unit");

async function bundle() {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const entries = (await readdir(path.join(here, "unit"))).filter((name) => /\.test\.(ts|tsx)$/.test(name));
  await build({
    entryPoints: entries.map((name) => path.join(here, "unit", name)),
    outdir: out,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node18",
    jsx: "automatic",
    jsxImportSource: "preact",
    external: ["node:*"],
    banner: { js: 'globalThis.localStorage ??= { getItem: () => null, setItem: () => undefined }; if (globalThis.navigator === undefined) globalThis.navigator = { languages: ["en"] };' },
  });
  return (await readdir(out)).filter((name) => name.endsWith(".mjs")).map((name) => path.join(out, name));
}

function run(files) {
  const { status } = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" });
  return status ?? 1;
}

const what = process.argv[2] ?? "all";
let worst = 0;
if (what !== "page") worst = Math.max(worst, run(await bundle()));
if (what !== "unit") {
  const pages = (await readdir(path.join(here, "page"))).filter((name) => name.endsWith(".test.mjs")).map((name) => path.join(here, "page", name));
  worst = Math.max(worst, run(pages));
}
process.exit(worst);
