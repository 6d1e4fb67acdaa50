// Services and what somebody has to look at, in plain words.

import { desk } from "../front/admin";
import { ta, type AdminKey } from "../i18n/admin";
import type { AlertCode } from "../wire/admin";
import type { Administrator } from "./app";
import { Chip, Page, useRead } from "./parts";

const ALERTS: Record<AlertCode, AdminKey> = {
  "token-down": "alTokenDown", "probe-stale": "alProbeStale", "service-down": "alServiceDown", "not-ready": "alNotReady", "store-trouble": "alStore",
  "clash": "alClash", "not-handed": "alNotHanded", "root-ends": "alRootEnds", "ledger-broken": "alLedger",
};

export function HealthPage({ who }: { who: Administrator }) {
  const read = useRead(who, () => desk.health(who.session));
  return (
    <Page title={ta("health")} read={read}>
      {({ services, alerts }) => (
        <div class="stack">
          <section aria-labelledby="alerts-title">
            <h2 id="alerts-title">{ta("alerts")}</h2>
            {alerts.length === 0 ? <p class="empty" data-testid="all-well">{ta("allWell")}</p> : (
              <ul class="requests" data-testid="alerts">
                {alerts.map(({ code, name, detail }) => <li key={`${code} ${name} ${detail}`} class="card overdue request" data-code={code}>{ta(ALERTS[code], { name, detail })}</li>)}
              </ul>
            )}
          </section>
          <section aria-labelledby="services-title">
            <h2 id="services-title">{ta("services")}</h2>
            <div class="scroll card flush">
              <table class="table" data-testid="services">
                <thead><tr><th scope="col">{ta("service")}</th><th scope="col">/livez</th><th scope="col">/readyz</th><th scope="col">{ta("note")}</th></tr></thead>
                <tbody>
                  {services.map((one) => (
                    <tr key={one.name}>
                      <th scope="row">{one.name}</th>
                      <td><Chip good={one.alive}>{ta(one.alive ? "alive" : "down")}</Chip></td>
                      <td><Chip good={one.ready}>{ta(one.ready ? "ready" : "notReady")}</Chip></td>
                      <td>{one.reasons.map((reason) => <div key={reason}>{reason}</div>)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </section>
        </div>
      )}
    </Page>
  );
}
