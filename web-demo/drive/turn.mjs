// A TURN client (RFC 8656) that asks for what it should not get: allocations with credentials that are no good, permissions
// for addresses that are not the SFU's, more allocations than one may have. Speaks UDP, TCP and TLS.

import { createHash, createHmac, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect as connectTcp, isIPv6 } from "node:net";
import { connect as connectTls } from "node:tls";

const MAGIC = 0x2112a442;
const ALLOCATE = 0x003;
const REFRESH = 0x004;
const CREATE_PERMISSION = 0x008;
const CHANNEL_BIND = 0x009;
const USERNAME = 0x0006;
const MESSAGE_INTEGRITY = 0x0008;
const ERROR_CODE = 0x0009;
const CHANNEL_NUMBER = 0x000c;
const LIFETIME = 0x000d;
const XOR_PEER_ADDRESS = 0x0012;
const REALM = 0x0014;
const NONCE = 0x0015;
const REQUESTED_ADDRESS_FAMILY = 0x0017;
const REQUESTED_TRANSPORT = 0x0019;
const UDP = 17;
const FAMILY = { 4: 1, 6: 2 };
/** The smallest channel number. */
const FIRST_CHANNEL = 0x4000;
/** A server on this machine answers at once; this is for a busy one, ms. */
const ANSWER_MS = 10_000;
/** A datagram that was lost is sent again so often, ms. */
const AGAIN_MS = 500;

/** The credential that signaling makes: username `expiry:random`, password base64(HMAC-SHA1(secret, username)). */
export function credential(secret, expiry) {
  const username = `${expiry}:${randomBytes(8).toString("hex")}`;
  return { username, credential: createHmac("sha1", secret).update(username).digest("base64") };
}

function attribute(type, value) {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

function number(bytes, value) {
  const out = Buffer.alloc(4);
  out.writeUIntBE(value, 0, bytes);
  return out;
}

/** The sixteen bytes of an IPv6 address, the four of an IPv4 one. */
function addressBytes(ip) {
  if (!isIPv6(ip)) return Buffer.from(ip.split(".").map(Number));
  const plain = ip.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => `${((a << 8) | Number(b)).toString(16)}:${((c << 8) | Number(d)).toString(16)}`);
  const [left, right = null] = plain.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const groups = right === null ? left : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  return Buffer.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

/** XOR-PEER-ADDRESS, RFC 8489 section 14.2. */
function peer(ip, port, transaction) {
  const mask = Buffer.concat([Buffer.from([0x21, 0x12, 0xa4, 0x42]), transaction]);
  const address = addressBytes(ip).map((byte, at) => byte ^ mask[at]);
  const head = Buffer.from([0, FAMILY[isIPv6(ip) ? 6 : 4], 0, 0]);
  head.writeUInt16BE(port ^ (MAGIC >>> 16), 2);
  return attribute(XOR_PEER_ADDRESS, Buffer.concat([head, address]));
}

function request(method, transaction, attributes, key) {
  const body = Buffer.concat(attributes);
  const head = Buffer.alloc(8);
  head.writeUInt16BE(method, 0);
  head.writeUInt16BE(body.length + (key === null ? 0 : 24), 2);
  head.writeUInt32BE(MAGIC, 4);
  const message = Buffer.concat([head, transaction, body]);
  if (key === null) return message;
  return Buffer.concat([message, attribute(MESSAGE_INTEGRITY, createHmac("sha1", key).update(message).digest())]);
}

function parse(message) {
  const attributes = new Map();
  for (let at = 20; at + 4 <= message.length; ) {
    const length = message.readUInt16BE(at + 2);
    attributes.set(message.readUInt16BE(at), message.subarray(at + 4, at + 4 + length));
    at += 4 + length + ((4 - (length % 4)) % 4);
  }
  const error = attributes.get(ERROR_CODE);
  return { attributes, code: error === undefined ? 200 : (error[2] & 7) * 100 + error[3] };
}

/** One connection to the server: `send` bytes, `take` is called with each message. */
async function open({ protocol, host, port }, take) {
  if (protocol === "udp") {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    socket.on("message", take);
    socket.on("error", () => undefined);
    return { send: (bytes) => socket.send(bytes, port, host), close: () => socket.close() };
  }
  let left = Buffer.alloc(0);
  const socket = await new Promise((done, failed) => {
    // the check's certificate is made for it; what a browser demands of one is the browser's part of the check
    const made = protocol === "tls" ? connectTls({ host, port, rejectUnauthorized: false }) : connectTcp({ host, port });
    made.once(protocol === "tls" ? "secureConnect" : "connect", () => done(made));
    made.once("error", failed);
  });
  socket.on("error", () => undefined);
  socket.on("data", (bytes) => {
    left = Buffer.concat([left, bytes]);
    while (left.length >= 20 && left.length >= 20 + left.readUInt16BE(2)) {
      const end = 20 + left.readUInt16BE(2);
      take(left.subarray(0, end));
      left = left.subarray(end);
    }
  });
  return { send: (bytes) => socket.write(bytes), close: () => socket.destroy() };
}

/** A client of one server: `server` is { protocol: "udp" | "tcp" | "tls", host, port }. */
export class Turn {
  constructor(server, given) {
    this.server = server;
    this.given = given;
    this.waiting = new Map();
    this.key = null;
    this.channel = FIRST_CHANNEL;
  }

  async connect() {
    this.wire = await open(this.server, (message) => {
      if (message.length < 20) return;
      const name = message.subarray(8, 20).toString("hex");
      this.waiting.get(name)?.(parse(message));
      this.waiting.delete(name);
    });
    return this;
  }

  async ask(method, make) {
    const transaction = randomBytes(12);
    const own = this.key === null ? [] : [attribute(USERNAME, Buffer.from(this.given.username)), attribute(REALM, this.realm), attribute(NONCE, this.nonce)];
    const message = request(method, transaction, [...make(transaction), ...own], this.key);
    const name = transaction.toString("hex");
    let again;
    let late;
    try {
      return await new Promise((done, failed) => {
        this.waiting.set(name, done);
        this.wire.send(message);
        if (this.server.protocol === "udp") again = setInterval(() => this.wire.send(message), AGAIN_MS);
        late = setTimeout(() => failed(new Error(`no answer over ${this.server.protocol} within ${ANSWER_MS} ms`)), ANSWER_MS);
      });
    } finally {
      clearInterval(again);
      clearTimeout(late);
    }
  }

  /** Asks for a relayed address of IP version 4 or 6; answers the code: 200, or the server's error. */
  async allocate(version = 4) {
    const wanted = () => [attribute(REQUESTED_TRANSPORT, number(1, UDP)), attribute(REQUESTED_ADDRESS_FAMILY, number(1, FAMILY[version]))];
    const challenge = await this.ask(ALLOCATE, wanted);
    const [realm, nonce] = [challenge.attributes.get(REALM), challenge.attributes.get(NONCE)];
    if (challenge.code !== 401 || realm === undefined || nonce === undefined) return challenge.code;
    this.realm = realm;
    this.nonce = nonce;
    this.key = createHash("md5").update(`${this.given.username}:${realm}:${this.given.credential}`).digest();
    return (await this.ask(ALLOCATE, wanted)).code;
  }

  /** Asks to be allowed to send to an address, by a permission and by a channel; answers both codes. */
  async reach(ip, port) {
    const permission = await this.ask(CREATE_PERMISSION, (transaction) => [peer(ip, port, transaction)]);
    const own = attribute(CHANNEL_NUMBER, number(2, this.channel++));
    const channel = await this.ask(CHANNEL_BIND, (transaction) => [own, peer(ip, port, transaction)]);
    return [permission.code, channel.code];
  }

  /** Keeps the allocation, or, for 0 s, gives it back. */
  async refresh(seconds = 600) {
    return (await this.ask(REFRESH, () => [attribute(LIFETIME, number(4, seconds))])).code;
  }

  async end() {
    if (this.key !== null) await this.refresh(0).catch(() => undefined);
    this.wire?.close();
  }
}
