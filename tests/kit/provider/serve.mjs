// The npm package oidc-provider as a firm's own identity provider, for tests only: people from the command line, any password,
// no consent page. Prints `ready` with its address. Two addresses are the test's own: /test/logout logs a person out of every
// client by the back channel; /test/keys is what custody pins.
//   node serve.mjs PORT ORIGIN CLIENT_ID SECRET user=Name=role,role ...

import dns from "node:dns";
import { generateKeyPairSync } from "node:crypto";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [port, origin, clientId, secret, ...people] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));
const module = path.resolve(here, "../../../web-demo/node_modules/oidc-provider/lib/index.js");
const { default: Provider, interactionPolicy } = await import(pathToFileURL(module));

// names under .localhost are this machine (RFC 6761), whatever the resolver says
const lookup = dns.lookup;
dns.lookup = (name, options, done) => {
  const then = done ?? options;
  if (!name.endsWith(".localhost")) return lookup(name, options, done);
  const one = { address: "127.0.0.1", family: 4 };
  return options?.all ? then(null, [one]) : then(null, one.address, one.family);
};

const known = new Map(people.map((text) => {
  const [user, name, roles] = text.split("=");
  return [user, { sub: user, name, roles: roles.split(",") }];
}));
const jwk = { ...generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: "provider-1" };
// who was logged out for good has a session cookie left that names nobody: it has to sign in, and cannot
const policy = interactionPolicy.base();
const { Check } = interactionPolicy;
policy.get("login").checks.add(new Check("account_gone", "this person is not known any more", ({ oidc }) =>
  oidc.session.accountId && !oidc.account ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT));
const issuer = `http://idp.localhost:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: clientId,
    client_secret: secret,
    redirect_uris: [`${origin}/oidc/callback`],
    backchannel_logout_uri: `${origin}/oidc/logout`,
    id_token_signed_response_alg: "ES256",
  }],
  jwks: { keys: [jwk] },
  interactions: { policy },
  cookies: { keys: ["for tests only"] },
  claims: { openid: ["sub"], profile: ["name", "roles"] },
  conformIdTokenClaims: false,
  features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
  ttl: { IdToken: 300, Session: 43_200, Grant: 43_200, Interaction: 600, AccessToken: 300 },
  findAccount: (_context, user) => known.has(user) ? { accountId: user, claims: () => known.get(user) } : undefined,
  // its own dispatcher refuses loopback addresses, where every test is
  fetch: (url, { dispatcher: _guarded, ...options }) => fetch(url, options),
  // every person has agreed
  loadExistingGrant: async (context) => {
    const grant = new context.oidc.provider.Grant({ clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId });
    grant.addOIDCScope("openid profile");
    await grant.save();
    return grant;
  },
});
provider.use(async (context, next) => {
  const user = context.query.user;
  if (context.method === "POST" && context.path === "/test/logout") {
    const client = await provider.Client.find(clientId);
    known.delete(user);
    await client.backchannelLogout(user, undefined);
    context.status = 204;
  } else if (context.method === "GET" && context.path === "/test/keys") {
    const { kty, crv, x, y, kid, use, alg } = jwk;
    context.body = { keys: [{ kty, crv, x, y, kid, use, alg }] };
  } else {
    await next();
  }
});
for (const event of ["server_error", "backchannel.error", "authorization.error", "grant.error"]) {
  provider.on(event, (...all) => console.error(event, all.find((one) => one instanceof Error)?.message));
}
provider.listen(Number(port), "127.0.0.1", () => console.log(`ready ${issuer}`));
