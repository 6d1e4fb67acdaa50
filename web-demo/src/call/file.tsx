// A file among the chat's lines: name, size and type as text, how far it is, and a button that saves it. Never drawn or opened.

import { t, type Key } from "../i18n";
import { sizeText } from "../ui/bytes";
import type { CallController } from "./controller";
import type { FileLine, Line } from "./said";

const WRONG: Record<string, Key> = {
  gone: "fileWrongGone", full: "fileWrongFull", forged: "fileWrongForged", stalled: "fileWrongStalled", cancelled: "fileCancelled",
};

function Moving({ file, name, line, call }: { file: FileLine; name: string; line: Line; call: CallController }) {
  const moving = file.moving ?? { done: 0, of: 1 };
  const percent = Math.floor((100 * moving.done) / Math.max(1, moving.of));
  const label = t(line.state === "waiting" ? "fileSending" : "fileComing", { name, percent });
  return (
    <div class="row file-moving">
      <progress value={moving.done} max={moving.of} aria-label={label} data-testid="file-progress" />
      <button type="button" class="button quiet" data-testid="file-cancel" aria-label={t("fileCancel", { name })}
        onClick={() => call.words.files.cancel(line)}>✕</button>
    </div>
  );
}

export function FileOf({ line, file, call }: { line: Line; file: FileLine; call: CallController }) {
  if (file.name === null) return <p class="small note" data-testid="file">{t("fileUnknown")}</p>;
  const { name } = file;
  const size = sizeText(file.size);
  const told = line.state === "sent";
  return (
    <div class="file" data-testid="file" data-wrong={file.wrong ?? undefined}>
      {told && file.moving === null
        ? <button type="button" class="link-button file-name" data-testid="file-get" aria-label={t("fileGet", { name, size })}
          onClick={() => void call.words.files.fetch(file.id)}><bdi>{name}</bdi></button>
        : <span class="file-name"><bdi>{name}</bdi></span>}
      <p class="small">{size}{file.mediaType === "" ? "" : ` · ${file.mediaType}`}</p>
      {told && !line.mine && <p class="small">{t("fileUnchecked")}</p>}
      {file.moving !== null && <Moving file={file} name={name} line={line} call={call} />}
      {file.wrong !== null && (
        <p class="small error" role="status" data-testid="file-wrong">
          {WRONG[file.wrong] === undefined ? t("fileWrongOther", { why: file.wrong }) : t(WRONG[file.wrong] as Key)}
        </p>
      )}
    </div>
  );
}
