// Files of an opened meeting: each is saved by the browser after its ledger entry, none is shown here.

import { span, t, type Key } from "../i18n";
import { sizeText } from "../ui/bytes";
import type { ReplayFile } from "../wire/front";

const MISSING: Record<string, Key> = {
  gone: "offFileGone", forged: "offFileForged", unfinished: "offFileUnfinished", "not-kept": "offFileNotKept",
};

function One({ file }: { file: ReplayFile }) {
  const name = file.name ?? t("offFileNoKey");
  return (
    <li>
      <span class="mono small">{span(file.at_ms)}</span> {file.from}:{" "}
      {file.src === null ? <bdi>{name}</bdi>
        : <a href={file.src} download={name} data-testid="replay-file" aria-label={t("offFileGet", { name })}><bdi>{name}</bdi></a>}
      {" "}<span class="small">{sizeText(file.size)}{file.media_type === null ? "" : ` · ${file.media_type}`}</span>
      {file.missing !== null && <p class="small error">{t(MISSING[file.missing] ?? "offFileUnfinished")}</p>}
    </li>
  );
}

export function ReplayFiles({ files }: { files: readonly ReplayFile[] }) {
  if (files.length === 0) return null;
  return (
    <>
      <h3 id="files-title">{t("offFiles")}</h3>
      <ul class="events" aria-labelledby="files-title" data-testid="replay-files">{files.map((file, at) => <One key={at} file={file} />)}</ul>
    </>
  );
}
