// The officers' desk: reads what is supervised, signs acts in the worker and sends them. What is shown is always what the
// ledger says after the act.

import { useEffect, useState } from "preact/hooks";
import { front } from "../front/api";
import { t } from "../i18n";
import { toast } from "../ui/toasts";
import type { ArchivedMeeting, ReplayRequest } from "../wire/front";
import type { Supervision } from "../wire/review";
import type { SignedAct } from "../wire/worker";
import type { Officer, Playing } from "./app";
import { textOf, type Loaded } from "./load";
import { samePerson } from "./parts";

export interface Desk extends Loaded<Supervision> {
  busy: boolean;
  /** Signs and sends; answers whether it was taken. */
  act: (what: SignedAct) => Promise<boolean>;
}

export function useDesk(officer: Officer): Desk {
  const [value, setValue] = useState<Supervision | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const again = (): void => {
    setProblem(null);
    front.supervision(officer.session).then(setValue, (error: unknown) => setProblem(textOf(officer.config, error)));
  };
  useEffect(again, []);
  const act = async (what: SignedAct): Promise<boolean> => {
    setBusy(true);
    try {
      setValue(await front.act(officer.session, await officer.keys.signAct(what)));
      toast(t("revDone"));
      return true;
    } catch (error) {
      toast(textOf(officer.config, error), "warn");
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { value, problem, again, busy, act };
}

/** How far this officer is with replaying a meeting. */
export type Way =
  | { at: "inside" }
  | { at: "unknown" }
  | { at: "waiting" }
  | { at: "ask"; meeting: ArchivedMeeting }
  | { at: "open"; request: ReplayRequest };

export interface Ways { of: (meeting: string) => Way; again: () => void }

/** Which of an officer's requests lead into which meeting. */
export function useWays(officer: Officer): Ways {
  const [meetings, setMeetings] = useState<ArchivedMeeting[]>([]);
  const [requests, setRequests] = useState<ReplayRequest[]>([]);
  const again = (): void => {
    front.meetings(officer.session).then(setMeetings, () => undefined);
    front.requests(officer.session).then(setRequests, () => undefined);
  };
  useEffect(again, []);
  const of = (meeting: string): Way => {
    const own = requests.filter((one) => one.meeting === meeting && samePerson(one.requester, officer));
    const open = own.find((one) => one.until !== null && one.until > Date.now());
    if (open !== undefined) return { at: "open", request: open };
    if (own.some((one) => one.approver === null)) return { at: "waiting" };
    const row = meetings.find((one) => one.meeting === meeting);
    if (row === undefined) return { at: "unknown" };
    const inside = row.participants.some((id) => id.startsWith(`${officer.me}/`));
    return inside ? { at: "inside" } : { at: "ask", meeting: row };
  };
  return { of, again };
}

export async function openAt(officer: Officer, request: ReplayRequest, startMs: number): Promise<Playing> {
  return { opened: await front.open(officer.session, request.id), request, startMs };
}
