//! Sealing: one key and one counter for one KID, owned together, so a counter cannot be used twice.

use super::{BaseKey, CAPTURE, EncryptingKey, SUITE, header_len, metadata};
use ::sframe::frame::{FrameCounter, MediaFrameView};
use domain::limits::MAX_FRAME;
use domain::sframe::{TAG, write_shim};
use domain::{Codec, Ctr, Kid};

/// Counters of one KID: thousands of years of video, and far below the limit of GCM under one key (2^48 blocks matter
/// first; an epoch lives hours). Receivers take no other.
pub(super) const MAX_CTR: u64 = 1 << 40;

/// Why a frame was not sealed. The caller's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealKeyError {
    /// No frame.
    #[error("the frame is empty")]
    Empty,
    /// Larger than a receiver takes.
    #[error("the frame is larger than {MAX_FRAME} bytes")]
    TooLong,
    /// All counters are used: only a new epoch helps.
    #[error("the counter of this key is used up")]
    Exhausted,
}

impl SealKeyError {
    /// Stable text.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too-long",
            Self::Exhausted => "exhausted",
        }
    }
}

/// Each value once, then nothing.
struct Counter {
    next: u64,
}

impl FrameCounter for Counter {
    type Error = SealKeyError;
    fn try_next(&mut self) -> Result<u64, SealKeyError> {
        if self.next >= MAX_CTR {
            return Err(SealKeyError::Exhausted);
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// Seals the frames of one source in one epoch.
pub struct SealKey {
    key: EncryptingKey,
    kid: Kid,
    codec: Codec,
    counter: Counter,
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

/// A sealed frame's place in `out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// Its counter.
    pub ctr: Ctr,
    /// Bytes of the shim before the SFrame header.
    pub shim: usize,
}

impl SealKey {
    /// Derives key and salt for `kid`; its counter starts at 0, so a base key and KID may be used here once.
    pub fn new(base: &BaseKey, kid: Kid, codec: Codec) -> Self {
        let key = EncryptingKey::derive_from(SUITE, kid.0, base.expose()).expect("HKDF takes 32 bytes");
        Self { key, kid, codec, counter: Counter { next: 0 }, plain: Vec::new(), sealed: Vec::new() }
    }
    #[cfg(test)]
    pub(super) fn at_counter(mut self, next: u64) -> Self {
        self.counter.next = next;
        self
    }
    /// From now on frames are of this codec. Key and counter stay: the codec is in the metadata of each frame.
    pub fn set_codec(&mut self, codec: Codec) {
        self.codec = codec;
    }
    /// Seals one frame into `out` (cleared first).
    pub fn seal(
        &mut self,
        key_frame: bool,
        frame: &[u8],
        capture_us: u64,
        out: &mut Vec<u8>,
    ) -> Result<Sealed, SealKeyError> {
        out.clear();
        if frame.is_empty() {
            return Err(SealKeyError::Empty);
        }
        if frame.len() > MAX_FRAME - 64 {
            return Err(SealKeyError::TooLong);
        }
        let ctr = Ctr(self.counter.next);
        let sealed_len = header_len(self.kid, ctr) + frame.len() + CAPTURE + TAG;
        write_shim(self.codec, key_frame, sealed_len, out);
        let meta = metadata(out, self.codec);
        self.plain.clear();
        self.plain.extend_from_slice(frame);
        self.plain.extend_from_slice(&capture_us.to_be_bytes());
        self.sealed.clear();
        MediaFrameView::try_with_meta_data(&mut self.counter, &self.plain, &meta)
            .map_err(|_| SealKeyError::Exhausted)?
            .encrypt_into(&self.key, &mut self.sealed)
            .expect("lengths are checked above and the suite is fixed");
        let shim = out.len();
        out.extend_from_slice(&self.sealed[meta.len()..]);
        debug_assert_eq!(out.len() - shim, sealed_len);
        Ok(Sealed { ctr, shim })
    }
}
