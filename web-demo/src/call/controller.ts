// One call from enrolment to goodbye: hears the worker, keeps the state, drives media. Draws nothing.

import { asPictureCodec, sendable } from "../media/codecs";
import { LocalMedia } from "../media/source";
import { language } from "../i18n";
import { store, type Store } from "../state/store";
import { tab, type JoinChoice } from "../state/tab";
import { Keys, WorkerProblem } from "../state/keys";
import { SLOT, type PageToServer, type ServerToPage } from "../wire/client";
import type { LoginSession, PageConfig } from "../wire/front";
import type { FromWorker, SessionEvent } from "../wire/worker";
import { enrolFor } from "./enrolling";
import { Host } from "./host";
import { arrivals, withRoster, type Notice, type Roster } from "./notice";
import { isKept, sameStatements } from "./notices";
import { isRehearsal } from "./rehearsal";
import { withFeeds } from "./reception";
import { withNewMeeting } from "./said";
import { Sources } from "./sources";
import { initialState, type CallState } from "./state";
import { Transports } from "./transports";
import { View, type Shown } from "./view";
import { AGAIN_MS, FAREWELL_MS, verdictOf } from "./verdict";
import { Words } from "./words";

export class CallController {
  readonly state: Store<CallState>;
  readonly joinedAt = performance.timeOrigin + performance.now();
  readonly words: Words;
  readonly host: Host;
  private readonly transports: Transports;
  private readonly sources: Sources;
  private readonly view: View;
  private readonly unwatch: () => void;
  /** For what this member asks of the own front during the call. */
  frontSession: string | null = null;
  private muteDecided = false;
  private ended = false;
  private tries = 0;

  constructor(private readonly config: PageConfig, private readonly login: LoginSession, readonly keys: Keys,
    readonly media: LocalMedia, private readonly where: { room: string; passcode: string | null }, private readonly choice: JoinChoice,
    private readonly notice: (notice: Notice) => void) {
    this.state = store(initialState(where.room));
    this.state.patch({ micMuted: choice.muted, camOff: choice.videoOff });
    this.words = new Words(keys, this.state);
    this.host = new Host(keys, this.state, { mute: () => void this.setMuted(true), leave: () => this.end(), notice });
    const camera = sendable().find((codec) => codec === asPictureCodec(choice.codec)) ?? "vp8";
    this.transports = new Transports(keys.worker, camera, {
      send: (message) => keys.tell({ type: "signal", message }),
      states: (publish, subscribe) => this.state.patch({ publish, subscribe }),
      tracks: (tracks) => this.state.patch({ tracks }),
      streams: (slot, streams) => keys.tell({ type: "layer-streams", slot, streams }),
      oneStream: (slot) => keys.tell({ type: "one-stream", slot }),
      published: (publisher) => void this.sources.published(publisher),
      probe: () => keys.tell({ type: "probe" }),
      path: (path, network) => this.state.patch({ path, network }),
    });
    const send = (message: PageToServer): void => keys.tell({ type: "signal", message });
    this.view = new View(send);
    this.sources = new Sources(media, this.state, choice, {
      publisher: () => this.transports.publisher,
      send,
      addSource: (slot, codec) => keys.tell({ type: "add-source", slot, codec }),
      notice,
    });
    this.unwatch = keys.watch((message) => this.heard(message));
  }

  /** Enrols this device and joins. */
  async start(): Promise<void> {
    tab.setRoom({ room: this.state.get().room, since: Date.now() });
    tab.setChoice(this.choice);
    try {
      const [session] = await Promise.all([enrolFor(this.keys, this.login), this.sources.open()]);
      this.frontSession = session;
    } catch (error) {
      const problem = error instanceof WorkerProblem ? error.problem : { code: "internal", detail: String(error), firm: null };
      return this.over(problem.code === "worker-dead" ? { why: "dead", reason: problem.detail } : { why: "refused", problem });
    }
    if (!this.ended) this.keys.tell({ type: "join", ...this.where });
  }

  /** Nothing more is sealed; what is reaches the SFU before the goodbye that names it, or the record would miss it. */
  leave(): void {
    this.sources.close();
    setTimeout(() => this.over({ why: "left" }), FAREWELL_MS);
  }

  /** A host ended the meeting: as leaving, and said otherwise. */
  private end(): void {
    this.sources.close();
    setTimeout(() => this.over({ why: "removed", problem: { code: "ended", detail: "", firm: null } }), FAREWELL_MS);
  }

  setMuted(muted: boolean): Promise<void> {
    return this.sources.setMuted(muted);
  }
  setCamOff(off: boolean): Promise<void> {
    return this.sources.setCamOff(off);
  }
  useDevices(change: Partial<JoinChoice>): Promise<void> {
    return this.sources.useDevices(change);
  }
  share(on: boolean): Promise<void> {
    return this.sources.share(on);
  }
  devices(): JoinChoice {
    return { ...this.choice };
  }
  /** What the tiles show now. */
  show(shown: readonly Shown[]): void {
    this.view.show(shown);
  }
  connections(): { publish: RTCPeerConnection | null; subscribe: RTCPeerConnection | null } {
    return { publish: this.transports.publisher?.connection ?? null, subscribe: this.transports.subscriber.connection };
  }

  private heard(message: FromWorker): void {
    if (this.ended) return;
    switch (message.type) {
      case "link":
        return this.state.patch({ link: message.link });
      case "alive":
        return this.transports.alive();
      case "counters":
        return this.state.patch({ counters: message.tracks });
      case "dead":
        return this.over({ why: "dead", reason: message.reason });
      case "streams-unknown":
        return this.transports.look(message.slot);
      case "key-frame-wanted":
        return this.transports.keyFrame(message.slot, message.layer);
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
      case "relays":
        this.transports.relayed(message.relays);
        break;
      case "publish-answer":
        this.transports.answered(message.sdp);
        return this.sources.tellMutes();
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
        return this.state.patch({ speaker: message.participant });
      case "layers-wanted":
        return void this.transports.publisher?.want(message.slot, message.layers, message.rates);
      case "codec-refused": {
        const codec = message.slot === SLOT.camera ? this.transports.fallBack() : null;
        if (codec !== null) this.notice({ kind: "codec-refused", codec });
        return;
      }
      case "feeds":
        return this.state.patch({ feeds: withFeeds(state.feeds, message.feeds) });
      case "firm-suspended": {
        const others = state.suspended.filter((firm) => firm !== message.firm);
        this.state.patch({ suspended: message.suspended ? [...others, message.firm] : others });
        return;
      }
      case "problem":
        if (message.code === "lobby") return this.state.patch({ atDoor: true });
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
        return this.state.patch({ sending: event.sending });
      case "recorders":
        return this.state.patch({ recorders: event.recorders });
      case "removed": {
        const verdict = verdictOf(event.problem, this.state.get().phase === "in", this.tries);
        if (verdict === "again") return this.again();
        this.over({ why: verdict, problem: event.problem });
        return;
      }
      case "said":
      case "declared":
      case "kept":
        return this.words.heard(event);
      case "incident":
        this.notice({ kind: "incident", text: event.kind });
        return;
      case "shared": case "file-moving": case "fetched": case "file-lost": return; // files hear them themselves
      default:
        return this.host.heard(event);
    }
  }

  /** The service lost us, not the other way round: join anew with the same key, over new transports. */
  private again(): void {
    this.tries += 1;
    this.sources.unkey();
    this.transports.reset();
    this.state.patch({ tracks: [], link: "lost" });
    setTimeout(() => {
      if (!this.ended) this.keys.tell({ type: "join", ...this.where });
    }, AGAIN_MS);
  }

  private admitted(event: SessionEvent & { type: "admitted" }): void {
    const roster: Roster = {};
    for (const entry of event.roster) roster[entry.participant] = entry;
    const clockSkewMs = event.now > 0 ? Date.now() - event.now : 0;
    const { participant: me, terms, statements } = event;
    // signaling was restarted: the SFU knows the transports of before in another meeting only
    const before = this.state.get().terms;
    if (before !== null && before.meeting !== terms.meeting) {
      this.transports.reset();
      this.state.patch({ lines: withNewMeeting(this.state.get().lines, before.meeting) });
    }
    this.state.patch({ phase: "in", atDoor: false, me, terms, statements, clockSkewMs });
    this.roster(roster);
    const others = event.roster.some((entry) => !entry.recorder && entry.participant !== me);
    if (!this.muteDecided && others && isRehearsal(this.config) && !this.state.get().micMuted) {
      void this.setMuted(true);
      this.notice({ kind: "joined-muted" });
    }
    this.muteDecided = true;
    this.view.again();
    const asked = isKept(statements) && !sameStatements(tab.acknowledged(), terms.statements);
    this.state.patch({ asked });
    if (!asked) this.acknowledge();
  }

  /** Says that the notices are known, and begins to send: nothing is offered to the SFU before. */
  acknowledge(): void {
    const { terms, statements } = this.state.get();
    if (terms === null || this.ended) return;
    if (isKept(statements)) {
      tab.setAcknowledged(terms.statements);
      this.keys.tell({ type: "acknowledge", language: language.get() });
    }
    this.state.patch({ asked: false });
    this.transports.admitted();
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
    void this.sources.key();
  }

  private over(over: NonNullable<CallState["over"]>): void {
    if (this.ended) return;
    this.ended = true;
    tab.setRoom(null);
    if (over.why === "left" || ("problem" in over && over.problem.code === "ended")) this.keys.tell({ type: "leave" });
    this.transports.close();
    this.view.close();
    this.sources.close();
    this.unwatch();
    this.state.patch({ phase: "over", over });
  }
}
