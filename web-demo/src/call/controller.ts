// One call from enrolment to goodbye: hears the worker, keeps the state, drives media. Draws nothing.

import { LocalMedia } from "../media/source";
import type { Publisher } from "../media/publisher";
import { store, type Store } from "../state/store";
import { tab, type JoinChoice } from "../state/tab";
import { Keys, WorkerProblem } from "../state/keys";
import { SLOT, type ParticipantId, type ServerToPage } from "../wire/client";
import type { LoginSession, PageConfig } from "../wire/front";
import type { FromWorker, SessionEvent } from "../wire/worker";
import { arrivals, withRoster, type Notice, type Roster } from "./notice";
import { initialState, type CallState } from "./state";
import { Transports } from "./transports";
import { AGAIN_MS, verdictOf } from "./verdict";

export class CallController {
  readonly state: Store<CallState>;
  readonly joinedAt = performance.timeOrigin + performance.now();
  private readonly transports: Transports;
  private readonly unwatch: () => void;
  private keyed = false;
  private muteDecided = false;
  private ended = false;
  private tries = 0;

  constructor(private readonly config: PageConfig, private readonly login: LoginSession, readonly keys: Keys,
    readonly media: LocalMedia, room: string, private readonly choice: JoinChoice,
    private readonly notice: (notice: Notice) => void) {
    this.state = store(initialState(room));
    this.state.patch({ micMuted: choice.muted, camOff: choice.videoOff });
    this.transports = new Transports(keys.worker, {
      send: (message) => keys.tell({ type: "signal", message }),
      states: (publish, subscribe) => this.state.patch({ publish, subscribe }),
      tracks: (tracks) => this.state.patch({ tracks }),
      published: (publisher) => void this.published(publisher),
      subscribeBroken: () => keys.tell({ type: "reconnect" }),
    });
    this.unwatch = keys.watch((message) => this.heard(message));
  }

  /** Enrols this device and joins. */
  async start(): Promise<void> {
    const { user, name, session } = this.login;
    tab.setRoom({ room: this.state.get().room, since: Date.now() });
    tab.setChoice(this.choice);
    try {
      await Promise.all([
        this.keys.enrol({ session, user, name, device: tab.device(), role: "member" }),
        this.openMedia(),
      ]);
    } catch (error) {
      const problem = error instanceof WorkerProblem ? error.problem : { code: "internal", detail: String(error), firm: null };
      return this.over(problem.code === "worker-dead" ? { why: "dead", reason: problem.detail } : { why: "refused", problem });
    }
    if (!this.ended) this.keys.tell({ type: "join", room: this.state.get().room });
  }

  leave(): void {
    this.keys.tell({ type: "leave" });
    this.over({ why: "left" });
  }

  remove(participant: ParticipantId): void {
    this.keys.tell({ type: "remove", participant });
  }

  async setMuted(muted: boolean): Promise<void> {
    this.state.patch({ micMuted: muted });
    const sound = this.media.sound;
    if (sound !== null) sound.track.enabled = !muted;
    this.keys.tell({ type: "signal", message: { type: "mute", slot: SLOT.microphone, muted } });
    this.remember();
  }

  async setCamOff(off: boolean): Promise<void> {
    this.state.patch({ camOff: off });
    if (off) {
      await this.transports.publisher?.replace(SLOT.camera, null);
      this.media.closeView();
      this.state.patch({ camOff: true });
    } else {
      const view = await this.media.openView(this.choice.camera, this.choice.testPicture);
      this.state.patch({ testPicture: view.test });
      if (this.keyed) await this.transports.publisher?.replace(SLOT.camera, view.track);
    }
    this.keys.tell({ type: "signal", message: { type: "mute", slot: SLOT.camera, muted: off } });
    this.remember();
  }

  /** Another device, or the test source, while the call runs. */
  async useDevices(change: Partial<JoinChoice>): Promise<void> {
    Object.assign(this.choice, change);
    if ("microphone" in change || "testTone" in change) {
      const sound = await this.media.openSound(this.choice.microphone, this.choice.testTone);
      sound.track.enabled = !this.state.get().micMuted;
      this.state.patch({ testTone: sound.test });
      if (this.keyed) await this.transports.publisher?.replace(SLOT.microphone, sound.track);
    }
    if (("camera" in change || "testPicture" in change) && !this.state.get().camOff) await this.setCamOff(false);
    this.remember();
  }

  devices(): JoinChoice {
    return { ...this.choice };
  }
  connections(): { publish: RTCPeerConnection | null; subscribe: RTCPeerConnection | null } {
    return {
      publish: this.transports.publisher?.connection ?? null,
      subscribe: this.transports.subscriber.connection,
    };
  }

  private remember(): void {
    const { micMuted, camOff } = this.state.get();
    tab.setChoice({ ...this.choice, muted: micMuted, videoOff: camOff });
  }

  private async openMedia(): Promise<void> {
    if (this.media.sound === null) await this.media.openSound(this.choice.microphone, this.choice.testTone);
    if (this.media.view === null && !this.choice.videoOff) {
      await this.media.openView(this.choice.camera, this.choice.testPicture);
    }
    const { sound, view } = this.media;
    if (sound !== null) sound.track.enabled = !this.choice.muted;
    this.state.patch({ testTone: sound?.test ?? false, testPicture: view?.test ?? false });
  }

  private heard(message: FromWorker): void {
    if (this.ended) return;
    switch (message.type) {
      case "link":
        this.state.patch({ link: message.link });
        return;
      case "counters":
        this.state.patch({ counters: message.tracks });
        return;
      case "dead":
        this.over({ why: "dead", reason: message.reason });
        return;
      case "signal":
        this.signal(message.message);
        return;
      case "event":
        this.event(message.event);
        return;
      default:
        return;
    }
  }

  private signal(message: ServerToPage): void {
    const state = this.state.get();
    switch (message.type) {
      case "publish-answer":
        this.transports.answered(message.sdp);
        this.tellMutes();
        return;
      case "subscribe-offer":
        this.transports.offered(message.sdp, message.revision, message.tracks);
        return;
      case "roster-changed":
        this.roster({ ...state.roster, [message.entry.participant]: message.entry });
        return;
      case "roster-left": {
        const { [message.participant]: _gone, ...rest } = state.roster;
        this.roster(rest);
        return;
      }
      case "speaker":
        this.state.patch({ speaker: message.participant });
        return;
      case "firm-suspended": {
        const others = state.suspended.filter((firm) => firm !== message.firm);
        this.state.patch({ suspended: message.suspended ? [...others, message.firm] : others });
        return;
      }
      case "problem":
        this.notice({ kind: "problem", problem: message });
        return;
    }
  }

  private event(event: SessionEvent): void {
    switch (event.type) {
      case "admitted":
        return this.admitted(event);
      case "epoch":
        return this.epoch(event);
      case "sending":
        this.state.patch({ sending: event.sending });
        return;
      case "recorders":
        this.state.patch({ recorders: event.recorders });
        return;
      case "removed": {
        const verdict = verdictOf(event.problem, this.state.get().phase === "in", this.tries);
        if (verdict === "again") return this.again();
        this.over({ why: verdict, problem: event.problem });
        return;
      }
      case "incident":
        this.notice({ kind: "incident", text: event.kind });
        return;
    }
  }

  /** The service lost us, not the other way round: join anew with the same key, over new transports. */
  private again(): void {
    this.tries += 1;
    this.keyed = false;
    this.transports.reset();
    this.state.patch({ tracks: [], link: "lost" });
    setTimeout(() => {
      if (!this.ended) this.keys.tell({ type: "join", room: this.state.get().room });
    }, AGAIN_MS);
  }

  private admitted(event: SessionEvent & { type: "admitted" }): void {
    const roster: Roster = {};
    for (const entry of event.roster) roster[entry.participant] = entry;
    const clockSkewMs = event.now > 0 ? Date.now() - event.now : 0;
    const { participant: me, terms, statements } = event;
    this.state.patch({ phase: "in", me, terms, statements, clockSkewMs });
    this.roster(roster);
    const others = event.roster.filter((entry) => !entry.recorder && entry.participant !== me);
    if (!this.muteDecided) {
      this.muteDecided = true;
      // a second window on the machine of a demonstration: two tones and two loudspeakers make an echo
      const rehearsal = this.config.issuer === "development" && location.hostname.endsWith("localhost");
      if (rehearsal && others.length > 0 && !this.state.get().micMuted && !this.resumed()) {
        void this.setMuted(true);
        this.notice({ kind: "joined-muted" });
      }
    }
    this.transports.admitted();
  }

  private resumed(): boolean {
    return tab.choice()?.muted === false && performance.getEntriesByType("navigation")
      .some((entry) => (entry as PerformanceNavigationTiming).type === "reload");
  }

  private roster(roster: Roster): void {
    const { patch, notices } = withRoster(this.state.get(), roster, Date.now());
    this.state.patch(patch);
    for (const notice of notices) this.notice(notice);
  }

  private epoch(event: SessionEvent & { type: "epoch" }): void {
    const state = this.state.get();
    const { members, epoch, code, added, removed } = event;
    const seen = { ...state.seen };
    for (const member of members) {
      const known = seen[member.participant];
      if (known !== undefined) seen[member.participant] = { ...known, name: member.name };
    }
    const next = state.code?.code === code
      ? state.code
      : { code, since: Date.now(), changedBy: state.code === null ? null : { added, removed } };
    this.state.patch({ members, epoch, code: next, seen });
    for (const notice of arrivals(state, members, added, removed)) this.notice(notice);
    this.tries = 0;
    if (!this.keyed) {
      this.keyed = true;
      void this.attach();
    }
  }

  private async published(publisher: Publisher): Promise<void> {
    for (const { slot, codec } of publisher.slots) this.keys.tell({ type: "add-source", slot, codec });
    if (this.keyed) await this.attach();
  }

  /** The sources exist at the service now: say which of them are muted. */
  private tellMutes(): void {
    const { micMuted, camOff } = this.state.get();
    for (const [slot, muted] of [[SLOT.microphone, micMuted], [SLOT.camera, camOff]] as const) {
      this.keys.tell({ type: "signal", message: { type: "mute", slot, muted } });
    }
  }

  /** Puts the tracks on: the worker holds a key from here on. */
  private async attach(): Promise<void> {
    const publisher = this.transports.publisher;
    if (publisher === null) return;
    await publisher.replace(SLOT.microphone, this.media.sound?.track ?? null);
    await publisher.replace(SLOT.camera, this.media.view?.track ?? null);
  }

  private over(over: NonNullable<CallState["over"]>): void {
    if (this.ended) return;
    this.ended = true;
    tab.setRoom(null);
    this.transports.close();
    this.media.close();
    this.unwatch();
    this.state.patch({ phase: "over", over });
  }
}
