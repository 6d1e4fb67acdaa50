//! The meeting manifest: what the record key signs when a meeting is closed. Custody *archive* takes roster and sealed
//! keys from it, the front its page, the verifier everything.

use super::digest::Digest;
use super::event::{FileGap, Gap};
use domain::message::custody::LeafRole;
use domain::{B64, Codec, Epoch, FirmId, MeetingId, ParticipantId, RoomId, Slot, UnixMillis};
use serde::{Deserialize, Serialize};

/// A meeting key sealed to one archive key (`custody::sealing`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedKey {
    /// SHA-256 of the archive key's SPKI, hexadecimal.
    pub key_id: String,
    /// The sealed form, as custody defines it.
    pub sealed: B64,
}

/// The meeting key of one recorder incarnation, for every archive key of the firm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedKeys {
    /// Counts the recorder's starts in this meeting from 1.
    pub incarnation: u64,
    /// Whose recorder.
    pub recorder: ParticipantId,
    /// One per archive key.
    pub keys: Vec<SealedKey>,
}

/// One item of `keys/epochs.cbor` (a CBOR sequence, RFC 8742).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochKey {
    /// Whose meeting key it is under.
    pub incarnation: u64,
    /// Which epoch.
    pub epoch: Epoch,
    /// `e2ee::escrow::SealedBaseKey` bytes.
    pub sealed: B64,
    /// Transcript hash of the group in this epoch.
    pub transcript_hash: Digest,
}

impl EpochKey {
    /// Bytes appended to `keys/epochs.cbor`.
    pub fn to_cbor(&self) -> Vec<u8> {
        super::to_cbor(self)
    }
    /// Reads all whole items and how many bytes they take; what is cut behind them is left.
    pub fn read_all(bytes: &[u8]) -> (Vec<Self>, usize) {
        let (mut all, mut good) = (Vec::new(), 0);
        let mut rest = bytes;
        while !rest.is_empty() {
            let Ok(one) = ciborium::from_reader(&mut rest) else { break };
            all.push(one);
            good = bytes.len() - rest.len();
        }
        (all, good)
    }
}

/// What the manifest says of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochEntry {
    /// Whose meeting key.
    pub incarnation: u64,
    /// Which epoch.
    pub epoch: Epoch,
    /// SHA-256 of the sealed base key: what the receipt named.
    pub sealed_hash: Digest,
    /// Transcript hash.
    pub transcript_hash: Digest,
    /// When this recorder entered it.
    pub at: UnixMillis,
}

/// One participant's presence. Who comes back is one more row.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attendance {
    /// Who.
    pub participant: ParticipantId,
    /// Name in the certificate.
    pub name: String,
    /// Role in the certificate.
    pub role: LeafRole,
    /// First epoch with the leaf.
    pub joined_epoch: Epoch,
    /// When.
    pub joined_at: UnixMillis,
    /// First epoch without it; `None`: there to the end.
    pub left_epoch: Option<Epoch>,
    /// When; the meeting's end if there to the end.
    pub left_at: UnixMillis,
}

impl std::fmt::Debug for Attendance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}..{:?}", self.participant, self.joined_epoch, self.left_epoch)
    }
}

/// One recorded source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackEntry {
    /// Number, from 1.
    pub track: u32,
    /// Whose.
    pub participant: ParticipantId,
    /// First slot.
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
    /// Frames kept.
    pub frames: u64,
    /// SFU's clock at the first kept frame, microseconds since 1970 (0: none).
    pub first_us: u64,
    /// ... and at the last.
    pub last_us: u64,
}

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    /// Path in the meeting's folder.
    pub path: String,
    /// Path of its signed [`super::SegmentManifest`].
    pub manifest: String,
    /// SHA-256 of that signed manifest.
    pub manifest_hash: Digest,
    /// Track, 0 for events.
    pub track: u32,
    /// Which segment of the track, from 1.
    pub index: u32,
    /// Merkle root.
    pub root: Digest,
    /// Bytes.
    pub size: u64,
    /// Records.
    pub records: u64,
    /// Frames among them.
    pub frames: u64,
}

/// How the recorder's clock stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockState {
    /// The kernel says that the clock is disciplined.
    pub synchronised: bool,
    /// The kernel's estimated error, microseconds (0: not known).
    pub estimated_error_us: u64,
    /// Recorder minus SFU at the last packet, ms; transport included.
    pub against_sfu_ms: i64,
}

/// What members said the meeting is about: to find it by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tags {
    /// Trade ids, in order.
    pub trades: Vec<String>,
    /// LEIs of counterparties, in order.
    pub counterparties: Vec<String>,
}

impl Tags {
    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        self.trades.is_empty() && self.counterparties.is_empty()
    }
}

/// Somebody of the firm asked for a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyWanted {
    /// Who.
    pub participant: ParticipantId,
    /// The person's language.
    pub language: String,
    /// When.
    pub at: UnixMillis,
}

/// A file that was sent in the meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Who sent it.
    pub participant: ParticipantId,
    /// SHA-256 of the signed object that announced it: the `said` of an event.
    pub file: Digest,
    /// Bytes before it was sealed.
    pub size: u64,
    /// SHA-256 of the ciphertext, as its sender signed it.
    pub ciphertext: Digest,
    /// Why it is not here; `None`: it is.
    pub missing: Option<FileGap>,
}

/// How the archive was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// The recorder was there to the end.
    Ended,
    /// Finished at a later start from what was on disk.
    Recovered,
}

/// The record of a whole meeting for one firm.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeetingManifest {
    /// Always `meeting`.
    pub record: String,
    /// Always 1.
    pub version: u16,
    /// Whose archive.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Its room.
    pub room: RoomId,
    /// Title of the room.
    pub title: String,
    /// When the meeting began (signaling's word).
    pub started_at: UnixMillis,
    /// When it ended for the recorder.
    pub ended_at: UnixMillis,
    /// How it was closed.
    pub closed: Closed,
    /// Name and version of the program that closed it.
    pub software: String,
    /// Everybody who had a leaf, recorders included.
    pub roster: Vec<Attendance>,
    /// Signed statements that bound the meeting.
    pub statements: Vec<B64>,
    /// Hash of the trust map.
    pub trust: Digest,
    /// From the firm's own statement.
    pub retention_years: u16,
    /// Not to be deleted before.
    pub retain_until: UnixMillis,
    /// Sealed meeting keys, as in `keys/sealed.cbor`.
    pub sealed_keys: Vec<SealedKeys>,
    /// SHA-256 of `keys/sealed.cbor`.
    pub sealed_keys_hash: Digest,
    /// Every epoch whose base key is kept.
    pub epochs: Vec<EpochEntry>,
    /// SHA-256 of `keys/epochs.cbor`.
    pub epochs_hash: Digest,
    /// Recorded sources.
    pub tracks: Vec<TrackEntry>,
    /// All segments, events first, then by track and index.
    pub segments: Vec<SegmentEntry>,
    /// Frames kept.
    pub frames: u64,
    /// Frames that did not authenticate; not kept.
    pub rejected: u64,
    /// What is missing and why.
    pub gaps: Vec<Gap>,
    /// Recorder's clock at the end.
    pub clock: ClockState,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Who of the firm wants a copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies_wanted: Vec<CopyWanted>,
    /// Files sent in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEntry>,
}

impl std::fmt::Debug for MeetingManifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeetingManifest({} {}, {} segments)", self.firm, self.meeting, self.segments.len())
    }
}

impl MeetingManifest {
    /// Reads the payload of a signed one.
    pub fn from_cbor(payload: &[u8]) -> Option<Self> {
        let manifest: Self = crate::cbor::decode(payload).ok()?;
        (manifest.record == "meeting" && manifest.version == 1).then_some(manifest)
    }
    /// What is signed.
    pub fn to_cbor(&self) -> Vec<u8> {
        super::to_cbor(self)
    }
    /// Was this person (on any device) in the meeting? Who was may neither request nor approve its replay.
    pub fn has_person(&self, firm: &FirmId, user: &domain::UserId) -> bool {
        self.roster.iter().any(|row| row.participant.firm == *firm && row.participant.user == *user)
    }
}

/// Reads `keys/sealed.cbor`.
pub fn read_sealed_keys(bytes: &[u8]) -> Option<Vec<SealedKeys>> {
    crate::cbor::decode(bytes).ok()
}

/// Bytes of `keys/sealed.cbor`.
pub fn write_sealed_keys(keys: &[SealedKeys]) -> Vec<u8> {
    super::to_cbor(&keys)
}
