// People whose browsers live in network namespaces, for drives about networks.

import { launch } from "./browser.mjs";
import { watched } from "./flow.mjs";
import { Person } from "./person.mjs";

const CHROMIUM = "/usr/bin/chromium";
/** Pictures that a call surely runs after. */
const RUNS = 40;

/** Interfaces of a namespace: network n is 10.98.n.0/24 and fd98:n::/64, we are its first address. */
export function network(n, versions) {
  const [four, six] = [(last) => `10.98.${n}.${last}/24`, (last) => `fd98:${n}::${last}/64`];
  const of = (last) => [...(versions.includes(4) ? [four(last)] : []), ...(versions.includes(6) ? [six(last)] : [])];
  return { ours: of(1), theirs: of(2) };
}

/** Commands for an interface and the way by it. */
export const up = (name, n) => [`ip link set ${name} up`, `ip route replace default via 10.98.${n}.1`];
export const down = (name) => [`ip link set ${name} down`];

/** One shell for all: nothing lies between an interface that goes and one that comes. Answers when it was done. */
export function change(space, words) {
  space.run("sh", "-c", words.join("; "));
  return Date.now();
}

/** A person in a namespace, in the call; the browser knows the services by `host`. */
export async function inside(found, options, space, host, who) {
  const args = [`--host-resolver-rules=MAP *.localhost ${host}`, ...options["browser-arg"]];
  const path = space.wrapper(options["chromium-path"] === "" ? CHROMIUM : options["chromium-path"]);
  const { browser, switches } = await launch({ path, args, pipe: true });
  found.open.push(browser);
  found.switches = switches;
  // as people grant it: only then a browser binds its media to interfaces
  await browser.defaultBrowserContext().overridePermissions(who.url, ["camera", "microphone"]);
  const person = new Person(browser, { ...who, room: options.room });
  await person.open(null, (page) => watched(page));
  await person.login();
  await person.join();
  return person;
}

/** Anna's network never changes. */
export async function steady(found, options, space) {
  space.pair("way0", network(0, [4]));
  change(space, up("way0", 0));
  return inside(found, options, space, options.host, { url: options.a, user: "anna" });
}

/** Waits until all see pictures. */
export async function meeting(people) {
  for (const person of people) {
    const stats = await person.until(({ frames_decoded }) => frames_decoded > RUNS);
    if (!(stats?.frames_decoded > RUNS)) throw new Error(`${person.who.user} sees nothing\n${await person.seen()}`);
  }
}
