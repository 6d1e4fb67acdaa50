// The rooms of this person, with what their own firm does in each.

import { useEffect, useState } from "preact/hooks";
import { front, FrontProblem } from "../front/api";
import { t, type Key } from "../i18n";
import { Frame } from "../ui/frame";
import type { LoginSession, PageConfig, RoomSummary } from "../wire/front";
import { OpenedBox } from "./opened";
import { problemText } from "./problems";

const RULES: Record<string, Key> = { must: "ruleMust", should: "ruleShould", off: "ruleOff", forbidden: "ruleForbidden" };

interface Props { config: PageConfig; login: LoginSession; onRoom: (room: RoomSummary) => void; onSignOut: () => void }

export function Rooms({ config, login, onRoom, onSignOut }: Props) {
  const [rooms, setRooms] = useState<RoomSummary[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const load = (): void => {
    setProblem(null);
    front.rooms(login.session).then(setRooms, (error: unknown) => {
      if (error instanceof FrontProblem && error.status === 401) onSignOut();
      else setProblem(problemText(config, error instanceof FrontProblem ? error.problem : null));
    });
  };
  useEffect(load, [login.session]);
  return (
    <Frame config={config} login={login} onSignOut={onSignOut}>
      <h1>{t("roomsTitle")}</h1>
      {problem !== null && (
        <p class="error" role="alert">{problem} <button type="button" class="button" onClick={load}>{t("retry")}</button></p>
      )}
      {rooms === null && problem === null && <p aria-busy="true">{t("loading")}</p>}
      {rooms?.length === 0 && <p>{t("roomsNone")}</p>}
      <ul class="rooms" data-testid="rooms">
        {rooms?.map((room) => (
          <li key={room.room}>
            <button type="button" class="room" data-testid={`room-${room.room}`} onClick={() => onRoom(room)}>
              <span class="room-title">{room.title}</span>
              <span class={`rule rule-${room.audio_video}`}>
                {t(RULES[room.audio_video] ?? "ruleOff", { firm: config.firm_name })}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <OpenedBox config={config} login={login} />
      {login.roles.includes("compliance") && <p><a class="link" href="/officer">{t("reviewPages")}</a></p>}
      {login.roles.includes("administrator") && <p><a class="link" href="/admin">{t("adminPages")}</a></p>}
    </Frame>
  );
}
