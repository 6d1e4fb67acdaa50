// Proof of possession for the firm's identity provider (RFC 9449): one non-extractable key per worker, made here and
// never leaving it. Must not be used to sign anything but such proofs.

import { encode, sha256, utf8 } from "./bytes";

export class ProofKey {
  private constructor(private readonly pair: CryptoKeyPair, private readonly jwk: JsonWebKey) {}

  static async make(): Promise<ProofKey> {
    const algorithm = { name: "ECDSA", namedCurve: "P-256" };
    const pair = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
    const jwk = await crypto.subtle.exportKey("jwk", pair.publicKey);
    return new ProofKey(pair, jwk);
  }

  /** Names the key (RFC 7638, SHA-256). */
  thumbprint(): Promise<Uint8Array<ArrayBuffer>> {
    const { kty, crv, x, y } = this.jwk;
    return sha256(utf8(JSON.stringify({ crv, kty, x, y })));
  }

  /** A proof for one request. */
  async proof(method: string, url: string): Promise<string> {
    const { kty, crv, x, y } = this.jwk;
    const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
    const jti = encode(crypto.getRandomValues(new Uint8Array(16)));
    const claims = { jti, htm: method, htu: url, iat: Math.floor(Date.now() / 1000) };
    const input = `${encode(utf8(JSON.stringify(header)))}.${encode(utf8(JSON.stringify(claims)))}`;
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    const signature = await crypto.subtle.sign(algorithm, this.pair.privateKey, utf8(input));
    return `${input}.${encode(new Uint8Array(signature))}`;
  }
}
