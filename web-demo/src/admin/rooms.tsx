// Rooms with the firm's statement: version, since when, signed by whom.

import { firmName } from "../call/problems";
import { desk } from "../front/admin";
import { dateTime, listOf } from "../i18n";
import { ta } from "../i18n/admin";
import type { StatedRoom } from "../wire/admin";
import type { Administrator } from "./app";
import { Page, RULES, useRead } from "./parts";

function RoomRow({ who, room }: { who: Administrator; room: StatedRoom }) {
  const { present } = room;
  return (
    <tr data-testid="room-row" data-room={room.room}>
      <th scope="row"><a href={`#rooms/${encodeURIComponent(room.room)}`} aria-label={ta("show", { title: room.title })} data-testid={`show-${room.room}`}>{room.title}</a></th>
      <td>{room.firms.length === 0 ? "–" : listOf(room.firms.map((firm) => firmName(who.config, firm)))}</td>
      <td>{present === null ? ta("noStatement") : present.serial}</td>
      <td>{present === null ? "–" : ta(RULES[present.audio_video])}</td>
      <td class="when">{present === null ? "–" : dateTime(present.since)}</td>
      <td>{present === null ? "–" : present.by.length === 0 ? ta("ceremony") : listOf(present.by)}</td>
      <td>{room.waits && <span class="chip open" data-testid="waits">{ta("waits")}</span>}</td>
    </tr>
  );
}

export function RoomsPage({ who }: { who: Administrator }) {
  const read = useRead(who, () => desk.rooms(who.session));
  return (
    <Page title={ta("rooms")} why={ta("roomsWhy")} read={read}>
      {({ rooms, administrators, handing }) => (<>
        <p class="small" data-testid="eyes">{ta(administrators > 1 ? "fourEyes" : "oneSigns")}{!handing && ` ${ta("noHanding")}`}</p>
        {rooms.length === 0 ? <p class="empty">{ta("noRooms")}</p> : (
          <div class="scroll card flush">
            <table class="table" data-testid="rooms">
              <thead>
                <tr>
                  <th scope="col">{ta("room")}</th><th scope="col">{ta("firmsStating")}</th><th scope="col">{ta("version")}</th>
                  <th scope="col">{ta("audioVideo")}</th><th scope="col">{ta("since")}</th><th scope="col">{ta("signedBy")}</th><td />
                </tr>
              </thead>
              <tbody>{rooms.map((room) => <RoomRow key={room.room} who={who} room={room} />)}</tbody>
            </table>
          </div>
        )}
      </>)}
    </Page>
  );
}
