// A host's hand in the call, and everybody's: asks the worker to order or show something, carries out here what was ordered.
// Nothing is believed that the worker's session did not judge. Draws nothing.

import type { Keys } from "../state/keys";
import type { Store } from "../state/store";
import type { ParticipantId } from "../wire/client";
import { toOrder, toSign, type HostOrder, type Sign } from "../wire/host";
import type { SessionEvent } from "../wire/worker";
import { REACTION_MS, toldBy, withoutOld, withSign } from "./hosting";
import type { Notice } from "./notice";
import { nameOf, type CallState } from "./state";

interface Does {
  mute: () => void;
  leave: () => void;
  notice: (notice: Notice) => void;
}

export class Host {
  constructor(private readonly keys: Keys, private readonly state: Store<CallState>, private readonly does: Does) {}

  order(order: HostOrder): void {
    this.keys.tell({ type: "order", order: JSON.stringify(toOrder(order)) });
  }
  setPasscode(passcode: string): void {
    this.keys.tell({ type: "set-passcode", passcode });
  }
  show(sign: Sign | "hand-up" | "hand-down"): void {
    this.keys.tell({ type: "sign", sign: JSON.stringify(toSign(sign)) });
  }
  /** Up if it is down, down if it is up. */
  hand(): void {
    const { hands, me } = this.state.get();
    this.show(hands.some((hand) => hand.participant === me) ? "hand-down" : "hand-up");
  }

  heard(event: SessionEvent & { type: "ordered" | "hosts" | "guest" | "waiting" | "sign" }): void {
    const state = this.state.get();
    switch (event.type) {
      case "hosts":
        return this.state.patch({ hosts: event.hosts });
      case "guest":
        return this.state.patch({ guests: { ...state.guests, [event.guest]: event.name } });
      case "waiting": {
        const known = new Set(state.waiting.map((one) => one.participant));
        this.state.patch({ waiting: event.waiting });
        for (const one of event.waiting) if (!known.has(one.participant)) this.does.notice({ kind: "waiting", who: one });
        return;
      }
      case "sign":
        return this.shown(event.from, event.sign);
      case "ordered":
        return this.ordered(event.from, event.order);
    }
  }

  private shown(from: ParticipantId, sign: unknown): void {
    const before = this.state.get().hands.length;
    this.state.patch(withSign(this.state.get(), from, sign, Date.now()));
    const { hands, me } = this.state.get();
    if (hands.length > before && from !== me) this.does.notice({ kind: "hand", name: nameOf(this.state.get(), from) });
    setTimeout(() => this.state.patch(withoutOld(this.state.get(), Date.now())), REACTION_MS + 50);
  }

  private ordered(from: ParticipantId, order: unknown): void {
    const state = this.state.get();
    const told = toldBy(state, from, order);
    const name = nameOf(state, from);
    switch (told.kind) {
      case "silence":
        this.does.mute();
        return this.does.notice({ kind: "told", text: told.all ? "toldMuteAll" : "toldMuted", name });
      case "locked":
        this.state.patch({ locked: told.locked });
        return this.does.notice({ kind: "told", text: told.locked ? "toldLocked" : "toldUnlocked", name });
      case "handed-over":
        return told.to === state.me
          ? this.does.notice({ kind: "told", text: "toldHost", name })
          : this.does.notice({ kind: "told", text: "toldHandOver", name, to: nameOf(state, told.to) });
      case "ended":
        this.does.notice({ kind: "told", text: "toldEnd", name });
        return this.does.leave();
      case "none":
        return;
    }
  }
}
