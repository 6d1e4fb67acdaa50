//! The report for people: one HTML page without script, in one language.

use super::Bundle;
use super::bag::Item;
use super::load::time;
use super::words::Words;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#16222e}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%;font-size:.87rem}\
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #d3dae1}\
td.mono{font-family:monospace;overflow-wrap:anywhere}tr.gap td,p.gap{color:#a32020}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table; every cell is escaped here.
fn table(out: &mut String, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let cells = |name: &str, texts: &mut dyn Iterator<Item = &str>| {
        texts.map(|text| format!("<{name}>{}</{name}>", escape(text))).collect::<String>()
    };
    let head = cells("th scope=\"col\"", &mut heads.iter().copied()).replace("</th scope=\"col\">", "</th>");
    let body: String =
        rows.map(|row| format!("<tr>{}</tr>", cells("td", &mut row.iter().map(String::as_str)))).collect();
    // writing to a string does not fail
    let _ = write!(out, "<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>");
}

/// The page.
#[allow(clippy::too_many_lines, reason = "one section after another, each a table")]
pub fn html(bundle: &Bundle, items: &[Item], words: &Words) -> String {
    let copies = &bundle.grant.reel.plan.copies;
    let (manifest, request) = (&copies.manifest, &bundle.stored.request);
    let mut out = format!(
        "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>",
        words.language,
        title = escape(&format!("{}: {}", words.title, manifest.title)),
    );
    let approver = bundle.stored.approval.as_ref().map(|(_, _, user)| user.clone()).unwrap_or_default();
    let keys = if request.handed.is_some() { words.keys_in } else { words.keys_out };
    let paired = copies.second().map(|copy| (words.paired, hex::encode(copy.hash)));
    let facts = [
        (words.meeting, manifest.meeting.to_string()),
        (words.firm, manifest.firm.to_string()),
        (words.room, manifest.room.to_string()),
        (words.time, format!("{} – {}", time(manifest.started_at), time(manifest.ended_at))),
        (words.retain, time(manifest.retain_until)),
        (words.frames, manifest.frames.to_string()),
        (words.manifest, hex::encode(copies.first().hash)),
        (words.case, request.case.clone()),
        (words.reason, request.reason.clone()),
        (words.requester, bundle.stored.requester.participant.to_string()),
        (words.approver, approver),
        (words.made, time(bundle.at)),
        (words.keys, keys.to_owned()),
    ];
    table(&mut out, &["", ""], facts.into_iter().chain(paired).map(|(name, value)| vec![name.to_owned(), value]));
    let heading = |out: &mut String, text: &str| {
        let _ = write!(out, "<h2>{}</h2>", escape(text));
    };
    heading(&mut out, words.people);
    let people = manifest
        .roster
        .iter()
        .map(|row| vec![row.name.clone(), row.participant.to_string(), time(row.joined_at), time(row.left_at)]);
    table(&mut out, &[words.name, words.id, words.from, words.to], people);
    heading(&mut out, words.gaps);
    if manifest.gaps.is_empty() {
        let _ = write!(out, "<p>{}</p>", escape(words.no_gaps));
    } else {
        let gaps = manifest.gaps.iter().map(|gap| {
            let cause = serde_json::to_value(gap.cause).ok().and_then(|value| value.as_str().map(str::to_owned));
            let whose = gap.participant.as_ref().map_or_else(|| words.everybody.to_owned(), ToString::to_string);
            vec![whose, gap.count.to_string(), cause.unwrap_or_default(), time(gap.from), time(gap.to)]
        });
        table(&mut out, &[words.id, words.frames, words.cause, words.from, words.to], gaps);
    }
    heading(&mut out, words.events);
    let events = bundle
        .grant
        .reel
        .plan
        .events
        .iter()
        .map(|event| vec![time(manifest.started_at.plus(event.at_ms)), event.kind.clone(), event.text.clone()]);
    table(&mut out, &[words.time, words.kind, words.text], events);
    heading(&mut out, words.ledger);
    let ledger = bundle.ledger.iter().map(|(row, _)| {
        let event = &row.event;
        let integrity = if row.integrity == "verified" { words.verified.to_owned() } else { row.integrity.clone() };
        vec![
            row.index.to_string(),
            time(event.at),
            event.actor.clone(),
            event.action.clone(),
            event.note.clone(),
            integrity,
        ]
    });
    table(&mut out, &["", words.time, words.who, words.what, words.note, words.integrity], ledger);
    for (copy, under) in bundle.copies() {
        let named = copy.manifest.segments.iter().map(|one| format!("{under}/{}", one.path));
        for path in named.filter(|path| items.iter().all(|item| item.path != *path)) {
            let _ = write!(out, "<p class=\"gap\">{}: {}</p>", escape(words.missing), escape(&path));
        }
    }
    heading(&mut out, words.files);
    let files = items.iter().map(|item| vec![item.path.clone(), item.size.to_string(), item.sha256.clone()]);
    table(&mut out, &[words.path, words.bytes, "SHA-256"], files);
    heading(&mut out, words.check);
    let _ = write!(
        out,
        "<pre>sha256sum -c manifest-sha256.txt\nstrongroom-verify .</pre><p>{}</p></html>\n",
        escape(words.check_why)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_a_name_with_active_content_is_text_in_the_report() {
        let mut out = String::new();
        let name = "<img src=x onerror=\"alert(1)\"><script>steal()</script>&";
        table(&mut out, &[name], std::iter::once(vec![name.to_owned()]));
        assert!(!out.contains("<img") && !out.contains("<script") && !out.contains("onerror=\""), "{out}");
        assert_eq!(out.matches("&lt;script&gt;steal()&lt;/script&gt;&amp;").count(), 2, "{out}");
    }
}
