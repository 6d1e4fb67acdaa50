// Connection details for people: what the hop is, which frames verified, what the network does. Read-only.

import { useEffect, useState } from "preact/hooks";
import { count, t } from "../i18n";
import { Dialog } from "../ui/dialog";
import type { PageConfig } from "../wire/front";
import type { CallController } from "./controller";
import { nameOf } from "./state";
import { slotName, type CallStats, type FirstFrames, readStats } from "./stats";

const EVERY_MS = 1_000;

interface Props { config: PageConfig; call: CallController; first: FirstFrames; onClose: () => void }

export function Details({ call, first, onClose }: Props) {
  const [stats, setStats] = useState<CallStats | null>(null);
  useEffect(() => {
    const read = (): void => void readStats(call, first).then(setStats, () => undefined);
    read();
    const timer = setInterval(read, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const state = call.state.get();
  const hop = (line: CallStats["publish"]): string =>
    [line.state, line.srtp ?? "", line.rttMs === null ? "" : `${t("dRtt")} ${Math.round(line.rttMs)} ms`].filter((part) => part !== "").join(" · ");
  return (
    <Dialog title={t("detailsTitle")} onClose={onClose} testid="details" wide="wide">
      {stats === null ? <p>{t("loading")}</p> : (
        <>
          <dl class="facts">
            <dt>{t("dPublish")}</dt><dd>{hop(stats.publish)}</dd>
            <dt>{t("dSubscribe")}</dt><dd>{hop(stats.subscribe)}</dd>
            <dt>{t("dEpoch")}</dt><dd>{stats.epoch ?? "–"}</dd>
          </dl>
          <div class="scroll">
            <table class="table">
              <thead>
                <tr>
                  {(["dTrack", "dSealed", "dOpened", "dRejected", "dDuplicates", "dDropped", "dDecoded", "dRate", "dSize", "dLoss"] as const)
                    .map((key) => <th key={key} scope="col">{t(key)}</th>)}
                </tr>
              </thead>
              <tbody>
                {stats.tracks.map((track) => {
                  const who = track.participant === null ? t("you") : nameOf(state, track.participant);
                  const kind = slotName(track.slot) === "mic" ? t("preMicrophone") : t("preCamera");
                  return (
                    <tr key={`${track.direction}${track.mid ?? ""}${track.participant ?? ""}${track.slot}`}>
                      <th scope="row">{who}, {kind}</th>
                      <td>{count(track.sealed)}</td><td>{count(track.opened)}</td><td>{count(track.rejected)}</td>
                      <td>{count(track.duplicates)}</td><td>{count(track.dropped)}</td>
                      <td>{track.framesDecoded === null ? "–" : count(track.framesDecoded)}</td>
                      <td>{track.framesPerSecond ?? "–"}</td>
                      <td>{track.width === null ? "–" : `${track.width}×${track.height ?? 0}`}</td>
                      <td>{track.packetsLost ?? "–"}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </div>
        </>
      )}
    </Dialog>
  );
}
