//! Feeds an open grant's frames to the exporter: all lanes in order of time, part after part, length-framed CBOR
//! (`domain::message::export`).

use crate::export::Clip;
use crate::replay::grants::OpenGrant;
use crate::replay::plan::Span;
use crate::replay::reel::Part;
use crate::webm::Placed;
use domain::MediaKind;
use domain::message::export::ToExport;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use zeroize::{Zeroize, Zeroizing};

/// What stands around a frame's bytes: length, names of the fields, numbers.
const HEAD: usize = 4096;

/// Writes everything of `clip` and closes the pipe. Stops quietly when the exporter closes it first.
pub async fn feed(grant: Arc<OpenGrant>, clip: Clip, mut input: ChildStdin) -> std::io::Result<()> {
    let plan = &grant.reel.plan;
    let begin = ToExport::Begin {
        duration_ms: clip.length_ms(),
        watermark: watermark(&grant),
        lanes: plan.lanes.iter().map(|lane| lane.name.clone()).collect(),
    };
    write(&mut input, begin).await?;
    let mut first = true;
    for (number, span) in plan.spans.iter().enumerate() {
        if span.to_ms <= clip.from_ms || span.from_ms >= clip.to_ms {
            continue;
        }
        let part = grant.reel.part(number).await.map_err(|e| std::io::Error::other(e.to_string()))?;
        feed_part(&grant, &part, *span, Cut { clip, is_first: first }, &mut input).await?;
        first = false;
    }
    write(&mut input, ToExport::End).await?;
    input.shutdown().await
}

/// What of a part belongs to a clip.
#[derive(Clone, Copy)]
struct Cut {
    clip: Clip,
    is_first: bool,
}

impl Cut {
    /// Where a frame of the part stands in the copy, microseconds; `None`: it is of the part or clip before or after.
    fn place(&self, span: Span, frame: &Placed) -> Option<u64> {
        let at_us = span.begin_ms * 1000 + frame.pts_us;
        let from_us = self.clip.from_ms.max(span.from_ms) * 1000;
        if at_us >= span.to_ms.min(self.clip.to_ms) * 1000 {
            return None;
        }
        // a picture needs those before it, back to a key frame: in the first part they are given at the begin
        let leads = self.is_first && frame.kind == MediaKind::Video;
        (at_us >= from_us || leads).then(|| at_us.saturating_sub(self.clip.from_ms * 1000))
    }
}

async fn feed_part(
    grant: &OpenGrant,
    part: &Part,
    span: Span,
    cut: Cut,
    input: &mut ChildStdin,
) -> std::io::Result<()> {
    let mut next = vec![0; part.lanes.len()];
    loop {
        let heads =
            part.lanes.iter().enumerate().filter_map(|(lane, file)| Some((file.frames.get(next[lane])?.pts_us, lane)));
        let Some((_, lane)) = heads.min() else { return Ok(()) };
        if grant.has_ended() {
            return Err(std::io::Error::other("the grant has ended"));
        }
        let webm = &part.lanes[lane];
        let frame = webm.frames[next[lane]];
        next[lane] += 1;
        let Some(pts_us) = cut.place(span, &frame) else { continue };
        let message = ToExport::Frame {
            lane: lane as u32,
            kind: frame.kind,
            pts_us,
            key_frame: frame.key_frame,
            data: webm.bytes[frame.at..frame.at + frame.len].to_vec(),
        };
        write(input, message).await?;
    }
}

/// Who, which case, which meeting: enough to find out whose copy it is.
fn watermark(grant: &OpenGrant) -> String {
    let meeting = grant.meeting.as_str();
    let meeting = meeting.get(..8).unwrap_or(meeting);
    format!("REPLAY {}@{} case {} meeting {meeting}", grant.officer.user, grant.officer.firm, grant.case)
}

async fn write(input: &mut ChildStdin, mut message: ToExport) -> std::io::Result<()> {
    // room for a frame at once: a buffer that grows leaves copies of a clear frame behind
    let frame = if let ToExport::Frame { data, .. } = &message { data.len() } else { 0 };
    let mut body = Zeroizing::new(Vec::with_capacity(frame + HEAD));
    body.extend_from_slice(&[0; 4]);
    ciborium::into_writer(&message, &mut *body).map_err(|e| std::io::Error::other(e.to_string()))?;
    let length = (body.len() - 4) as u32;
    body[..4].copy_from_slice(&length.to_be_bytes());
    if let ToExport::Frame { data, .. } = &mut message {
        data.zeroize();
    }
    input.write_all(&body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: MediaKind, at_ms: u64) -> Placed {
        Placed { kind, pts_us: at_ms * 1000, key_frame: false, at: 0, len: 0 }
    }

    #[test]
    fn each_frame_of_two_parts_is_given_once_and_a_clip_begins_with_what_its_picture_needs() {
        let clip = Clip { from_ms: 100_000, to_ms: 130_000 };
        let (one, two) = (
            Span { begin_ms: 0, from_ms: 0, to_ms: 120_000 },
            Span { begin_ms: 108_000, from_ms: 120_000, to_ms: 240_000 },
        );
        let (first, second) = (Cut { clip, is_first: true }, Cut { clip, is_first: false });
        let (seen, heard) = (MediaKind::Video, MediaKind::Audio);
        assert_eq!(first.place(one, &frame(heard, 99_999)), None);
        assert_eq!(first.place(one, &frame(seen, 95_000)), Some(0), "decoded, and covered by what follows");
        assert_eq!(first.place(one, &frame(seen, 100_040)), Some(40_000));
        assert_eq!(first.place(one, &frame(heard, 119_999)), Some(19_999_000));
        assert_eq!(first.place(one, &frame(heard, 120_000)), None);
        assert_eq!(second.place(two, &frame(seen, 11_999)), None, "the part before has it");
        assert_eq!(second.place(two, &frame(seen, 12_000)), Some(20_000_000));
        assert_eq!(second.place(two, &frame(heard, 22_000)), None, "behind the clip's end");
    }
}
