// A native modal dialog: focus stays inside, Escape closes, focus returns. Owns nothing but its element.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n";

interface Props { title: string; onClose: () => void; children: ComponentChildren; testid?: string; wide?: "wide" }

export function Dialog({ title, onClose, children, testid, wide }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  // before it is drawn: what is typed at once belongs to the dialog
  useLayoutEffect(() => {
    const dialog = element.current;
    if (dialog === null) return undefined;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={element} class={wide === undefined ? "dialog" : "dialog dialog-wide"} aria-label={title}
      data-testid={testid} onCancel={(event) => { event.preventDefault(); onClose(); }}
      onClick={(event) => { if (event.target === element.current) onClose(); }}>
      <div class="dialog-body">
        <header class="dialog-head">
          <h2>{title}</h2>
          <button type="button" class="button quiet" onClick={onClose}>{t("close")}</button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface AskProps { title: string; why?: string; go: string; danger?: "danger"; onGo: () => void; onClose: () => void }

/** A question with two answers. */
export function Ask({ title, why, go, danger, onGo, onClose }: AskProps) {
  return (
    <Dialog title={title} onClose={onClose} testid="ask">
      {why !== undefined && <p>{why}</p>}
      <div class="row end">
        <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
        <button type="button" class={danger === undefined ? "button primary" : "button danger"} data-testid="ask-go"
          onClick={() => { onClose(); onGo(); }}>{go}</button>
      </div>
    </Dialog>
  );
}
