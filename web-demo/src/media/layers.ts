// Which layers a camera is sent in: names, sizes and rates for the height that the camera gives. Pure.

/** Names of the layers, lowest first: a layer's slot is the first slot of its source plus its place here. */
export const RIDS = ["q", "h", "f"] as const;

/** Upper bounds, bit/s: each looks clean at its size, the lowest still moves on a poor line. */
const RATES = { low: 150_000, middle: 600_000, high: 1_700_000 };
/** What the middle layer goes up to if the SFU asks for it: where the highest is recorded, it is the viewers' own. */
const MIDDLE_MOST = 850_000;
/** Below this height three layers would make the lowest a stamp, and browsers drop the highest by themselves. */
const THREE_FROM = 540;
/** Below this height one layer is enough. */
const TWO_FROM = 270;

export interface Layer { rid: string; scale: number; bitrate: number; most: number; height: number; used: boolean }

/** The layers of a picture of `height` pixels; those that are not used stay silent. */
export function layersFor(height: number): Layer[] {
  const steps = height >= THREE_FROM
    ? [[4, RATES.low], [2, RATES.middle], [1, RATES.high]] as const
    : height >= TWO_FROM ? [[2, RATES.low], [1, RATES.middle]] as const : [[1, RATES.middle]] as const;
  return RIDS.map((rid, at) => {
    const [scale, bitrate] = steps[at] ?? [1, RATES.low];
    const most = bitrate === RATES.middle ? MIDDLE_MOST : bitrate;
    return { rid, scale, bitrate, most, height: Math.round(height / scale), used: at < steps.length };
  });
}

/** Heights of the used layers, lowest first, as the SFU is told. */
export function heightsOf(layers: readonly Layer[]): number[] {
  return layers.filter(({ used }) => used).map(({ height }) => height);
}

/** Can this browser send layers that the worker can tell apart? Measured for Chromium and its kin alone. */
export function sendsLayers(agent: string = navigator.userAgent): boolean {
  return /Chrom(e|ium)\//.test(agent);
}

/** Height of a track's pictures; a camera that does not say is taken for an ordinary one. */
export function heightOf(track: MediaStreamTrack): number {
  return track.getSettings().height ?? 720;
}
