// Sizes of files as people read them. Pure.

import { language, t } from "../i18n";

const UNITS = ["B", "kB", "MB"] as const;

export function sizeText(bytes: number): string {
  const at = bytes < 1_000 ? 0 : bytes < 1_000_000 ? 1 : 2;
  const digits = at === 2 ? 1 : 0;
  const size = (bytes / 1_000 ** at).toLocaleString(language.get(), { maximumFractionDigits: digits });
  return t("fileSize", { size, unit: UNITS[at] ?? "B" });
}
