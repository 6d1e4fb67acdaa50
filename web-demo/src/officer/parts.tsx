// Small parts of the review pages: integrity chip, list states, names from ids.

import type { ComponentChildren } from "preact";
import { t } from "../i18n";
import { Icon } from "../ui/icons";
import type { Loaded } from "./load";

export function Integrity({ value }: { value: string }) {
  const good = value === "verified";
  const open = value === "open";
  const kind = good ? "good" : open ? "open" : "bad";
  return (
    <span class={`chip ${kind}`} data-testid="integrity" data-integrity={kind}>
      <Icon name={good ? "check" : open ? "record" : "warn"} size={15} /> {good ? t("offVerified") : open ? t("offOpen") : value}
    </span>
  );
}

/** The paired recorder's copy of a meeting: that it is there, or what is wrong with it. */
export function Paired({ copy }: { copy: { integrity: string } }) {
  const good = copy.integrity === "verified";
  const text = good ? t("offTwoCopies") : copy.integrity === "open" ? t("offSecondOpen") : t("offSecondBad", { problem: copy.integrity });
  return <p class={good ? "small" : "small gapped"} data-testid="paired">{text}</p>;
}

/** `sr://bank-a/anna/…` or `bank-a/anna/…` as `anna (bank-a)`. */
export function shortName(id: string): string {
  const [firm, user] = id.replace(/^sr:\/\//, "").split("/");
  return user === undefined ? id : `${user} (${firm ?? ""})`;
}

/** Is it this officer? The front names its own people by user alone. */
export function samePerson(id: string, officer: { me: string; login: { user: string } }): boolean {
  return id.includes("/") ? personOf(id) === officer.me : id === officer.login.user;
}

/** The person without device, to compare people. */
export function personOf(id: string): string {
  return id.replace(/^sr:\/\//, "").split("/").slice(0, 2).join("/");
}

export function ListState<T>({ loaded, empty, children }: { loaded: Loaded<T[]>; empty: string; children: (rows: T[]) => ComponentChildren }) {
  if (loaded.problem !== null) {
    return <p class="error" role="alert">{loaded.problem} <button type="button" class="button" onClick={loaded.again}>{t("retry")}</button></p>;
  }
  if (loaded.value === null) return <p aria-busy="true">{t("loading")}</p>;
  if (loaded.value.length === 0) return <p class="empty">{empty}</p>;
  return <>{children(loaded.value)}</>;
}
