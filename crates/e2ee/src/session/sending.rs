//! When and in which epoch we send: the switch rule, the must-record rule, the removal stop, and manifests.

use super::epochs::EpochState;
use super::recorders::MustStop;
use super::{Phase, SealError, SendState, Session, StopReason};
use domain::limits::{EPOCH_SWITCH_MS, KEEP_EPOCH_MS};
use domain::message::client::ToServer;
use domain::message::custody::LeafRole;
use domain::{B64, Slot, UnixMillis};
use evidence::sender_manifest;

impl Session {
    /// Seals one frame. `capture_us`: microseconds of a monotonic clock at encoder output. On an error the caller drops
    /// the frame; nothing of it is in `out`.
    pub fn seal(
        &mut self,
        now: UnixMillis,
        slot: Slot,
        key_frame: bool,
        frame: &[u8],
        capture_us: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        out.clear();
        self.switch(now);
        if let SendState::Stopped { why, .. } = self.send_state(now) {
            return Err(SealError::Stopped(why));
        }
        let meeting = self.meeting.as_ref().ok_or(SealError::Stopped(StopReason::NoGroup))?;
        let sealed = self.sender.seal(now, &meeting.terms.meeting, slot, key_frame, frame, capture_us, out);
        if sealed.is_err() {
            out.clear();
        }
        sealed
    }

    /// May a sender go over to this epoch now?
    fn may_enter(&self, state: &EpochState, now: UnixMillis) -> bool {
        let time = state.removal || state.ready || now.since(state.entered_at) >= EPOCH_SWITCH_MS;
        time && self.recorders.may_enter(&self.own.participant.firm, state, now)
    }

    /// Goes over to the newest epoch that may be entered.
    pub(super) fn switch(&mut self, now: UnixMillis) {
        if self.own.role == LeafRole::Recorder {
            return;
        }
        let sending = self.sender.generation().unwrap_or(0);
        let newest = self.epochs.states.iter().rev().take_while(|state| state.generation > sending);
        if let Some(state) = newest.into_iter().find(|state| self.may_enter(state, now)) {
            self.sender.switch(state);
        }
    }

    /// Oldest epoch entered after the one we send in.
    fn oldest_newer(&self) -> Option<&EpochState> {
        let sending = self.sender.generation()?;
        self.epochs.states.iter().find(|state| state.generation > sending)
    }

    /// May we send now, and if not, why.
    pub fn send_state(&self, now: UnixMillis) -> SendState {
        match self.stopped(now) {
            None => SendState::Allowed,
            Some(why) => {
                let by_rule = matches!(why, StopReason::Receipt | StopReason::Beacon);
                SendState::Stopped { why, firm: by_rule.then(|| self.own.participant.firm.clone()) }
            }
        }
    }

    fn stopped(&self, now: UnixMillis) -> Option<StopReason> {
        let firm = &self.own.participant.firm;
        if self.own.role == LeafRole::Recorder {
            return Some(StopReason::NotASender);
        }
        if matches!(self.phase, Phase::Over) || self.orders.against_us() {
            return Some(StopReason::Removed);
        }
        let Some(state) = self.sender.generation().and_then(|sending| self.epochs.by_generation(sending)) else {
            return Some(match self.epochs.latest() {
                Some(latest) if !self.recorders.may_enter(firm, latest, now) => StopReason::Receipt,
                _ => StopReason::NoGroup,
            });
        };
        if self.orders.stop_at().is_some_and(|at| at <= now) {
            return Some(StopReason::Removal);
        }
        // others have erased the epoch by then
        if self.group_lost_at.is_some_and(|at| now.since(at) >= KEEP_EPOCH_MS) {
            return Some(StopReason::NoGroup);
        }
        let newer = self.oldest_newer().map(|state| state.entered_at);
        match self.recorders.may_go_on(firm, state, newer, now) {
            Ok(()) => None,
            Err(MustStop::Receipt) => Some(StopReason::Receipt),
            Err(MustStop::Beacon) => Some(StopReason::Beacon),
        }
    }

    /// Next moment at which the switch or a stop may change by time alone.
    pub(super) fn next_sending_change(&self) -> Option<UnixMillis> {
        let from = self.sender.generation().unwrap_or(0);
        let newer = self.epochs.states.iter().filter(|state| state.generation > from);
        let firm = &self.own.participant.firm;
        let grace = self.recorders.grace(firm);
        let switches = newer.flat_map(|state| {
            let stop = state.entered_at.plus(grace.min(KEEP_EPOCH_MS));
            [Some(state.entered_at.plus(EPOCH_SWITCH_MS)), self.recorders.must(firm).then_some(stop)]
        });
        // the receipt for an epoch entered after a removal is due within the grace
        let sending = self.epochs.by_generation(from).filter(|state| state.removal && self.recorders.must(firm));
        let due = sending.map(|state| state.entered_at.plus(grace));
        let stops = [
            due,
            self.orders.stop_at(),
            self.group_lost_at.map(|at| at.plus(KEEP_EPOCH_MS)),
            self.recorders.next_change(self.clock),
        ];
        switches.chain(stops).flatten().filter(|at| *at > self.clock).min()
    }

    /// Signs the closed manifests and sends them to the group.
    pub(super) fn send_manifests(&mut self, now: UnixMillis) {
        if !matches!(self.phase, Phase::Member) || self.recorders.is_offline() {
            return;
        }
        while let Some(manifest) = self.sender.next_manifest() {
            let payload = sender_manifest::encode(&manifest);
            let signed = self.key.sign_cose(sender_manifest::LABEL, &payload, None);
            let signed = B64(signed);
            match self.encrypt(&super::application::Message::Manifest { signed: signed.clone() }) {
                Some(message) => {
                    self.send(ToServer::Application { message: B64(message) });
                    self.sender.said(now, manifest, signed);
                }
                None => {
                    self.sender.put_back(manifest);
                    return self.group_failed(now);
                }
            }
        }
    }

    pub(super) fn group_failed(&mut self, now: UnixMillis) {
        self.incident(super::IncidentKind::GroupLost, None);
        self.start_resync(now);
    }
}
