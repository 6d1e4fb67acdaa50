//! A small WebM writer for replay: VP8 and Opus, a known duration, cues before the clusters so that a browser seeks
//! with one range request. Works in memory; knows nothing of meetings, keys or HTTP.

mod ebml;
mod fill;

#[cfg(test)]
pub(crate) use fill::SILENCE;
#[cfg(test)]
use fill::{BLACK, SILENCE_US};
pub use fill::{Input, opus_duration_us, picture, sound};

use domain::MediaKind;
use zeroize::Zeroizing;

/// A new cluster begins at a video key frame, or after so long: a player reads whole clusters to seek.
const CLUSTER_MS: u64 = 5_000;
/// ... or after so many bytes, so that one cluster fits one range answer.
const CLUSTER_BYTES: usize = 1 << 20;
/// Track numbers.
const VIDEO: u8 = 1;
const AUDIO: u8 = 2;

/// One frame on the file's time line.
#[derive(Clone)]
pub struct Frame {
    /// Sound or picture.
    pub kind: MediaKind,
    /// From the begin, microseconds.
    pub pts_us: u64,
    /// Key frame? Every Opus packet is one.
    pub key_frame: bool,
    /// Clear bytes.
    pub data: Zeroizing<Vec<u8>>,
}

/// Where a frame's bytes stand inside [`Webm::bytes`]: the exporter reads them from there, so one copy is enough.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// Sound or picture.
    pub kind: MediaKind,
    /// From the begin, microseconds.
    pub pts_us: u64,
    /// Key frame?
    pub key_frame: bool,
    /// Offset in the file.
    pub at: usize,
    /// Bytes.
    pub len: usize,
}

/// A finished file; wiped when dropped.
pub struct Webm {
    /// The whole file.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its frames in order of time.
    pub frames: Vec<Placed>,
}

/// Head of the track table.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
}

struct Cluster {
    at_ms: u64,
    first: usize,
    end: usize,
    body: usize,
    cue: bool,
}

/// Writes `frames` (in any order) as one file of `duration_ms`. Without a picture the file has a sound track only.
pub fn write(mut frames: Vec<Frame>, picture: Option<Picture>, duration_ms: u64) -> Webm {
    frames.sort_by_key(|frame| frame.pts_us);
    let clusters = cut(&frames, picture.is_some());
    let head = head(&clusters, picture, duration_ms);
    let total = head.len() + clusters.iter().map(|c| CLUSTER_HEAD + c.body).sum::<usize>();
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&head);
    let mut placed = Vec::with_capacity(frames.len());
    for cluster in &clusters {
        ebml::open(&mut out, 0x1f43_b675, cluster.body as u64);
        ebml::unsigned(&mut out, 0xe7, cluster.at_ms);
        for frame in &frames[cluster.first..cluster.end] {
            ebml::open(&mut out, 0xa3, (BLOCK_HEAD + frame.data.len()) as u64);
            out.push(0x80 | track(frame.kind));
            let offset = (frame.pts_us / 1000 - cluster.at_ms) as i16;
            out.extend_from_slice(&offset.to_be_bytes());
            out.push(if frame.key_frame { 0x80 } else { 0 });
            placed.push(Placed {
                kind: frame.kind,
                pts_us: frame.pts_us,
                key_frame: frame.key_frame,
                at: out.len(),
                len: frame.data.len(),
            });
            out.extend_from_slice(&frame.data);
        }
    }
    debug_assert_eq!(out.len(), total, "sizes are computed before writing");
    Webm { bytes: Zeroizing::new(out), frames: placed }
}

fn track(kind: MediaKind) -> u8 {
    match kind {
        MediaKind::Video => VIDEO,
        MediaKind::Audio => AUDIO,
    }
}

/// id 4, size 8.
const CLUSTER_HEAD: usize = 12;
/// Timestamp element: id 1, size 8, value 8.
const CLUSTER_TIME: usize = 17;
/// SimpleBlock element head: id 1, size 8.
const BLOCK_OPEN: usize = 9;
/// Track number 1, relative time 2, flags 1.
const BLOCK_HEAD: usize = 4;

fn cut(frames: &[Frame], has_picture: bool) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let at_ms = frame.pts_us / 1000;
        let entry = match frame.kind {
            MediaKind::Video => frame.key_frame,
            MediaKind::Audio => !has_picture,
        };
        let begins = match clusters.last() {
            None => true,
            Some(last) => {
                at_ms - last.at_ms >= CLUSTER_MS
                    || last.body >= CLUSTER_BYTES
                    || (entry && frame.kind == MediaKind::Video && last.end > last.first)
            }
        };
        if begins {
            clusters.push(Cluster { at_ms, first: index, end: index, body: CLUSTER_TIME, cue: false });
        }
        let last = clusters.last_mut().expect("a cluster was just begun if there was none");
        // a seek lands on the first frame of a cluster only: what begins there must be decodable by itself
        if last.end == last.first {
            last.cue = entry;
        }
        last.end = index + 1;
        last.body += BLOCK_OPEN + BLOCK_HEAD + frame.data.len();
    }
    clusters
}

fn head(clusters: &[Cluster], picture: Option<Picture>, duration_ms: u64) -> Vec<u8> {
    let (info, tracks) = (info(duration_ms), tracks(picture));
    let cue_track = u64::from(if picture.is_some() { VIDEO } else { AUDIO });
    // Positions count from the segment's first byte; every number has 8 bytes, so the cues' size does not depend on them.
    let before = (seek_head(0, 0, 0).len() + info.len() + tracks.len()) as u64;
    let cues_len = cues(clusters, cue_track, 0).len() as u64;
    let cues = cues(clusters, cue_track, before + cues_len);
    let body: u64 =
        before + cues_len + clusters.iter().map(|cluster| (CLUSTER_HEAD + cluster.body) as u64).sum::<u64>();
    let mut out = Vec::new();
    let mut top = Vec::new();
    for (id, value) in [(0x4286, 1), (0x42f7, 1), (0x42f2, 4), (0x42f3, 8)] {
        ebml::unsigned(&mut top, id, value);
    }
    ebml::text(&mut top, 0x4282, "webm");
    ebml::unsigned(&mut top, 0x4287, 4);
    ebml::unsigned(&mut top, 0x4285, 2);
    ebml::element(&mut out, 0x1a45_dfa3, &top);
    ebml::open(&mut out, 0x1853_8067, body);
    let seek = seek_head(0, 0, 0).len() as u64;
    out.extend(seek_head(seek, seek + info.len() as u64, before));
    out.extend(info);
    out.extend(tracks);
    out.extend(cues);
    out
}

fn seek_head(info: u64, tracks: u64, cues: u64) -> Vec<u8> {
    let mut entries = Vec::new();
    for (id, position) in [(0x1549_a966_u32, info), (0x1654_ae6b, tracks), (0x1c53_bb6b, cues)] {
        let mut entry = Vec::new();
        ebml::element(&mut entry, 0x53ab, &id.to_be_bytes());
        ebml::unsigned(&mut entry, 0x53ac, position);
        ebml::element(&mut entries, 0x4dbb, &entry);
    }
    let mut out = Vec::new();
    ebml::element(&mut out, 0x114d_9b74, &entries);
    out
}

fn info(duration_ms: u64) -> Vec<u8> {
    let mut body = Vec::new();
    ebml::unsigned(&mut body, 0x2a_d7b1, 1_000_000);
    ebml::float(&mut body, 0x4489, duration_ms as f64);
    ebml::text(&mut body, 0x4d80, "strongroom");
    ebml::text(&mut body, 0x5741, "strongroom");
    let mut out = Vec::new();
    ebml::element(&mut out, 0x1549_a966, &body);
    out
}

fn tracks(picture: Option<Picture>) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(picture) = picture {
        let mut entry = entry(VIDEO, 1, "V_VP8");
        let mut size = Vec::new();
        ebml::unsigned(&mut size, 0xb0, u64::from(picture.width));
        ebml::unsigned(&mut size, 0xba, u64::from(picture.height));
        ebml::element(&mut entry, 0xe0, &size);
        ebml::element(&mut body, 0xae, &entry);
    }
    let mut entry = entry(AUDIO, 2, "A_OPUS");
    ebml::element(&mut entry, 0x63a2, &opus_head());
    ebml::unsigned(&mut entry, 0x56aa, 0);
    // 80 ms of pre-roll after a seek (RFC 7845 section 4.6), in nanoseconds
    ebml::unsigned(&mut entry, 0x56bb, 80_000_000);
    let mut sound = Vec::new();
    ebml::float(&mut sound, 0xb5, 48_000.0);
    ebml::unsigned(&mut sound, 0x9f, 2);
    ebml::element(&mut entry, 0xe1, &sound);
    ebml::element(&mut body, 0xae, &entry);
    let mut out = Vec::new();
    ebml::element(&mut out, 0x1654_ae6b, &body);
    out
}

fn entry(number: u8, kind: u64, codec: &str) -> Vec<u8> {
    let mut entry = Vec::new();
    ebml::unsigned(&mut entry, 0xd7, u64::from(number));
    ebml::unsigned(&mut entry, 0x73c5, u64::from(number));
    ebml::unsigned(&mut entry, 0x83, kind);
    ebml::unsigned(&mut entry, 0x9c, 0);
    ebml::text(&mut entry, 0x0022_b59c, "und");
    ebml::text(&mut entry, 0x86, codec);
    entry
}

/// OpusHead (RFC 7845 section 5.1): two channels, no pre-skip (WebRTC senders have none), 48 kHz.
fn opus_head() -> Vec<u8> {
    let mut head = b"OpusHead".to_vec();
    head.extend([1, 2, 0, 0]);
    head.extend(48_000u32.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

fn cues(clusters: &[Cluster], cue_track: u64, first_cluster: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut position = first_cluster;
    for cluster in clusters {
        if cluster.cue {
            let mut place = Vec::new();
            ebml::unsigned(&mut place, 0xf7, cue_track);
            ebml::unsigned(&mut place, 0xf1, position);
            let mut point = Vec::new();
            ebml::unsigned(&mut point, 0xb3, cluster.at_ms);
            ebml::element(&mut point, 0xb7, &place);
            ebml::element(&mut body, 0xbb, &point);
        }
        position += (CLUSTER_HEAD + cluster.body) as u64;
    }
    let mut out = Vec::new();
    ebml::element(&mut out, 0x1c53_bb6b, &body);
    out
}

#[cfg(test)]
pub(crate) mod tests;
