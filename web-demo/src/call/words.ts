// What is written and declared in a call: asks the worker, keeps the lines, lets pauses end and be heard. Draws nothing.

import { language } from "../i18n";
import { cue } from "../media/cue";
import type { Keys } from "../state/keys";
import type { Store } from "../state/store";
import { firmOf, type ParticipantId } from "../wire/client";
import type { SessionEvent, What } from "../wire/worker";
import { Files } from "./files";
import { withDeclared, withStanding, withTime } from "./record";
import { withKept, withSaid, withWaiting } from "./said";
import type { CallState } from "./state";

export class Words {
  /** Number of the pause that was asked for here. */
  private pausing: number | null = null;

  readonly files: Files;

  constructor(private readonly keys: Keys, private readonly state: Store<CallState>) {
    this.files = new Files(keys, state);
  }

  /** Writes to everyone; throws why not. */
  async say(text: string): Promise<void> {
    const sequence = await this.keys.say(text);
    this.state.patch({ lines: withWaiting(this.state.get(), sequence, text.trim(), Date.now()) });
  }
  async declare(what: What): Promise<void> {
    const sequence = await this.keys.declare(what);
    if ("pause" in what) this.pausing = sequence;
  }
  askCopy(): Promise<void> {
    return this.declare({ "copy-wanted": { language: language.get() } });
  }
  seen(): void {
    if (this.state.get().unread > 0) this.state.patch({ unread: 0 });
  }

  heard(event: SessionEvent & { type: "said" | "declared" | "kept" }): void {
    const state = this.state.get();
    if (event.type === "kept") return this.kept(event.sequence, event.firm);
    if (event.type === "declared") return this.declared(event.from, event.what);
    this.state.patch({ lines: withSaid(state, event), unread: state.unread + (event.from === state.me ? 0 : 1) });
  }

  private kept(sequence: number, firm: string): void {
    const state = this.state.get();
    this.state.patch({ lines: withKept(state, sequence, firm) });
    if (sequence === this.pausing && state.me !== null && firm === firmOf(state.me)) this.state.patch(withStanding(state, firm));
  }

  /** A pause is heard, too: who shares a screen does not see the banner. */
  private declared(from: ParticipantId, what: What): void {
    const before = this.state.get().pauses;
    this.state.patch(withDeclared(this.state.get(), from, what, Date.now()));
    if (this.state.get().pauses === before) return;
    cue("pause" in what ? "down" : "up");
    if ("pause" in what) setTimeout(() => this.pauseOver(), what.pause.at_most_ms);
  }

  private pauseOver(): void {
    const left = withTime(this.state.get(), Date.now());
    if (this.state.get().phase === "over" || Object.keys(left).length === Object.keys(this.state.get().pauses).length) return;
    this.state.patch({ pauses: left });
    cue("up");
  }
}
