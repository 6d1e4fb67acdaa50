// Firms, their roots and keys, as every part of the installation pins them. To compare by eye with what a partner sends.

import { desk } from "../front/admin";
import { dateTime } from "../i18n";
import { ta } from "../i18n/admin";
import type { FirmRow } from "../wire/admin";
import type { Administrator } from "./app";
import { Hash, Page, useRead } from "./parts";

function Firm({ firm }: { firm: FirmRow }) {
  return (
    <li class="card" data-testid="firm" data-firm={firm.firm}>
      <h2>{firm.name} <span class="small mono">{firm.firm}</span> {firm.own && <span class="chip plain-chip">{ta("own")}</span>}</h2>
      {firm.roots.map((root) => (
        <dl key={root.fingerprint} class="facts">
          <dt>{ta("root")}</dt><dd>{root.subject || ta("unreadable")}</dd>
          <dt>SHA-256</dt><dd class="mono small">{root.fingerprint.replace(/(.{8})(?!$)/g, "$1 ")}</dd>
          <dt>{ta("until")}</dt><dd>{root.until === null ? ta("unreadable") : dateTime(root.until)}</dd>
        </dl>
      ))}
      <details>
        <summary>{ta("keys")}</summary>
        <dl class="facts">{firm.keys.map((key) => [<dt key={key.name}>{key.name}</dt>, <dd key={key.id}><Hash value={key.id} /></dd>])}</dl>
      </details>
    </li>
  );
}

export function FirmsPage({ who }: { who: Administrator }) {
  const read = useRead(who, () => desk.firms(who.session));
  return (
    <Page title={ta("firms")} {...(read.value === null ? {} : { why: ta("firmsWhy", { trust: read.value.trust.slice(0, 16) }) })} read={read}>
      {({ firms }) => <ul class="requests">{firms.map((firm) => <Firm key={firm.firm} firm={firm} />)}</ul>}
    </Page>
  );
}
