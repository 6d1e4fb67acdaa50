// What the front says of retention, read again while the recorder is at an act; signed things are sent through here.

import { useEffect, useState } from "preact/hooks";
import { front } from "../front/api";
import { t, type Key } from "../i18n";
import { toast } from "../ui/toasts";
import type { Retention, RetentionRow, RetentionWhat } from "../wire/retention";
import type { Officer } from "./app";
import { textOf, type Loaded } from "./load";

/** A recorder carries an act out within seconds: while one is under way the page looks so often. */
const LOOK_MS = 2_000;

export const WHATS: Record<RetentionWhat, Key> = { hold: "retHold", release: "retRelease", raise: "retRaise", dispose: "retDispose" };

export function titleOf(row: RetentionRow | undefined, meeting: string): string {
  return row === undefined || row.title === "" ? meeting.slice(0, 8) : row.title;
}

export interface Books extends Loaded<Retention> {
  busy: boolean;
  /** Signs with the worker, sends; answers whether it was taken. */
  send: (work: () => Promise<Retention>) => Promise<boolean>;
}

export function useBooks(officer: Officer): Books {
  const [value, setValue] = useState<Retention | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const again = (): void => {
    setProblem(null);
    front.retention(officer.session).then(setValue, (error: unknown) => setProblem(textOf(officer.config, error)));
  };
  useEffect(again, []);
  const underWay = value?.acts.some((act) => act.state === "signed") ?? false;
  useEffect(() => {
    if (!underWay) return undefined;
    const timer = setInterval(again, LOOK_MS);
    return () => clearInterval(timer);
  }, [underWay]);
  const send = async (work: () => Promise<Retention>): Promise<boolean> => {
    setBusy(true);
    try {
      setValue(await work());
      toast(t("revDone"));
      return true;
    } catch (error) {
      toast(textOf(officer.config, error), "warn");
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { value, problem, again, busy, send };
}

