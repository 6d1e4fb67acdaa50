// Cameras, microphones and speakers: what there is, and opening one. Says what is wrong in stable codes.

export type DeviceProblem = "none" | "denied" | "busy" | "failed";

export interface Devices { cameras: MediaDeviceInfo[]; microphones: MediaDeviceInfo[]; speakers: MediaDeviceInfo[] }

export async function listDevices(): Promise<Devices> {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (kind: MediaDeviceKind): MediaDeviceInfo[] => all.filter((device) => device.kind === kind);
  return { cameras: of("videoinput"), microphones: of("audioinput"), speakers: of("audiooutput") };
}

export function whenDevicesChange(observer: () => void): () => void {
  navigator.mediaDevices?.addEventListener?.("devicechange", observer);
  return () => navigator.mediaDevices?.removeEventListener?.("devicechange", observer);
}

export class NoDevice extends Error {
  constructor(readonly why: DeviceProblem) {
    super(why);
  }
}

function why(error: unknown): DeviceProblem {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "none";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotReadableError" || name === "AbortError") return "busy";
  return "failed";
}

async function open(constraints: MediaStreamConstraints): Promise<MediaStreamTrack> {
  if (navigator.mediaDevices?.getUserMedia === undefined) throw new NoDevice("none");
  try {
    const track = (await navigator.mediaDevices.getUserMedia(constraints)).getTracks()[0];
    if (track === undefined) throw new NoDevice("none");
    return track;
  } catch (error) {
    throw error instanceof NoDevice ? error : new NoDevice(why(error));
  }
}

export function openCamera(id: string | null): Promise<MediaStreamTrack> {
  const video: MediaTrackConstraints = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
  if (id !== null) video.deviceId = { exact: id };
  return open({ video });
}

export function openMicrophone(id: string | null): Promise<MediaStreamTrack> {
  const audio: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  if (id !== null) audio.deviceId = { exact: id };
  return open({ audio });
}
