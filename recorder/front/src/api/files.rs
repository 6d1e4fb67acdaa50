//! A file of an opened meeting, as a download: after its ledger entry, as an attachment whatever it is, never drawn.

use crate::api::ledger::append;
use crate::api::replay::{memory_problem, opening_problem};
use crate::app::App;
use crate::problem::ApiProblem;
use crate::replay::files::{self, Sent};
use crate::replay::grants::OpenGrant;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Bytes handed to the connection at once: between two pieces the grant is looked at again.
const PIECE: usize = 128 * 1024;

/// Its place under `/replay/{grant}/`.
pub fn name(number: usize) -> String {
    format!("file-{number}")
}

/// Which file an address means.
pub fn number(file: &str) -> Option<usize> {
    file.strip_prefix("file-")?.parse().ok()
}

/// `attachment` with the name in both forms of RFC 6266: one that every browser reads, and the whole one.
fn disposition(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " ._-".contains(c) { c } else { '_' }).collect();
    let whole: String = name
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"._-".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

/// `GET /replay/{grant}/file-{number}`.
pub async fn give(app: &Arc<App>, open: Arc<OpenGrant>, number: usize) -> Result<Response, ApiProblem> {
    let nothing = || ApiProblem::unknown("There is no such file in this meeting, or it is not kept.");
    let sent = open.reel.plan.files.get(number).filter(|sent| sent.is_here()).ok_or_else(nothing)?;
    let (name, _) = sent.shown.clone().ok_or_else(nothing)?;
    let held = app.means.memory.hold(sent.needs(&open.reel.plan.copies)).map_err(memory_problem)?;
    let turn = app.means.openings.clone().acquire_owned().await.map_err(|_| nothing())?;
    let grant = open.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let reel = &grant.reel;
        let opened = files::open(&reel.plan.copies, reel.keys(), &reel.plan.files[number]);
        drop(turn);
        opened
    });
    let clear = opened.await.map_err(|_| nothing())?.map_err(|e| opening_problem(&e))?;
    append(app, &open.officer, "export", &open.meeting, note(&open, sent)).await?;
    let (size, shown) = (clear.len(), disposition(&name));
    let stream = futures_util::stream::unfold((open, clear, held, 0), |(open, clear, held, at)| async move {
        if at >= clear.len() {
            return None;
        }
        if open.has_ended() {
            let (stopped, end) = (std::io::Error::other("the grant has ended"), clear.len());
            return Some((Err(stopped), (open, clear, held, end)));
        }
        let next = clear.len().min(at + PIECE);
        let piece = Bytes::copy_from_slice(&clear[at..next]);
        Some((Ok(piece), (open, clear, held, next)))
    });
    let fields = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, shown),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((fields, Body::from_stream(stream)).into_response())
}

/// What the ledger says of it: which one, by what its sender signed; its name is as secret as what is in it.
fn note(open: &OpenGrant, sent: &Sent) -> String {
    format!("case {}; file {} of {}, {} bytes", open.case, sent.file.hex(), sent.from, sent.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(
            disposition("term sheet.pdf"),
            "attachment; filename=\"term sheet.pdf\"; filename*=UTF-8''term%20sheet.pdf"
        );
        let bad = disposition("a\"; filename=\"b.exe\r\nSet-Cookie: x\u{202e}é");
        assert!(bad.is_ascii() && !bad.contains(['\r', '\n']) && bad.matches('"').count() == 2, "{bad}");
        assert_eq!((number("file-3"), number("file-x"), number("0-0.webm")), (Some(3), None, None));
        assert_eq!(number(&name(7)), Some(7));
    }
}
