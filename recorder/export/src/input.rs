//! Standard input: length-framed CBOR of [`ToExport`], judged before anything is composed.

use domain::MediaKind;
use domain::message::export::{MAX_LANES, ToExport};
use std::io::Read;

/// Largest message: one frame and its head.
const MAX_MESSAGE: usize = domain::limits::MAX_FRAME + 4096;
/// Longest meeting composed: one day.
const MAX_DURATION_MS: u64 = 24 * 3600 * 1000;
/// Longest text drawn.
const MAX_TEXT: usize = 200;

/// Why the input is refused; the front's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The pipe broke.
    #[error("reading the frames failed: {0}")]
    Pipe(#[from] std::io::Error),
    /// Not the protocol.
    #[error("the input is malformed: {0}")]
    Malformed(&'static str),
}

/// The first message.
#[derive(Debug)]
pub struct Begin {
    /// Length of the whole, ms.
    pub duration_ms: u64,
    /// Burned into the picture.
    pub watermark: String,
    /// Names for the tiles.
    pub lanes: Vec<String>,
}

/// One clear frame.
pub struct Frame {
    /// Lane.
    pub lane: usize,
    /// Sound or picture.
    pub kind: MediaKind,
    /// From the begin, microseconds.
    pub pts_us: u64,
    /// Key frame?
    pub key_frame: bool,
    /// The frame.
    pub data: Vec<u8>,
}

/// The input, message by message.
pub struct Input<R> {
    from: R,
    lanes: usize,
    end_us: u64,
}

impl<R: Read> Input<R> {
    /// Reads the first message.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn begin(mut from: R) -> Result<(Begin, Self), InputError> {
        let Some(ToExport::Begin { duration_ms, watermark, lanes }) = message(&mut from)? else {
            return Err(InputError::Malformed("it does not begin with Begin"));
        };
        if !(1..=MAX_DURATION_MS).contains(&duration_ms) {
            return Err(InputError::Malformed("a duration of nothing or of more than a day"));
        }
        if lanes.is_empty() || lanes.len() > MAX_LANES {
            return Err(InputError::Malformed("no lane, or more than 25"));
        }
        let begin =
            Begin { duration_ms, watermark: plain(&watermark), lanes: lanes.iter().map(|name| plain(name)).collect() };
        let input = Self { from, lanes: lanes.len(), end_us: duration_ms.saturating_mul(1000) };
        Ok((begin, input))
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// [`InputError`]; an input that stops without [`ToExport::End`] is one.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, InputError> {
        loop {
            match message(&mut self.from)? {
                Some(ToExport::Frame { lane, kind, pts_us, key_frame, data }) => {
                    let lane = lane as usize;
                    if lane >= self.lanes {
                        return Err(InputError::Malformed("a frame of a lane that was not named"));
                    }
                    if pts_us >= self.end_us {
                        continue;
                    }
                    return Ok(Some(Frame { lane, kind, pts_us, key_frame, data }));
                }
                Some(ToExport::End) => return Ok(None),
                Some(ToExport::Begin { .. }) => return Err(InputError::Malformed("a second Begin")),
                None => return Err(InputError::Malformed("it ends without End")),
            }
        }
    }
}

fn message<R: Read>(from: &mut R) -> Result<Option<ToExport>, InputError> {
    let mut head = [0; 4];
    if from.read(&mut head[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..])?;
    let length = u32::from_be_bytes(head) as usize;
    if length > MAX_MESSAGE {
        return Err(InputError::Malformed("a message larger than any frame"));
    }
    let mut body = Vec::new();
    if from.take(length as u64).read_to_end(&mut body)? != length {
        return Err(InputError::Malformed("it is cut inside a message"));
    }
    ciborium::from_reader(body.as_slice()).map(Some).map_err(|_| InputError::Malformed("not CBOR of a known message"))
}

/// Text that a renderer draws as it stands: no markup, no control characters, bounded.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(messages: &[ToExport]) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            let mut body = Vec::new();
            ciborium::into_writer(message, &mut body).expect("encodes");
            out.extend((body.len() as u32).to_be_bytes());
            out.extend(body);
        }
        out
    }

    fn begin(lanes: usize) -> ToExport {
        ToExport::Begin { duration_ms: 1000, watermark: "x\u{7}".to_owned(), lanes: vec!["A".to_owned(); lanes] }
    }

    fn frame(lane: u32, pts_us: u64) -> ToExport {
        ToExport::Frame { lane, kind: MediaKind::Audio, pts_us, key_frame: true, data: vec![1] }
    }

    #[test]
    fn frames_come_in_order_and_what_lies_behind_the_end_is_left_out() {
        let bytes = framed(&[begin(1), frame(0, 5), frame(0, 1_000_000), ToExport::End]);
        let (head, mut input) = Input::begin(bytes.as_slice()).expect("well formed");
        assert_eq!(head.watermark, "x");
        assert_eq!(input.next_frame().expect("well formed").map(|frame| frame.pts_us), Some(5));
        assert!(input.next_frame().expect("well formed").is_none());
    }

    #[test]
    fn garbage_is_refused_and_never_believed() {
        assert!(Input::begin(&framed(&[ToExport::End])[..]).is_err());
        assert!(Input::begin(&framed(&[begin(0)])[..]).is_err());
        assert!(Input::begin(&framed(&[begin(MAX_LANES + 1)])[..]).is_err());
        assert!(Input::begin(&[0xff; 8][..]).is_err());
        let cut = framed(&[begin(1), frame(0, 5)]);
        for bytes in [&cut[..cut.len() - 1], &cut[..], &framed(&[begin(1), frame(1, 5)])[..]] {
            let (_, mut input) = Input::begin(bytes).expect("the begin is whole");
            let last = std::iter::from_fn(|| Some(input.next_frame())).find(|read| !matches!(read, Ok(Some(_))));
            assert!(matches!(last, Some(Err(_))));
        }
    }
}
