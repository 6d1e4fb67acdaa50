// Textes français de ce qui s'écrit pendant un appel.

import type { enSaid } from "./en.said";

export const frSaid: Record<keyof typeof enSaid, string> = {
  chat: "Messages",
  chatUnread: "Messages, {count} nouveaux",
  chatEmpty: "Rien n'a encore été écrit.",
  chatFromNow: "Vous voyez ce qui s'écrit depuis votre arrivée.",
  chatWrite: "Message à tous",
  chatSend: "Envoyer",
  chatHint: "Entrée envoie, Maj et Entrée commence une ligne.",
  chatKeptBy: "{firms} conserve ce qui s'écrit ici.",
  chatKeptByMany: "{firms} conservent ce qui s'écrit ici.",
  chatKeptByNone: "Aucun établissement ne conserve ce qui s'écrit ici.",
  chatForbidden: "{firm} interdit les messages dans cette salle.",
  chatWaiting: "en attente d'envoi",
  chatSent: "envoyé",
  chatKept: "conservé par {firms}",
  chatLost: "non envoyé : la réunion a recommencé",
  chatMissed: "Écrit pendant votre absence, sous une clé que cet appareil n'a jamais eue. Les établissements qui conservent les messages l'ont.",
  chatTooLong: "Trop long : {count} caractères de plus que n'en contient un message.",
  chatTooFast: "Trop de messages à la fois. Attendez une seconde ; ceux qui attendent partent d'abord.",
  chatNotIn: "Vous n'êtes pas dans la réunion.",
  chatFailed: "Le message n'a pas été envoyé ({why}).",
  helpC: "Afficher ou masquer les messages",
  noticeChatMust: "{firm} conserve ce qui s'écrit dans les messages pendant {years} ans.",
  noticeChatForbidden: "{firm} interdit les messages.",
  recChat: "conserve les messages",
  recorderChatMissing: "L'enregistreur de {firm} manque. Ce qu'écrivent les personnes de {firm} attend son retour.",
};
