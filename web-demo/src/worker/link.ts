// The WebSocket to signaling: connects, reconnects with growing pauses, notices silence. Knows nothing of messages.

import type { Link } from "../wire/worker";

/** First pause before a new try, ms: a reload must be back within 3 s. */
const RETRY_FIRST_MS = 200;
/** Longest pause, ms: people wait in front of this. */
const RETRY_MOST_MS = 4_000;
/** A connection that takes longer hangs in a network that is gone, ms: four round trips of a satellite. */
const CONNECT_MS = 4_000;
/** A ping so often, ms; half of what proxies commonly allow in silence would be 30 s, people notice far earlier. */
const PING_MS = 5_000;
/** Nothing heard for so long: the connection is taken for lost, ms. */
const SILENCE_MS = 12_000;
/** Asked whether it is still there, a connection answers within so many of its round trips ... */
const ANSWER_ROUNDS = 3;
/** ... but is given so long at least, for a busy machine, and so long at most, ms. */
const ANSWER_LEAST_MS = 400;
const ANSWER_MOST_MS = 2_000;
/** Messages that wait while the connection is down; beyond it the oldest would be stale anyway. */
const QUEUE = 64;

export interface LinkEvents {
  link(state: Link): void;
  /** Connected; `first` on the first time. */
  opened(first: boolean): void;
  text(text: string): void;
  /** It was asked, and is still there. */
  alive(): void;
}

export class SignalingLink {
  private socket: WebSocket | null = null;
  private retry = RETRY_FIRST_MS;
  private heard = 0;
  private began = 0;
  private first = true;
  private closed = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly pings: ReturnType<typeof setInterval>;
  private queue: string[] = [];
  /** When the last ping went that nothing was heard after. */
  private pinged: number | null = null;
  private roundMs = 0;
  private asked: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly url: string, private readonly events: LinkEvents, private readonly now: () => number = () => performance.now()) {
    this.pings = setInterval(() => this.beat(), PING_MS);
    this.connect();
  }

  /** Sends now, or as soon as the connection is back. */
  send(text: string): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
    else if (this.queue.length < QUEUE) this.queue.push(text);
  }

  /** Media fell silent, or the network changed: is it still there? If not, a new connection is made at once. */
  probe(): void {
    if (this.closed || this.asked !== undefined) return;
    const { socket } = this;
    if (socket === null) return this.anew();
    const bound = Math.min(ANSWER_MOST_MS, Math.max(ANSWER_LEAST_MS, this.roundMs * ANSWER_ROUNDS));
    if (socket.readyState !== WebSocket.OPEN) {
      // it hangs where there was no network when it began
      if (this.now() - this.began >= bound) this.anew();
      return;
    }
    this.ping();
    this.asked = setTimeout(() => this.anew(), bound);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.pings);
    this.settle();
    this.socket?.close();
    this.socket = null;
    this.events.link("closed");
  }

  private settle(): void {
    clearTimeout(this.timer);
    clearTimeout(this.asked);
    this.asked = undefined;
  }

  private connect(): void {
    if (this.closed) return;
    this.settle();
    this.events.link("connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.began = this.heard = this.now();
    this.pinged = null;
    this.timer = setTimeout(() => this.drop(), CONNECT_MS);
    socket.onopen = () => {
      if (this.socket !== socket) return;
      clearTimeout(this.timer);
      this.retry = RETRY_FIRST_MS;
      this.events.link("open");
      this.queue = [];
      this.events.opened(this.first);
      this.first = false;
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.socket !== socket || typeof event.data !== "string") return;
      this.hear();
      this.events.text(event.data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
  }

  private hear(): void {
    this.heard = this.now();
    if (this.pinged !== null) this.roundMs = this.heard - this.pinged;
    this.pinged = null;
    if (this.asked === undefined) return;
    clearTimeout(this.asked);
    this.asked = undefined;
    this.events.alive();
  }

  private lost(): void {
    this.socket = null;
    if (this.closed) return;
    this.settle();
    this.events.link("lost");
    this.timer = setTimeout(() => this.connect(), this.retry);
    this.retry = Math.min(this.retry * 2, RETRY_MOST_MS);
  }

  /** Lets the socket go without waiting for its goodbye, which may never come. */
  private drop(): void {
    const { socket } = this;
    if (socket === null) return;
    socket.onclose = null;
    socket.close();
    this.lost();
  }

  private anew(): void {
    this.drop();
    this.retry = RETRY_FIRST_MS;
    this.connect();
  }

  private ping(): void {
    this.pinged = this.now();
    this.socket?.send('{"type":"ping"}');
  }

  private beat(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (this.now() - this.heard > SILENCE_MS) this.drop();
    else this.ping();
  }
}
