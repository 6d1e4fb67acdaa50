// The WebSocket to signaling: connects, reconnects with growing pauses, notices silence. Knows nothing of messages.

import type { Link } from "../wire/worker";

/** First pause before a new try, ms: a reload must be back within 3 s. */
const RETRY_FIRST_MS = 200;
/** Longest pause, ms: people wait in front of this. */
const RETRY_MOST_MS = 4_000;
/** A ping so often, ms; half of what proxies commonly allow in silence would be 30 s, people notice far earlier. */
const PING_MS = 5_000;
/** Nothing heard for so long: the connection is taken for lost, ms. */
const SILENCE_MS = 12_000;
/** Messages that wait while the connection is down; beyond it the oldest would be stale anyway. */
const QUEUE = 64;

export interface LinkEvents {
  link(state: Link): void;
  /** Connected; `first` on the first time. */
  opened(first: boolean): void;
  text(text: string): void;
}

export class SignalingLink {
  private socket: WebSocket | null = null;
  private retry = RETRY_FIRST_MS;
  private heard = 0;
  private first = true;
  private closed = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly pings: ReturnType<typeof setInterval>;
  private queue: string[] = [];

  constructor(private readonly url: string, private readonly events: LinkEvents) {
    this.pings = setInterval(() => this.beat(), PING_MS);
    this.connect();
  }

  /** Sends now, or as soon as the connection is back. */
  send(text: string): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
    else if (this.queue.length < QUEUE) this.queue.push(text);
  }

  /** What waited belongs to a connection that is gone. */
  forget(): void {
    this.queue = [];
  }

  /** Drops the connection and makes a new one at once. */
  again(): void {
    this.retry = RETRY_FIRST_MS;
    this.drop();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.pings);
    clearTimeout(this.timer);
    this.socket?.close();
    this.socket = null;
    this.events.link("closed");
  }

  private connect(): void {
    if (this.closed) return;
    this.events.link("connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.heard = performance.now();
    socket.onopen = () => {
      if (this.socket !== socket) return;
      this.retry = RETRY_FIRST_MS;
      this.events.link("open");
      this.queue = [];
      this.events.opened(this.first);
      this.first = false;
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.socket !== socket || typeof event.data !== "string") return;
      this.heard = performance.now();
      this.events.text(event.data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
  }

  private lost(): void {
    this.socket = null;
    if (this.closed) return;
    this.events.link("lost");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), this.retry);
    this.retry = Math.min(this.retry * 2, RETRY_MOST_MS);
  }

  private drop(): void {
    const socket = this.socket;
    if (socket === null) return;
    socket.onclose = null;
    socket.close();
    this.lost();
  }

  private beat(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - this.heard > SILENCE_MS) this.drop();
    else this.socket.send('{"type":"ping"}');
  }
}
