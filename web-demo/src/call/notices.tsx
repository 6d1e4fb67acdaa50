// Who records and how long, in words, from the statements each firm signed (judged in the worker). Says nothing that
// no statement says.

import { type Key, language, t } from "../i18n";
import { Dialog } from "../ui/dialog";
import type { Rule, Statement } from "../wire/client";
import type { PageConfig } from "../wire/front";
import { firmName } from "./problems";

const TIERS = { "audio": "tierAudio", "p360": "tierP360", "full": "tierFull", "screen-only": "tierScreen" } as const;

export function noticeOf(config: PageConfig, statement: Statement): string {
  const firm = firmName(config, statement.firm);
  const years = statement.retention_years;
  switch (statement.audio_video) {
    case "must":
      return statement.tier === "full" ? t("noticeMust", { firm, years })
        : t("noticeMustTier", { firm, years, tier: t(TIERS[statement.tier]) });
    case "should":
      return t("noticeShould", { firm, years });
    case "forbidden":
      return t("noticeForbidden", { firm });
    case "off":
      return t("noticeOff", { firm });
  }
}

/** Does any firm keep anything? Then people acknowledge it before they send. */
export function isKept(statements: readonly Statement[]): boolean {
  return statements.some(({ audio_video, chat, files }) => [audio_video, chat, files].some((rule) => rule === "must" || rule === "should"));
}

export function sameStatements(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((signed, at) => signed === other[at]);
}

/** All that a firm's statement means for people, one sentence each. */
export function noticesOf(config: PageConfig, statement: Statement): string[] {
  const firm = firmName(config, statement.firm);
  const years = statement.retention_years;
  const ruled = (rule: Rule, kept: Key, forbidden: Key): string[] =>
    rule === "must" || rule === "should" ? [t(kept, { firm, years })] : rule === "forbidden" ? [t(forbidden, { firm })] : [];
  const written = [...ruled(statement.chat, "noticeChatMust", "noticeChatForbidden"),
    ...ruled(statement.files, "noticeFilesMust", "noticeFilesForbidden")];
  // one that keeps the chat alone does not keep nothing
  const quiet = written.length > 0 && statement.audio_video === "off";
  // the firm's own words, in the reader's language, else in English, else in the first it gave
  const words = statement.conditions?.notice ?? {};
  const own = words[language.get()] ?? words.en ?? Object.values(words)[0];
  const added = own === undefined ? [] : [t("noticeAdds", { firm, text: own })];
  return [...(quiet ? [] : [noticeOf(config, statement)]), ...written, ...added];
}

export function Notices({ config, statements, rule }: { config: PageConfig; statements: Statement[] | null; rule: string }) {
  const own = { must: "ruleMust", should: "ruleShould", forbidden: "ruleForbidden", off: "ruleOff" } as const;
  return (
    <section class="notices" aria-labelledby="notices-title" data-testid="notices">
      <h2 id="notices-title">{t("preNotices")}</h2>
      {statements === null || statements.length === 0 ? (
        <ul>
          <li>{t(own[rule as keyof typeof own] ?? "ruleOff", { firm: config.firm_name })}</li>
          <li class="small">{t("noticeLater")}</li>
        </ul>
      ) : (
        <ul>
          {statements.map((statement) => (
            <li key={statement.firm}>
              {noticesOf(config, statement).join(" ")}
              {statement.audio_video === "must" && (
                <span class="small"> {t("noticeGrace", {
                  firm: firmName(config, statement.firm), seconds: statement.recorder_grace_ms / 1000,
                })}</span>
              )}
            </li>
          ))}
          <li class="small">{t("noticeSigned")} {isKept(statements) && t("noticeYes")}</li>
        </ul>
      )}
    </section>
  );
}

/** Asked of who came without having seen the notices, and of who is inside when they change: nothing is sent meanwhile. */
export function NoticesAsked({ config, statements, onYes, onLeave }: {
  config: PageConfig; statements: Statement[]; onYes: () => void; onLeave: () => void;
}) {
  return (
    <Dialog title={t("noticesTitle")} onClose={onLeave} testid="notices-dialog">
      <p>{t("noticesWhy")}</p>
      <ul>
        {statements.map((statement) => <li key={statement.firm}>{noticesOf(config, statement).join(" ")}</li>)}
      </ul>
      <div class="row end">
        <button type="button" class="button" onClick={onLeave}>{t("leave")}</button>
        <button type="button" class="button primary" data-testid="notices-yes" onClick={onYes}>{t("noticesYes")}</button>
      </div>
    </Dialog>
  );
}
