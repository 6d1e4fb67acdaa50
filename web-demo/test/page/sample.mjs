// A short WebM for the stand-in archive, recorded once by Chromium itself.

import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../../drive/browser.mjs";

const FILE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../out/sample.webm");

async function record(seconds) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [320, 180];
  const pen = canvas.getContext("2d");
  const stream = canvas.captureStream(20);
  const recorder = new MediaRecorder(stream, { mimeType: "video/webm;codecs=vp8" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.start(200);
  const begin = performance.now();
  while (performance.now() - begin < seconds * 1000) {
    pen.fillStyle = `hsl(${(performance.now() - begin) / 20} 60% 50%)`;
    pen.fillRect(0, 0, 320, 180);
    await new Promise((done) => setTimeout(done, 40));
  }
  await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

export async function sample() {
  if (existsSync(FILE)) return;
  const { browser } = await launch();
  const page = await browser.newPage();
  await page.goto("about:blank");
  const text = await page.evaluate(record, 6);
  await browser.close();
  await mkdir(path.dirname(FILE), { recursive: true });
  await writeFile(FILE, Buffer.from(text, "base64"));
}
