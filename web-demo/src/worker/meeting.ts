// One meeting in the worker: feeds the session from the WebSocket and the clock, carries out what it puts out, lends
// it to the transforms. Sends nothing for the page but the closed list of [`PageToServer`].

import type { Codec, PageToServer, ServerToPage, Statement, SubscribedTrack } from "../wire/client";
import type { FromWorker, LayerStream, SessionEvent, What } from "../wire/worker";
import type { CounterBook } from "./counters";
import { Dead, guarded, isDead, type OpenOutcome, type Output, type Sealed, type Session } from "./engine";
import { readEvent } from "./events";
import { SignalingLink } from "./link";
import type { ScriptTransformer } from "./scope";
import type { Sealer, TrackMap } from "./frames";
import { ReceivePath } from "./receivepath";
import { SendPath } from "./sendpath";

/** The session is looked at again at least so often while it names no earlier time, ms. */
const IDLE_MS = 1_000;

export class Meeting implements Sealer {
  private readonly link: SignalingLink;
  private session: Session | null = null;
  private readonly tracks: TrackMap = new Map();
  private readonly sends = new Set<SendPath>();
  private readonly receives = new Set<ReceivePath>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private over = false;
  /** On this connection: before it, signaling takes nothing but a hello and its proof. */
  private admitted = false;

  constructor(url: string, private readonly makeSession: () => Session, private readonly read: (signed: string[]) => Statement[],
    private readonly book: CounterBook, private readonly tell: (message: FromWorker) => void) {
    this.link = new SignalingLink(url, {
      link: (state) => {
        tell({ type: "link", link: state });
        this.admitted &&= state === "open";
        if (state === "lost") this.run((session) => session.disconnected(Date.now()));
      },
      opened: (first) => this.opened(first),
      text: (text) => this.run((session) => session.handle(Date.now(), text)),
      alive: () => tell({ type: "alive" }),
    });
  }

  seal(slot: number, keyFrame: boolean, frame: Uint8Array, captureUs: number): Sealed | null {
    const session = this.session;
    if (session === null || this.over || isDead()) return null;
    return guarded(() => session.seal(Date.now(), slot, keyFrame, frame, captureUs));
  }

  open(from: string, slot: number, codec: Codec, wire: Uint8Array): OpenOutcome | null {
    const session = this.session;
    if (session === null || isDead()) return null;
    return guarded(() => session.open(Date.now(), from, slot, codec, wire));
  }

  transform(transformer: ScriptTransformer): void {
    const options = transformer.options;
    if (options.direction === "send") {
      const path = new SendPath(transformer, this, this.book, options.slot, options.codec, {
        look: () => this.tell({ type: "streams-unknown", slot: options.slot }),
        keyFrame: (layer) => this.tell({ type: "key-frame-wanted", slot: options.slot, layer }),
      }, options.layers);
      this.sends.add(path);
      path.run();
    } else {
      const path = new ReceivePath(transformer, this, this.book, options.mid, this.tracks);
      this.receives.add(path);
      path.run();
    }
  }

  addSource(slot: number, codec: Codec): void {
    this.run((session) => session.addSource(slot, codec));
  }

  /** Transforms of connections that are gone hear it too and never see a frame of these streams. */
  layerStreams(slot: number, streams: LayerStream[]): void {
    for (const path of this.sends) if (path.slot === slot) path.streams(streams);
  }

  oneStream(slot: number): void {
    for (const path of this.sends) if (path.slot === slot) path.one();
  }

  /** What the page says before an admission is of the connection before: it says it again after the next one. */
  signal(message: PageToServer): void {
    if (this.admitted && !this.over && !isDead()) this.link.send(JSON.stringify(message));
  }

  remove(participant: string): void {
    this.run((session) => session.remove(participant));
  }

  order(order: string): void {
    this.run((session) => session.order(Date.now(), order));
  }
  setPasscode(passcode: string): void {
    this.run((session) => session.setPasscode(passcode));
  }
  /** A hand or a reaction; one too many is not shown. */
  sign(sign: string): void {
    this.run((session) => session.sign(Date.now(), sign));
  }

  acknowledge(language: string): void {
    this.run((session) => session.acknowledge(Date.now(), language));
  }

  /** Says a chat line; its number. */
  say(text: string): number {
    return this.told((session) => session.say(Date.now(), text));
  }
  /** Says something that is no chat line; its number. */
  declare(what: What): number {
    return this.told((session) => session.declare(Date.now(), JSON.stringify(what)));
  }
  /** Sends a file; its name at signaling. */
  share(name: string, mediaType: string, bytes: Uint8Array): string {
    return this.told((session) => session.share(Date.now(), name, mediaType, bytes));
  }
  fetch(file: string): void {
    this.told((session) => session.fetch(Date.now(), file));
  }
  cancelShare(blob: string): void {
    this.run((session) => session.cancelShare(blob));
  }
  cancelFetch(file: string): void {
    this.run((session) => session.cancelFetch(file));
  }
  private told<T>(tell: (session: Session) => T): T {
    const session = this.session;
    if (session === null || this.over) throw new Error("not-in");
    const told = guarded(() => tell(session));
    this.pump();
    return told;
  }

  probe(): void {
    this.link.probe();
  }

  /** Says goodbye, then closes; the session and its keys are dropped. */
  leave(): void {
    this.run((session) => session.leave());
    this.stop();
  }

  stop(): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    this.link.close();
    this.session = null;
  }

  private opened(first: boolean): void {
    if (first || this.session === null) {
      try {
        this.session = guarded(this.makeSession);
      } catch (error) {
        if (!(error instanceof Dead)) this.refuse(error);
        return;
      }
      this.pump();
    } else {
      this.run((session) => session.reconnected(Date.now()));
    }
  }

  private refuse(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    this.tell({ type: "event", event: { type: "removed", problem: { code: "bad-certificate", detail, firm: null } } });
    this.stop();
  }

  private run(use: (session: Session) => void): void {
    const session = this.session;
    if (session === null || this.over || isDead()) return;
    try {
      guarded(() => use(session));
      this.pump();
    } catch (error) {
      if (!(error instanceof Dead)) console.warn("session:", error);
    }
  }

  private pump(): void {
    const session = this.session;
    if (session === null) return;
    for (;;) {
      const output = guarded(() => session.poll());
      if (output === null) break;
      this.carryOut(output);
      if (this.over) return;
    }
    clearTimeout(this.timer);
    const at = guarded(() => session.pollTimeout());
    const wait = at === null ? IDLE_MS : Math.min(IDLE_MS, Math.max(1, at - Date.now()));
    this.timer = setTimeout(() => this.run((live) => live.handleTimeout(Date.now())), wait);
  }

  private carryOut(output: Output): void {
    if (output.kind === "send") this.link.send(output.text);
    else if (output.kind === "passed") this.passed(output.message as unknown as ServerToPage);
    else {
      const event = readEvent(output.event);
      if (event !== null) this.happened(event);
    }
  }

  /** The clear bytes go to the page, which hands them to the person and keeps none. */
  private fetched(file: string): void {
    const session = this.session;
    const bytes = session === null ? null : guarded(() => session.takeFile(file));
    if (bytes !== null) this.tell({ type: "file", file, bytes });
  }

  private passed(message: ServerToPage): void {
    if (message.type === "subscribe-offer") this.map(message.tracks);
    this.tell({ type: "signal", message });
  }

  private map(tracks: SubscribedTrack[]): void {
    for (const track of tracks) this.tracks.set(track.mid, track);
  }

  private happened(event: SessionEvent): void {
    if (event.type === "admitted") this.admitted = true;
    // the session judged them already, or it would not have admitted us: here they are only read for the page
    if (event.type === "admitted") event.statements = this.read(event.terms.statements);
    if (event.type === "fetched") return this.fetched(event.file);
    this.tell({ type: "event", event });
    if (event.type === "epoch") for (const path of this.receives) path.epoch();
    if (event.type === "sending" && event.sending.state === "allowed") for (const path of this.sends) path.resumed();
    if (event.type === "removed") this.stop();
  }
}
