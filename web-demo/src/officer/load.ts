// Reading a list from the front: busy, done or in trouble, in one value. Pure but for the request.

import { useEffect, useState } from "preact/hooks";
import { problemText } from "../call/problems";
import { FrontProblem } from "../front/api";
import { WorkerProblem } from "../state/keys";
import type { PageConfig } from "../wire/front";

export function textOf(config: PageConfig, error: unknown): string {
  if (error instanceof FrontProblem || error instanceof WorkerProblem) return problemText(config, error.problem);
  return problemText(config, null);
}

export interface Loaded<T> { value: T | null; problem: string | null; again: () => void }

export function useLoaded<T>(config: PageConfig, read: () => Promise<T>): Loaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const again = (): void => {
    setProblem(null);
    read().then(setValue, (error: unknown) => setProblem(textOf(config, error)));
  };
  useEffect(again, []);
  return { value, problem, again };
}
