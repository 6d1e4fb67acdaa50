// Types of the worker's global scope that TypeScript keeps in a library of its own (it clashes with the DOM's).
// Owns no behaviour.

import type { FromWorker, ToWorker, TransformOptions } from "../wire/worker";

/** An encoded frame of a script transform; `type` exists on video only. */
export interface EncodedFrame {
  data: ArrayBuffer;
  readonly type?: "key" | "delta" | "empty";
  readonly timestamp?: number;
  getMetadata?(): { synchronizationSource?: number };
}

export interface ScriptTransformer {
  readonly readable: ReadableStream<EncodedFrame>;
  readonly writable: WritableStream<EncodedFrame>;
  readonly options: TransformOptions;
  generateKeyFrame?(rid?: string): Promise<unknown>;
  sendKeyFrameRequest?(): Promise<unknown>;
}

export interface Scope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  onrtctransform: ((event: { readonly transformer: ScriptTransformer }) => void) | null;
  postMessage(message: FromWorker): void;
  close(): void;
}

export const scope = self as unknown as Scope;
