// The front's endpoints for administrators. Nothing here is kept.

import { language } from "../i18n";
import type { CustodyStatus, DraftAnswer, DraftAsk, Firms, Forecast, Health, LedgerPage, RoomPolicy, StatedRooms } from "../wire/admin";
import { call } from "./api";

const at = (room: string): string => `/api/admin/rooms/${encodeURIComponent(room)}`;
const said = (): string => `?language=${language.get()}`;

export const desk = {
  rooms: (session: string) => call<StatedRooms>("GET", "/api/admin/rooms", session),
  room: (session: string, room: string) => call<RoomPolicy>("GET", at(room) + said(), session),
  draft: (session: string, room: string, ask: DraftAsk) => call<DraftAnswer>("POST", `${at(room)}/draft`, session, ask),
  propose: (session: string, room: string, consent: string) => call<RoomPolicy>("POST", `${at(room)}/proposals${said()}`, session, { consent }),
  approve: (session: string, room: string, id: string, consent: string) =>
    call<RoomPolicy>("POST", `${at(room)}/proposals/${encodeURIComponent(id)}/approval${said()}`, session, { consent }),
  withdraw: (session: string, room: string, id: string) =>
    call<RoomPolicy>("DELETE", `${at(room)}/proposals/${encodeURIComponent(id)}${said()}`, session),
  hand: (session: string, room: string) => call<RoomPolicy>("POST", `${at(room)}/handing${said()}`, session),
  firms: (session: string) => call<Firms>("GET", "/api/admin/firms", session),
  custody: (session: string) => call<CustodyStatus>("GET", "/api/admin/custody", session),
  forecast: (session: string, hours: number | null, price: number | null) => {
    const query = new URLSearchParams();
    if (hours !== null) query.set("hours", String(hours));
    if (price !== null) query.set("price", String(price));
    return call<Forecast>("GET", `/api/admin/forecast?${query}`, session);
  },
  ledger: (session: string) => call<LedgerPage>("GET", "/api/admin/ledger", session),
  health: (session: string) => call<Health>("GET", "/api/admin/health", session),
};
