// One person in the grid: picture or initials, name, firm badge, mute, speaking ring, and a lock that only verified
// frames close.

import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { hueOf } from "../media/pattern";
import { Icon } from "../ui/icons";
import type { LockState, Person } from "./state";

/** A colour per firm, the same everywhere on the page. */
export function firmHue(firm: string): number {
  return hueOf(`firm ${firm}`);
}

export function FirmBadge({ firm, name }: { firm: string; name: string }) {
  const style = { "--hue": String(firmHue(firm)) };
  return <span class="badge" style={style} title={name}>{name}</span>;
}

export function initials(name: string): string {
  return name.split(/\s+/).slice(0, 2).map((part) => part.charAt(0).toUpperCase()).join("");
}

const LOCKS = {
  verified: { icon: "lock", text: "tileLockVerified" },
  waiting: { icon: "lockOpen", text: "tileLockWaiting" },
  failing: { icon: "lockBad", text: "tileLockFailing" },
} as const;

interface Props {
  person: Person; firmName: string; media: MediaStreamTrack | null; off: boolean; muted: boolean; speaking: boolean;
  lock: LockState; chosen: boolean; mirrored: boolean; index: number;
  onChoose: () => void; onFrame: () => void;
}

export function Tile(props: Props) {
  const { person, firmName, media, off, muted, speaking, lock, chosen, mirrored, index, onChoose, onFrame } = props;
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (element === null || media === null) return;
    element.srcObject = new MediaStream([media]);
    element.play().catch(() => undefined);
    if ("requestVideoFrameCallback" in element) element.requestVideoFrameCallback(() => onFrame());
    else (element as HTMLVideoElement).onplaying = () => onFrame();
  }, [media]);
  const shown = media !== null && !off;
  const name = person.me ? `${person.name} (${t("you")})` : person.name;
  const states = [muted ? t("muted") : "", speaking ? t("speaking") : "", person.inGroup ? "" : t("entering")];
  const label = [name, firmName, ...states].filter((part) => part !== "").join(", ");
  const kind = `tile${speaking && !muted ? " speaking" : ""}${chosen ? " chosen" : ""}`;
  return (
    <article class={kind} tabIndex={index === 0 ? 0 : -1} data-tile={index} data-testid="tile" aria-label={label}
      data-participant={person.participant} onDblClick={onChoose}
      onKeyDown={(event) => { if (event.key === "Enter" && event.target === event.currentTarget) onChoose(); }}>
      <video ref={video} class={`${shown ? "" : "gone"}${mirrored ? " mirror" : ""}`} autoplay muted playsInline
        data-testid={person.me ? "self-video" : "remote-video"} data-participant={person.participant} />
      {!shown && (
        <div class="tile-off" aria-hidden="true">
          <span class="avatar" style={{ "--hue": String(hueOf(person.name)) }}>{initials(person.name)}</span>
          {off && <span>{t("cameraOff")}</span>}
        </div>
      )}
      <footer class="tile-foot">
        {muted && <span class="tile-muted"><Icon name="micOff" size={16} /></span>}
        <span class="tile-name">{name}</span>
        <FirmBadge firm={person.firm} name={firmName} />
        {lock !== "none" && (
          <span class={`tile-lock ${lock}`} data-testid="tile-lock" data-lock={lock} title={t(LOCKS[lock].text, { name: person.name })}>
            <Icon name={LOCKS[lock].icon} size={16} />
            <span class="hidden">{t(LOCKS[lock].text, { name: person.name })}</span>
          </span>
        )}
      </footer>
    </article>
  );
}
