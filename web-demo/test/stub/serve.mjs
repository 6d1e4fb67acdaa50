// Stand-in services for page tests on one port per firm: front API, pages, signaling. Serves test/out/dist, which is
// built with the stand-in for WebAssembly; nothing of it is secret or real.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";
import { AdminDesk } from "./admin.mjs";
import { Archive } from "./archive.mjs";
import { StubMeeting } from "./meet.mjs";
import { FIRMS, PEOPLE, ROOMS, statementsOf } from "./people.mjs";
import { StubProvider } from "./provider.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
export const DIST = path.resolve(here, "../out/dist");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".svg": "image/svg+xml" };

const body = async (request) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : JSON.parse(text);
};
const json = (response, value, status = 200) => {
  response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" });
  response.end(status === 204 ? "" : JSON.stringify(value));
};
const problem = (response, status, code, detail = "") => json(response, { code, detail, firm: null }, status);

function policy(signaling) {
  const origin = signaling.split("/").slice(0, 3).join("/");
  return `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' ${origin}; media-src 'self' blob:; style-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types strongroom`;
}

async function page(response, url, signaling) {
  const name = ["/", "/officer", "/admin", "/guest", "/oidc/callback"].includes(url.pathname) ? "/index.html" : url.pathname;
  try {
    const bytes = await readFile(path.join(DIST, path.normalize(name)));
    response.writeHead(200, {
      "content-type": TYPES[path.extname(name)] ?? "application/octet-stream",
      "content-security-policy": policy(signaling),
      "cross-origin-opener-policy": "same-origin",
    });
    response.end(bytes);
  } catch {
    problem(response, 404, "not-found");
  }
}

function front(firm, signaling, archive, provider) {
  const people = PEOPLE[firm.firm];
  const invitations = new Map();
  const desk = new AdminDesk(firm, archive);
  const userOf = (session) => people[session?.replace(/^.*\//, "")];
  return async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    const route = `${request.method} ${url.pathname}`;
    const bearer = request.headers.authorization?.replace("Bearer ", "") ?? "";
    switch (route) {
      case "GET /api/config":
        return json(response, {
          firm: firm.firm, firm_name: firm.name, signaling, issuer: provider?.issuer ?? "development", client_id: "strongroom", warnings: ["Demo archive, not WORM."],
          trust: { version: 1, firms: FIRMS },
        });
      case "POST /idp/login": {
        const { user, password } = await body(request);
        if (people[user] === undefined || password !== `${user}-demo`) return problem(response, 401, "bad-login");
        return json(response, { session: `idp/${user}`, user, name: people[user].name, roles: people[user].roles });
      }
      case "POST /idp/authorize":
        return json(response, { code: (await body(request)).session });
      case "POST /idp/token":
        return json(response, { id_token: (await body(request)).code });
      case "POST /oidc/begin":
        return json(response, provider.begin(await body(request), `http://${request.headers.host}`));
      case "POST /oidc/finish": {
        const finished = provider.finish(await body(request), people);
        return finished === null ? problem(response, 400, "bad-token") : json(response, finished);
      }
      case "POST /enrol": {
        const { csr } = await body(request);
        const { participant } = JSON.parse(Buffer.from(csr, "base64url").toString());
        return json(response, { chain: [Buffer.from(participant).toString("base64url")], session: participant.split("/").slice(0, 2).join("/") });
      }
      case "POST /api/invitations": {
        // the stand-in signs nothing: what it "signed" is the label and CBOR, of which the guest's id is plain text
        const text = Buffer.from((await body(request)).invitation, "base64url").toString("latin1");
        const guest = /guest-[0-9a-f]{16}/.exec(text)[0];
        const view = { guest, name: "Gus Guest", room: "deal-room", title: "Project Alder", statements: statementsOf(ROOMS[0]), invited_by: people[bearer.split("/")[1]].name, valid_from: Date.now(), valid_until: Date.now() + 3_600_000, link: `http://${request.headers.host}/guest?i=${guest}` };
        invitations.set(guest, view);
        return json(response, view);
      }
      case "POST /enrol/guest": {
        const { invitation, code, csr } = await body(request);
        const { participant } = JSON.parse(Buffer.from(csr, "base64url").toString());
        const view = invitations.get(invitation);
        if (!/^[2-9A-Z]{5}-[2-9A-Z]{5}$/.test(code)) return problem(response, 403, "bad-code");
        if ((view.device ??= participant) !== participant) return problem(response, 403, "code-used");
        return json(response, { chain: [Buffer.from(participant).toString("base64url")], invitation: Buffer.from(view.invited_by).toString("base64url") });
      }
      case "GET /api/rooms":
        if (userOf(bearer) === undefined) return problem(response, 401, "signed-out");
        return json(response, ROOMS.map((room) => ({
          room: room.room, title: room.title, audio_video: room.rules[FIRMS.indexOf(firm)], statements: statementsOf(room),
        })));
      default:
        if (url.pathname.startsWith("/api/invitations/")) {
          const view = invitations.get(url.pathname.split("/")[3]);
          if (view === undefined) return problem(response, 404, "unknown");
          return json(response, view);
        }
        if (await desk.handle(request, response, url, bearer, { json, problem, body, people })) return undefined;
        if (await archive.handle(request, response, url, bearer, { json, problem, body, people })) return undefined;
        return page(response, url, signaling);
    }
  };
}

export async function serve(base = 0, { outside = false } = {}) {
  const meeting = new StubMeeting();
  const signalingServer = createServer();
  const sockets = new WebSocketServer({ server: signalingServer, path: "/v1/meet" });
  sockets.on("connection", (socket) => meeting.connect(socket));
  const listen = (server, port) => new Promise((done) => server.listen(port, "127.0.0.1", () => done(server.address().port)));
  const signalingPort = await listen(signalingServer, base === 0 ? 0 : base);
  const signaling = `ws://signaling.localhost:${signalingPort}/v1/meet`;
  const origins = [];
  const servers = [signalingServer];
  const provider = outside ? new StubProvider() : null;
  if (provider !== null) {
    const server = createServer(provider.handle);
    provider.issuer = `http://idp.localhost:${await listen(server, 0)}`;
    servers.push(server);
  }
  for (const [at, firm] of FIRMS.entries()) {
    const server = createServer(front(firm, signaling, new Archive(firm), provider));
    const port = await listen(server, base === 0 ? 0 : base + 1 + at);
    origins.push(`http://${firm.firm}.localhost:${port}`);
    servers.push(server);
  }
  const close = () => {
    for (const client of sockets.clients) client.terminate();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  };
  return { origins, meeting, provider, close, dropSockets: () => { for (const client of sockets.clients) client.terminate(); } };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { origins } = await serve(8640);
  console.log(origins.join("\n"));
}
