// All text of the page, in English, French and German: choosing the language and filling in names and numbers.

import { store } from "../state/store";
import { de } from "./de";
import { deHost } from "./de.host";
import { deOfficer } from "./de.officer";
import { deFiles } from "./de.files";
import { deRetention } from "./de.retention";
import { deReview } from "./de.review";
import { deSaid } from "./de.said";
import { en } from "./en";
import { enHost } from "./en.host";
import { enOfficer } from "./en.officer";
import { enFiles } from "./en.files";
import { enRetention } from "./en.retention";
import { enReview } from "./en.review";
import { enSaid } from "./en.said";
import { fr } from "./fr";
import { frHost } from "./fr.host";
import { frOfficer } from "./fr.officer";
import { frRetention } from "./fr.retention";
import { frReview } from "./fr.review";
import { frFiles } from "./fr.files";
import { frSaid } from "./fr.said";

export type Key = keyof typeof en | keyof typeof enOfficer | keyof typeof enReview | keyof typeof enRetention | keyof typeof enSaid | keyof typeof enHost | keyof typeof enFiles;
export type Texts = Record<Key, string>;
export type Language = "en" | "fr" | "de";
export const LANGUAGES: readonly { id: Language; name: string }[] = [
  { id: "en", name: "English" }, { id: "fr", name: "Français" }, { id: "de", name: "Deutsch" },
];

const TEXTS: Record<Language, Texts> = {
  en: { ...en, ...enOfficer, ...enReview, ...enRetention, ...enSaid, ...enHost, ...enFiles },
  fr: { ...fr, ...frOfficer, ...frReview, ...frRetention, ...frSaid, ...frHost, ...frFiles },
  de: { ...de, ...deOfficer, ...deReview, ...deRetention, ...deSaid, ...deHost, ...deFiles },
};
const KEPT = "strongroom.language";

function first(): Language {
  const wanted = [localStorage.getItem(KEPT) ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2));
  return wanted.find((tag): tag is Language => tag in TEXTS) ?? "en";
}

export const language = store<Language>(first());

export function chooseLanguage(next: Language): void {
  localStorage.setItem(KEPT, next);
  document.documentElement.lang = next;
  language.set(next);
}

/** The text of `key`, with `{name}` replaced. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return TEXTS[language.get()][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function clockTime(ms: number): string {
  return new Intl.DateTimeFormat(language.get(), { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(ms);
}
export function dateTime(ms: number): string {
  return new Intl.DateTimeFormat(language.get(), { dateStyle: "medium", timeStyle: "short" }).format(ms);
}
export function listOf(names: readonly string[]): string {
  return new Intl.ListFormat(language.get(), { type: "conjunction" }).format(names);
}
export function count(value: number): string {
  return new Intl.NumberFormat(language.get()).format(value);
}
/** `1:02:03` or `2:03`. */
export function span(ms: number): string {
  const all = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (value: number): string => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}
