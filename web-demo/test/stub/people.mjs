// People, rooms and archive of the stand-in services.

export const FIRMS = [
  { firm: "bank-a", name: "Bank Aurelia" },
  { firm: "bank-b", name: "Banque Boréale" },
];
export const PEOPLE = {
  "bank-a": {
    anna: { name: "Anna Ahrens", roles: ["member"], host: true },
    carol: { name: "Carol Conti", roles: ["compliance"] },
    chris: { name: "Chris Conrad", roles: ["compliance"] },
    adam: { name: "Adam Arnold", roles: ["administrator"] },
    alma: { name: "Alma Amstutz", roles: ["administrator"] },
  },
  "bank-b": {
    ben: { name: "Ben Baumann", roles: ["member"] },
    dora: { name: "Dora Dietrich", roles: ["compliance"] },
  },
};

const statement = (firm, room, rule, years) => ({
  version: 1, serial: 1, firm, room, audio_video: rule, chat: rule, files: rule, tier: "full", retention_years: years,
  recorder_grace_ms: 2000, archive_key_ids: [], issued_at: 0, pause: { by: ["anna"], at_most_ms: 60_000 }, copies: "on-request",
});
const pack = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export const ROOMS = [
  { room: "deal-room", title: "Project Alder", rules: ["must", "must"], years: [7, 5] },
  { room: "coffee-room", title: "Coffee corner", rules: ["off", "off"], years: [0, 0] },
];
export function statementsOf(room) {
  return FIRMS.map(({ firm }, at) => pack(statement(firm, room.room, room.rules[at], room.years[at])));
}
export function plainStatementsOf(room) {
  return FIRMS.map(({ firm }, at) => statement(firm, room.room, room.rules[at], room.years[at]));
}
