//! Feeds an open grant's frames to the exporter: all lanes in order of time, length-framed CBOR
//! (`domain::message::export`).

use crate::replay::grants::OpenGrant;
use domain::message::export::ToExport;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use zeroize::{Zeroize, Zeroizing};

/// What stands around a frame's bytes: length, names of the fields, numbers.
const HEAD: usize = 4096;

/// Writes everything and closes the pipe. Stops quietly when the exporter closes it first.
pub async fn feed(grant: Arc<OpenGrant>, mut input: ChildStdin) -> std::io::Result<()> {
    let begin = ToExport::Begin {
        duration_ms: grant.duration_ms,
        watermark: watermark(&grant),
        lanes: grant.lanes.iter().map(|lane| lane.name.clone()).collect(),
    };
    write(&mut input, begin).await?;
    let mut next = vec![0; grant.lanes.len()];
    loop {
        let heads = grant
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(lane, file)| Some((file.webm.frames.get(next[lane])?.pts_us, lane)));
        let Some((_, lane)) = heads.min() else { break };
        if grant.has_ended() {
            return Err(std::io::Error::other("the grant has ended"));
        }
        let webm = &grant.lanes[lane].webm;
        let frame = webm.frames[next[lane]];
        next[lane] += 1;
        let message = ToExport::Frame {
            lane: lane as u32,
            kind: frame.kind,
            pts_us: frame.pts_us,
            key_frame: frame.key_frame,
            data: webm.bytes[frame.at..frame.at + frame.len].to_vec(),
        };
        write(&mut input, message).await?;
    }
    write(&mut input, ToExport::End).await?;
    input.shutdown().await
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
