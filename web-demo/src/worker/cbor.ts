// The little CBOR (RFC 8949) that grants and statements need: maps with text keys, text, bytes, unsigned numbers, lists,
// in shortest form. Refuses everything else. Pure.

export type Cbor = Uint8Array | number | string | boolean | null | Cbor[] | { [key: string]: Cbor };

function head(major: number, value: number, out: number[]): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError("not an unsigned number");
  const top = major << 5;
  if (value < 24) out.push(top | value);
  else if (value < 0x100) out.push(top | 24, value);
  else if (value < 0x10000) out.push(top | 25, value >> 8, value & 0xff);
  else if (value < 0x100000000) out.push(top | 26, value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff);
  else {
    out.push(top | 27);
    for (let shift = 56n; shift >= 0n; shift -= 8n) out.push(Number((BigInt(value) >> shift) & 0xffn));
  }
}

function put(value: Cbor, out: number[]): void {
  if (typeof value === "number") head(0, value, out);
  else if (typeof value === "string") {
    const bytes = new TextEncoder().encode(value);
    head(3, bytes.length, out);
    for (const byte of bytes) out.push(byte);
  } else if (value instanceof Uint8Array) {
    head(2, value.length, out);
    for (const byte of value) out.push(byte);
  } else if (typeof value === "boolean") out.push(value ? 0xf5 : 0xf4);
  else if (value === null) out.push(0xf6);
  else if (Array.isArray(value)) {
    head(4, value.length, out);
    for (const item of value) put(item, out);
  } else {
    const entries = Object.entries(value);
    head(5, entries.length, out);
    for (const [key, item] of entries) {
      put(key, out);
      put(item, out);
    }
  }
}

/** Keys keep their order: it is that of the typed value. */
export function encodeCbor(value: Cbor): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  put(value, out);
  return Uint8Array.from(out);
}
