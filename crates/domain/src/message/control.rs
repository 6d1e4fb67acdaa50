//! Control link: each SFU dials signaling (`/v1/sfu`, WSS, mutual TLS under the operator's CA). JSON, one message a
//! text frame. The SFU learns transports, firms and leaves; never a key, a name beyond the participant id, a statement.

use super::client::{Feed, PublishedTrack, SubscribedTrack, Wish};
use crate::policy::Rule;
use crate::units::{Epoch, LeafIndex, Slot};
use crate::{B64, FirmId, MeetingId, ParticipantId, TransportKind};
use serde::{Deserialize, Serialize};

/// From signaling to an SFU.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToSfu {
    /// First message of a link. Counts up over all links of all signaling processes on one database: one that is not above
    /// every one before is of a signaling that was replaced, and refused. Meetings that this link does not name are forgotten.
    Fence {
        /// The number.
        fence: u64,
    },
    /// A meeting lives here; sent again whenever a rule changes.
    Meeting {
        /// Which.
        meeting: MeetingId,
        /// Each firm with members in the room.
        firms: Vec<FirmRule>,
    },
    /// The meeting is over.
    MeetingEnded {
        /// Which.
        meeting: MeetingId,
    },
    /// Someone is admitted.
    Participant {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// A recorder has no transports of its own but a record link.
        recorder: bool,
        /// May publish (signed acknowledgement of the notices verified; until it exists, every admitted member).
        may_publish: bool,
    },
    /// The page's publish offer; answered by [`FromSfu::PublishAnswer`] or [`FromSfu::Failed`].
    PublishOffer {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// SDP.
        sdp: String,
        /// What the sections carry.
        tracks: Vec<PublishedTrack>,
    },
    /// The page's answer for its subscribe transport.
    SubscribeAnswer {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Which offer.
        revision: u32,
        /// SDP.
        sdp: String,
    },
    /// A candidate of the page.
    Candidate {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Which transport.
        transport: TransportKind,
        /// `candidate:...`
        candidate: String,
    },
    /// Who owns which leaf in `epoch`. Acknowledged before the commit is broadcast.
    Leaves {
        /// Where.
        meeting: MeetingId,
        /// Which epoch.
        epoch: Epoch,
        /// Every leaf.
        leaves: Vec<(LeafIndex, ParticipantId)>,
    },
    /// Drop the participant's transports and record link now, forget it.
    Cut {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
    },
    /// Forward nothing of this source (host's mute); `muted: false` lifts it.
    Mute {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Which source.
        slot: Slot,
        /// On or off.
        muted: bool,
    },
    /// What a participant shows ([`super::client::ToServer::View`]).
    View {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Everything it wishes.
        wishes: Vec<Wish>,
    },
    /// Heights of a source's layers, lowest first ([`super::client::ToServer::Layers`]).
    Layers {
        /// Where.
        meeting: MeetingId,
        /// Whose.
        participant: ParticipantId,
        /// First slot of the source.
        slot: Slot,
        /// Pixels.
        heights: Vec<u16>,
    },
    /// A recorder may open its record link with this token, once.
    RecordToken {
        /// Where.
        meeting: MeetingId,
        /// The recorder.
        participant: ParticipantId,
        /// SHA-256 of the token.
        token_hash: B64,
        /// SHA-256 of the recorder's leaf certificate (DER): the client certificate it must show.
        certificate_hash: B64,
    },
}

impl ToSfu {
    /// The meeting it is about.
    pub fn meeting(&self) -> Option<&MeetingId> {
        match self {
            Self::Fence { .. } => None,
            Self::Meeting { meeting, .. }
            | Self::MeetingEnded { meeting }
            | Self::Participant { meeting, .. }
            | Self::PublishOffer { meeting, .. }
            | Self::SubscribeAnswer { meeting, .. }
            | Self::Candidate { meeting, .. }
            | Self::Leaves { meeting, .. }
            | Self::Cut { meeting, .. }
            | Self::Mute { meeting, .. }
            | Self::View { meeting, .. }
            | Self::Layers { meeting, .. }
            | Self::RecordToken { meeting, .. } => Some(meeting),
        }
    }
}

/// What the SFU enforces for a firm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmRule {
    /// Whose.
    pub firm: FirmId,
    /// Sound and picture: `must` fails closed.
    pub audio_video: Rule,
    /// Grace without acknowledgements, ms.
    pub recorder_grace_ms: u64,
}

/// From an SFU to signaling.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromSfu {
    /// First message.
    Hello {
        /// Name of the node.
        node: String,
        /// `host:port` that recorders dial.
        record_address: String,
        /// TLS server name there.
        record_server_name: String,
        /// SHA-256 of the record listener's certificate (DER).
        record_certificate: B64,
        /// Where it stands, as statements name regions.
        #[serde(default)]
        region: Option<String>,
    },
    /// Answer to [`ToSfu::PublishOffer`].
    PublishAnswer {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// SDP.
        sdp: String,
    },
    /// Offer for the participant's subscribe transport; a new revision whenever tracks come or go.
    SubscribeOffer {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Counts up from 1.
        revision: u32,
        /// SDP.
        sdp: String,
        /// Whose track each section is.
        tracks: Vec<SubscribedTrack>,
    },
    /// An offer or answer could not be used.
    Failed {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Which transport.
        transport: TransportKind,
        /// Why, for the log and the page.
        detail: String,
    },
    /// [`ToSfu::Leaves`] is in force.
    LeavesTaken {
        /// Where.
        meeting: MeetingId,
        /// Which.
        epoch: Epoch,
    },
    /// A transport is up (ICE and DTLS done).
    Connected {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Which.
        transport: TransportKind,
    },
    /// A transport is gone (closed, or silent for its liveness bound).
    Disconnected {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
        /// Which.
        transport: TransportKind,
    },
    /// A firm's recorder went past its grace (forwarding from the firm's people stopped), or is back.
    FirmSuspended {
        /// Where.
        meeting: MeetingId,
        /// Whose.
        firm: FirmId,
        /// Stopped?
        suspended: bool,
    },
    /// A record link came up or went down.
    RecordLink {
        /// Where.
        meeting: MeetingId,
        /// The recorder.
        participant: ParticipantId,
        /// Up?
        up: bool,
    },
    /// State was lost to a fault of ours and begins anew: say again what was admitted.
    Lost {
        /// Where.
        meeting: MeetingId,
        /// Who; the whole meeting without.
        participant: Option<ParticipantId>,
    },
    /// The part of the node that carries the meeting is full, or has room again: nobody new is admitted while it is.
    Overload {
        /// Which.
        meeting: MeetingId,
        /// Full?
        overloaded: bool,
    },
    /// Active speaker.
    Speaker {
        /// Where.
        meeting: MeetingId,
        /// Who.
        participant: ParticipantId,
    },
    /// Which layers of a source anybody needs ([`super::client::ToClient::LayersWanted`]).
    LayersWanted {
        /// Where.
        meeting: MeetingId,
        /// The publisher.
        participant: ParticipantId,
        /// First slot of the source.
        slot: Slot,
        /// Layers, lowest 0.
        layers: Vec<u8>,
        /// Most that each of `layers` is worth encoding at, bit/s; `None`: no bound. Empty: no bounds.
        #[serde(default)]
        rates: Vec<Option<u64>>,
    },
    /// A subscriber cannot decode a source ([`super::client::ToClient::CodecRefused`]).
    CodecRefused {
        /// Where.
        meeting: MeetingId,
        /// The publisher.
        participant: ParticipantId,
        /// First slot of the source.
        slot: Slot,
    },
    /// What a subscriber is sent changed ([`super::client::ToClient::Feeds`]).
    Feeds {
        /// Where.
        meeting: MeetingId,
        /// The subscriber.
        participant: ParticipantId,
        /// What changed.
        feeds: Vec<Feed>,
    },
}
