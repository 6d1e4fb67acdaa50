//! Composes all lanes to one picture and one sound. Everything goes forward in ticks: for each tick every lane gives its
//! pictures and its sound, held or silent where it has none, so the mixers never wait for a lane that is late.

use crate::decoder::{Decoder, DecoderError};
use crate::grid::{HEIGHT, Tile, WIDTH, tiles};
use crate::input::{Begin, Frame};
use domain::MediaKind;
use gst::prelude::*;
use gstreamer as gst;
use gstreamer_app as gst_app;
use std::collections::VecDeque;
use std::path::Path;

/// Pictures a second.
const RATE: u64 = 30;
/// Pictures a tick: 100 ms, so that a picture and its sound are never far apart in the queues.
const TICK: u64 = 3;
/// Samples a tick and lane, at 48 kHz.
const TICK_SAMPLES: usize = 4_800;
const SAMPLE_RATE: u64 = 48_000;
/// Buffers waiting at a mixer's input; more than two ticks, so that lanes in step never block each other.
const WAITING: u64 = 4 * TICK;
/// Sound may lie so far ahead of the tick before it is padded: decoders give whole packets of at most 120 ms.
const MAX_AHEAD: usize = SAMPLE_RATE as usize * 10;
/// A 320 x 180 black key frame: what a lane shows before its first picture, with its name.
const BLACK: &[u8] = include_bytes!("black.vp8");

/// Why nothing is composed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// An element is missing or refuses to start: the installation's fault.
    #[error("GStreamer cannot compose here: {0}; install gstreamer1.0-plugins-base, -good, -bad and gstreamer1.0-x")]
    Start(String),
    /// A decoder.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// The pipeline stopped taking frames.
    #[error("the composing pipeline stopped")]
    Stopped,
}

struct Lane {
    picture: Decoder,
    sound: Decoder,
    /// Shown until the next one.
    shown: Option<gst::Buffer>,
    /// Decoded for this tick, with their times in microseconds.
    coming: VecDeque<(u64, gst::Buffer)>,
    samples: Vec<u8>,
    /// Sample number of the first of `samples`.
    begins: u64,
    seen: gst_app::AppSrc,
    heard: gst_app::AppSrc,
}

/// A running composition.
pub struct Composer {
    pipeline: gst::Pipeline,
    lanes: Vec<Lane>,
    tick: u64,
    ticks: u64,
}

/// Text as pango's markup reads it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn picture_caps(width: u32, height: u32) -> String {
    format!("video/x-raw,format=I420,width={width},height={height},framerate={RATE}/1,pixel-aspect-ratio=1/1")
}

const SOUND_CAPS: &str = "audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved";

fn description(tiles: &[Tile]) -> String {
    let mut text = String::from("compositor name=c background=black ");
    for (n, tile) in tiles.iter().enumerate() {
        let Tile { x, y, width, height } = tile;
        text += &format!("sink_{n}::xpos={x} sink_{n}::ypos={y} sink_{n}::width={width} sink_{n}::height={height} ");
    }
    text += &format!(
        "! {} ! textoverlay name=mark valignment=bottom halignment=center shaded-background=true font-desc=\"Sans 11\" \
         ! timeoverlay valignment=bottom halignment=right shaded-background=true font-desc=\"Sans 9\" ! videoconvert \
         ! vp8enc deadline=1 cpu-used=12 threads=2 target-bitrate=1500000 keyframe-max-dist=60 lag-in-frames=0 \
         ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=30 ! webmmux name=m ! filesink name=file \
         audiomixer name=am ! {SOUND_CAPS} ! audioconvert ! opusenc bitrate=64000 ! queue ! m. ",
        picture_caps(WIDTH, HEIGHT)
    );
    for (n, tile) in tiles.iter().enumerate() {
        let caps = picture_caps(tile.width, tile.height);
        text += &format!(
            "appsrc name=v{n} format=time block=true max-buffers={WAITING} max-bytes=0 caps=\"{caps}\" ! c.sink_{n} "
        );
        text += &format!(
            "appsrc name=a{n} format=time block=true max-buffers={WAITING} max-bytes=0 caps=\"{SOUND_CAPS}\" ! am. "
        );
    }
    text
}

fn lane(pipeline: &gst::Pipeline, n: usize, tile: &Tile, name: &str) -> Result<Lane, ComposeError> {
    let picture_chain = format!(
        "vp8dec name=in threads=2 ! videoconvert ! videoscale add-borders=true ! video/x-raw,format=I420,width={},height={},pixel-aspect-ratio=1/1 \
         ! textoverlay name=name valignment=top halignment=left xpad=8 ypad=6 shaded-background=true font-desc=\"Sans 9\"",
        tile.width, tile.height
    );
    let picture = Decoder::new(
        &picture_chain,
        &gst::Caps::builder("video/x-vp8").field("framerate", gst::Fraction::new(0, 1)).build(),
    )?;
    picture.set_text("name", &escape(name));
    let opus = gst::Caps::builder("audio/x-opus")
        .field("rate", 48_000)
        .field("channels", 2)
        .field("channel-mapping-family", 0)
        .build();
    let sound = Decoder::new(&format!("opusdec name=in ! audioconvert ! audioresample ! {SOUND_CAPS}"), &opus)?;
    let source = |name: String| {
        let element = pipeline.by_name(&name).and_then(|element| element.downcast::<gst_app::AppSrc>().ok());
        element.ok_or_else(|| ComposeError::Start(format!("no source {name}")))
    };
    let shown = picture.decode(BLACK.to_vec(), 0, true).pop();
    let (seen, heard) = (source(format!("v{n}"))?, source(format!("a{n}"))?);
    Ok(Lane { picture, sound, shown, coming: VecDeque::new(), samples: Vec::new(), begins: 0, seen, heard })
}

impl Composer {
    /// Starts composing to `out`.
    ///
    /// # Errors
    /// [`ComposeError::Start`].
    pub fn start(begin: &Begin, out: &Path) -> Result<Self, ComposeError> {
        let failed = |e: &dyn std::fmt::Display| ComposeError::Start(e.to_string());
        gst::init().map_err(|e| failed(&e))?;
        let tiles = tiles(begin.lanes.len());
        let pipeline = gst::parse::launch(&description(&tiles)).map_err(|e| failed(&e))?;
        let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| failed(&"not a pipeline"))?;
        let named = |name: &str| pipeline.by_name(name).ok_or_else(|| failed(&format!("no element {name}")));
        named("mark")?.set_property("text", escape(&begin.watermark));
        named("file")?.set_property("location", out);
        let lanes = tiles.iter().zip(&begin.lanes).enumerate();
        let lanes = lanes.map(|(n, (tile, name))| lane(&pipeline, n, tile, name)).collect::<Result<Vec<_>, _>>()?;
        pipeline.set_state(gst::State::Playing).map_err(|e| failed(&e))?;
        let ticks = begin.duration_ms.saturating_mul(RATE).div_ceil(1000 * TICK);
        Ok(Self { pipeline, lanes, tick: 0, ticks })
    }

    /// Where errors and the end are told.
    pub fn bus(&self) -> Option<gst::Bus> {
        self.pipeline.bus()
    }

    /// Share done, 0 to 99.
    pub fn percent(&self) -> u8 {
        (self.tick * 99 / self.ticks.max(1)).min(99) as u8
    }

    /// Takes a frame; frames come in order of time. Blocks while the encoder is behind.
    ///
    /// # Errors
    /// [`ComposeError::Stopped`].
    pub fn push(&mut self, frame: Frame) -> Result<(), ComposeError> {
        while frame.pts_us >= tick_us(self.tick + 1) {
            self.emit()?;
        }
        let lane = &mut self.lanes[frame.lane];
        match frame.kind {
            MediaKind::Video => {
                if let Some(picture) = lane.picture.decode(frame.data, frame.pts_us, frame.key_frame).pop() {
                    lane.coming.push_back((frame.pts_us, picture));
                }
            }
            MediaKind::Audio => {
                let at = frame.pts_us * SAMPLE_RATE / 1_000_000;
                let decoded = lane.sound.decode(frame.data, frame.pts_us, true);
                lane.hear(at, &decoded);
            }
        }
        Ok(())
    }

    /// All frames were given: emits the rest and tells the mixers. The end comes over the bus.
    ///
    /// # Errors
    /// [`ComposeError::Stopped`].
    pub fn finish(&mut self) -> Result<(), ComposeError> {
        while self.tick < self.ticks {
            self.emit()?;
        }
        for lane in &self.lanes {
            lane.seen.end_of_stream().map_err(|_| ComposeError::Stopped)?;
            lane.heard.end_of_stream().map_err(|_| ComposeError::Stopped)?;
        }
        Ok(())
    }

    /// Takes the pipeline down after its end.
    pub fn close(self) {
        // it has written its file; a failure here changes nothing
        let _ = self.pipeline.set_state(gst::State::Null);
    }

    fn emit(&mut self) -> Result<(), ComposeError> {
        let first = self.tick * TICK;
        let from = self.tick * TICK_SAMPLES as u64;
        for lane in &mut self.lanes {
            for number in first..first + TICK {
                lane.turn_to(number);
                // the same picture again: its bytes are shared, only the time is new
                let Some(mut picture) = lane.shown.as_ref().map(|shown| shown.copy()) else { continue };
                let fields = picture.make_mut();
                fields.set_pts(picture_time(number));
                fields.set_duration(picture_time(number + 1) - picture_time(number));
                lane.seen.push_buffer(picture).map_err(|_| ComposeError::Stopped)?;
            }
            let mut sound = gst::Buffer::from_mut_slice(lane.take(from));
            if let Some(fields) = sound.get_mut() {
                fields.set_pts(sound_time(from));
                fields.set_duration(sound_time(from + TICK_SAMPLES as u64) - sound_time(from));
            }
            lane.heard.push_buffer(sound).map_err(|_| ComposeError::Stopped)?;
        }
        self.tick += 1;
        Ok(())
    }
}

/// Time of a tick's begin, microseconds.
fn tick_us(tick: u64) -> u64 {
    tick * TICK * 1_000_000 / RATE
}
fn picture_time(number: u64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(number * 1_000_000_000 / RATE)
}
fn sound_time(sample: u64) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(sample * 1_000_000_000 / SAMPLE_RATE)
}

impl Lane {
    /// Shows the newest picture that is due at picture number `number`; never one from later in the tick, or the
    /// picture would run ahead of its sound.
    fn turn_to(&mut self, number: u64) {
        let now_us = number * 1_000_000 / RATE;
        while self.coming.front().is_some_and(|(at_us, _)| *at_us <= now_us) {
            self.shown = self.coming.pop_front().map(|(_, picture)| picture);
        }
    }

    /// Puts decoded sound at sample number `at`; what is missing before it is silence.
    fn hear(&mut self, at: u64, decoded: &[gst::Buffer]) {
        let held = self.begins + (self.samples.len() / 2) as u64;
        if at > held && (at - self.begins) < MAX_AHEAD as u64 {
            self.samples.resize((at - self.begins) as usize * 2, 0);
        }
        for buffer in decoded {
            if let Ok(bytes) = buffer.map_readable() {
                self.samples.extend_from_slice(&bytes);
            }
        }
        self.samples.truncate(MAX_AHEAD * 2);
    }

    /// One tick of sound from sample number `from`, silence where there is none.
    fn take(&mut self, from: u64) -> Vec<u8> {
        let wanted = TICK_SAMPLES * 2;
        let rest = self.samples.split_off(self.samples.len().min(wanted));
        let mut tick = std::mem::replace(&mut self.samples, rest);
        tick.resize(wanted, 0);
        self.begins = from + TICK_SAMPLES as u64;
        tick
    }
}
