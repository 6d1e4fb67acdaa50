// The chat beside the call: what was written and which files were sent, by whom, who keeps it, and the place to write. New
// lines are spoken by screen readers; drawn as text, never as markup.

import { useEffect, useRef, useState } from "preact/hooks";
import { clockTime, listOf, t } from "../i18n";
import { WorkerProblem } from "../state/keys";
import { sizeText } from "../ui/bytes";
import type { PageConfig } from "../wire/front";
import type { CallController } from "./controller";
import { FileOf } from "./file";
import { MOST_FILE } from "./files";
import { firmName } from "./problems";
import { chatForbiddenBy, chatKeepers, fileKeepers, filesForbiddenBy, tooMuch, type Line } from "./said";
import type { CallState } from "./state";

function stateOf(config: PageConfig, line: Line): string {
  if (line.state === "waiting") return t("chatWaiting");
  if (line.state === "lost") return t("chatLost");
  const firms = listOf(line.kept.map((firm) => firmName(config, firm)));
  return line.kept.length === 0 ? t("chatSent") : t("chatKept", { firms });
}

function One({ config, line, call }: { config: PageConfig; line: Line; call: CallController }) {
  return (
    <li class={line.mine ? "line mine" : "line"} data-testid="chat-line" data-from={line.from} data-state={line.state} data-kept={line.kept.join(" ")}>
      <p class="line-head"><strong>{line.name}</strong> <time dateTime={new Date(line.at).toISOString()}>{clockTime(line.at)}</time></p>
      {line.file !== undefined ? <FileOf line={line} file={line.file} call={call} />
        : line.words === null ? <p class="small note">{t("chatMissed")}</p> : <p class="line-words">{line.words}</p>}
      {line.mine && line.file?.wrong == null && <p class="small line-state">{stateOf(config, line)}</p>}
    </li>
  );
}

function keepers(config: PageConfig, state: CallState): string {
  const firms = chatKeepers(state.statements).map((firm) => firmName(config, firm));
  if (firms.length === 0) return t("chatKeptByNone");
  return t(firms.length === 1 ? "chatKeptBy" : "chatKeptByMany", { firms: listOf(firms) });
}

function refusal(config: PageConfig, error: unknown, text: string): string {
  const why = error instanceof WorkerProblem ? error.problem.detail : String(error);
  if (why === "too-long") return t("chatTooLong", { count: tooMuch(text) });
  if (why === "too-fast") return t("chatTooFast");
  if (why === "not-in") return t("chatNotIn");
  if (why.startsWith("forbidden:")) return t("chatForbidden", { firm: firmName(config, why.slice("forbidden:".length)) });
  return t("chatFailed", { why });
}

function Writing({ config, call }: { config: PageConfig; call: CallController }) {
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const send = async (): Promise<void> => {
    if (text.trim() === "") return;
    try {
      if (tooMuch(text) > 0) throw new Error("too-long");
      await call.words.say(text);
      setText("");
      setWrong(null);
    } catch (error) {
      setWrong(tooMuch(text) > 0 ? t("chatTooLong", { count: tooMuch(text) }) : refusal(config, error, text));
    }
  };
  return (
    <form class="chat-form" onSubmit={(event) => { event.preventDefault(); void send(); }}>
      <label class="field">{t("chatWrite")}
        <textarea ref={field} rows={2} value={text} data-testid="chat-text" aria-describedby="chat-hint"
          onInput={({ currentTarget }) => setText(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            void send();
          }} />
      </label>
      <p id="chat-hint" class="small">{t("chatHint")}</p>
      {wrong !== null && <p class="small error" role="alert" data-testid="chat-wrong">{wrong}</p>}
      <button type="submit" class="button primary" data-testid="chat-send">{t("chatSend")}</button>
    </form>
  );
}

function fileRefusal(config: PageConfig, error: unknown): string {
  const why = error instanceof WorkerProblem ? error.problem.detail : error instanceof Error ? error.message : String(error);
  if (why === "too-long") return t("fileTooLarge", { size: sizeText(MOST_FILE) });
  if (why === "too-fast") return t("fileTooMany");
  if (why === "empty") return t("fileEmpty");
  if (why === "not-in") return t("chatNotIn");
  if (why.startsWith("forbidden:")) return t("fileForbidden", { firm: firmName(config, why.slice("forbidden:".length)) });
  return t("fileWrongOther", { why });
}

/** The button to attach by; the whole panel takes what is dropped on it. */
function Attaching({ send, wrong }: { send: (files: FileList | null) => void; wrong: string | null }) {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <div class="attach">
      <input ref={picker} type="file" multiple hidden data-testid="file-pick" tabIndex={-1} aria-hidden="true"
        onChange={({ currentTarget }) => { send(currentTarget.files); currentTarget.value = ""; }} />
      <button type="button" class="button" data-testid="file-attach" onClick={() => picker.current?.click()}>{t("fileAttach")}</button>
      {wrong !== null && <p class="small error" role="alert" data-testid="file-refused">{wrong}</p>}
    </div>
  );
}

function fileWords(config: PageConfig, state: CallState): string {
  const firms = fileKeepers(state.statements).map((firm) => firmName(config, firm));
  if (firms.length === 0) return "";
  return t(firms.length === 1 ? "fileKeptBy" : "fileKeptByMany", { firms: listOf(firms) });
}

export function ChatPanel({ config, state, call }: { config: PageConfig; state: CallState; call: CallController }) {
  const end = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    call.words.seen();
    end.current?.scrollIntoView({ block: "end" });
  }, [state.lines]);
  const forbidden = chatForbiddenBy(state.statements);
  const noFiles = filesForbiddenBy(state.statements);
  const [over, setOver] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const send = (files: FileList | null): void => {
    setWrong(null);
    for (const file of files ?? []) call.words.files.send(file).catch((error: unknown) => setWrong(fileRefusal(config, error)));
  };
  // also where files are forbidden: a file that is dropped must never replace the call by itself
  const dragged = (event: DragEvent): void => {
    event.preventDefault();
    setOver(noFiles === null);
  };
  return (
    <aside class={over ? "panel chat dropping" : "panel chat"} aria-label={t("chat")} data-testid="chat-panel"
      onDragOver={dragged} onDragLeave={() => setOver(false)}
      onDrop={(event) => { event.preventDefault(); setOver(false); if (noFiles === null) send(event.dataTransfer?.files ?? null); }}>
      <h2>{t("chat")}</h2>
      <p class="small" data-testid="chat-keepers">{keepers(config, state)} {fileWords(config, state)} {t("chatFromNow")}</p>
      {state.lines.length === 0 && forbidden === null && <p class="small">{t("chatEmpty")}</p>}
      <div class="lines" role="log" aria-live="polite" aria-label={t("chat")} tabIndex={0}>
        <ol>{state.lines.map((line) => <One key={line.key} config={config} line={line} call={call} />)}</ol>
        <span ref={end} />
      </div>
      {forbidden === null ? <Writing config={config} call={call} />
        : <p role="status" data-testid="chat-forbidden">{t("chatForbidden", { firm: firmName(config, forbidden) })}</p>}
      {noFiles === null ? <Attaching send={send} wrong={wrong} />
        : <p class="small" role="status" data-testid="file-forbidden">{t("fileForbidden", { firm: firmName(config, noFiles) })}</p>}
      {over && <p class="small" role="status">{t("fileDrop")}</p>}
    </aside>
  );
}
