// Signing in at the firm's own identity provider: in a window of its own, so that this tab's worker and its key live on. The
// answer comes back over a channel of this origin (the provider's window has no opener). Where no window may be opened, a login
// takes this tab there and back; a certificate waits for a click. Keeps nothing but a login under way.

import { store } from "../state/store";
import type { LoginBegun, LoginSession } from "../wire/front";
import { front } from "./api";

const CHANNEL = "strongroom.signin";
const KEPT = "strongroom.signin";
/** The provider sends people back here. */
const CALLBACK = "/oidc/callback";

interface Said { state: string; code: string | null; iss: string | null }
interface Kept { state: string; secret: string; back: string }

/** A window that this browser opens only for a click. */
export const waiting = store<string | null>(null);

function shown(address: string): boolean {
  return window.open(address, "_blank", "popup,width=520,height=680") !== null;
}

/** Opens the window that is waited for. */
export function goOn(): void {
  const address = waiting.get();
  waiting.set(null);
  if (address !== null) shown(address);
}

function answerTo(state: string): Promise<Said> {
  return new Promise((done) => {
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      if (data.state !== state) return;
      channel.close();
      done(data);
    };
  });
}

async function finish(begun: Pick<LoginBegun, "state" | "secret">, said: Said): ReturnType<typeof front.finishLogin> {
  return front.finishLogin({ state: begun.state, secret: begun.secret, code: said.code, iss: said.iss });
}

/** Signs in. Never answers when this tab goes to the provider itself. */
export async function signIn(): Promise<LoginSession> {
  const begun = await front.beginLogin({ purpose: "login" });
  const answer = answerTo(begun.state);
  if (!shown(begun.address)) {
    const kept: Kept = { state: begun.state, secret: begun.secret, back: location.pathname + location.search };
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
    location.assign(begun.address);
  }
  const finished = await finish(begun, await answer);
  if (finished.outcome !== "login") throw new Error("no login");
  return finished;
}

/** An ID token with this nonce, for somebody who is signed in. */
export async function tokenFor(nonce: string, session: string): Promise<string> {
  const begun = await front.beginLogin({ purpose: "enrol", nonce, session });
  const answer = answerTo(begun.state);
  if (!shown(begun.address)) waiting.set(begun.address);
  const finished = await finish(begun, await answer);
  waiting.set(null);
  if (finished.outcome !== "enrol") throw new Error("no token");
  return finished.id_token;
}

export function isCallback(): boolean {
  return location.pathname === CALLBACK;
}

/** In the window that came back: hands the answer to the tab that waits, or finishes here if it is that tab. Answers where to go
 *  on, or null if this window is no longer needed. */
export async function comeBack(keep: (login: LoginSession) => void): Promise<string | null> {
  const query = new URLSearchParams(location.search);
  const said: Said = { state: query.get("state") ?? "", code: query.get("code"), iss: query.get("iss") };
  // the code is of use once; no history keeps it
  history.replaceState(null, "", CALLBACK);
  const text = sessionStorage.getItem(KEPT);
  const kept = text === null ? null : (JSON.parse(text) as Kept);
  if (kept?.state !== said.state) {
    new BroadcastChannel(CHANNEL).postMessage(said);
    return null;
  }
  sessionStorage.removeItem(KEPT);
  const finished = await finish(kept, said);
  if (finished.outcome === "login") keep(finished);
  // a path of this origin and nothing else
  return kept.back.startsWith("/") && !kept.back.startsWith("//") ? kept.back : "/";
}
