// An error that carries a problem (RFC 9457 shape) to the page. Pure.

import type { Problem } from "../wire/client";

export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.code}: ${problem.detail}`);
  }

  /** Reads `application/problem+json`; anything else becomes `internal`. */
  static async from(answer: Response): Promise<Refused> {
    try {
      const problem = (await answer.json()) as Partial<Problem>;
      if (typeof problem.code === "string") {
        return new Refused({ code: problem.code, detail: problem.detail ?? "", firm: problem.firm ?? null });
      }
    } catch {
      // not JSON: the status says what can be said
    }
    return new Refused({ code: "internal", detail: `the server answered ${answer.status}`, firm: null });
  }
}

export function problemOf(error: unknown): Problem {
  if (error instanceof Refused) return error.problem;
  return { code: "internal", detail: error instanceof Error ? error.message : String(error), firm: null };
}
