// What this participant sends: one sound and one picture, from devices or from the test source, exchangeable while
// the meeting runs. Owns the tracks it opened and stops them.

import { NoDevice, openCamera, openMicrophone, type DeviceProblem } from "./devices";
import { toneOf } from "./pattern";
import { startPicture, startTone, type Picture, type Tone } from "./testSource";

export interface Sound { track: MediaStreamTrack; test: boolean; hertz: number | null; problem: DeviceProblem | null }
export interface View { track: MediaStreamTrack; test: boolean; problem: DeviceProblem | null }

export class LocalMedia {
  sound: Sound | null = null;
  view: View | null = null;
  private tone: Tone | null = null;
  private picture: Picture | null = null;

  constructor(private readonly user: string, private readonly name: string, private readonly tonePreset: number | null) {}

  /** Opens the microphone; where there is none, or `test` asks for it, the test tone. */
  async openSound(device: string | null, test: boolean): Promise<Sound> {
    this.closeSound();
    let problem: DeviceProblem | null = null;
    if (!test) {
      try {
        this.sound = { track: await openMicrophone(device), test: false, hertz: null, problem: null };
        return this.sound;
      } catch (error) {
        problem = error instanceof NoDevice ? error.why : "failed";
      }
    }
    const hertz = this.tonePreset ?? toneOf(this.user);
    this.tone = startTone(hertz);
    this.sound = { track: this.tone.track, test: true, hertz, problem };
    return this.sound;
  }

  /** Opens the camera; where there is none, or `test` asks for it, the test picture. */
  async openView(device: string | null, test: boolean): Promise<View> {
    this.closeView();
    let problem: DeviceProblem | null = null;
    if (!test) {
      try {
        this.view = { track: await openCamera(device), test: false, problem: null };
        return this.view;
      } catch (error) {
        problem = error instanceof NoDevice ? error.why : "failed";
      }
    }
    this.picture = startPicture(this.name, this.user, (lit) => this.tone?.beep(lit));
    this.view = { track: this.picture.track, test: true, problem };
    return this.view;
  }

  closeSound(): void {
    this.tone?.stop();
    this.tone = null;
    this.sound?.track.stop();
    this.sound = null;
  }
  closeView(): void {
    this.picture?.stop();
    this.picture = null;
    this.view?.track.stop();
    this.view = null;
  }
  close(): void {
    this.closeSound();
    this.closeView();
  }
}
