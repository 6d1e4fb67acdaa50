// Who is at this page becomes a participant: a member by its login, a guest by its invitation's code.

import type { Keys } from "../state/keys";
import { tab } from "../state/tab";
import type { LoginSession } from "../wire/front";

/** Enrols this device; a member's session at the own front, none for a guest. */
export async function enrolFor(keys: Keys, { user, name, session, guest }: LoginSession): Promise<string | null> {
  const device = tab.device();
  if (guest === undefined) return (await keys.enrol({ session, user, name, device, role: "member" })).session;
  await keys.enrolGuest({ guest: user, code: guest.code, name, device });
  return null;
}
