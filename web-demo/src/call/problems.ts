// Plain words for each stable problem code: what happened and what to do. Pure.

import { t, type Key } from "../i18n";
import type { Problem } from "../wire/client";
import type { PageConfig } from "../wire/front";

const TEXTS: Record<string, Key> = {
  "upgrade": "pUpgrade",
  "bad-certificate": "pBadCertificate",
  "bad-signature": "pBadCertificate",
  "trust-mismatch": "pTrust",
  "not-a-member": "pNotAMember",
  "replaced": "pReplaced",
  "removed": "pRemoved",
  "policy-clash": "pClash",
  "barred": "pBarred",
  "terms-change": "pTermsChange",
  "recorder-missing": "pRecorderMissing",
  "meeting-full": "pFull",
  "rooms-unavailable": "pRooms",
  "media-unavailable": "pMedia",
  "media-full": "pMediaFull",
  "rate-limited": "pRate",
  "signed-out": "pSignedOut",
  "front-unreachable": "pFront",
  "not-host": "pNotHost",
  "locked": "pLocked",
  "lobby": "pLobby",
  "denied": "pDenied",
  "passcode": "pPasscode",
  "passcode-tries": "pPasscodeTries",
  "client-too-old": "pClientTooOld",
  "region": "pRegion",
  "no-guests": "pNoGuests",
  "no-share": "pNoShare",
  "ended": "pEnded",
  "bad-code": "pBadCode",
  "code-used": "pCodeUsed",
  "code-tries": "pCodeTries",
  "too-early": "pTooEarly",
  "bad-invitation": "guestNone",
  "not-acknowledged": "pNotAcknowledged",
  "worker-dead": "pDead",
  "in-roster": "offInRoster",
  "two-persons": "offOwn",
  "retention-held": "pRetentionHeld",
  "retention-early": "pRetentionEarly",
  "retention-rule": "pRetentionRule",
  "act-used": "pActUsed",
  "approved": "pApproved",
};

export function firmName(config: PageConfig, firm: string | null): string {
  if (firm === null) return t("yourFirm");
  return config.trust.firms.find((known) => known.firm === firm)?.name ?? firm;
}

/** The firm of a person, or whose guest it is. */
export function badgeOf(config: PageConfig, person: { firm: string; role: string | null }): string {
  const firm = firmName(config, person.firm);
  return person.role === "guest" ? t("guestOf", { firm }) : firm;
}

export function problemText(config: PageConfig, problem: Problem | null): string {
  if (problem === null) return t("pInternal", { detail: "" });
  const key = TEXTS[problem.code];
  const values = { firm: firmName(config, problem.firm), detail: problem.detail };
  if (key !== undefined) return t(key, values);
  return t("pInternal", { detail: problem.detail || problem.code });
}
