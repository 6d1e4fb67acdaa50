//! Makes a lane gapless: silence where nobody spoke, black where there was no picture. Browsers play a sound track by
//! counting samples, so a hole would pull sound ahead of the picture. Pure functions over frames.

use super::{Frame, Picture};
use domain::MediaKind;
use zeroize::Zeroizing;

/// One Opus packet of 20 ms silence (CELT, full band, mono; RFC 6716 section 3.1).
pub const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
/// Its length, microseconds.
pub const SILENCE_US: u64 = 20_000;
/// A 320 x 180 VP8 key frame, all black.
pub(super) const BLACK: &[u8] = include_bytes!("black.vp8");
/// Black is repeated so often: a seek into it decodes at most so much.
const BLACK_EVERY_US: u64 = 2_000_000;
/// Capture times jitter with the sender's threads; sound is moved only when it is off by more than this (below the
/// 45 ms at which people notice sound ahead of picture, plus one packet).
const SOUND_TOLERANCE_US: u64 = 60_000;
/// A picture that pauses longer before a key frame was off, not still.
const PICTURE_HOLD_US: u64 = 3_000_000;
/// Longest side of a picture shown: 4K. A VP8 head may claim 16,383 a side, which costs a decoder 400 MB; nobody's camera
/// sends that, and it must not take the officer's browser or an export down.
const MAX_SIDE: u16 = 4_096;
/// Packets that vote on a packet's place: one second.
const VOTES: usize = 50;

/// A clear frame with its place on the meeting's time line, as the archive yields it.
pub struct Input {
    /// From the begin, microseconds.
    pub pts_us: u64,
    /// Key frame?
    pub key_frame: bool,
    /// Frames before it are missing.
    pub lost_before: bool,
    /// Clear bytes.
    pub data: Zeroizing<Vec<u8>>,
}

/// Length of an Opus packet from its TOC byte (RFC 6716 section 3.1), microseconds; `None` if it is no packet.
pub fn opus_duration_us(packet: &[u8]) -> Option<u64> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = match config {
        0..=11 => [10_000, 20_000, 40_000, 60_000][usize::from(config & 3)],
        12..=15 => [10_000, 20_000][usize::from(config & 1)],
        _ => [2_500, 5_000, 10_000, 20_000][usize::from(config & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    let length = frame * count;
    // more than 120 ms is malformed
    (1..=120_000).contains(&length).then_some(length)
}

/// One gapless sound track of `duration_us`. Packets follow each other exactly while the sender sounds; silence fills
/// what is truly missing; a packet whose time the track has already passed (the sender's clock runs ahead) is left out.
pub fn sound(mut packets: Vec<Input>, duration_us: u64) -> Vec<Frame> {
    packets.sort_by_key(|packet| packet.pts_us);
    packets.retain(|packet| opus_duration_us(&packet.data).is_some());
    let places = places(&packets);
    let mut out = Vec::new();
    let mut next = 0;
    for (packet, wanted) in packets.into_iter().zip(places) {
        let first = next == 0;
        if wanted > next + SOUND_TOLERANCE_US || first {
            silence(&mut out, &mut next, wanted);
        } else if wanted + SOUND_TOLERANCE_US < next {
            continue;
        }
        let length = opus_duration_us(&packet.data).expect("others were left out above");
        out.push(Frame { kind: MediaKind::Audio, pts_us: next, key_frame: true, data: packet.data });
        next += length;
    }
    silence(&mut out, &mut next, duration_us);
    out
}

/// Where each packet belongs. A packet may look later than it is (a stalled thread), never earlier: so among it and the
/// next second of packets the earliest one, less what sounds between, is the truest clock.
fn places(packets: &[Input]) -> Vec<u64> {
    let mut sounded = 0i64;
    let mut origins = Vec::with_capacity(packets.len());
    let mut before = Vec::with_capacity(packets.len());
    for packet in packets {
        origins.push(packet.pts_us as i64 - sounded);
        before.push(sounded);
        sounded += opus_duration_us(&packet.data).unwrap_or(SILENCE_US) as i64;
    }
    (0..packets.len())
        .map(|index| {
            let window = &origins[index..packets.len().min(index + VOTES)];
            let origin = window.iter().min().copied().unwrap_or(0);
            (origin + before[index]).max(0) as u64
        })
        .collect()
}

fn silence(out: &mut Vec<Frame>, next: &mut u64, until: u64) {
    while *next + SILENCE_US <= until {
        let data = Zeroizing::new(SILENCE.to_vec());
        out.push(Frame { kind: MediaKind::Audio, pts_us: *next, key_frame: true, data });
        *next += SILENCE_US;
    }
}

/// One picture track of `duration_us`, black before the first key frame, in long pauses and after the last frame.
/// After a loss nothing is shown until the next key frame: half-right pictures are no evidence.
pub fn picture(mut frames: Vec<Input>, duration_us: u64) -> (Vec<Frame>, Option<Picture>) {
    frames.sort_by_key(|frame| frame.pts_us);
    let size = frames.iter().find_map(|frame| shown_size(&frame.data));
    let Some(size) = size else { return (Vec::new(), None) };
    let mut out: Vec<Frame> = Vec::new();
    let (mut decodable, mut shown_until, mut last) = (false, 0, 0);
    for frame in frames {
        // the frame's own head decides, as in every decoder: a sender's flag beside it is only the sender's word
        let key_frame = is_key_frame(&frame.data);
        if key_frame {
            if !decodable || frame.pts_us > last + PICTURE_HOLD_US {
                black(&mut out, shown_until, frame.pts_us);
            }
            decodable = shown_size(&frame.data).is_some();
        } else if frame.lost_before {
            decodable = false;
        }
        if !decodable {
            continue;
        }
        last = frame.pts_us;
        shown_until = frame.pts_us + BLACK_EVERY_US;
        out.push(Frame { kind: MediaKind::Video, pts_us: last, key_frame, data: frame.data });
    }
    black(&mut out, shown_until, duration_us);
    (out, Some(size))
}

/// Black key frames from `from` up to, not including, `until`.
pub fn black(out: &mut Vec<Frame>, from: u64, until: u64) {
    let mut at = from;
    while at < until {
        let data = Zeroizing::new(BLACK.to_vec());
        out.push(Frame { kind: MediaKind::Video, pts_us: at, key_frame: true, data });
        at += BLACK_EVERY_US;
    }
}

/// Does the frame's head say key frame (RFC 6386 section 9.1)?
fn is_key_frame(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & 1 == 0)
}

/// Size of a key frame that may be shown.
fn shown_size(frame: &[u8]) -> Option<Picture> {
    let size = vp8_size(frame)?;
    (size.width.min(size.height) > 0 && size.width.max(size.height) <= MAX_SIDE).then_some(size)
}

/// Size in a VP8 key frame's head (RFC 6386 section 9.1).
fn vp8_size(frame: &[u8]) -> Option<Picture> {
    let head = frame.get(..10)?;
    if !is_key_frame(head) || head[3..6] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let side = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]) & 0x3fff;
    Some(Picture { width: side(6), height: side(8) })
}
