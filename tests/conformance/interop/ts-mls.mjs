// The npm package ts-mls as one member of a group, for tests only: one request a line on standard input, one answer a line on
// standard output; byte strings are hexadecimal. It judges no certificate: its authentication service takes everyone.

import path from "node:path";
import readline from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const mls = await import(pathToFileURL(path.resolve(here, "../../../web-demo/node_modules/ts-mls/dist/src/index.js")));
const suite = await mls.getCiphersuiteImpl(mls.getCiphersuiteFromName("MLS_128_DHKEMP256_AES128GCM_SHA256_P256"));

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const raw = (text) => new Uint8Array(Buffer.from(text, "hex"));
const version = "mls10";
const read = (text, wireformat) => {
  const message = mls.decodeMlsMessage(raw(text), 0)?.[0];
  if (message?.wireformat !== wireformat) throw new Error(`expected ${wireformat}, got ${message?.wireformat}`);
  return message;
};

let own;
let packages;
let state;
let next;

const acts = {
  async begin({ secret, public: publicKey, certificate, extensions }) {
    own = { signKey: raw(secret), publicKey: raw(publicKey), certificate: raw(certificate), extensions };
    return {};
  },
  async "key-package"() {
    const credential = { credentialType: "x509", certificates: [own.certificate] };
    const capabilities = {
      versions: [version],
      ciphersuites: ["MLS_128_DHKEMP256_AES128GCM_SHA256_P256"],
      extensions: own.extensions,
      proposals: [],
      credentials: ["x509"],
    };
    const now = BigInt(Math.floor(Date.now() / 1000));
    const lifetime = { notBefore: now - 300n, notAfter: now + 86_400n };
    packages = await mls.generateKeyPackageWithKey(credential, capabilities, lifetime, [], own, suite);
    return { message: hex(mls.encodeMlsMessage({ keyPackage: packages.publicPackage, wireformat: "mls_key_package", version })) };
  },
  async join({ welcome }) {
    const { publicPackage, privatePackage } = packages;
    state = await mls.joinGroup(read(welcome, "mls_welcome").welcome, publicPackage, privatePackage, mls.emptyPskIndex, suite);
    return {};
  },
  async commit({ add, remove }) {
    const extraProposals = [
      ...remove.map((removed) => ({ proposalType: "remove", remove: { removed } })),
      ...add.map((text) => ({ proposalType: "add", add: { keyPackage: read(text, "mls_key_package").keyPackage } })),
    ];
    const options = { wireAsPublicMessage: true, extraProposals, ratchetTreeExtension: true };
    const made = await mls.createCommit({ state, cipherSuite: suite }, options);
    const groupInfo = await mls.createGroupInfoWithExternalPubAndRatchetTree(made.newState, [], suite);
    next = made.newState;
    return {
      commit: hex(mls.encodeMlsMessage(made.commit)),
      welcome: made.welcome ? hex(mls.encodeMlsMessage({ welcome: made.welcome, wireformat: "mls_welcome", version })) : null,
      groupInfo: hex(mls.encodeMlsMessage({ groupInfo, wireformat: "mls_group_info", version })),
    };
  },
  async "apply-own"() {
    state = next;
    next = undefined;
    return {};
  },
  async apply({ commit }) {
    const { publicMessage } = read(commit, "mls_public_message");
    state = (await mls.processPublicMessage(state, publicMessage, mls.emptyPskIndex, suite)).newState;
    return {};
  },
  async say({ words }) {
    const made = await mls.createApplicationMessage(state, raw(words), suite);
    state = made.newState;
    return { message: hex(mls.encodeMlsMessage({ privateMessage: made.privateMessage, wireformat: "mls_private_message", version })) };
  },
  async hear({ message }) {
    const { privateMessage } = read(message, "mls_private_message");
    const heard = await mls.processPrivateMessage(state, privateMessage, mls.emptyPskIndex, suite);
    state = heard.newState;
    if (heard.kind !== "applicationMessage") throw new Error("not an application message");
    return { words: hex(heard.message) };
  },
  async "base-key"() {
    const { exporterSecret } = state.keySchedule;
    return { key: hex(await mls.mlsExporter(exporterSecret, "SFrame 1.0 Base Key", new Uint8Array(), 32, suite)) };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = await acts[request.do](request).catch((error) => ({ error: `${error?.stack ?? error}` }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
