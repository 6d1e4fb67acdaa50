// Tokens, archive keys and their probes, recorders, recordings that run, stores: how the firm's record fares now.

import type { ComponentChildren } from "preact";
import { desk } from "../front/admin";
import { count, dateTime } from "../i18n";
import { size, ta } from "../i18n/admin";
import type { CustodyStatus } from "../wire/admin";
import type { Administrator } from "./app";
import { Chip, Hash, Page, useRead } from "./parts";

/** A table with its heading, or what is said when there is nothing. */
function Rows({ title, heads, none, testid, children }: { title: string; heads: string[]; none: string; testid: string; children: ComponentChildren[] }) {
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      {children.length === 0 ? <p class="empty">{none}</p> : (
        <div class="scroll card flush">
          <table class="table" data-testid={testid}>
            <thead><tr>{heads.map((head) => <th key={head} scope="col">{head}</th>)}</tr></thead>
            <tbody>{children}</tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const when = (at: number | null): string => (at === null ? ta("never") : dateTime(at));

function Status({ status }: { status: CustodyStatus }) {
  return (
    <div class="stack">
      {status.blocked && <p class="error" role="alert">{ta("blockedNote")}</p>}
      <Rows title={ta("token")} heads={[ta("token"), ta("health"), ta("what"), ta("keys")]} none="" testid="tokens">
        {status.tokens.map((token) => (
          <tr key={token.name} data-testid="token-row">
            <th scope="row">{token.name}</th>
            <td><Chip good={token.problem === null}>{token.problem === null ? ta("answers") : ta("silent", { code: token.problem })}</Chip></td>
            <td>{token.token ?? "–"} {token.test && <span class="chip open">{ta("testToken")}</span>}</td>
            <td>{token.keys.map((key) => <div key={key.name}>{key.name} <Hash value={key.id} /></div>)}</td>
          </tr>
        ))}
      </Rows>
      <Rows title={ta("probes")} heads={[ta("keys"), ta("probed")]} none="–" testid="probes">
        {status.probes.map((key) => <tr key={key.key_id}><th scope="row"><Hash value={key.key_id} /></th><td>{when(key.opened_at)}</td></tr>)}
      </Rows>
      <Rows title={ta("recorders")} heads={[ta("recorders"), ta("certified"), ta("until")]} none={ta("recordersNone")} testid="recorders">
        {status.recorders.map((one) => <tr key={one.name}><th scope="row">{one.name}</th><td>{when(one.certified_at)}</td><td>{when(one.until)}</td></tr>)}
      </Rows>
      <Rows title={ta("openMeetings")} heads={[ta("meetings"), ta("written")]} none={ta("openNone")} testid="open">
        {status.open.map((one) => <tr key={one.meeting}><th scope="row" class="mono">{one.meeting.slice(0, 8)}</th><td>{when(one.written_at)}</td></tr>)}
      </Rows>
      <Rows title={ta("stores")} heads={[ta("stores"), ta("className"), ta("probedAt"), ta("waiting"), ta("trouble")]} none={ta("storesNone")} testid="stores">
        {status.stores.map((one) => (
          <tr key={one.name}>
            <th scope="row">{one.name}</th><td>{one.class ?? ta("never")}</td><td>{when(one.probed_at)}</td>
            <td>{count(one.waiting)} · {size(one.waiting_bytes)}</td><td>{one.trouble ?? "–"}</td>
          </tr>
        ))}
      </Rows>
      {status.free_bytes !== null && <p>{ta("free", { size: size(status.free_bytes) })}</p>}
    </div>
  );
}

export function CustodyPage({ who }: { who: Administrator }) {
  const read = useRead(who, () => desk.custody(who.session));
  return <Page title={ta("custody")} why={ta("custodyWhy")} read={read}>{(status) => <Status status={status} />}</Page>;
}
