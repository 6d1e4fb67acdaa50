//! Opening: the key a frame's KID names, once, or not at all. No trial decryption.

use super::replay::ReplayWindow;
use super::seal::MAX_CTR;
use super::{BaseKey, CAPTURE, DecryptingKey, SUITE, metadata};
use ::sframe::frame::EncryptedFrameView;
use domain::limits::MAX_FRAME;
use domain::sframe::{MIN_SEALED, header, shim};
use domain::{Codec, Ctr, Epoch, Kid};
use std::collections::HashMap;
use std::ops::Range;

/// An authentic frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Encoded media.
    pub frame: Vec<u8>,
    /// Sender's monotonic clock at encoder output, microseconds; compared within one sender only.
    pub capture_us: u64,
    /// Key id.
    pub kid: Kid,
    /// Counter.
    pub ctr: Ctr,
    /// Key frame, where the shim tells.
    pub key_frame: Option<bool>,
    /// SHA-256 of header, ciphertext and tag: a sender manifest names its first 16 bytes, a Merkle leaf holds it.
    pub sha256: [u8; 32],
}

/// What is known of an authentic frame whose content nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentic {
    /// Sender's monotonic clock at encoder output, microseconds.
    pub capture_us: u64,
    /// Key id.
    pub kid: Kid,
    /// Counter.
    pub ctr: Ctr,
    /// Key frame, where the shim tells.
    pub key_frame: Option<bool>,
    /// As [`Opened::sha256`].
    pub sha256: [u8; 32],
}

/// Why a frame was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Of an epoch that is not here yet: may be held for `HOLD_MS` and tried again.
    #[error("the frame is of an epoch that is not reached yet")]
    NotYet,
    /// Seen before, or too old to tell: dropped quietly.
    #[error("the frame was seen before")]
    Duplicate,
    /// No shim, no SFrame header, too short or too long, a counter no sender uses: not a sealed frame.
    #[error("not a sealed frame")]
    Malformed,
    /// Of an epoch whose keys are gone or never were here.
    #[error("the frame is of an epoch that is not open here")]
    UnknownEpoch,
    /// Its KID names a leaf nobody holds, or another sender's, or a recorder's.
    #[error("the frame is not of the sender it came as")]
    WrongSender,
    /// Its slot does not belong to the track it came on.
    #[error("the frame is not of the source it came on")]
    WrongSlot,
    /// The tag is wrong: changed bytes, another key, another codec.
    #[error("the frame is not authentic")]
    Unauthentic,
    /// Authentic, but without media.
    #[error("the frame is empty")]
    Empty,
}

impl OpenError {
    /// Stable text.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotYet => "not-yet",
            Self::Duplicate => "duplicate",
            Self::Malformed => "malformed",
            Self::UnknownEpoch => "unknown-epoch",
            Self::WrongSender => "wrong-sender",
            Self::WrongSlot => "wrong-slot",
            Self::Unauthentic => "unauthentic",
            Self::Empty => "empty",
        }
    }
}

/// Opens the frames of one KID.
pub struct OpenKey {
    key: DecryptingKey,
    kid: Kid,
    window: Option<ReplayWindow>,
    plain: Vec<u8>,
}

impl OpenKey {
    fn new(base: &BaseKey, kid: Kid, window: Option<ReplayWindow>) -> Self {
        let key = DecryptingKey::derive_from(SUITE, kid.0, base.expose()).expect("HKDF takes 32 bytes");
        Self { key, kid, window, plain: Vec::new() }
    }
    /// For a live receiver: each counter once.
    pub fn live(base: &BaseKey, kid: Kid) -> Self {
        Self::new(base, kid, Some(ReplayWindow::new()))
    }
    /// Opens one whole frame (with shim).
    pub fn open(&mut self, codec: Codec, wire: &[u8]) -> Result<Opened, OpenError> {
        let (authentic, media) = self.authenticate(codec, wire)?;
        let Authentic { capture_us, kid, ctr, key_frame, sha256 } = authentic;
        Ok(Opened { frame: self.plain[media].to_vec(), capture_us, kid, ctr, key_frame, sha256 })
    }
    /// Opens a frame to see that it is authentic, and for nothing else: what was clear is overwritten.
    pub fn check(&mut self, codec: Codec, wire: &[u8]) -> Result<Authentic, OpenError> {
        let judged = self.authenticate(codec, wire);
        self.plain.fill(0);
        // looked at: the zeros have to be written
        std::hint::black_box(&self.plain);
        judged.map(|(authentic, _)| authentic)
    }
    /// Leaves the clear media in the named part of `plain`.
    fn authenticate(&mut self, codec: Codec, wire: &[u8]) -> Result<(Authentic, Range<usize>), OpenError> {
        let frame = Frame::read(codec, wire)?;
        if frame.kid != self.kid {
            return Err(OpenError::Unauthentic);
        }
        if self.window.as_ref().is_some_and(|window| !window.is_fresh(frame.ctr.0)) {
            return Err(OpenError::Duplicate);
        }
        let meta = metadata(frame.shim, codec);
        self.plain.clear();
        let opened = EncryptedFrameView::try_with_meta_data(frame.sealed, &meta)
            .map_err(|_| OpenError::Malformed)?
            .decrypt_into(&self.key, &mut self.plain)
            .map_err(|_| OpenError::Unauthentic)?;
        if let Some(window) = &mut self.window {
            window.mark(frame.ctr.0);
        }
        let (media, capture) = opened.payload().split_last_chunk::<CAPTURE>().ok_or(OpenError::Empty)?;
        if media.is_empty() {
            return Err(OpenError::Empty);
        }
        let capture_us = u64::from_be_bytes(*capture);
        let place = meta.len()..meta.len() + media.len();
        let sha256 = evidence::sha256(frame.sealed);
        Ok((Authentic { capture_us, kid: frame.kid, ctr: frame.ctr, key_frame: frame.key_frame, sha256 }, place))
    }
}

/// A frame's parts, read without a key.
pub(crate) struct Frame<'a> {
    shim: &'a [u8],
    sealed: &'a [u8],
    key_frame: Option<bool>,
    /// Key id it claims.
    pub(crate) kid: Kid,
    ctr: Ctr,
}

impl<'a> Frame<'a> {
    pub(crate) fn read(codec: Codec, wire: &'a [u8]) -> Result<Self, OpenError> {
        if wire.len() > MAX_FRAME {
            return Err(OpenError::Malformed);
        }
        let read = shim(codec, wire).ok_or(OpenError::Malformed)?;
        let (shim, sealed) = wire.split_at(read.len);
        let header = header(sealed).map_err(|_| OpenError::Malformed)?;
        if sealed.len() < MIN_SEALED || sealed.len() < header.len + CAPTURE + domain::sframe::TAG {
            return Err(OpenError::Malformed);
        }
        // no honest sender gets there; the window counts on it
        if header.ctr.0 >= MAX_CTR {
            return Err(OpenError::Malformed);
        }
        Ok(Self { shim, sealed, key_frame: read.key_frame, kid: header.kid, ctr: header.ctr })
    }
}

/// Opens all frames of one epoch. Keys are kept only for KIDs that authenticated once, so nobody without the base key
/// can fill the table.
pub struct Opener {
    base: BaseKey,
    epoch: Epoch,
    live: bool,
    keys: HashMap<Kid, OpenKey>,
}

impl Opener {
    /// For replay: any frame may be opened again. Who sent what is proven by manifests, not here.
    pub fn from_base_key(base: BaseKey, epoch: Epoch) -> Self {
        Self { base, epoch, live: false, keys: HashMap::new() }
    }
    /// For a live receiver: each counter of each KID once.
    pub fn live(base: BaseKey, epoch: Epoch) -> Self {
        Self { live: true, ..Self::from_base_key(base, epoch) }
    }
    /// Epoch it opens.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
    /// KIDs that authenticated at least once.
    pub fn kids(&self) -> usize {
        self.keys.len()
    }
    /// Opens one whole frame (with shim). The caller judges leaf and slot of the KID.
    pub fn open(&mut self, codec: Codec, wire: &[u8]) -> Result<Opened, OpenError> {
        self.with_key(codec, wire, |key| key.open(codec, wire))
    }
    /// The same for who needs to know that a frame is authentic, and not what is in it.
    pub fn check(&mut self, codec: Codec, wire: &[u8]) -> Result<Authentic, OpenError> {
        self.with_key(codec, wire, |key| key.check(codec, wire))
    }
    fn with_key<T>(
        &mut self,
        codec: Codec,
        wire: &[u8],
        act: impl FnOnce(&mut OpenKey) -> Result<T, OpenError>,
    ) -> Result<T, OpenError> {
        let kid = Frame::read(codec, wire)?.kid;
        if !kid.is_ours() || kid.epoch_low() != (self.epoch.0 & 0xffff) as u16 {
            return Err(OpenError::UnknownEpoch);
        }
        if let Some(key) = self.keys.get_mut(&kid) {
            return act(key);
        }
        let mut key = OpenKey::new(&self.base, kid, self.live.then(ReplayWindow::new));
        let opened = act(&mut key);
        if matches!(opened, Ok(_) | Err(OpenError::Empty)) {
            self.keys.insert(kid, key);
        }
        opened
    }
}
