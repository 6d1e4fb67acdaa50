//! Decodes one lane frame by frame, in the caller's thread: a frame is pushed in and what comes out is taken before the
//! next one. No queue, no thread, so nothing can wait for something else.

use gst::prelude::*;
use gstreamer as gst;
use gstreamer_app as gst_app;

/// Why decoding cannot begin; the installation's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecoderError {
    /// An element is missing or refuses to start.
    #[error("GStreamer cannot decode here: {0}; install gstreamer1.0-plugins-base and gstreamer1.0-plugins-good")]
    Start(String),
}

/// One decoder with what follows it.
pub struct Decoder {
    pipeline: gst::Pipeline,
    entry: gst::Pad,
    out: gst_app::AppSink,
}

impl Decoder {
    /// `chain` begins with an element named `in` and is followed by an appsink here.
    ///
    /// # Errors
    /// [`DecoderError::Start`].
    pub fn new(chain: &str, caps: &gst::Caps) -> Result<Self, DecoderError> {
        let failed = |e: &dyn std::fmt::Display| DecoderError::Start(e.to_string());
        let text = format!("{chain} ! appsink name=out sync=false async=false enable-last-sample=false");
        let pipeline = gst::parse::launch(&text).map_err(|e| failed(&e))?;
        let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| failed(&"not a pipeline"))?;
        let first = pipeline.by_name("in").and_then(|element| element.static_pad("sink"));
        let out = pipeline.by_name("out").and_then(|element| element.downcast::<gst_app::AppSink>().ok());
        let (first, out) = first.zip(out).ok_or_else(|| failed(&"the chain has no ends"))?;
        pipeline.set_state(gst::State::Playing).map_err(|e| failed(&e))?;
        let entry = gst::Pad::builder(gst::PadDirection::Src).build();
        entry.set_active(true).map_err(|e| failed(&e))?;
        entry.link(&first).map_err(|e| failed(&e))?;
        let begins = [
            gst::event::StreamStart::new("lane"),
            gst::event::Caps::new(caps),
            gst::event::Segment::new(&gst::FormattedSegment::<gst::ClockTime>::new()),
        ];
        for event in begins {
            entry.push_event(event);
        }
        Ok(Self { pipeline, entry, out })
    }

    /// Sets a property of a named element.
    pub fn set_text(&self, element: &str, text: &str) {
        if let Some(element) = self.pipeline.by_name(element) {
            element.set_property("text", text);
        }
    }

    /// Decodes one frame; answers what came out, mostly one buffer. A frame that does not decode gives none: the
    /// sender's fault, and not a reason to stop an export.
    pub fn decode(&self, data: Vec<u8>, pts_us: u64, key_frame: bool) -> Vec<gst::Buffer> {
        let mut buffer = gst::Buffer::from_mut_slice(data);
        if let Some(fields) = buffer.get_mut() {
            fields.set_pts(gst::ClockTime::from_useconds(pts_us));
            if !key_frame {
                fields.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        if self.entry.push(buffer).is_err() {
            return Vec::new();
        }
        let pulled = std::iter::from_fn(|| self.out.try_pull_sample(gst::ClockTime::ZERO));
        pulled.filter_map(|sample| sample.buffer_owned()).collect()
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // nothing runs in its own thread here, so this cannot hang
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
