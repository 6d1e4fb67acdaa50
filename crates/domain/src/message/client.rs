//! Participant (or recorder) and signaling, over one WebSocket at `/v1/meet`. JSON, one message a text frame.
//!
//! Order of a join: [`ToServer::Hello`] -> [`ToClient::Challenge`] -> [`ToServer::Prove`] -> [`ToClient::Admitted`],
//! then by [`Entry`]: create the group, send a KeyPackage and await the Welcome, or resync by external commit.

use crate::units::{Epoch, LeafIndex, Slot, UnixMillis};
use crate::{B64, BlobId, Codec, DeviceId, FirmId, MeetingId, ParticipantId, RoomId, TransportKind};
use serde::{Deserialize, Serialize};

/// From participant to signaling.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToServer {
    /// First message: who I claim to be and where to. Nothing is believed before [`ToServer::Prove`].
    Hello {
        /// [`super::PROTOCOL`].
        version: u16,
        /// Which room.
        room: RoomId,
        /// Leaf certificate and nothing else today (roots are pinned), DER.
        chain: Vec<B64>,
        /// SHA-256 of the trust map that my firm's front gave me; another one than signaling's is refused.
        trust: B64,
        /// I still hold the group state of this meeting at this epoch (connection lost, or restart from a checkpoint)
        /// with the same leaf: [`Entry::Continue`] if the commits since are kept.
        resume: Option<Resume>,
        /// What else statements may ask of who enters.
        #[serde(default)]
        entering: Entering,
    },
    /// ECDSA P-256/SHA-256 (fixed r||s) by the leaf key over [`challenge_bytes`].
    Prove {
        /// 64 bytes.
        signature: B64,
    },
    /// A fresh, single-use KeyPackage (as MLSMessage): after `Admitted{entry: await-welcome}`, or when asked again.
    KeyPackage {
        /// MLSMessage.
        key_package: B64,
    },
    /// The creator's group as it stands at epoch 0.
    Created {
        /// MLSMessage GroupInfo with ratchet_tree and external_pub.
        group_info: B64,
    },
    /// A commit made in `epoch` (it would make `epoch + 1`).
    Commit {
        /// Epoch it was made in.
        epoch: Epoch,
        /// MLSMessage PublicMessage.
        commit: B64,
        /// One Welcome for all it adds.
        welcome: Option<B64>,
        /// GroupInfo of the next epoch with external_pub and ratchet_tree; a commit without one is refused.
        group_info: B64,
    },
    /// External commit that removes my own old leaf (resync).
    Resync {
        /// Epoch of the GroupInfo it was made from.
        epoch: Epoch,
        /// MLSMessage PublicMessage, sender new_member_commit.
        commit: B64,
        /// GroupInfo of the next epoch.
        group_info: B64,
    },
    /// I process `epoch` now (commit applied, Welcome joined).
    Applied {
        /// The epoch reached.
        epoch: Epoch,
    },
    /// I cannot process the commit that makes `epoch`.
    Refused {
        /// The epoch it would make.
        epoch: Epoch,
        /// Short, without personal data; for the operator's log.
        reason: String,
    },
    /// I fell behind: give me a GroupInfo to resync from.
    NeedResync {},
    /// MLS application message for all others (sender manifests, announcements).
    Application {
        /// MLSMessage PrivateMessage.
        message: B64,
    },
    /// The page's offer for the publish transport.
    Offer {
        /// SDP.
        sdp: String,
        /// What each sending section carries.
        tracks: Vec<PublishedTrack>,
    },
    /// The page's answer for the subscribe transport.
    Answer {
        /// SDP.
        sdp: String,
        /// [`ToClient::SubscribeOffer::revision`] it answers.
        revision: u32,
    },
    /// One ICE candidate of mine (ICE-lite needs none, they are taken all the same).
    Candidate {
        /// Whose.
        transport: TransportKind,
        /// `candidate:...`
        candidate: String,
    },
    /// I muted or unmuted a source; shown in the roster.
    Mute {
        /// Which.
        slot: Slot,
        /// Muted?
        muted: bool,
    },
    /// What I show, and how large: the SFU sends no more than that. Replaces what I said before; without it I am sent
    /// everything.
    View {
        /// One for each source on the screen or behind it; a source that is not named is not wanted.
        wishes: Vec<Wish>,
    },
    /// How high the layers of a source of mine are now, lowest first: another camera has other sizes.
    Layers {
        /// First slot of the source.
        slot: Slot,
        /// Pixels.
        heights: Vec<u16>,
    },
    /// I know who keeps what here: signed (`evidence::acknowledgement`). Where anything is kept no offer to publish is taken
    /// before it.
    Acknowledge {
        /// COSE_Sign1.
        acknowledgement: B64,
    },
    /// Recorder only: signed receipt for an epoch (`evidence::receipt`).
    Receipt {
        /// COSE_Sign1.
        receipt: B64,
    },
    /// Recorder only: signed beacon (`evidence::receipt`).
    Beacon {
        /// COSE_Sign1.
        beacon: B64,
    },
    /// Recorder only: address and one-time token of my record link, please.
    NeedRecordLink {},
    /// Host only: remove a participant.
    Remove {
        /// Whom.
        participant: ParticipantId,
    },
    /// Host only: what a host orders, signed (`evidence::host`).
    Host {
        /// COSE_Sign1.
        act: B64,
    },
    /// Host only: who comes from now on knows this, where a statement asks for a passcode. It stays at signaling.
    SetPasscode {
        /// The new one.
        passcode: Passcode,
    },
    /// I have a sealed file for the meeting, or still have it after a lost connection: answered by [`ToClient::FileRoom`].
    FileBegin {
        /// Its name here.
        blob: BlobId,
        /// Bytes of the file before it is sealed.
        size: u64,
    },
    /// The next chunk of it, sealed: answered by [`ToClient::FileRoom`].
    FilePart {
        /// Of which.
        blob: BlobId,
        /// Counts from 0.
        index: u32,
        /// [`crate::limits::FILE_CHUNK`] bytes sealed, or what is left.
        part: B64,
    },
    /// A chunk of somebody's file, please: answered by [`ToClient::FilePart`].
    FileWanted {
        /// Of which.
        blob: BlobId,
        /// Which.
        index: u32,
    },
    /// My file is to be forgotten.
    FileDrop {
        /// Which.
        blob: BlobId,
    },
    /// I leave.
    Leave {},
    /// Keeps the connection alive; answered by [`ToClient::Pong`].
    Ping {},
}

/// What a newcomer brings besides its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entering {
    /// [`super::CLIENT`] of this client; one that does not say it is 0.
    pub client: u32,
    /// Where a statement asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passcode: Option<Passcode>,
    /// A guest's: `evidence::invitation`, COSE_Sign1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation: Option<B64>,
}

/// What people were told to type. Never shown, never logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Passcode(pub String);

impl std::fmt::Debug for Passcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passcode(…)")
    }
}

/// Somebody who waits to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// Who, proven to signaling.
    pub participant: ParticipantId,
    /// Leaf certificate, DER: the name is read from it, by whoever is asked to admit it.
    pub certificate: B64,
}

/// Group state a participant still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Which meeting.
    pub meeting: MeetingId,
    /// At which epoch.
    pub epoch: Epoch,
}

/// What one sending m-section carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTrack {
    /// `a=mid` in the publish offer.
    pub mid: String,
    /// First slot of the source (one per layer from here).
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
}

/// How much of a source a page can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Whose.
    pub participant: ParticipantId,
    /// First slot of the source.
    pub slot: Slot,
    /// Height of its tile in device pixels; 0: hidden, nothing is to be sent.
    pub max_height: u16,
    /// How much it matters when the link cannot carry all.
    pub weight: Weight,
}

/// Rank of a source that a person can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// As the others.
    Normal,
    /// Enlarged by the person.
    Pinned,
}

/// What a subscriber is sent of a source, and what limits it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Whose.
    pub participant: ParticipantId,
    /// First slot of the source.
    pub slot: Slot,
    /// Which layer, lowest 0; `None`: nothing.
    pub layer: Option<u8>,
    /// Height of that layer in pixels, as its sender said; 0 if it did not.
    pub height: u16,
    /// Why it is not more.
    pub limit: FeedLimit,
    /// How well the sender's own packets reach the SFU.
    pub sender: LinkQuality,
}

/// Why a feed is not larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedLimit {
    /// It is all the page asked for.
    Wish,
    /// The page does not show it.
    Hidden,
    /// The subscriber's own link carries no more.
    Link,
    /// Its sender sends no more now.
    Sender,
}

/// How well a link works, by its losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum LinkQuality {
    /// Nobody notices anything.
    #[default]
    Good,
    /// Some losses.
    Fair,
    /// Many losses, or silence.
    Poor,
}

/// From signaling to participant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToClient {
    /// Prove that you hold the leaf key.
    Challenge {
        /// 32 random bytes.
        nonce: B64,
    },
    /// You are in the meeting (not yet in its group).
    Admitted {
        /// Who you are.
        participant: ParticipantId,
        /// What binds everybody here.
        terms: Box<MeetingTerms>,
        /// How to enter the group.
        entry: Entry,
        /// Everybody connected, you included.
        roster: Vec<RosterEntry>,
        /// Signaling's clock; a skew over 60 s is told to the user.
        now: UnixMillis,
    },
    /// You are not, or no longer, in the meeting. The connection closes after it.
    Refusal(Problem),
    /// Someone's roster entry is new or changed.
    RosterChanged {
        /// The entry.
        entry: RosterEntry,
    },
    /// Someone's connection is gone; the removal order follows if it does not return.
    RosterLeft {
        /// Who.
        participant: ParticipantId,
    },
    /// You are the committer of these Adds: one commit, `Welcome` and GroupInfo, please.
    CommitAdds {
        /// Whom to add, each with a KeyPackage (MLSMessage).
        joiners: Vec<Joiner>,
    },
    /// Removal, signed by the delivery service's order key (`evidence::order`). Everybody gets it.
    RemovalOrder {
        /// COSE_Sign1 over `evidence::order::RemovalOrder`.
        order: B64,
    },
    /// You are the committer of the removals ordered so far and not yet committed.
    CommitRemovals {
        /// Leaves to remove.
        leaves: Vec<LeafIndex>,
    },
    /// The commit that makes `epoch`: yours if it equals your pending one, else the winner.
    Commit {
        /// The epoch it makes.
        epoch: Epoch,
        /// MLSMessage.
        commit: B64,
    },
    /// Your commit was not taken; the reason. A winner, if any, comes as [`ToClient::Commit`].
    CommitRefused {
        /// Epoch it was made in.
        epoch: Epoch,
        /// Why.
        problem: Problem,
    },
    /// You were added.
    Welcome {
        /// MLSMessage Welcome.
        welcome: B64,
        /// Ratchet tree, as `mls_rs::group::ExportedTree` bytes.
        tree: B64,
        /// The epoch it joins.
        epoch: Epoch,
    },
    /// Everybody connected processes `epoch`: senders switch now.
    EpochReady {
        /// Which.
        epoch: Epoch,
    },
    /// Resync: the current GroupInfo (with tree and external_pub).
    GroupInfo {
        /// Its epoch.
        epoch: Epoch,
        /// MLSMessage.
        group_info: B64,
    },
    /// The commit that made `epoch` was withdrawn: who applied it resyncs.
    Withdrawn {
        /// Which.
        epoch: Epoch,
    },
    /// Send a new KeyPackage: yours was used in a commit that lost.
    NeedKeyPackage {},
    /// MLS application message of another member.
    Application {
        /// MLSMessage.
        message: B64,
    },
    /// Somebody's acknowledgement of the notices; those given before come after [`ToClient::Admitted`].
    Acknowledged {
        /// COSE_Sign1.
        acknowledgement: B64,
    },
    /// What a host ordered. Who comes later gets those that still hold.
    HostAct {
        /// COSE_Sign1 (`evidence::host`).
        act: B64,
    },
    /// To hosts: who waits to be let in now.
    Waiting {
        /// In the order they came.
        waiting: Vec<Waiter>,
    },
    /// A recorder's receipt.
    Receipt {
        /// COSE_Sign1.
        receipt: B64,
    },
    /// A recorder's beacon.
    Beacon {
        /// COSE_Sign1.
        beacon: B64,
    },
    /// The SFU's answer for the publish transport.
    PublishAnswer {
        /// SDP.
        sdp: String,
    },
    /// The SFU's offer for the subscribe transport.
    SubscribeOffer {
        /// SDP.
        sdp: String,
        /// Counts up; the answer names it.
        revision: u32,
        /// Whose track each section is.
        tracks: Vec<SubscribedTrack>,
    },
    /// Recorder only: dial this.
    RecordLink {
        /// `host:port` of the SFU's record listener.
        address: String,
        /// TLS server name.
        server_name: String,
        /// SHA-256 of the SFU's certificate (DER).
        certificate: B64,
        /// One-time token.
        token: B64,
    },
    /// A firm's people are stopped (its must-recorder is gone) or resumed: what the SFU does. For the banner only.
    FirmSuspended {
        /// Whose.
        firm: FirmId,
        /// Stopped?
        suspended: bool,
    },
    /// Relays (TURN, RFC 8656) for networks that let nothing through to the SFU. Comes before [`ToClient::Admitted`]
    /// and again before the credentials end; the newest counts.
    Relays {
        /// All of them; empty where the operator runs none.
        relays: Vec<Relay>,
    },
    /// Active speaker by audio level (levels can lie; for the layout only).
    Speaker {
        /// Who.
        participant: ParticipantId,
    },
    /// Only these layers of a source of yours have a viewer or a recorder: the others need not be encoded.
    LayersWanted {
        /// First slot of the source.
        slot: Slot,
        /// Layers, lowest 0.
        layers: Vec<u8>,
        /// Most that each of `layers` is worth encoding at, bit/s; `None`: no bound. Empty: no bounds.
        #[serde(default)]
        rates: Vec<Option<u64>>,
    },
    /// Somebody in the meeting cannot decode this source of yours: send it in VP8, which everybody can.
    CodecRefused {
        /// First slot of the source.
        slot: Slot,
    },
    /// What you are sent of others changed; only what changed is named.
    Feeds {
        /// Each source.
        feeds: Vec<Feed>,
    },
    /// So many chunks of your file are held, from the first on: the next one, please.
    FileRoom {
        /// Which.
        blob: BlobId,
        /// Chunks.
        parts: u32,
    },
    /// A chunk you asked for.
    FilePart {
        /// Of which.
        blob: BlobId,
        /// Counts from 0.
        index: u32,
        /// Sealed.
        part: B64,
    },
    /// A file is not taken, or not there.
    FileRefused {
        /// Which.
        blob: BlobId,
        /// Why.
        why: FileRefusal,
    },
    /// Something you asked for cannot be; the connection goes on.
    Problem(Problem),
    /// Answer to [`ToServer::Ping`].
    Pong {},
}

/// Why signaling does not carry a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileRefusal {
    /// It is not there: never was, ran out, was taken back, or is not whole yet.
    Gone,
    /// Larger than [`crate::limits::MAX_FILE`], or empty.
    Size,
    /// Its person, the meeting or the service holds too much: later.
    Full,
    /// A chunk that is not what was announced.
    Malformed,
    /// A firm forbids files here, or one is not in the group.
    Forbidden,
}

/// How to enter the group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Entry {
    /// Nobody is in: create the group with `terms.meeting` as group id and the extensions of the terms.
    Create {},
    /// Send a KeyPackage, then wait for a Welcome.
    AwaitWelcome {},
    /// Your leaf is still in and the commits since your epoch follow as [`ToClient::Commit`].
    Continue {},
    /// Your old leaf is still in: external commit from this GroupInfo, removing it.
    Resync {
        /// Epoch of the GroupInfo.
        epoch: Epoch,
        /// MLSMessage.
        group_info: B64,
    },
}

/// One who waits to be added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Joiner {
    /// Who, as admitted by the delivery service; the committer checks it against the KeyPackage.
    pub participant: ParticipantId,
    /// MLSMessage KeyPackage.
    pub key_package: B64,
}

/// A TURN server and the credentials for it. They let a participant reach the SFU and nothing else, for a short time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// `turn:host:port?transport=udp|tcp` or `turns:host:port`.
    pub urls: Vec<String>,
    /// `expiry:random`, expiry in seconds since 1970; it says nothing about the person.
    pub username: String,
    /// Long-term credential of RFC 8489 section 9.2.
    pub credential: String,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Whose track a receiving m-section is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribedTrack {
    /// `a=mid` in the subscribe offer.
    pub mid: String,
    /// Whose.
    pub participant: ParticipantId,
    /// First slot of the source.
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
    /// Forwarded now? A section of someone who left stays, inactive.
    pub active: bool,
}

/// One row of the people panel. The display name comes from the certificate, not from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// Who.
    pub participant: ParticipantId,
    /// A recorder?
    pub recorder: bool,
    /// Host of the meeting?
    pub host: bool,
    /// Leaf in the group, once added.
    pub leaf: Option<LeafIndex>,
    /// Sources that are published, with their mute state.
    pub sources: Vec<Source>,
    /// A guest's invitation, as signed: everybody sees by it who invited whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<B64>,
}

/// One published source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// First slot.
    pub slot: Slot,
    /// Muted by its owner?
    pub muted: bool,
}

/// What binds a meeting: from it every member recomputes the GroupContext extensions (`evidence::policy`) and refuses
/// a group that has others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingTerms {
    /// The meeting.
    pub meeting: MeetingId,
    /// Its room.
    pub room: RoomId,
    /// Title of the room, for people.
    pub title: String,
    /// Signed statements (COSE_Sign1) of every firm with members in the room, ordered by firm id.
    pub statements: Vec<B64>,
    /// SHA-256 of the trust map.
    pub trust: B64,
    /// When the meeting began.
    pub started_at: UnixMillis,
}

/// A refusal or an error, after RFC 9457. `code` is stable, `detail` is English for logs; the page has its own words
/// for each code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable code.
    pub code: ProblemCode,
    /// What happened and what to do, without personal data.
    pub detail: String,
    /// The firm whose rule it is, when one is.
    pub firm: Option<FirmId>,
}

/// Codes of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// Another protocol version.
    Upgrade,
    /// Not JSON, or not a message we know, or out of order.
    BadMessage,
    /// The certificate does not judge well.
    BadCertificate,
    /// The challenge's signature is wrong.
    BadSignature,
    /// Another trust map than ours.
    TrustMismatch,
    /// No such room, or you are no member: both look the same.
    NotAMember,
    /// A second connection took your place.
    Replaced,
    /// You were removed by the host, or your membership ended.
    Removed,
    /// Statements clash (`must` against `forbidden`).
    PolicyClash,
    /// A firm's statement keeps you out: an information barrier, say.
    Barred,
    /// Statements are new or changed: whoever comes waits, and the meeting begins anew under them when the time is up.
    TermsChange,
    /// A must-record firm's recorder is not there.
    RecorderMissing,
    /// Full.
    MeetingFull,
    /// The room directory does not answer: who is in stays in, nobody new comes in.
    RoomsUnavailable,
    /// The SFU is not there.
    MediaUnavailable,
    /// The SFU is there and full: who is in stays in.
    MediaFull,
    /// A commit for a past epoch, or one that lost.
    StaleEpoch,
    /// A commit that the delivery service's own checks refuse.
    BadCommit,
    /// Too much, too fast.
    RateLimited,
    /// The notices are to be acknowledged first.
    NotAcknowledged,
    /// Only a host may.
    NotHost,
    /// Only a recorder may.
    NotRecorder,
    /// A host locked the meeting.
    Locked,
    /// You wait until a host lets you in; the connection goes on.
    Lobby,
    /// A host does not let you in.
    Denied,
    /// A passcode is asked for, or this one is wrong.
    Passcode,
    /// Too many wrong passcodes: some minutes' rest.
    PasscodeTries,
    /// A statement asks for a newer client.
    ClientTooOld,
    /// A statement does not allow the region of the media server.
    Region,
    /// A statement allows no guests.
    NoGuests,
    /// A statement allows no shared screens.
    NoShare,
    /// A host ended the meeting for all.
    Ended,
    /// Our fault.
    Internal,
}

/// Bytes signed in [`ToServer::Prove`]: a label, the nonce, the room and the certificate's own bytes, length-framed.
pub fn challenge_bytes(nonce: &[u8], room: &RoomId, leaf_certificate: &[u8]) -> Vec<u8> {
    let mut out = b"strongroom join v1".to_vec();
    for part in [nonce, room.as_str().as_bytes(), leaf_certificate] {
        out.extend((part.len() as u32).to_be_bytes());
        out.extend(part);
    }
    out
}

/// A device id made of 8 random bytes.
pub fn device_id(random: [u8; 8]) -> DeviceId {
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().expect("hexadecimal digits are an id")
}
