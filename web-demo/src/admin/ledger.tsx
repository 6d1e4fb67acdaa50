// The ledger as administrators see it: that its chain holds, their own acts in full, officers' acts without their subject.

import { desk } from "../front/admin";
import { count, dateTime } from "../i18n";
import { ta, type AdminKey } from "../i18n/admin";
import { Integrity, shortName } from "../officer/parts";
import type { Administrator } from "./app";
import { Chip, Page, useRead } from "./parts";

const ACTIONS: Record<string, AdminKey> = { propose: "actPropose", agree: "actAgree", withdraw: "actWithdraw", state: "actState" };

export function LedgerPage({ who }: { who: Administrator }) {
  const read = useRead(who, () => desk.ledger(who.session));
  return (
    <Page title={ta("ledger")} why={ta("ledgerWhy")} read={read}>
      {({ rows, verified }) => rows.length === 0 ? <p class="empty">{ta("ledgerEmpty")}</p> : (<>
        <p data-testid="chain"><Chip good={verified !== null}>{verified === null ? ta("broken") : ta("verified", { n: count(verified - 1) })}</Chip></p>
        <div class="scroll card flush">
          <table class="table" data-testid="ledger">
            <thead>
              <tr>
                <th scope="col">{ta("number")}</th><th scope="col">{ta("time")}</th><th scope="col">{ta("who")}</th><th scope="col">{ta("what")}</th>
                <th scope="col">{ta("note")}</th><th scope="col">{ta("integrity")}</th>
              </tr>
            </thead>
            <tbody>
              {[...rows].reverse().map(({ index, event, integrity }) => {
                const key = ACTIONS[event.action];
                return (
                  <tr key={index} data-testid="ledger-row" data-action={event.action}>
                    <td>{index}</td><td class="when">{dateTime(event.at)}</td><td>{shortName(event.actor)}</td>
                    <td>{key === undefined ? ta("actOther", { action: event.action }) : ta(key)}</td>
                    <td class="ledger-note">{event.note}</td><td><Integrity value={integrity} /></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </>)}
    </Page>
  );
}
