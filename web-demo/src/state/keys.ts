// The page's end of the worker: starts it, asks it, hears it. The worker's address is the only script address this
// page ever makes, under a Trusted Types policy that knows no other.

import { FrontProblem } from "../front/api";
import { tokenFor } from "../front/signin";
import type { Problem } from "../wire/client";
import type {
  ApprovalAsk, Enrolment, FromWorker, GuestEnrolment, Invited, InviteAsk, ReplayAsk, RetentionAsk, SignedAct, ToWorker, WorkerSetup, What,
} from "../wire/worker";

declare const WORKER_PATH: string;

interface Policy { createScriptURL(path: string): string }
interface PolicyFactory { createPolicy(name: string, rules: { createScriptURL(path: string): string }): Policy }

let policy: Policy | null = null;

function workerAddress(): string {
  const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
  if (factory === undefined) return WORKER_PATH;
  policy ??= factory.createPolicy("strongroom", {
    createScriptURL: (path) => {
      if (path !== WORKER_PATH) throw new TypeError("not the worker");
      return path;
    },
  });
  return policy.createScriptURL(WORKER_PATH);
}

export class WorkerProblem extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code);
  }
}

type Waiting = { done: (value: unknown) => void; failed: (error: WorkerProblem) => void };

export class Keys {
  readonly worker: Worker;
  private next = 1;
  private readonly waiting = new Map<number, Waiting>();
  private readonly observers = new Set<(message: FromWorker) => void>();
  private death: string | null = null;

  constructor() {
    this.worker = new Worker(workerAddress(), { type: "module", name: "strongroom-keys" });
    this.worker.onmessage = (event: MessageEvent<FromWorker>) => this.heard(event.data);
    this.worker.onerror = (event) => this.heard({ type: "dead", reason: event.message || "the worker did not start" });
    // a closed tab says goodbye: the others need not wait until its silence is taken for an end
    addEventListener("pagehide", () => this.tell({ type: "leave" }));
  }

  setup(setup: WorkerSetup): void {
    this.tell({ type: "setup", setup });
  }
  tell(message: ToWorker): void {
    this.worker.postMessage(message);
  }
  watch(observer: (message: FromWorker) => void): () => void {
    this.observers.add(observer);
    if (this.death !== null) observer({ type: "dead", reason: this.death });
    return () => this.observers.delete(observer);
  }

  enrol(enrolment: Enrolment): Promise<{ session: string }> {
    return this.ask((id) => ({ type: "enrol", id, enrolment }));
  }
  enrolGuest(guest: GuestEnrolment): Promise<unknown> {
    return this.ask((id) => ({ type: "enrol-guest", id, guest }));
  }
  invite(ask: InviteAsk): Promise<Invited> {
    return this.ask((id) => ({ type: "invite", id, ask }));
  }
  statements(signed: string[]): Promise<unknown[]> {
    return this.ask((id) => ({ type: "statements", id, signed }));
  }
  declare(what: What): Promise<number> {
    return this.ask((id) => ({ type: "declare", id, what }));
  }
  say(text: string): Promise<number> {
    return this.ask((id) => ({ type: "say", id, text }));
  }
  share(name: string, mediaType: string, bytes: ArrayBuffer): Promise<string> {
    return this.ask((id) => ({ type: "share", id, name, mediaType, bytes }));
  }
  fetch(file: string): Promise<void> {
    return this.ask((id) => ({ type: "fetch", id, file }));
  }
  signRequest(request: ReplayAsk): Promise<string> {
    return this.ask((id) => ({ type: "sign-request", id, request }));
  }
  signAct(act: SignedAct): Promise<string> {
    return this.ask((id) => ({ type: "sign-act", id, act }));
  }
  signConsent(statement: string): Promise<string> {
    return this.ask((id) => ({ type: "sign-consent", id, statement }));
  }
  signApproval(signedRequest: string, approve: ApprovalAsk): Promise<string> {
    return this.ask((id) => ({ type: "sign-approval", id, signedRequest, approve }));
  }

  signRetention(retain: RetentionAsk): Promise<string> {
    return this.ask((id) => ({ type: "sign-retention", id, retain }));
  }
  signRetentionConsent(signedAct: string): Promise<string> {
    return this.ask((id) => ({ type: "sign-retention-consent", id, signedAct }));
  }

  private ask<T>(make: (id: number) => ToWorker): Promise<T> {
    if (this.death !== null) return Promise.reject(deadProblem(this.death));
    const id = this.next++;
    return new Promise<T>((done, failed) => {
      this.waiting.set(id, { done: (value) => done(value as T), failed });
      this.tell(make(id));
    });
  }

  private heard(message: FromWorker): void {
    if (message.type === "done" || message.type === "failed") {
      const waiting = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.type === "done") waiting?.done(message.value);
      else waiting?.failed(new WorkerProblem(message.problem));
      return;
    }
    if (message.type === "token-wanted") {
      tokenFor(message.nonce, message.session).then(
        (idToken) => this.tell({ type: "token", token: { idToken } }),
        (error: unknown) => this.tell({ type: "token", token: { problem: refusalOf(error) } }));
      return;
    }
    if (message.type === "dead") {
      this.death = message.reason;
      for (const waiting of this.waiting.values()) waiting.failed(deadProblem(message.reason));
      this.waiting.clear();
    }
    for (const observer of [...this.observers]) observer(message);
  }
}

function refusalOf(error: unknown): Problem {
  return error instanceof FrontProblem ? error.problem : { code: "internal", detail: String(error), firm: null };
}

function deadProblem(reason: string): WorkerProblem {
  return new WorkerProblem({ code: "worker-dead", detail: reason, firm: null });
}
