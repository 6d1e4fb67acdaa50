// What one tab keeps over a reload: the login, its device id, the room it is in. Session per tab, because cookies do
// not tell ports apart. No key is ever kept.

import type { PictureCodec } from "../media/codecs";
import type { LoginSession } from "../wire/front";

const LOGIN = "strongroom.login";
const DEVICE = "strongroom.device";
const ROOM = "strongroom.room";
const CHOICE = "strongroom.choice";
const ACKNOWLEDGED = "strongroom.acknowledged";

/** What a person chose before joining, so that a reload needs no question. */
export interface JoinChoice { testPicture: boolean; testTone: boolean; camera: string | null; microphone: string | null; muted: boolean; videoOff: boolean; codec?: PictureCodec }
export interface InRoom { room: string; since: number }

function read<T>(key: string): T | null {
  try {
    const text = sessionStorage.getItem(key);
    return text === null ? null : (JSON.parse(text) as T);
  } catch {
    return null;
  }
}
function write(key: string, value: unknown): void {
  if (value === null) sessionStorage.removeItem(key);
  else sessionStorage.setItem(key, JSON.stringify(value));
}

export const tab = {
  login: (): LoginSession | null => read<LoginSession>(LOGIN),
  setLogin: (login: LoginSession | null): void => write(LOGIN, login),
  room: (): InRoom | null => read<InRoom>(ROOM),
  setRoom: (room: InRoom | null): void => write(ROOM, room),
  choice: (): JoinChoice | null => read<JoinChoice>(CHOICE),
  setChoice: (choice: JoinChoice): void => write(CHOICE, choice),
  /** The statements whose notices were acknowledged in this tab, as signed. */
  acknowledged: (): string[] => read<string[]>(ACKNOWLEDGED) ?? [],
  setAcknowledged: (statements: readonly string[]): void => write(ACKNOWLEDGED, statements),
  /** 8 random bytes as hexadecimal, made once a tab. */
  device: (): string => {
    const kept = read<string>(DEVICE);
    if (kept !== null && /^[0-9a-f]{16}$/.test(kept)) return kept;
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    const made = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    write(DEVICE, made);
    return made;
  },
};
