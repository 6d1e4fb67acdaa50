// Deutsche Texte für das, was in einem Gespräch geschrieben wird.

import type { enSaid } from "./en.said";

export const deSaid: Record<keyof typeof enSaid, string> = {
  chat: "Chat",
  chatUnread: "Chat, {count} neu",
  chatEmpty: "Noch wurde nichts geschrieben.",
  chatFromNow: "Sie sehen, was seit Ihrem Eintreten geschrieben wird.",
  chatWrite: "Nachricht an alle",
  chatSend: "Senden",
  chatHint: "Enter sendet, Umschalt und Enter beginnt eine neue Zeile.",
  chatKeptBy: "{firms} bewahrt auf, was hier geschrieben wird.",
  chatKeptByMany: "{firms} bewahren auf, was hier geschrieben wird.",
  chatKeptByNone: "Keine Firma bewahrt auf, was hier geschrieben wird.",
  chatForbidden: "{firm} untersagt den Chat in diesem Raum.",
  chatWaiting: "wartet auf das Senden",
  chatSent: "gesendet",
  chatKept: "aufbewahrt von {firms}",
  chatLost: "nicht gesendet: die Besprechung begann neu",
  chatMissed: "Geschrieben, während Sie weg waren, unter einem Schlüssel, den dieses Gerät nie hatte. Die Firmen, die den Chat aufbewahren, haben es.",
  chatTooLong: "Zu lang: {count} Zeichen mehr, als in eine Nachricht passen.",
  chatTooFast: "Zu viele Nachrichten auf einmal. Warten Sie eine Sekunde; was wartet, geht zuerst.",
  chatNotIn: "Sie sind nicht in der Besprechung.",
  chatFailed: "Die Nachricht wurde nicht gesendet ({why}).",
  helpC: "Chat zeigen oder verbergen",
  noticeChatMust: "{firm} bewahrt {years} Jahre auf, was im Chat geschrieben wird.",
  noticeChatForbidden: "{firm} untersagt den Chat.",
  recChat: "bewahrt den Chat auf",
  recorderChatMissing: "Der Rekorder von {firm} fehlt. Was die Personen von {firm} schreiben, wartet, bis er zurück ist.",
};
