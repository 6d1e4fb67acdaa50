// Builds the page into dist/: one bundle for the page with a chunk for the administrators' pages, one for the worker, names by
// content hash, the WebAssembly module copied as wasm-bindgen wrote it. Prints the sizes and fails over the budget. Owns dist/ and nothing else.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
/** kB of gzip for script and style without WebAssembly: a page that is trusted with keys has to stay readable. */
const BUDGET_KB = 120;
const E2EE = ["e2ee_wasm.js", "e2ee_wasm_bg.wasm"];

function options(argv) {
  const at = (name, otherwise) => (argv.includes(name) ? argv[argv.indexOf(name) + 1] : otherwise);
  return { out: path.resolve(here, at("--out", "dist")), pkg: path.resolve(here, at("--pkg", "pkg")) };
}

async function files(folder) {
  const found = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await files(full)));
    else found.push(full);
  }
  return found.sort();
}

/** Says plainly what to do when the WebAssembly package is not there; what was built before stays. */
function wantE2ee(pkg) {
  const missing = E2EE.filter((name) => !existsSync(path.join(pkg, name)));
  if (missing.length > 0) {
    console.error(`build: ${missing.join(" and ")} not found in ${path.relative(process.cwd(), pkg) || "."}.`);
    console.error("build: run `cargo xtask wasm` first: it compiles the end-to-end encryption and puts it there.");
    process.exit(1);
  }
}

/** Copies the WebAssembly package into a folder named by its content; answers the folder's name. */
async function copyE2ee(pkg, out) {
  const parts = E2EE.map((name) => path.join(pkg, name));
  if (existsSync(path.join(pkg, "snippets"))) parts.push(...(await files(path.join(pkg, "snippets"))));
  const hash = createHash("sha256");
  for (const file of parts) hash.update(path.relative(pkg, file)).update(await readFile(file));
  const name = `e2ee-${hash.digest("hex").slice(0, 12)}`;
  for (const file of parts) await cp(file, path.join(out, name, path.relative(pkg, file)));
  return name;
}

const common = {
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome120", "firefox120", "safari17"],
  legalComments: "none",
  metafile: true,
  write: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  absWorkingDir: here,
};

function outputOf(result, suffix) {
  const entry = Object.entries(result.metafile.outputs).find(([name, { entryPoint }]) => name.endsWith(".js") && /src.(worker.)?main\.tsx?$/.test(entryPoint ?? ""));
  return path.basename(suffix === ".css" ? entry[1].cssBundle : entry[0]);
}

/** Files that a call loads: the entry and what it imports at once. What it imports later loads with the pages that want it. */
function withCall(result) {
  const { outputs } = result.metafile;
  const wanted = new Set();
  const follow = (name) => {
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const { path: next, kind } of outputs[name].imports) if (kind === "import-statement") follow(next);
  };
  follow(Object.keys(outputs).find((name) => path.basename(name) === outputOf(result, ".js")));
  return new Set([...wanted].map((name) => path.basename(name)));
}

async function main() {
  const { out, pkg } = options(process.argv.slice(2));
  wantE2ee(pkg);
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const e2ee = await copyE2ee(pkg, out);
  const worker = await build({
    ...common,
    entryPoints: { worker: "src/worker/main.ts" },
    entryNames: "[name]-[hash]",
    outdir: out,
    define: { E2EE_BASE: JSON.stringify(`/${e2ee}/`) },
    external: ["/e2ee-*"],
  });
  const page = await build({
    ...common,
    entryPoints: { page: "src/main.tsx" },
    entryNames: "[name]-[hash]",
    // the administrators' pages, and what they share with the call
    splitting: true,
    chunkNames: "[name]-[hash]",
    outdir: out,
    define: { WORKER_PATH: JSON.stringify(`/${outputOf(worker, ".js")}`) },
  });
  const icon = await readFile(path.join(here, "src/icon.svg"));
  const iconName = `icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
  await writeFile(path.join(out, iconName), icon);
  const html = (await readFile(path.join(here, "src/index.html"), "utf8"))
    .replace("{{icon}}", iconName)
    .replace("{{chunks}}", [...withCall(page)].filter((name) => name !== outputOf(page, ".js")).map((name) => `<link rel="modulepreload" href="/${name}">`).join("\n"))
    .replace("{{css}}", outputOf(page, ".css"))
    .replace("{{js}}", outputOf(page, ".js"));
  await writeFile(path.join(out, "index.html"), html);
  const later = Object.keys(page.metafile.outputs).filter((name) => name.endsWith(".js")).map((name) => path.basename(name));
  await report(out, new Set(later.filter((name) => !withCall(page).has(name))));
}

async function report(out, later) {
  let total = 0;
  for (const file of await files(out)) {
    const bytes = await readFile(file);
    const gzip = gzipSync(bytes, { level: 9 }).length;
    const counted = !path.relative(out, file).startsWith("e2ee-") && !later.has(path.basename(file));
    if (counted) total += gzip;
    const name = path.relative(out, file).padEnd(44);
    console.log(`${name} ${String(bytes.length).padStart(9)} B ${String(gzip).padStart(8)} B gzip`);
  }
  const kb = total / 1000;
  console.log(`page without WebAssembly: ${kb.toFixed(1)} kB gzip of ${BUDGET_KB} kB`);
  if (kb > BUDGET_KB) {
    console.error("build: over the size budget.");
    process.exit(1);
  }
}

await main();
