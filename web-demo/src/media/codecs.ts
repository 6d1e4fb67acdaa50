// In which codec a camera is sent, and in what layers inside one stream. VP8 in simulcast is what every browser takes;
// the others are a person's choice, and given up for VP8 when somebody in the meeting cannot decode them. Pure.

import type { Codec } from "../wire/client";
import { layersFor, sendsLayers } from "./layers";

export type PictureCodec = Exclude<Codec, "opus">;
export const PICTURE_CODECS: readonly PictureCodec[] = ["vp8", "vp9", "av1"];

/** Layers inside the stream (W3C webrtc-svc): three sizes that lean on one another at key frames alone, three rates. */
const MODES: Record<PictureCodec, string | null> = { vp8: null, vp9: "L3T3_KEY", av1: "L1T3" };

/** VP9 in the profile that every decoder has. */
export function isWanted(codec: PictureCodec | "opus", one: { mimeType: string; sdpFmtpLine?: string }): boolean {
  const kind = codec === "opus" ? "audio" : "video";
  if (one.mimeType.toLowerCase() !== `${kind}/${codec}`) return false;
  return codec !== "vp9" || /(^|;)\s*profile-id=0/.test(one.sdpFmtpLine ?? "profile-id=0");
}

/** What this browser can send. Layers inside a stream are measured for Chromium and its kin alone. */
export function sendable(): PictureCodec[] {
  const known = RTCRtpSender.getCapabilities?.("video")?.codecs ?? [];
  return PICTURE_CODECS.filter((codec) => codec === "vp8" || (sendsLayers() && known.some((one) => isWanted(codec, one))));
}

export function asPictureCodec(text: string | null | undefined): PictureCodec {
  return PICTURE_CODECS.find((codec) => codec === text) ?? "vp8";
}

/** The one encoding of a camera in this codec; null where it goes in simulcast. */
export function nestedEncoding(codec: PictureCodec, maxBitrate: number): RTCRtpEncodingParameters[] | null {
  const scalabilityMode = MODES[codec];
  if (scalabilityMode === null) return null;
  const encoding: RTCRtpEncodingParameters & { scalabilityMode: string } = { maxBitrate, scalabilityMode };
  return [encoding];
}

/** Heights of the layers inside a stream, lowest first: browsers leave out the same ones as simulcast does. */
export function nestedHeights(codec: PictureCodec, height: number): number[] {
  const mode = MODES[codec];
  if (mode === null) return [];
  return mode.startsWith("L1") ? [height] : layersFor(height).filter(({ used }) => used).map((layer) => layer.height);
}
