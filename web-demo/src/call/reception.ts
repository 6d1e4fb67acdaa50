// Why a tile is frozen, small or missing, and how well a person's link works: from what the SFU says and what the
// worker counted. Pure.

import type { Key } from "../i18n";
import { firmOf, type Feed, type LinkQuality, type ParticipantId } from "../wire/client";
import type { TrackCounters } from "../wire/worker";
import type { CallState } from "./state";

/** A picture without a verified frame for so long stands still, ms: a still screen has one a second. */
const FROZEN_MS = 3_000;

export function feedKey(participant: ParticipantId, slot: number): string {
  return `${participant} ${slot}`;
}

export function withFeeds(known: Record<string, Feed>, changed: readonly Feed[]): Record<string, Feed> {
  const next = { ...known };
  for (const feed of changed) next[feedKey(feed.participant, feed.slot)] = feed;
  return next;
}

export type Trouble = "suspended" | "no-key" | "link-none" | "link-small" | "sender-poor" | "sender-none" | "waiting";

export const TROUBLES: Record<Trouble, Key> = {
  "suspended": "whySuspended",
  "no-key": "whyNoKey",
  "link-none": "whyLinkNone",
  "link-small": "whyLinkSmall",
  "sender-poor": "whySenderPoor",
  "sender-none": "whySenderNone",
  "waiting": "whyWaiting",
};

function countersOf(state: CallState, participant: ParticipantId, slot: number): TrackCounters | undefined {
  const mine = (track: TrackCounters): boolean => track.direction === "receive" && track.participant === participant && track.slot === slot;
  return state.counters.filter(mine).at(-1);
}

/** What is wrong with a picture that its owner did not switch off; null when nothing is. */
export function troubleOf(state: CallState, participant: ParticipantId, slot: number, now: number): Trouble | null {
  if (state.suspended.includes(firmOf(participant))) return "suspended";
  const feed = state.feeds[feedKey(participant, slot)];
  const counters = countersOf(state, participant, slot);
  const frozen = counters === undefined || counters.lastAt === null || now - counters.lastAt > FROZEN_MS;
  if (feed?.limit === "hidden") return null;
  if (feed?.limit === "link" && feed.layer === null) return "link-none";
  if (frozen) {
    if (counters !== undefined && counters.held + counters.unknown > 0 && counters.opened === 0) return "no-key";
    if (feed?.limit === "sender") return feed.sender === "poor" ? "sender-poor" : "sender-none";
    return feed === undefined && counters === undefined ? null : "waiting";
  }
  if (feed?.limit === "link") return "link-small";
  return feed?.sender === "poor" ? "sender-poor" : null;
}

/** The worse of both ends: the sender's way in, and our way out for its picture. */
export function qualityOf(state: CallState, participant: ParticipantId): LinkQuality | null {
  const feeds = Object.values(state.feeds).filter((feed) => feed.participant === participant);
  if (feeds.length === 0) return null;
  if (feeds.some((feed) => feed.sender === "poor" || (feed.limit === "link" && feed.layer === null))) return "poor";
  return feeds.some((feed) => feed.sender === "fair" || feed.limit === "link") ? "fair" : "good";
}
