//! Custody sockets: one Unix socket per token process. Each message: u32 big-endian length, then CBOR. One request,
//! one answer, in order. Access to the socket is by file mode (the firm's own OS users).

use crate::policy::Statement;
use crate::{B64, FirmId, MeetingId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// Which token a custody process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    /// Firm CA and policy key. Signs only.
    People,
    /// Recorder identity and log key. Signs only.
    Record,
    /// Archive private keys and ledger key.
    Archive,
}

/// Asked of a custody process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Any token: public facts.
    Info {},
    /// People: certify a member, compliance officer or administrator. The token's role claim decides the EKU; the CSR's
    /// hash is the token's `nonce`, the DPoP proof is over this enrolment.
    CertifyMember {
        /// PKCS#10, DER.
        csr: B64,
        /// OIDC ID token (JWT, compact).
        id_token: String,
        /// DPoP proof (JWT, compact; RFC 9449) by the key that the token's nonce binds it to.
        dpop: String,
        /// Wanted role; must be among the token's roles.
        role: LeafRole,
    },
    /// People: certify a guest, by a member's invitation and the one-time code.
    CertifyGuest {
        /// PKCS#10, DER.
        csr: B64,
        /// `evidence::invitation`, COSE_Sign1.
        invitation: B64,
        /// As the guest typed it.
        code: String,
    },
    /// People: certify a recorder's leaf.
    CertifyRecorder {
        /// PKCS#10, DER.
        csr: B64,
        /// [`Ask::CountersignCsr`]'s answer.
        countersignature: B64,
    },
    /// People: sign a statement; wants one administrator's signature (COSE_Sign1 over the same statement), or the
    /// ceremony's own at first set-up.
    SignStatement {
        /// What to sign.
        statement: Statement,
        /// Administrators' COSE_Sign1, certificate in the protected header.
        administrators: Vec<B64>,
    },
    /// People: end certificates before their time. Answered by the firm's new list (as [`Ask::Revocations`]).
    Revoke {
        /// Whose.
        whom: Whom,
    },
    /// People: the firm's signed list of ended certificates (`evidence::revocation`); the same bytes until it changes.
    Revocations {},
    /// Record: sign the hash of a recorder's CSR by the recorder identity.
    CountersignCsr {
        /// PKCS#10, DER.
        csr: B64,
    },
    /// Record: sign a segment or meeting manifest, or a log checkpoint (COSE_Sign1 payload; the record type is in it).
    SignRecord {
        /// What it is.
        kind: RecordKind,
        /// Payload.
        payload: B64,
    },
    /// Record: state key of a meeting, made at first ask, kept in memory only until [`Ask::ForgetStateKey`].
    StateKey {
        /// Which meeting.
        meeting: MeetingId,
    },
    /// Record: forget it.
    ForgetStateKey {
        /// Which meeting.
        meeting: MeetingId,
    },
    /// Archive: open a meeting key. Two signatures of two compliance certificates, neither in the meeting's roster.
    OpenMeetingKey {
        /// Meeting manifest, COSE_Sign1 by the record key.
        manifest: B64,
        /// `evidence::grant::Request`, COSE_Sign1 by the requester.
        request: B64,
        /// `evidence::grant::Approval`, COSE_Sign1 by the approver.
        approval: B64,
    },
    /// Archive: append to the ledger; answered when it is durable and signed.
    Append {
        /// What happened.
        entry: LedgerEvent,
    },
    /// Archive: read the ledger from `from` (at most 1,000 entries).
    Ledger {
        /// First index.
        from: u64,
    },
    /// Archive: seal and open a probe on each archive key. Record: make random bytes and sign. Answered [`Answer::Done`].
    Probe {},
    /// Archive: open what was sealed as a probe (`custody::probe`), and nothing that was sealed for a meeting.
    OpenProbe {
        /// Sealed form.
        sealed: B64,
    },
}

/// Whose certificates [`Ask::Revoke`] ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// Every one of a person's.
    User(UserId),
    /// One, by its serial number, hexadecimal.
    Serial(String),
}

/// What a leaf may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeafRole {
    /// A person in meetings.
    Member,
    /// A firm's recorder.
    Recorder,
    /// A guest of a firm.
    Guest,
    /// Requests and approves replays; never a member of a meeting by this certificate.
    Compliance,
    /// Signs policy.
    Administrator,
}

/// What the record key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordKind {
    /// `evidence::archive::SegmentManifest`.
    Segment,
    /// `evidence::archive::MeetingManifest`.
    Meeting,
    /// Log checkpoint.
    Checkpoint,
}

/// A custody process's answer.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Ask::Info`].
    Info(Info),
    /// A certificate, DER.
    Certificate {
        /// Leaf.
        certificate: B64,
    },
    /// A signature or a COSE_Sign1.
    Signed {
        /// Bytes.
        signed: B64,
    },
    /// A key; wiped by its holder.
    Key {
        /// 32 bytes.
        key: B64,
    },
    /// To [`Ask::OpenMeetingKey`]: one meeting key per incarnation of the recorder; wiped by its holder.
    MeetingKeys {
        /// In the order of the manifest.
        keys: Vec<IncarnationKey>,
    },
    /// Ledger position.
    Appended {
        /// Index of the entry.
        index: u64,
    },
    /// Ledger entries, each COSE_Sign1 by the ledger key.
    Entries {
        /// From the asked index on.
        entries: Vec<B64>,
    },
    /// To [`Ask::OpenProbe`].
    Probed {
        /// Digest that only the holder of the archive key can know.
        digest: B64,
    },
    /// Done.
    Done {},
    /// Not done.
    Refused(CustodyProblem),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Info(_) => "Info",
            Self::Certificate { .. } => "Certificate",
            Self::Signed { .. } => "Signed",
            Self::Key { .. } => "Key(…)",
            Self::MeetingKeys { .. } => "MeetingKeys(…)",
            Self::Appended { .. } => "Appended",
            Self::Entries { .. } => "Entries",
            Self::Probed { .. } => "Probed",
            Self::Done {} => "Done",
            Self::Refused(_) => "Refused",
        })
    }
}

/// The meeting key of one recorder incarnation.
#[derive(Clone, Serialize, Deserialize)]
pub struct IncarnationKey {
    /// Counts the recorder's starts in the meeting from 1.
    pub incarnation: u64,
    /// 32 bytes.
    pub key: B64,
}

/// Public facts of a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Info {
    /// Whose.
    pub firm: FirmId,
    /// Which.
    pub role: TokenRole,
    /// `vendor model serial`, as the token says.
    pub token: String,
    /// Test token (SoftHSM, kryoptic)? Shown in every page that depends on it.
    pub test_token: bool,
    /// People: root certificate of the firm, DER.
    pub root: Option<B64>,
    /// Public keys by name (`policy`, `recorder-identity`, `record`, `ledger`, `archive-1`, ...), SPKI DER.
    pub keys: Vec<(String, B64)>,
}

/// Why custody refused. `code` is stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyProblem {
    /// `pin-incorrect`, `token-missing`, `bad-token`, `bad-csr`, `role`, `two-persons`, `in-roster`, `rate`, `bad-request`, `unavailable`.
    pub code: String,
    /// What to do.
    pub detail: String,
}

/// Stands for the meeting in ledger entries that are about the archive as a whole (a search): no meeting has this id.
pub const WHOLE_ARCHIVE: &str = "archive";

/// Stands for the meeting in ledger entries about a firm's statements: no meeting has this id.
pub const POLICY: &str = "policy";

/// How the note of an `open` entry ends that is the second of one replay: the paired recorder's copy is opened too.
pub const SECOND_COPY: &str = "; copy 2 of 2";

/// What the ledger keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEvent {
    /// When the front saw it.
    pub at: UnixMillis,
    /// Who (`sr://firm/user/device`).
    pub actor: String,
    /// `search`, `request`, `approve`, `open`, `play`, `seek`, `export`, `sample`, `assign`, `note`, `dispose`,
    /// `words`, `match`, `copy`, `refused`; of administrators `propose`, `agree`, `withdraw`, `state`.
    pub action: String,
    /// Which meeting; [`WHOLE_ARCHIVE`] where it is about all of them.
    pub meeting: MeetingId,
    /// Case, grant, range: free text without content of the meeting.
    pub note: String,
}
