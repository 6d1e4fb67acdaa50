//! What a session says to its owner, and why it refuses. Everything here is public knowledge: no secret can be in it.

use domain::message::client::{MeetingTerms, Problem, RosterEntry, ToClient, ToServer};
use domain::message::custody::LeafRole;
use domain::policy::Rule;
use domain::{B64, BlobId, Epoch, FirmId, LeafIndex, ParticipantId, UnixMillis};
use serde::Serialize;

/// Polled from a session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Send this to signaling.
    Send(ToServer),
    /// Something happened.
    Event(Event),
}

/// What happened.
// not a wire type: from the worker to its own page
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", content = "data", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// In the meeting, not yet in its group. The terms were judged.
    Admitted {
        /// Who we are.
        participant: ParticipantId,
        /// What binds everybody.
        terms: Box<MeetingTerms>,
        /// Everybody connected.
        roster: Vec<RosterEntry>,
    },
    /// A new epoch: who is in it and what to read to each other.
    Epoch {
        /// Which.
        epoch: Epoch,
        /// Members by leaf.
        members: Vec<Member>,
        /// The human code.
        code: String,
        /// Came in with it (all but us at the first).
        added: Vec<ParticipantId>,
        /// Gone with it.
        removed: Vec<ParticipantId>,
    },
    /// May we send?
    Sending(SendState),
    /// State of each recording firm's copy.
    Recorders(Vec<RecorderState>),
    /// The session is over.
    Removed {
        /// Why.
        problem: Problem,
    },
    /// A sender manifest that verified under its sender's leaf.
    Manifest {
        /// Whose.
        from: ParticipantId,
        /// COSE_Sign1.
        manifest: B64,
    },
    /// Somebody, we included, said something in writing, and it verified.
    Said {
        /// Who.
        from: ParticipantId,
        /// In which epoch.
        epoch: Epoch,
        /// Number by its certificate.
        sequence: u64,
        /// The sender's clock.
        at: UnixMillis,
        /// `None`: it was said while we were away, under a key that is not here.
        words: Option<Words>,
        /// COSE_Sign1 (`evidence::said`).
        signed: B64,
    },
    /// Somebody, we included, told of a file, and it verified. It is fetched by the SHA-256 of `signed`.
    Shared {
        /// Who.
        from: ParticipantId,
        /// In which epoch.
        epoch: Epoch,
        /// Number by its certificate.
        sequence: u64,
        /// The sender's clock.
        at: UnixMillis,
        /// Its name at signaling.
        blob: BlobId,
        /// SHA-256 of `signed`.
        file: B64,
        /// Bytes.
        size: u64,
        /// `None`: it was told while we were away, under a key that is not here.
        shown: Option<Shown>,
        /// COSE_Sign1 (`evidence::said`).
        signed: B64,
    },
    /// A file is on its way.
    FileMoving {
        /// One's own by its name at signaling, another's by the SHA-256 of what announced it.
        file: String,
        /// Chunks that are there.
        done: u32,
        /// Of so many.
        of: u32,
    },
    /// A file is here: `Session::take_file`.
    Fetched {
        /// SHA-256 of what announced it.
        file: B64,
    },
    /// A file does not come, or does not go.
    FileLost {
        /// As in [`Event::FileMoving`].
        file: String,
        /// Why.
        why: FileTrouble,
    },
    /// Somebody acknowledged the notices of this meeting.
    Acknowledged {
        /// Who.
        from: ParticipantId,
        /// COSE_Sign1 (`evidence::acknowledgement`).
        acknowledgement: B64,
    },
    /// Somebody, we included, said something that is no chat line, and may say it here.
    Declared {
        /// Who.
        from: ParticipantId,
        /// In which epoch.
        epoch: Epoch,
        /// Number by its certificate.
        sequence: u64,
        /// The sender's clock.
        at: UnixMillis,
        /// What.
        what: evidence::said::What,
        /// COSE_Sign1 (`evidence::said`).
        signed: B64,
    },
    /// A firm's recorder has something we said on disk.
    Kept {
        /// Its number.
        sequence: u64,
        /// Whose recorder.
        firm: FirmId,
    },
    /// A host, we included, ordered something, and may.
    Ordered {
        /// Who.
        from: ParticipantId,
        /// What.
        order: evidence::host::Order,
        /// As signed.
        signed: B64,
    },
    /// Somebody, we included, shows something.
    Sign {
        /// Who.
        from: ParticipantId,
        /// What.
        sign: domain::message::member::Sign,
    },
    /// A guest is here, and who invited it, by the invitation's signature.
    Guest {
        /// Who.
        guest: ParticipantId,
        /// By whom.
        inviter: ParticipantId,
        /// Name of the inviter, from its certificate.
        name: String,
    },
    /// Who is host now, of those who are in.
    Hosts(Vec<ParticipantId>),
    /// We are host: who waits to be let in.
    Waiting(Vec<Waiting>),
    /// Someone misbehaved, or something is wrong with the path: counted, shown, logged without names.
    Incident {
        /// What.
        kind: IncidentKind,
        /// Who, where it is known.
        participant: Option<ParticipantId>,
    },
    /// A message of signaling that is not the session's business.
    Passed(ToClient),
}

/// A member of the group. All of it is from its certificate.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Leaf in this epoch.
    pub leaf: LeafIndex,
    /// Who.
    pub participant: ParticipantId,
    /// Display name.
    pub name: String,
    /// What it is.
    pub role: LeafRole,
    /// Whose.
    pub firm: FirmId,
}

/// Somebody who waits to be let in. All of it is from the certificate.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Who.
    pub participant: ParticipantId,
    /// Display name.
    pub name: String,
    /// What it is.
    pub role: LeafRole,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}:{:?}", self.participant, self.role)
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{:?}:{:?}", self.leaf.0, self.participant, self.role)
    }
}

/// May this participant send?
// not a wire type: from the worker to its own page
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SendState {
    /// Yes.
    Allowed,
    /// No: frames are dropped.
    Stopped {
        /// Why.
        why: StopReason,
        /// The firm whose rule it is.
        firm: Option<FirmId>,
    },
}

/// Why nothing may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// No epoch to send in.
    NoGroup,
    /// Our firm must record and its recorder has not acknowledged the epoch.
    Receipt,
    /// Our firm must record and its recorder is silent or cannot write.
    Beacon,
    /// Somebody is ordered out and no commit has done it for 800 ms.
    Removal,
    /// We are ordered out, or were removed.
    Removed,
    /// Recorders never send.
    NotASender,
}

impl StopReason {
    /// Stable text.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoGroup => "no-group",
            Self::Receipt => "receipt",
            Self::Beacon => "beacon",
            Self::Removal => "removal",
            Self::Removed => "removed",
            Self::NotASender => "not-a-sender",
        }
    }
}

/// One firm's copy, as its beacons tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecorderState {
    /// Whose copy.
    pub firm: FirmId,
    /// The recorder that `state` is of.
    pub participant: Option<ParticipantId>,
    /// Its state.
    pub state: CopyState,
    /// The firm's rule for sound and picture.
    pub rule: Rule,
    /// ... and for chat.
    pub chat: Rule,
    /// Each of its recorders in the group: two where they are paired. `state` is the best of theirs.
    pub copies: Vec<RecorderCopy>,
}

/// One recorder of a firm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecorderCopy {
    /// Which.
    pub participant: ParticipantId,
    /// Its state.
    pub state: CopyState,
}

/// What somebody wrote. Not shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub String);

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Words({} B)", self.0.len())
    }
}

/// What is shown of a file: plain, whatever its sender wrote. Not shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Name.
    pub name: String,
    /// Media type; says nothing of what is in it.
    pub media_type: String,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(…)")
    }
}

// not a wire type: told to the page's own worker, never read back
/// Why a file does not come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileTrouble {
    /// Signaling does not have it (any more).
    Gone,
    /// Signaling holds too much.
    Full,
    /// Too large for signaling, or not as large as announced.
    Size,
    /// A firm forbids files.
    Forbidden,
    /// What signaling gave is not what was signed for.
    Forged {
        /// The first chunk that is not, where one can be named.
        part: Option<u32>,
    },
    /// No answer for a minute.
    Stalled,
}

/// State of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    /// Acknowledged and alive.
    Recording,
    /// No beacon for 1.5 s.
    Late,
    /// None in the group, or silent for the grace time.
    Missing,
}

/// Kinds of incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IncidentKind {
    /// A message out of its place or form.
    BadMessage,
    /// Terms that do not judge well, or name another room or participant.
    BadTerms,
    /// Signaling's clock and ours are more than a minute apart.
    ClockSkew,
    /// A commit we cannot process.
    BadCommit,
    /// A Welcome we cannot join by.
    BadWelcome,
    /// A GroupInfo we cannot resync from.
    BadGroupInfo,
    /// An order that is not the delivery service's, or not about this meeting.
    BadOrder,
    /// An order against a recorder: refused.
    OrderAgainstRecorder,
    /// Asked to remove someone without an order: refused.
    UnorderedRemoval,
    /// A joiner whose KeyPackage is not its own: not added.
    BadJoiner,
    /// A receipt or beacon that does not judge well.
    BadReceipt,
    /// A recorder acknowledged another group state than ours: the meeting may be forked.
    Fork,
    /// An application message that does not decrypt or read.
    BadApplication,
    /// A sender manifest that is not its sender's.
    BadManifest,
    /// Something said that is not its sender's, or that nobody may say here.
    BadSaid,
    /// A file that is not what its sender signed for.
    BadFile,
    /// An acknowledgement that is not its person's, or of other statements.
    BadAcknowledgement,
    /// An invitation that is not this guest's.
    BadInvitation,
    /// An act of a host that is none's, is old, or of another meeting.
    BadHostAct,
    /// Our own group state failed: resync.
    GroupLost,
}

/// Why a session could not be made. The caller's fault, or its certificate's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The chain is not exactly one certificate.
    #[error("the chain must be the leaf certificate alone")]
    Chain,
    /// Our certificate is refused.
    #[error("our certificate is refused: {0}")]
    Certificate(#[from] evidence::identity::IdentityError),
    /// The certificate is of another key.
    #[error("the certificate is not of this key")]
    OtherKey,
    /// An officer's or administrator's certificate.
    #[error("this certificate is not for meetings")]
    NotForMeetings,
    /// Only recorders, who never seal, go on from a checkpoint.
    #[error("only a recorder goes on from a checkpoint")]
    NotARecorder,
    /// The checkpoint does not read or does not fit.
    #[error("the checkpoint does not fit this session")]
    Checkpoint,
}

/// Why a frame was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Sending is stopped: drop the frame.
    #[error("stopped:{}", .0.code())]
    Stopped(StopReason),
    /// The slot was never added with `add_source`.
    #[error("unknown-source")]
    UnknownSource,
    /// The frame itself.
    #[error("{}", .0.code())]
    Frame(crate::sframe::SealKeyError),
}

/// Why something was not said. The text is a stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SayError {
    /// The meeting is over, or one is no speaker.
    #[error("not-in")]
    NotIn,
    /// Nothing to say.
    #[error("empty")]
    Empty,
    /// Longer than `evidence::said::MAX_TEXT` bytes.
    #[error("too-long")]
    TooLong,
    /// Too much at once, or too much that still waits.
    #[error("too-fast")]
    TooFast,
    /// The statements forbid it.
    #[error(transparent)]
    Forbidden(#[from] evidence::said::Forbidden),
    /// Only a host may.
    #[error("not-host")]
    NotHost,
    /// Tags, times or languages beyond their limits.
    #[error("out-of-range")]
    OutOfRange,
}
