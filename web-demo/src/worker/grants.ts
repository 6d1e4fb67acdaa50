// Requests and approvals of replays, acts of retention and consents to them, supervising acts and consents to statements,
// signed by this person's leaf key. Field order and labels are those of `evidence::grant`, `evidence::retention`,
// `evidence::supervision` and `domain::policy`.

import type { ApprovalAsk, ReplayAsk, RetentionAsk, SignedAct } from "../wire/worker";
import { decode, encode, sha256 } from "./bytes";
import { encodeCbor, type Cbor } from "./cbor";
import { guarded, type Engine, type LeafKey } from "./engine";
import { Refused } from "./refused";

const REQUEST_LABEL = "strongroom replay request v1";
const APPROVAL_LABEL = "strongroom replay approval v1";
const CONSENT_LABEL = "strongroom statement consent v1";
const ACT_LABEL = "strongroom supervision v1";
const RETENTION_LABEL = "strongroom retention act v1";
const RETENTION_CONSENT_LABEL = "strongroom retention consent v1";

export interface Officer { engine: Engine; key: LeafKey; chain: string[]; firm: string }

function sign({ engine, key, chain }: Officer, label: string, payload: Uint8Array): string {
  const leaf = chain[0];
  if (leaf === undefined) throw new Error("no certificate");
  return encode(guarded(() => engine.signCose(key, label, payload, decode(leaf))));
}

export async function signRequest(officer: Officer, ask: ReplayAsk): Promise<string> {
  const payload = encodeCbor({
    firm: officer.firm,
    meeting: ask.meeting,
    manifest_hash: ask.manifestHash,
    case: ask.case,
    reason: ask.reason,
    from_ms: ask.fromMs,
    to_ms: ask.toMs,
    issued_at: Date.now(),
    ...(ask.keys ? { handed: "keys" } : {}),
    ...(ask.paired === null ? {} : { paired: ask.paired }),
  });
  return sign(officer, REQUEST_LABEL, payload);
}

export async function signAct(officer: Officer, act: SignedAct): Promise<string> {
  return sign(officer, ACT_LABEL, encodeCbor({ firm: officer.firm, issued_at: Date.now(), what: act }));
}

/** The statement keeps the order of its fields: custody encodes it so. Another firm's is never signed. */
export async function signConsent(officer: Officer, told: string): Promise<string> {
  const statement = JSON.parse(told) as { [key: string]: Cbor };
  if (statement["firm"] !== officer.firm) throw new Refused({ code: "other-firm", detail: "another firm's statement", firm: null });
  return sign(officer, CONSENT_LABEL, encodeCbor(statement));
}

export async function signApproval(officer: Officer, signedRequest: string, ask: ApprovalAsk): Promise<string> {
  const now = Date.now();
  const payload = encodeCbor({
    request_hash: encode(await sha256(decode(signedRequest))),
    until: now + ask.seconds * 1000,
    issued_at: now,
  });
  return sign(officer, APPROVAL_LABEL, payload);
}

export async function signRetention(officer: Officer, ask: RetentionAsk): Promise<string> {
  const payload = encodeCbor({
    firm: officer.firm,
    meeting: ask.meeting,
    manifest_hash: ask.manifestHash,
    what: ask.what === "raise" ? { what: ask.what, years: ask.years } : { what: ask.what },
    case: ask.case,
    reason: ask.reason,
    issued_at: Date.now(),
  });
  return sign(officer, RETENTION_LABEL, payload);
}

export async function signRetentionConsent(officer: Officer, signedAct: string): Promise<string> {
  const payload = encodeCbor({ act_hash: encode(await sha256(decode(signedAct))), issued_at: Date.now() });
  return sign(officer, RETENTION_CONSENT_LABEL, payload);
}
