// The test picture's content and how to read it back: coloured bars, a sweeping block, a frame counter as a row of
// black and white squares, a flash in step with the beep. Pure geometry and drawing; tests judge pictures by it.

export const WIDTH = 640;
export const HEIGHT = 360;
/** Pictures a second. */
export const RATE = 20;
/** Squares of the counter row: white, black (calibration), 16 bits of the counter, 2 bits of parity. */
export const CELLS = 20;
export const CELL = WIDTH / CELLS;
/** A flash and a beep every so many pictures ... */
export const FLASH_EVERY = 40;
/** ... for so many. */
export const FLASH_FOR = 4;
/** Top of the counter row. */
export const ROW_TOP = 160;
/** Where the flash is. */
export const FLASH = { x: 528, y: 214, width: 80, height: 64 };

/** Colours of the bars, left to right. */
export const BARS: readonly (readonly [number, number, number])[] = [
  [191, 191, 191], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191], [32, 32, 32],
];
const BARS_HEIGHT = 144;

export function flashes(counter: number): boolean {
  return counter % FLASH_EVERY < FLASH_FOR;
}

/** The cells of a counter: true is white. */
export function cellsOf(counter: number): boolean[] {
  const bits = Array.from({ length: 16 }, (_, at) => ((counter >> (15 - at)) & 1) === 1);
  const even = bits.filter((bit, at) => bit && at % 2 === 0).length % 2 === 1;
  const odd = bits.filter((bit, at) => bit && at % 2 === 1).length % 2 === 1;
  return [true, false, ...bits, even, odd];
}

/** The counter of a row of cells, or null if calibration or parity are wrong. */
export function counterOf(cells: readonly boolean[]): number | null {
  if (cells.length !== CELLS) return null;
  let counter = 0;
  for (const bit of cells.slice(2, 18)) counter = (counter << 1) | (bit ? 1 : 0);
  return cellsOf(counter).every((cell, at) => cell === cells[at]) ? counter : null;
}

export type Pen = Pick<CanvasRenderingContext2D, "fillStyle" | "font" | "textBaseline" | "textAlign" | "fillRect" | "fillText">;

/** Draws picture number `counter`; `hue` tints the ground so that people differ. */
export function drawPattern(pen: Pen, counter: number, label: string, hue: number): void {
  pen.fillStyle = `hsl(${hue} 32% 20%)`;
  pen.fillRect(0, 0, WIDTH, HEIGHT);
  BARS.forEach(([red, green, blue], at) => {
    pen.fillStyle = `rgb(${red} ${green} ${blue})`;
    pen.fillRect(at * (WIDTH / BARS.length), 0, WIDTH / BARS.length, BARS_HEIGHT);
  });
  pen.fillStyle = `hsl(${hue} 60% 62%)`;
  pen.fillRect((counter * 6) % (WIDTH - 48), BARS_HEIGHT, 48, 16);
  pen.fillStyle = "rgb(240 240 240)";
  pen.font = "600 44px system-ui, sans-serif";
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText(label, 32, 234);
  pen.font = "20px ui-monospace, monospace";
  pen.fillText(String(counter).padStart(5, "0"), 34, 278);
  pen.fillStyle = flashes(counter) ? "rgb(255 255 255)" : "rgb(16 16 16)";
  pen.fillRect(FLASH.x, FLASH.y, FLASH.width, FLASH.height);
  drawRow(pen, counter);
}

function drawRow(pen: Pen, counter: number): void {
  cellsOf(counter).forEach((white, at) => {
    pen.fillStyle = white ? "rgb(235 235 235)" : "rgb(16 16 16)";
    pen.fillRect(at * CELL, ROW_TOP, CELL, CELL);
  });
}

/** A small stable number of a name: its hue and its tone follow from it. */
export function hashOf(name: string): number {
  let hash = 2166136261;
  for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619) >>> 0;
  return hash;
}
export function hueOf(name: string): number {
  return (hashOf(name) >>> 5) % 360;
}

/** Tones of people, Hz: whole tones apart, so that a spectrum tells them from one another. */
const TONES = [523, 587, 659, 440, 784, 880, 988, 1175];
export function toneOf(user: string): number {
  return TONES[hashOf(user) % TONES.length] ?? 440;
}
