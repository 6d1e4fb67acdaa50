// The page's own lints, beyond the compiler: what must never be in its sources. Exit 1 names file, line and rule.

import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
/** Longest source file: one is read as a whole or not at all. */
const MOST_LINES = 300;
const TEXT_FILES = /[\\/]i18n[\\/]/;

const RULES = [
  { name: "sets HTML from text", pattern: /\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write)\b/ },
  { name: "makes code from text", pattern: /\beval\s*\(|new Function\s*\(|importScripts\s*\(/ },
  { name: "logs at large", pattern: /console\.(log|info|debug|dir|trace)\s*\(/ },
  { name: "names a foreign address", pattern: /["'`]https?:\/\/(?!localhost)[a-z]/i, except: /www\.w3\.org\/2000\/svg/ },
  { name: "keeps something beyond the tab", pattern: /\b(localStorage|indexedDB|document\.cookie|caches)\b/, except: /localStorage\.(getItem|setItem)\(KEPT/ },
  { name: "leaves work for later", pattern: /\b(TO[D]O|FIX[M]E|XX[X])\b/ },
  { name: "switches the compiler off", pattern: /@ts-(ignore|nocheck|expect-error)|\bas any\b|: any\b/ },
  { name: "shows text that is not translated", pattern: />\s*[A-Z][a-z]+ [a-z]+[^<>{}=;]*</, only: /\.tsx$/ },
];

async function files(folder) {
  const found = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await files(full)));
    else if (/\.(ts|tsx|mjs|css)$/.test(entry.name)) found.push(full);
  }
  return found;
}

export function judge(name, text) {
  const wrong = [];
  const lines = text.split("\n");
  if (!/^(\/\/|\/\*)/.test(lines[0] ?? "")) wrong.push(`${name}:1: says not what the file is for`);
  if (lines.length > MOST_LINES && !TEXT_FILES.test(name)) wrong.push(`${name}: has ${lines.length} lines, at most ${MOST_LINES}`);
  if (!/\.(ts|tsx)$/.test(name) || TEXT_FILES.test(name) && !name.endsWith("index.ts")) return wrong;
  lines.forEach((line, at) => {
    for (const rule of RULES) {
      if (rule.only !== undefined && !rule.only.test(name)) continue;
      if (rule.pattern.test(line) && rule.except?.test(line) !== true) wrong.push(`${name}:${at + 1}: ${rule.name}`);
    }
  });
  return wrong;
}

async function main() {
  const wrong = [];
  for (const folder of ["src", "drive", "test/unit", "test/page", "test/stub"]) {
    for (const file of await files(path.join(here, folder))) wrong.push(...judge(path.relative(here, file), await readFile(file, "utf8")));
  }
  const lock = await readFile(path.join(here, "package-lock.json"), "utf8");
  if (lock.includes('"resolved"')) wrong.push("package-lock.json: names a registry host; use npm install --omit-lockfile-registry-resolved");
  for (const line of wrong) console.error(line);
  if (wrong.length > 0) process.exit(1);
  console.log("check: ok");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
