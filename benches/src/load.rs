//! The loads: bursts of 8 equal packets (GSO's best case), evenly paced packets (its worst), what Chromium sent, speech,
//! and bursts at any rate.

use clap::ValueEnum;
use serde::Serialize;
use std::path::Path;
use std::process::Command;

/// Length of one measured window, microseconds.
const WINDOW_US: u64 = 700_000;
/// Packets of the synthetic loads each second, and their payload.
const RATE: u64 = 1_500;
const PAYLOAD: usize = 1_100;
/// The same of speech: 32 kbit/s and the seal.
const AUDIO_RATE: u64 = 50;
const AUDIO_PAYLOAD: usize = 100;
/// Packets of a burst.
const BURST: u64 = 8;
/// Sizes and times of a real page whose frames went through an encoded transform, as ours do.
const TRACE: &str = "chromium-vp8-720p-transformed.csv.gz";
/// The same of a page that sends three layers, not sealed.
const SIMULCAST: &str = "chromium-vp8-simulcast-qhf.csv.gz";
/// The trace's first seconds are its start-up ramp.
const TRACE_SKIP_US: u64 = 4_000_000;

/// Which load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Load {
    /// Frames of 8 packets, sent back to back.
    Burst8,
    /// Frames of one packet at even distances.
    Paced,
    /// The recorded trace.
    Trace,
    /// The highest layer of recorded simulcast.
    Simulcast,
    /// All three layers of it, for a meeting whose publishers send layers.
    #[value(skip)]
    Layers,
    /// Opus, one packet in 20 ms.
    Audio,
    /// Bursts at rising rates, until packets are lost.
    Saturate,
}

/// One packet to send.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    /// When, from the start of the window.
    pub at_us: u64,
    /// Payload bytes.
    pub size: usize,
    /// First of its frame.
    pub start: bool,
    /// Last of its frame.
    pub marker: bool,
    /// Number of its frame.
    pub frame: u32,
    /// Its layer, lowest 0.
    pub layer: u8,
}

impl Load {
    /// What is run when nothing is said.
    pub const USUAL: [Self; 3] = [Self::Burst8, Self::Paced, Self::Trace];

    /// The packets of one window.
    pub fn packets(self) -> anyhow::Result<Vec<Packet>> {
        Ok(match self {
            Self::Burst8 | Self::Saturate => bursts(RATE, WINDOW_US),
            Self::Paced => even(RATE, PAYLOAD),
            Self::Audio => even(AUDIO_RATE, AUDIO_PAYLOAD),
            Self::Trace => trace(TRACE, "")?,
            Self::Simulcast => simulcast("f")?,
            Self::Layers => layers()?,
        })
    }
}

/// One layer of recorded simulcast: `q`, `h` or `f`.
pub fn simulcast(rid: &str) -> anyhow::Result<Vec<Packet>> {
    trace(SIMULCAST, rid)
}

/// All layers of recorded simulcast, lowest first where they leave at once.
fn layers() -> anyhow::Result<Vec<Packet>> {
    let mut all = Vec::new();
    for (layer, rid) in ["q", "h", "f"].into_iter().enumerate() {
        all.extend(simulcast(rid)?.into_iter().map(|packet| Packet { layer: layer as u8, ..packet }));
    }
    // stable: a frame's packets keep their order
    all.sort_by_key(|packet| packet.at_us);
    Ok(all)
}

/// Frames of 8 packets sent back to back, `rate` packets a second.
pub fn bursts(rate: u64, window_us: u64) -> Vec<Packet> {
    let packet = |n: u64| Packet {
        at_us: n / BURST * BURST * 1_000_000 / rate,
        size: PAYLOAD,
        start: n.is_multiple_of(BURST),
        marker: n % BURST == BURST - 1,
        frame: (n / BURST) as u32,
        layer: 0,
    };
    let count = rate * window_us / 1_000_000;
    (0..(count / BURST).max(1) * BURST).map(packet).collect()
}

/// Frames of one packet at even distances.
pub fn even(rate: u64, size: usize) -> Vec<Packet> {
    let packet = |n| Packet { at_us: n * 1_000_000 / rate, size, start: true, marker: true, frame: n as u32, layer: 0 };
    (0..rate * WINDOW_US / 1_000_000).map(packet).collect()
}

/// Packets of the warm-up: the first quarter of a window, to the end of a frame.
pub fn warm(packets: &[Packet]) -> usize {
    let quarter = packets.len() / 4;
    packets[quarter..].iter().position(|p| p.marker).map_or(packets.len(), |more| quarter + more + 1)
}

/// A file's packets under this rid; where it has no layers it is empty.
fn trace(file: &str, rid: &str) -> anyhow::Result<Vec<Packet>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces").join(file);
    let output = Command::new("gzip").arg("-dc").arg(&file).output()?;
    anyhow::ensure!(output.status.success(), "{}: gzip could not read it", file.display());
    let text = String::from_utf8(output.stdout)?;
    let mut out: Vec<Packet> = Vec::new();
    let (mut first, mut begin, mut last) = (None, None, None);
    let (mut frame, mut start) = (0, true);
    for line in text.lines().skip(1) {
        // us,ssrc,rid,seq,ts,marker,plen,extlen,wire,key
        let field: Vec<&str> = line.split(',').collect();
        let [at, _, of, _, timestamp, marker, size, ..] = field[..] else { anyhow::bail!("{line}: not a packet") };
        if of != rid {
            continue;
        }
        let at: u64 = at.parse()?;
        let file_start = *first.get_or_insert(at);
        if at - file_start < TRACE_SKIP_US || (begin.is_none() && last == Some(timestamp.to_owned())) {
            last = Some(timestamp.to_owned());
            continue;
        }
        let begin = *begin.get_or_insert(at);
        if at - begin >= WINDOW_US && start {
            break;
        }
        let marker = marker == "1";
        // room for the shim, the SFrame header and the time of sending
        let size = size.parse::<usize>()?.max(40);
        out.push(Packet { at_us: at - begin, size, start, marker, frame, layer: 0 });
        start = marker;
        frame += u32::from(marker);
    }
    anyhow::ensure!(out.len() > 20, "{}: too short", file.display());
    Ok(out)
}
