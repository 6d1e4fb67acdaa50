// One's own sound, picture and screen in a call: which device, muted or not, on which publisher. Owns neither the
// connection nor the state it reports.

import { whenDevicesChange } from "../media/devices";
import type { Publisher } from "../media/publisher";
import { SCREEN_RATE } from "../media/publisher";
import type { LocalMedia } from "../media/source";
import type { Store } from "../state/store";
import { tab, type JoinChoice } from "../state/tab";
import { SLOT, type PageToServer } from "../wire/client";
import type { Notice } from "./notice";
import type { CallState } from "./state";

export interface SourceEvents {
  publisher(): Publisher | null;
  send(message: PageToServer): void;
  addSource(slot: number, codec: Publisher["slots"][number]["codec"]): void;
  notice(notice: Notice): void;
}

export class Sources {
  private keyed = false;
  private screen: MediaStreamTrack | null = null;
  private readonly unwatch: () => void;
  private closed = false;

  constructor(private readonly media: LocalMedia, private readonly state: Store<CallState>, readonly choice: JoinChoice,
    private readonly events: SourceEvents) {
    this.unwatch = whenDevicesChange(() => void this.checkDevices());
  }

  async open(): Promise<void> {
    if (this.media.sound === null) await this.media.openSound(this.choice.microphone, this.choice.testTone);
    if (this.media.view === null && !this.choice.videoOff) {
      await this.media.openView(this.choice.camera, this.choice.testPicture);
    }
    const { sound, view } = this.media;
    if (sound !== null) sound.track.enabled = !this.choice.muted;
    this.state.patch({ testTone: sound?.test ?? false, testPicture: view?.test ?? false });
  }

  async setMuted(muted: boolean): Promise<void> {
    this.state.patch({ micMuted: muted });
    const sound = this.media.sound;
    if (sound !== null) sound.track.enabled = !muted;
    this.events.send({ type: "mute", slot: SLOT.microphone, muted });
    this.remember();
  }

  async setCamOff(off: boolean): Promise<void> {
    this.state.patch({ camOff: off });
    if (off) {
      await this.events.publisher()?.replace(SLOT.camera, null);
      this.media.closeView();
      this.state.patch({ camOff: true });
    } else {
      const view = await this.media.openView(this.choice.camera, this.choice.testPicture);
      this.state.patch({ testPicture: view.test });
      if (this.keyed) await this.events.publisher()?.replace(SLOT.camera, view.track);
    }
    this.events.send({ type: "mute", slot: SLOT.camera, muted: off });
    this.remember();
  }

  /** Another device, or the test source, while the call runs. */
  async useDevices(change: Partial<JoinChoice>): Promise<void> {
    Object.assign(this.choice, change);
    if ("microphone" in change || "testTone" in change) {
      const sound = await this.media.openSound(this.choice.microphone, this.choice.testTone);
      sound.track.enabled = !this.state.get().micMuted;
      this.state.patch({ testTone: sound.test });
      if (this.keyed) await this.events.publisher()?.replace(SLOT.microphone, sound.track);
    }
    if (("camera" in change || "testPicture" in change) && !this.state.get().camOff) await this.setCamOff(false);
    this.remember();
  }

  /** Shows a screen or window that the person picks, or stops it. One who picks nothing changed nothing. */
  async share(on: boolean): Promise<void> {
    if (!on) return this.stopSharing();
    if (this.screen !== null) return;
    let track: MediaStreamTrack | undefined;
    try {
      const options = { video: { frameRate: { ideal: SCREEN_RATE / 3, max: SCREEN_RATE } }, audio: false };
      track = (await navigator.mediaDevices.getDisplayMedia(options)).getVideoTracks()[0];
    } catch {
      return;
    }
    if (track === undefined || this.closed) return track?.stop();
    // sharp text before smooth motion
    track.contentHint = "detail";
    track.addEventListener("ended", () => void this.share(false));
    this.screen = track;
    this.state.patch({ sharing: track });
    await this.publishScreen();
  }

  /** A new publisher stands: it is given all there is. */
  async published(publisher: Publisher): Promise<void> {
    if (this.screen !== null) publisher.screen(this.screen);
    for (const { slot, codec } of publisher.slots) this.events.addSource(slot, codec);
    if (this.keyed) await this.attach();
  }

  /** The worker holds a key from here on: the tracks may go on. */
  async key(): Promise<void> {
    if (this.keyed) return;
    this.keyed = true;
    await this.attach();
  }
  unkey(): void {
    this.keyed = false;
  }

  /** The sources exist at the service now: say which of them are muted. */
  tellMutes(): void {
    const { micMuted, camOff } = this.state.get();
    for (const [slot, muted] of [[SLOT.microphone, micMuted], [SLOT.camera, camOff]] as const) {
      this.events.send({ type: "mute", slot, muted });
    }
  }

  close(): void {
    this.closed = true;
    this.unwatch();
    this.screen?.stop();
    this.screen = null;
    this.media.close();
  }

  private async publishScreen(): Promise<void> {
    const publisher = this.events.publisher();
    if (publisher === null) return;
    publisher.screen(this.screen);
    this.events.addSource(SLOT.screen, "vp8");
    await publisher.offer("first");
    if (this.keyed) await publisher.replace(SLOT.screen, this.screen);
  }

  private async stopSharing(): Promise<void> {
    if (this.screen === null) return;
    this.screen.stop();
    this.screen = null;
    this.state.patch({ sharing: null });
    const publisher = this.events.publisher();
    publisher?.screen(null);
    await publisher?.offer("first");
  }

  private async attach(): Promise<void> {
    const publisher = this.events.publisher();
    if (publisher === null) return;
    await publisher.replace(SLOT.microphone, this.media.sound?.track ?? null);
    await publisher.replace(SLOT.camera, this.media.view?.track ?? null);
    if (this.screen !== null) await publisher.replace(SLOT.screen, this.screen);
  }

  /** A device that was in use is gone: the next one takes its place, and the person is told. */
  private async checkDevices(): Promise<void> {
    const { sound, view } = this.media;
    const lost = (track: MediaStreamTrack | undefined): boolean => track?.readyState === "ended";
    if (sound?.test === false && lost(sound.track)) {
      await this.useDevices({ microphone: null });
      this.events.notice({ kind: "device-lost", device: "microphone" });
    }
    if (view?.test === false && lost(view.track) && !this.state.get().camOff) {
      await this.useDevices({ camera: null });
      this.events.notice({ kind: "device-lost", device: "camera" });
    }
  }

  private remember(): void {
    const { micMuted, camOff } = this.state.get();
    tab.setChoice({ ...this.choice, muted: micMuted, videoOff: camOff });
  }
}
