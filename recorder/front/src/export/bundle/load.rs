//! What an examiner's own tools load: CSV (RFC 4180) and JSON about the meeting, its files, its events and its ledger.

use super::Bundle;
use super::bag::Item;
use crate::replay::grants::OpenGrant;
use domain::UnixMillis;
use domain::message::front::LedgerRow;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// `2026-11-22T09:30:00.000Z` (days to civil date as in Howard Hinnant's `chrono` notes).
pub fn time(at: UnixMillis) -> String {
    let day = at.seconds() / 86_400 + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (s, ms) = (at.seconds() % 86_400, at.0 % 1000);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z", s / 3600, s / 60 % 60, s % 60)
}

/// One line. A field that a spreadsheet would compute is quoted as text.
fn line(fields: &[&str]) -> String {
    let field = |text: &&str| {
        let computed = text.starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err();
        let text = if computed { format!("'{text}") } else { (*text).to_owned() };
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    format!("{}\r\n", fields.iter().map(field).collect::<Vec<_>>().join(","))
}

/// Every file of the payload with what it holds.
pub fn files(bundle: &Bundle, items: &[Item]) -> String {
    let mut out =
        line(&["path", "sha256", "bytes", "holds", "track", "participant", "codec", "segment", "records", "frames"]);
    for item in items {
        let of_copy = bundle.copies().find_map(|(copy, under)| Some((copy, item.path.strip_prefix(under)?)));
        let segment = of_copy.and_then(|(copy, path)| {
            let segments = &copy.manifest.segments;
            Some((&copy.manifest, segments.iter().find(|one| path.strip_prefix('/') == Some(one.path.as_str()))?))
        });
        let track = segment.and_then(|(of, one)| of.tracks.iter().find(|track| track.track == one.track));
        let segment = segment.map(|(_, one)| one);
        let holds = match (segment, track) {
            (Some(_), Some(_)) => "media",
            (Some(_), None) => "events",
            _ => "",
        };
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        out += &line(&[
            &item.path,
            &item.sha256,
            &item.size.to_string(),
            holds,
            &number(track.map(|track| u64::from(track.track))),
            &track.map(|track| track.participant.to_string()).unwrap_or_default(),
            track.map_or("", |track| track.codec.sdp_name()),
            &number(segment.map(|one| u64::from(one.index))),
            &number(segment.map(|one| one.records)),
            &number(segment.map(|one| one.frames)),
        ]);
    }
    out
}

/// The time line: joins, statements, epochs, gaps, chat.
pub fn events(grant: &OpenGrant) -> String {
    let begin = grant.reel.plan.copies.manifest.started_at;
    let mut out = line(&["time", "ms", "kind", "text"]);
    for event in &grant.reel.plan.events {
        out += &line(&[&time(begin.plus(event.at_ms)), &event.at_ms.to_string(), &event.kind, &event.text]);
    }
    out
}

/// The ledger's entries about the meeting; each signed one lies beside, its hash is here.
pub fn ledger(rows: &[(LedgerRow, Vec<u8>)]) -> String {
    let mut out = line(&["index", "time", "actor", "action", "note", "integrity", "sha256"]);
    for (row, signed) in rows {
        let LedgerRow { index, event, integrity } = row;
        let hash = hex::encode(Sha256::digest(signed));
        out +=
            &line(&[&index.to_string(), &time(event.at), &event.actor, &event.action, &event.note, integrity, &hash]);
    }
    out
}

/// All of it in one object.
pub fn meeting(bundle: &Bundle, items: &[Item]) -> Vec<u8> {
    let manifest = &bundle.grant.reel.plan.copies.manifest;
    let people = manifest.roster.iter().map(|row| {
        json!({"participant": row.participant.to_string(), "name": row.name, "role": row.role,
            "joined": time(row.joined_at), "left": time(row.left_at)})
    });
    let gaps = manifest.gaps.iter().map(|gap| {
        json!({"participant": gap.participant.as_ref().map(ToString::to_string), "cause": gap.cause, "frames": gap.count,
            "from": time(gap.from), "to": time(gap.to)})
    });
    let files = items.iter().map(|item| json!({"path": item.path, "sha256": item.sha256, "bytes": item.size}));
    let request = &bundle.stored.request;
    let value = json!({
        "meeting": manifest.meeting, "firm": manifest.firm, "room": manifest.room, "title": manifest.title,
        "started": time(manifest.started_at), "ended": time(manifest.ended_at), "closed": manifest.closed,
        "software": manifest.software, "retain_until": time(manifest.retain_until), "frames": manifest.frames,
        "rejected": manifest.rejected, "clock": manifest.clock,
        "manifest_sha256": hex::encode(bundle.grant.reel.plan.copies.first().hash),
        "paired_manifest_sha256": bundle.grant.reel.plan.copies.second().map(|copy| hex::encode(copy.hash)),
        "people": people.collect::<Vec<Value>>(), "gaps": gaps.collect::<Vec<Value>>(),
        "files": files.collect::<Vec<Value>>(),
        "grant": {"case": request.case, "reason": request.reason, "from_ms": request.from_ms, "to_ms": request.to_ms,
            "requester": bundle.stored.requester.participant.to_string(),
            "approver": bundle.stored.approval.as_ref().map(|(_, _, user)| user), "keys": request.handed.is_some()},
    });
    let mut text = serde_json::to_vec_pretty(&value).expect("a JSON value serialises");
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(UnixMillis(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(UnixMillis(951_782_400_000)), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(UnixMillis(1_798_761_599_999)), "2026-12-31T23:59:59.999Z");
    }

    #[test]
    fn no_field_breaks_a_line_or_is_computed_by_a_spreadsheet() {
        assert_eq!(line(&["a,b", "say \"no\"", "-5"]), "\"a,b\",\"say \"\"no\"\"\",-5\r\n");
        assert_eq!(line(&["=HYPERLINK(1)", "a\nb"]), "'=HYPERLINK(1),\"a\nb\"\r\n");
    }
}
