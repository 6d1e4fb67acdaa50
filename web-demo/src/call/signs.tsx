// Reactions: the small menu to give one, and those that were just given, spoken once and gone in seconds.

import { useState } from "preact/hooks";
import { t, type Key } from "../i18n";
import { Icon } from "../ui/icons";
import { SIGNS, type Sign } from "../wire/host";
import type { CallController } from "./controller";
import { nameOf, type CallState } from "./state";

const NAMES: Record<Sign, Key> = {
  yes: "reactYes", no: "reactNo", applause: "reactApplause", laugh: "reactLaugh", surprise: "reactSurprise", heart: "reactHeart",
};

export function Reactions({ state }: { state: CallState }) {
  return (
    <div class="reactions" role="status" aria-live="polite" data-testid="reactions">
      {state.reactions.map(({ id, participant, sign }) => (
        <span key={id} class="reaction" data-testid="reaction" data-sign={sign}>
          <Icon name={sign} size={20} /> <span class="reaction-name" aria-hidden="true">{nameOf(state, participant)}</span>
          <span class="hidden">{t("reactedBy", { name: nameOf(state, participant), what: t(NAMES[sign]) })}</span>
        </span>
      ))}
    </div>
  );
}

/** The choice of reactions, beside the hand. */
export function ReactMenu({ call }: { call: CallController }) {
  const [open, setOpen] = useState(false);
  return (
    <div class="react" onKeyDown={(event) => { if (event.key === "Escape") setOpen(false); }}>
      <button type="button" class="control" aria-expanded={open} data-testid="react" title={t("react")} onClick={() => setOpen(!open)}>
        <Icon name="yes" size={22} />
        <span class="control-text">{t("react")}</span>
      </button>
      {open && (
        <div class="react-menu" role="group" aria-label={t("react")}>
          {SIGNS.map((sign) => (
            <button key={sign} type="button" class="button quiet" title={t(NAMES[sign])} aria-label={t(NAMES[sign])} data-testid={`react-${sign}`}
              onClick={() => { setOpen(false); call.host.show(sign); }}><Icon name={sign} size={22} /></button>
          ))}
        </div>
      )}
    </div>
  );
}
