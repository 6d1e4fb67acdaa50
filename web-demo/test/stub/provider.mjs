// Stand-in for a firm's own identity provider, on an origin of its own, and for the front's side of it. Everybody is Anna.

import { randomUUID } from "node:crypto";

export class StubProvider {
  issuer = "";
  /** What was asked for, in order. */
  asked = [];
  flows = new Map();

  begin(ask, origin) {
    const [state, secret] = [randomUUID(), randomUUID()];
    this.flows.set(state, { ...ask, secret });
    this.asked.push(ask);
    const address = `${this.issuer}/auth?${new URLSearchParams({ state, back: `${origin}/oidc/callback` })}`;
    return { address, state, secret };
  }

  finish({ state, secret, code }, people) {
    const flow = this.flows.get(state);
    this.flows.delete(state);
    if (flow?.secret !== secret || code !== `code of ${state}`) return null;
    if (flow.purpose === "enrol") return { outcome: "enrol", id_token: flow.nonce };
    return { outcome: "login", session: "idp/anna", user: "anna", name: people.anna.name, roles: people.anna.roles };
  }

  handle = (request, response) => {
    const query = new URL(request.url, this.issuer).searchParams;
    const state = query.get("state");
    const answer = new URLSearchParams({ code: `code of ${state}`, state, iss: this.issuer });
    response.writeHead(302, { location: `${query.get("back")}?${answer}` });
    response.end();
  };
}
