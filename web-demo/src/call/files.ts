// Files of a call: asks the worker to send and to fetch, keeps their lines, hands what came to the person. Draws nothing, and
// opens nothing that came.

import type { Keys } from "../state/keys";
import type { Store } from "../state/store";
import type { SessionEvent } from "../wire/worker";
import { capped, mineOf, type FileLine, type Line } from "./said";
import { nameOf, type CallState } from "./state";

/** Bytes of the largest file (`domain::limits::MAX_FILE`). */
export const MOST_FILE = 25 * 1024 * 1024;
/** A download's address is given back after so long, ms: the browser has begun to save it. */
const SAVED_MS = 60_000;

type FileEvent = SessionEvent & { type: "shared" | "file-moving" | "file-lost" };
type SharedEvent = SessionEvent & { type: "shared" };

const isOfFiles = (event: SessionEvent): event is FileEvent => ["shared", "file-moving", "file-lost"].includes(event.type);
const wayOf = (blob: string): string => `file ${blob}`;

/** Lines with one file changed. */
export function withFile(lines: readonly Line[], id: string, change: (file: FileLine) => FileLine): readonly Line[] {
  return lines.map((line) => (line.file?.id === id ? { ...line, file: change(line.file) } : line));
}

export function withShared(state: CallState, event: SharedEvent): readonly Line[] {
  const mine = event.from === state.me;
  const file: FileLine = {
    id: event.file, blob: event.blob, name: event.name, mediaType: event.mediaType ?? "", size: event.size, moving: null, wrong: null,
  };
  const line: Line = {
    key: mine ? mineOf(event.sequence) : `${event.from} ${event.epoch} ${event.sequence}`,
    from: event.from, name: nameOf(state, event.from), mine, words: null, at: event.at, state: "sent", kept: [], file,
  };
  // one's own was a line already while it was on its way
  const waited = mine ? state.lines.findIndex((one) => one.key === wayOf(event.blob)) : -1;
  return waited < 0 ? capped([...state.lines, line]) : state.lines.with(waited, line);
}

export class Files {
  constructor(private readonly keys: Keys, private readonly state: Store<CallState>) {
    const end = keys.watch((message) => {
      if (state.get().phase === "over") end();
      else if (message.type === "file") this.came(message.file, message.bytes);
      else if (message.type === "event" && isOfFiles(message.event)) this.heard(message.event);
    });
  }

  /** Sends a file to everyone; throws why not. */
  async send(file: File): Promise<void> {
    if (file.size > MOST_FILE) throw new Error("too-long");
    const bytes = await file.arrayBuffer().catch(() => new ArrayBuffer(0));
    const blob = await this.keys.share(file.name, file.type, bytes);
    const state = this.state.get();
    const from = state.me ?? "";
    const line: Line = {
      key: wayOf(blob), from, name: nameOf(state, from), mine: true, words: null, at: Date.now(), state: "waiting", kept: [],
      file: { id: blob, blob, name: file.name, mediaType: file.type, size: file.size, moving: { done: 0, of: 1 }, wrong: null },
    };
    // the events may have been faster than the answer
    if (!state.lines.some((one) => one.file?.blob === blob)) this.state.patch({ lines: capped([...state.lines, line]) });
  }

  async fetch(id: string): Promise<void> {
    this.change(id, (file) => ({ ...file, moving: { done: 0, of: 1 }, wrong: null }));
    await this.keys.fetch(id).catch(() => this.change(id, (file) => ({ ...file, moving: null, wrong: "gone" })));
  }

  cancel(line: Line): void {
    if (line.file === undefined) return;
    const { id } = line.file;
    const sending = line.key === wayOf(id);
    this.keys.tell(sending ? { type: "cancel-share", blob: id } : { type: "cancel-fetch", file: id });
    this.change(id, (file) => ({ ...file, moving: null, wrong: sending ? "cancelled" : null }));
  }

  private heard(event: FileEvent): void {
    const state = this.state.get();
    if (event.type === "shared") {
      this.state.patch({ lines: withShared(state, event), unread: state.unread + (event.from === state.me ? 0 : 1) });
    } else if (event.type === "file-moving") {
      this.change(event.file, (file) => (file.moving === null ? file : { ...file, moving: { done: event.done, of: event.of } }));
    } else {
      this.change(event.file, (file) => ({ ...file, moving: null, wrong: event.why }));
    }
  }

  /** Saved by the browser under its plain name, whatever it says it is. */
  private came(id: string, bytes: Uint8Array<ArrayBuffer>): void {
    const line = this.state.get().lines.find((one) => one.file?.id === id);
    this.change(id, (file) => ({ ...file, moving: null }));
    const address = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = line?.file?.name ?? "file";
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), SAVED_MS);
  }

  private change(id: string, change: (file: FileLine) => FileLine): void {
    this.state.patch({ lines: withFile(this.state.get().lines, id, change) });
  }
}
