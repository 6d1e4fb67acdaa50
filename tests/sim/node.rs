//! One participant: a real session, what it was told so far (for the laws to judge it by), and how it behaves.

use domain::message::client::ToClient;
use domain::message::custody::LeafRole;
use domain::{Epoch, MeetingId, ParticipantId, UnixMillis};
use e2ee::session::Session;
use evidence::identity::TrustMap;
use evidence::receipt::{Beacon, BeaconState, Receipt};
use evidence::{order, receipt};
use signaling_core::ConnId;
use std::collections::{BTreeMap, BTreeSet};

/// How a node departs from the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    Honest,
    /// Commits nothing, acknowledges nothing.
    Mute,
    /// Its commits, GroupInfos and KeyPackages are damaged.
    Garbles,
    /// Refuses every commit.
    Refuses,
    /// Acknowledges epochs that are not.
    Boasts,
    /// Says again what it said before.
    Replays,
    /// Sends as much as it can.
    Floods,
    /// Asks to be resynced all the time.
    Resyncs,
}

pub struct Node {
    pub session: Session,
    pub conn: Option<ConnId>,
    /// On this connection.
    pub admitted: bool,
    pub habit: Habit,
    /// It was removed and keeps all it has: its clock stands still and it hears nothing but frames.
    pub ghost_since: Option<UnixMillis>,
    pub sequence: u64,
    pub told: Told,
    /// When a frame of this sender opened last.
    pub heard: BTreeMap<ParticipantId, UnixMillis>,
    /// Longest silence between two frames of a sender, ms.
    pub silence: BTreeMap<ParticipantId, u64>,
    /// Human code and epoch as told last.
    pub view: Option<(MeetingId, Epoch, String)>,
}

/// What a node was told: necessary grounds for what it does.
#[derive(Default)]
pub struct Told {
    /// Last sign of life of its firm's recorder.
    pub alive: Option<UnixMillis>,
    /// Signaling is away since: no word can come, and the media server alone keeps the clock.
    pub away: Option<UnixMillis>,
    pub receipts: BTreeSet<(MeetingId, Epoch)>,
    pub entered: BTreeMap<(MeetingId, Epoch), UnixMillis>,
    /// When it learnt of each removal.
    pub orders: BTreeMap<ParticipantId, UnixMillis>,
}

impl Node {
    pub fn new(session: Session, habit: Habit) -> Self {
        Self {
            session,
            conn: None,
            admitted: false,
            habit,
            ghost_since: None,
            sequence: 0,
            told: Told::default(),
            heard: BTreeMap::new(),
            silence: BTreeMap::new(),
            view: None,
        }
    }

    pub fn is_recorder(&self) -> bool {
        self.session.own().role == LeafRole::Recorder
    }

    /// Notes what a message tells before the session gets it.
    pub fn note(&mut self, trust: &TrustMap, now: UnixMillis, message: &ToClient) {
        let firm = self.session.own().participant.firm.clone();
        match message {
            ToClient::Admitted { .. } => {
                let away = self.told.away.take().map_or(0, |since| now.since(since));
                self.told.alive = self.told.alive.map(|at| at.plus(away));
            }
            ToClient::Beacon { beacon } => {
                if let Ok((beacon, _)) = receipt::judge_beacon(trust, beacon, now.seconds())
                    && beacon.firm == firm
                    && beacon.state == BeaconState::Recording
                {
                    self.told.alive = Some(now);
                }
            }
            ToClient::Receipt { receipt } => {
                if let Ok((receipt, _)) = receipt::judge_receipt(trust, receipt, now.seconds())
                    && receipt.firm == firm
                {
                    self.told.alive = Some(now);
                    self.told.receipts.insert((receipt.meeting, receipt.epoch));
                }
            }
            ToClient::RemovalOrder { order } => {
                // who left may come back; who was removed by the host may not
                if let Ok(order) = order::judge(trust, order)
                    && order.reason == order::Reason::Host
                {
                    self.told.orders.entry(order.participant).or_insert(now);
                }
            }
            _ => {}
        }
    }

    /// A receipt for the epoch the session is in.
    pub fn receipt(&self) -> Option<Vec<u8>> {
        let epoch = self.session.epoch()?;
        let own = &self.session.own().participant;
        let receipt = Receipt {
            meeting: self.session.terms()?.meeting.clone(),
            firm: own.firm.clone(),
            recorder: own.clone(),
            incarnation: 1,
            epoch,
            transcript_hash: self.session.transcript_hash(epoch)?,
            sealed_hash: [0; 32],
            commitment: self.session.epoch_commitment(epoch)?,
        };
        Some(self.session.sign_receipt(&receipt))
    }

    pub fn beacon(&mut self) -> Option<Vec<u8>> {
        self.sequence += 1;
        let own = self.session.own().participant.clone();
        let beacon = Beacon {
            meeting: self.session.terms()?.meeting.clone(),
            firm: own.firm.clone(),
            recorder: own,
            epoch: self.session.epoch()?,
            sequence: self.sequence,
            fsynced_frames: 0,
            state: BeaconState::Recording,
        };
        Some(self.session.sign_beacon(&beacon))
    }
}
