// One person in the grid: picture or initials, name, firm badge, mute, speaking ring, and a lock that only verified
// frames close.

import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { hueOf } from "../media/pattern";
import { Icon } from "../ui/icons";
import { SLOT, type LinkQuality } from "../wire/client";
import { TROUBLES, type Trouble } from "./reception";
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

const QUALITIES = { good: "linkGood", fair: "linkFair", poor: "linkPoor" } as const;

/** Bars for how well pictures of this person come through. */
function Quality({ quality, name }: { quality: LinkQuality; name: string }) {
  const text = t(QUALITIES[quality], { name });
  return (
    <span class={`tile-link ${quality}`} data-testid="tile-link" data-link={quality} title={text}>
      <span class="bar" /><span class="bar" /><span class="bar" />
      <span class="hidden">{text}</span>
    </span>
  );
}

interface Props {
  person: Person; slot: number; trouble: Trouble | null; quality: LinkQuality | null; firmName: string; media: MediaStreamTrack | null; off: boolean; muted: boolean; speaking: boolean;
  lock: LockState; chosen: boolean; mirrored: boolean; index: number;
  onChoose: () => void; onFrame: () => void;
}

export function Tile(props: Props) {
  const { person, slot, trouble, quality, firmName, media, off, muted, speaking, lock, chosen, mirrored, index, onChoose, onFrame } = props;
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
  const screen = slot >= SLOT.screen;
  const self = person.me ? `${person.name} (${t("you")})` : person.name;
  const name = screen ? t("screenOf", { name: self }) : self;
  const why = trouble === null ? "" : t(TROUBLES[trouble], { name: person.name, firm: firmName });
  const states = [why, muted ? t("muted") : "", speaking ? t("speaking") : "", person.inGroup ? "" : t("entering")];
  const label = [name, firmName, ...states].filter((part) => part !== "").join(", ");
  const kind = `tile${screen ? " screen" : ""}${speaking && !muted ? " speaking" : ""}${chosen ? " chosen" : ""}`;
  return (
    <article class={kind} tabIndex={index === 0 ? 0 : -1} data-tile={index} data-testid="tile" aria-label={label}
      data-participant={person.participant} data-slot={slot} {...(person.me ? { "data-me": "" } : {})} onDblClick={onChoose}
      onKeyDown={(event) => { if (event.key === "Enter" && event.target === event.currentTarget) onChoose(); }}>
      <video ref={video} class={`${shown ? "" : "gone"}${mirrored ? " mirror" : ""}`} autoplay muted playsInline
        data-testid={`${person.me ? "self" : "remote"}-${screen ? "screen" : "video"}`} data-participant={person.participant} />
      {!shown && (
        <div class="tile-off" aria-hidden="true">
          <span class="avatar" style={{ "--hue": String(hueOf(person.name)) }}>{initials(person.name)}</span>
          {off && <span>{t("cameraOff")}</span>}
        </div>
      )}
      {trouble !== null && <p class="tile-why" data-testid="tile-why" data-why={trouble}><Icon name="warn" size={16} /> {why}</p>}
      <footer class="tile-foot">
        {muted && <span class="tile-muted"><Icon name="micOff" size={16} /></span>}
        <span class="tile-name">{name}</span>
        <FirmBadge firm={person.firm} name={firmName} />
        {quality !== null && <Quality quality={quality} name={person.name} />}
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
