// Texts of the administrators' pages: they load with those pages, not with the call.

import { count, language, type Language } from "../index";
import { de } from "./de";
import { en } from "./en";
import { fr } from "./fr";

export type AdminKey = keyof typeof en;
export type AdminTexts = Record<AdminKey, string>;

const TEXTS: Record<Language, AdminTexts> = { en, fr, de };

/** The text of `key`, with `{name}` replaced. */
export function ta(key: AdminKey, values: Record<string, string | number> = {}): string {
  return TEXTS[language.get()][key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Bytes in words, GB from 10^8 on. */
export function size(bytes: number): string {
  const gb = bytes / 1e9;
  if (gb >= 0.1) return `${new Intl.NumberFormat(language.get(), { maximumFractionDigits: gb < 10 ? 1 : 0 }).format(gb)} GB`;
  return `${count(Math.ceil(bytes / 1e6))} MB`;
}

/** Cents as an amount of the price's own currency. */
export function money(cents: number): string {
  return new Intl.NumberFormat(language.get(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(cents / 100);
}
