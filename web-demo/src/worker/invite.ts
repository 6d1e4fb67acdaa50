// An invitation of a guest, signed by this member's leaf key; the code is made here and goes to the guest by another way.
// Fields, labels and alphabet are those of `evidence::invitation`.

import type { Invited, InviteAsk } from "../wire/worker";
import { concat, decode, encode, sha256, utf8 } from "./bytes";
import { encodeCbor } from "./cbor";
import { guarded, type Engine, type LeafKey } from "./engine";

const LABEL = "strongroom invitation v1";
const CODE_LABEL = "strongroom invitation code v1";
const ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";
const CODE = 10;

function framed(text: string): Uint8Array<ArrayBuffer> {
  const bytes = utf8(text);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  return concat(length, bytes);
}

/** Each character evenly: bytes beyond the last whole alphabet are thrown away. */
function makeCode(): string {
  let code = "";
  while (code.length < CODE) {
    const [byte = 255] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < 256 - (256 % ALPHABET.length)) code += ALPHABET.charAt(byte % ALPHABET.length);
  }
  return code;
}

export async function invite(member: { engine: Engine; key: LeafKey; chain: string[] }, ask: InviteAsk): Promise<Invited> {
  const [leaf] = member.chain;
  if (leaf === undefined) throw new Error("no certificate");
  const id = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const guest = `guest-${id}`;
  const code = makeCode();
  const codeHash = await sha256(concat(concat(utf8(CODE_LABEL), framed(guest)), framed(code)));
  const now = Date.now();
  const payload = encodeCbor({
    room: ask.room,
    guest,
    name: ask.name.trim(),
    code_hash: codeHash,
    issued_at: now,
    valid_from: ask.from,
    valid_until: ask.until,
  });
  const signed = encode(guarded(() => member.engine.signCose(member.key, LABEL, payload, decode(leaf))));
  return { signed, guest, code: `${code.slice(0, 5)}-${code.slice(5)}` };
}
