// Requests and approvals of replays, and supervising acts, signed by this officer's leaf key. Field order and labels are
// those of `evidence::grant` and `evidence::supervision`.

import type { ApprovalAsk, ReplayAsk, SignedAct } from "../wire/worker";
import { decode, encode, sha256 } from "./bytes";
import { encodeCbor } from "./cbor";
import { guarded, type Engine, type LeafKey } from "./engine";

const REQUEST_LABEL = "strongroom replay request v1";
const APPROVAL_LABEL = "strongroom replay approval v1";
const ACT_LABEL = "strongroom supervision v1";

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
  });
  return sign(officer, REQUEST_LABEL, payload);
}

export async function signAct(officer: Officer, act: SignedAct): Promise<string> {
  return sign(officer, ACT_LABEL, encodeCbor({ firm: officer.firm, issued_at: Date.now(), what: act }));
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
