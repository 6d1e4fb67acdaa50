// Signing an act of retention, and consenting to another officer's. The signature is made in the worker; a second officer
// always sees what is signed in full before.

import { front } from "../front/api";
import { dateTime, t, type Key } from "../i18n";
import { Dialog } from "../ui/dialog";
import type { RetentionAct, RetentionRow, RetentionWhat } from "../wire/retention";
import type { Officer } from "./app";
import { titleOf, WHATS, type Books } from "./retentionbooks";

const WHYS: Record<RetentionWhat, Key> = { hold: "retHoldWhy", release: "retReleaseWhy", raise: "retRaiseWhy", dispose: "retDisposeWhy" };

export function ActDialog({ officer, books, row, what, onClose }: {
  officer: Officer; books: Books; row: RetentionRow; what: RetentionWhat; onClose: () => void;
}) {
  const send = (event: SubmitEvent & { currentTarget: HTMLFormElement }): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string): string => String(form.get(name) ?? "").trim();
    const ask = {
      meeting: row.meeting, manifestHash: row.manifest_hash, what, years: Number(form.get("years") ?? 0),
      case: text("case"), reason: text("reason").replace(/\s+/g, " "),
    };
    void books.send(async () => front.retain(officer.session, await officer.keys.signRetention(ask))).then((done) => done && onClose());
  };
  return (
    <Dialog title={`${t(WHATS[what])}: ${titleOf(row, row.meeting)}`} onClose={onClose} testid="retention-dialog">
      <form onSubmit={send}>
        <p class="small">{t(WHYS[what])} {t("retTwo")}</p>
        {what === "raise" && (
          <label class="field">{t("retYears")}
            <select name="years" data-testid="retention-years">
              {row.raises.map((years) => <option key={years} value={years}>{t("retClass", { years })}</option>)}
            </select>
          </label>
        )}
        {what === "release" ? (
          <label class="field">{t("offCase")}
            <select name="case" data-testid="retention-case">{row.holds.map((hold) => <option key={hold.case} value={hold.case}>{hold.case}</option>)}</select>
          </label>
        ) : <label class="field">{t("offCase")}<input name="case" required maxLength={100} data-testid="retention-case" /></label>}
        <label class="field">{t("offReason")}<textarea name="reason" required maxLength={1000} data-testid="retention-reason" /></label>
        <div class="row end">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button class={`button ${what === "dispose" ? "danger" : "primary"}`} disabled={books.busy} data-testid="retention-sign">{t("offSend")}</button>
        </div>
      </form>
    </Dialog>
  );
}

export function ConsentDialog({ officer, books, act, onClose }: { officer: Officer; books: Books; act: RetentionAct; onClose: () => void }) {
  const send = (): void => {
    void books.send(async () => front.consent(officer.session, act.id, await officer.keys.signRetentionConsent(act.signed))).then((done) => done && onClose());
  };
  const row = books.value?.meetings.find((one) => one.meeting === act.meeting);
  return (
    <Dialog title={`${t("retConsent")}: ${t(WHATS[act.what])}`} onClose={onClose} testid="consent-dialog">
      <p>{t("retConsentWhy", { name: act.first, title: titleOf(row, act.meeting), case: act.case })}</p>
      <p>{act.reason}</p>
      {act.years !== null && <p>{t("retClass", { years: act.years })}</p>}
      {row !== undefined && <p class="small">{t("retEnded", { time: dateTime(row.ended_at) })} · {t("retUntil", { time: dateTime(row.until) })}</p>}
      <p class="small">{t(WHYS[act.what])}</p>
      <div class="row end">
        <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
        <button type="button" class={`button ${act.what === "dispose" ? "danger" : "primary"}`} disabled={books.busy} onClick={send} data-testid="consent-go">{t("retConsent")}</button>
      </div>
    </Dialog>
  );
}
