// A network of its own for a browser: a namespace without a name that lives as long as the drive, joined to ours by pairs
// of interfaces, and doors at our end, because services without TLS listen on loopback only. Wants root.

import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The namespace is there within milliseconds; this is for a busy machine. */
const THERE_MS = 10_000;

export class Namespace {
  static async open() {
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", "unshare", "--net", "sleep", "infinity"], { stdio: "ignore" });
    const own = readlinkSync("/proc/self/ns/net");
    for (const end = Date.now() + THERE_MS; ;) {
      const theirs = readlinkSync(`/proc/${child.pid}/ns/net`);
      if (theirs !== own) break;
      if (Date.now() > end) throw new Error("no network namespace: that wants root");
      await new Promise((done) => setTimeout(done, 20));
    }
    return new Namespace(child);
  }

  constructor(child) {
    this.child = child;
    this.folder = mkdtempSync(join(tmpdir(), "strongroom-network-"));
    this.ip("link", "set", "lo", "up");
  }

  /** A command inside. */
  run(program, ...words) {
    return execFileSync("nsenter", [`--net=/proc/${this.child.pid}/ns/net`, "--", program, ...words], { encoding: "utf8" });
  }
  ip(...words) {
    return this.run("ip", ...words);
  }

  /** Two joined interfaces, `name` inside and `name`-us outside; each with its addresses, the one outside is up. */
  pair(name, { ours, theirs }) {
    const outside = `${name}-us`;
    execFileSync("ip", ["link", "add", outside, "type", "veth", "peer", "name", name]);
    execFileSync("ip", ["link", "set", name, "netns", String(this.child.pid)]);
    for (const address of ours) execFileSync("ip", ["address", "add", address, "dev", outside, ...quick(address)]);
    for (const address of theirs) this.ip("address", "add", address, "dev", name, ...quick(address));
    execFileSync("ip", ["link", "set", outside, "up"]);
  }

  /** A script that starts `program` inside, for those who want one path. */
  wrapper(program) {
    const path = join(this.folder, "inside");
    writeFileSync(path, `#!/bin/sh\nexec nsenter --net=/proc/${this.child.pid}/ns/net -- ${program} "$@"\n`);
    chmodSync(path, 0o700);
    return path;
  }

  close() {
    this.child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** An IPv6 address that nobody else can have needs no second of looking for others. */
function quick(address) {
  return address.includes(":") ? ["nodad"] : [];
}

/** `host:port` leads to `127.0.0.1:port`. */
export async function door(host, port) {
  const server = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    const end = () => {
      from.destroy();
      to.destroy();
    };
    for (const one of [from, to]) {
      one.setNoDelay(true);
      one.on("error", end).on("close", end);
    }
    from.pipe(to).pipe(from);
  });
  await new Promise((done, wrong) => server.once("error", wrong).listen(port, host, done));
  return server;
}
