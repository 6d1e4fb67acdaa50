//! What happened in a meeting besides media: the records of `events.seg`, and gaps.

use super::digest::Digest;
use domain::message::custody::LeafRole;
use domain::{B64, Codec, Epoch, FirmId, LeafIndex, ParticipantId, RoomId, Slot, UnixMillis};
use serde::{Deserialize, Serialize};

/// Why frames are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GapCause {
    /// Sealed by the sender (its counter or its manifest says so) and never put on the network whole: its RTP numbers have no
    /// hole. Nobody received it.
    NeverSent,
    /// Lost between sender and SFU: its RTP numbers have a hole, the record link has none.
    LostBeforeSfu,
    /// The SFU had them and could not keep them until this recorder came back.
    LostAfterSfu,
    /// Arrived; this recorder never held the epoch. The ciphertext is kept.
    NoKey,
    /// Arrived and did not authenticate.
    Rejected,
    /// The firm's copy stood still by its own rule.
    Paused,
    /// The recorder was not in the meeting.
    RecorderAbsent,
    /// The archive could not be written.
    ArchiveFailed,
    /// The file was damaged or cut after it was written.
    Damaged,
}

/// A run of missing frames of one sender, source layer and epoch; or, with `slot` none, a time without a recorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Whose frames; `None`: everybody's.
    pub participant: Option<ParticipantId>,
    /// Which layer.
    pub slot: Option<Slot>,
    /// In which epoch.
    pub epoch: Epoch,
    /// First missing counter.
    pub first_ctr: u64,
    /// How many; 0 if not known.
    pub count: u64,
    /// Why.
    pub cause: GapCause,
    /// Not before (recorder's clock).
    pub from: UnixMillis,
    /// Not after.
    pub to: UnixMillis,
}

/// Why a file is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileGap {
    /// Signaling did not have it, or had it no more.
    Gone,
    /// What signaling gave is not what its sender signed for.
    Forged,
    /// The meeting ended, or the recorder did, before it was here.
    Unfinished,
    /// The firm keeps no files.
    NotKept,
}

/// One leaf of an epoch's roster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Leaf.
    pub leaf: LeafIndex,
    /// Who.
    pub participant: ParticipantId,
    /// Name in the certificate.
    pub name: String,
    /// Role in the certificate.
    pub role: LeafRole,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{:?}:{:?}", self.leaf.0, self.participant, self.role)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ArchiveEvent {
    /// A recorder began or came back; `incarnation` counts from 1.
    RecorderStarted {
        /// Which.
        recorder: ParticipantId,
        /// Counts the starts in this meeting.
        incarnation: u64,
        /// Name and version of the program.
        software: String,
    },
    /// What binds the meeting.
    Terms {
        /// Its room.
        room: RoomId,
        /// Title of the room.
        title: String,
        /// When it began.
        started_at: UnixMillis,
        /// Retention by the firm's own statement.
        retention_years: u16,
        /// COSE_Sign1 each.
        statements: Vec<B64>,
        /// Hash of the trust map.
        trust: Digest,
    },
    /// The group reached an epoch.
    Epoch {
        /// Which.
        epoch: Epoch,
        /// Transcript hash of the group.
        transcript_hash: Digest,
        /// Everybody in it.
        members: Vec<Member>,
    },
    /// Someone came.
    Joined {
        /// Who.
        participant: ParticipantId,
    },
    /// Someone left.
    Left {
        /// Who.
        participant: ParticipantId,
    },
    /// A source appeared on the record link.
    Track {
        /// Number in this archive.
        track: u32,
        /// Number on the record link, until another track takes it.
        link: u32,
        /// Whose.
        participant: ParticipantId,
        /// First slot.
        slot: Slot,
        /// Codec.
        codec: Codec,
    },
    /// A source ended.
    TrackEnded {
        /// Which.
        track: u32,
    },
    /// The SFU switched to another layer of the source.
    Layer {
        /// Track.
        track: u32,
        /// Layer from now on.
        slot: Slot,
    },
    /// A sender's manifest, as signed.
    SenderManifest {
        /// From whom.
        participant: ParticipantId,
        /// COSE_Sign1.
        manifest: B64,
    },
    /// Somebody acknowledged the notices, before anything of theirs was sent.
    Acknowledged {
        /// Who.
        participant: ParticipantId,
        /// `evidence::acknowledgement`, COSE_Sign1.
        acknowledgement: B64,
    },
    /// Something a member said to the meeting, as signed.
    Said {
        /// Who.
        participant: ParticipantId,
        /// `evidence::said`, COSE_Sign1.
        said: B64,
    },
    /// Something a host ordered, as signed, and obeyed.
    HostAct {
        /// Which host.
        participant: ParticipantId,
        /// `evidence::host`, COSE_Sign1.
        act: B64,
    },
    /// A chunk of a file that was `said`, sealed as its sender sealed it.
    FilePart {
        /// SHA-256 of the signed object that announced it.
        file: Digest,
        /// Counts from 0; each chunk once.
        index: u32,
        /// The chunk.
        #[serde(with = "serde_bytes")]
        part: Vec<u8>,
    },
    /// A file that was `said` and is not here, or not whole.
    FileMissing {
        /// Whose.
        participant: ParticipantId,
        /// SHA-256 of the signed object that announced it.
        file: Digest,
        /// Why.
        why: FileGap,
    },
    /// Things said that this archive does not have: its recorder was away.
    Unsaid {
        /// Who said them.
        participant: ParticipantId,
        /// SHA-256 of the certificate that signs them.
        certificate: Digest,
        /// First that is missing.
        first: u64,
        /// How many.
        count: u64,
    },
    /// This recorder's receipt for an epoch, as signed.
    Receipt {
        /// COSE_Sign1.
        receipt: B64,
    },
    /// Every record-link message up to `seq` is in the records before this one, or is known to be lost.
    Durable {
        /// Sequence number of the record link.
        seq: u64,
    },
    /// The record link came up; `lost` messages could not be delivered again.
    LinkUp {
        /// How many.
        lost: u64,
    },
    /// The record link broke.
    LinkDown {},
    /// State of the recorder's clock, each minute.
    Clock {
        /// It.
        clock: super::ClockState,
    },
    /// Frames of a sender did not authenticate.
    Rejected {
        /// Whose track.
        participant: ParticipantId,
        /// How many since the last such record.
        frames: u64,
    },
    /// The firm's copy stands still: no sound and picture is kept. Why and by whom stands in what was `said`.
    Paused {
        /// Who wanted it.
        by: ParticipantId,
        /// It ends by itself then (recorder's clock).
        until: UnixMillis,
    },
    /// It goes on.
    Resumed {
        /// Who wanted it; `None`: its time was over.
        by: Option<ParticipantId>,
    },
    /// The archive could not be written, and can again: what was not acknowledged comes again, as far as the SFU kept it.
    ArchiveFailed {
        /// The first write or sync that failed.
        since: UnixMillis,
    },
    /// Something an examiner should see, in plain words.
    Incident {
        /// Firm concerned, if one is.
        firm: Option<FirmId>,
        /// What.
        text: String,
    },
    /// The meeting ended for this recorder.
    Ended {},
}
