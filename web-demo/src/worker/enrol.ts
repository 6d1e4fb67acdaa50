// Enrolment: a fresh leaf key and its certificate from this firm. The ID token is bound by its `nonce` to the certificate
// request and to the key of this worker's DPoP proofs. Nothing of it is kept over a reload.

import type { Enrolment, GuestEnrolment, WorkerSetup } from "../wire/worker";
import { concat, encode, sha256, utf8 } from "./bytes";
import { ProofKey } from "./dpop";
import type { Engine, LeafKey } from "./engine";
import { Refused } from "./refused";

export interface Enrolled { key: LeafKey; chain: string[]; session: string }

async function post<T>(url: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new Refused({ code: "front-unreachable", detail: "the firm's own server does not answer", firm: null });
  }
  if (!answer.ok) throw await Refused.from(answer);
  return (await answer.json()) as T;
}

/** With an invitation and its code; the invitation comes back, to be shown at the door. */
export async function enrolGuest(engine: Engine, setup: WorkerSetup, who: GuestEnrolment): Promise<Enrolled & { invitation: string }> {
  const key = engine.newKey();
  const csr = encode(key.csr(`${setup.firm}/${who.guest}/${who.device}`, who.name));
  const enrolled = await post<{ chain: string[]; invitation: string }>(
    `${setup.origin}/enrol/guest`, { invitation: who.guest, code: who.code, csr },
  );
  return { key, chain: enrolled.chain, session: "", invitation: enrolled.invitation };
}

/** Gets an ID token with this nonce from the firm's own provider; the page knows how. */
export type AskPage = (nonce: string, session: string) => Promise<string>;

/** An ID token of the development provider: no window, no question. */
async function developmentToken(setup: WorkerSetup, session: string, nonce: string, proofs: ProofKey): Promise<string> {
  const verifier = encode(crypto.getRandomValues(new Uint8Array(32)));
  const challenge = encode(await sha256(utf8(verifier)));
  const { code } = await post<{ code: string }>(`${setup.origin}/idp/authorize`, {
    session, client_id: setup.clientId, code_challenge: challenge, nonce,
  });
  const tokenUrl = `${setup.origin}/idp/token`;
  const { id_token } = await post<{ id_token: string }>(
    tokenUrl,
    { code, code_verifier: verifier, client_id: setup.clientId },
    { DPoP: await proofs.proof("POST", tokenUrl) },
  );
  return id_token;
}

export async function enrol(engine: Engine, setup: WorkerSetup, who: Enrolment, askPage: AskPage): Promise<Enrolled> {
  const key = engine.newKey();
  const csr = key.csr(`${setup.firm}/${who.user}/${who.device}`, who.name);
  const proofs = await ProofKey.make();
  const nonce = encode(await sha256(concat(await sha256(csr), await proofs.thumbprint())));
  const id_token = setup.development
    ? await developmentToken(setup, who.session, nonce, proofs) : await askPage(nonce, who.session);
  const enrolUrl = `${setup.origin}/enrol`;
  const enrolled = await post<{ chain: string[]; session: string }>(
    enrolUrl,
    { csr: encode(csr), id_token, role: who.role },
    { DPoP: await proofs.proof("POST", enrolUrl) },
  );
  return { key, chain: enrolled.chain, session: enrolled.session };
}
