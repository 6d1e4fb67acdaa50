//! Watches every recording firm's recorder: receipts per epoch, beacons, and one grace clock.

use super::epochs::{EpochState, Epochs};
use super::event::{CopyState, IncidentKind, RecorderState};
use domain::limits::{BEACON_BANNER_MS, KEEP_EPOCH_MS};
use domain::message::custody::LeafRole;
use domain::policy::{ContentClass, Rule};
use domain::{Epoch, FirmId, ParticipantId, UnixMillis};
use evidence::identity::Identity;
use evidence::policy::MeetingRules;
use evidence::receipt::{Beacon, BeaconState, Receipt};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Receipts that came before their epoch: a few recorders, one epoch ahead.
const MAX_EARLY: usize = 64;
/// While signaling cannot be reached no beacon can: the SFU alone enforces the grace, as it sees the acknowledgements. So
/// long at most, ms; then the beacons that were last heard count as they are.
const OFFLINE_MS: u64 = 15 * 60_000;
/// Receipts remembered per firm, as many as epochs are held.
const MAX_RECEIPTS: usize = 256;

struct Watch {
    rule: Rule,
    chat: Rule,
    files: Rule,
    grace_ms: u64,
    /// Generations of epochs its recorder has acknowledged.
    receipts: BTreeSet<u64>,
    /// Last good sign of life.
    alive_at: Option<UnixMillis>,
    participant: Option<ParticipantId>,
    /// Time without signaling since that sign of life, ms.
    offline_ms: u64,
    /// Highest beacon sequence by recorder certificate: an old beacon is no sign of life.
    sequences: HashMap<[u8; 32], u64>,
}

impl Watch {
    fn written(&self, class: ContentClass) -> Rule {
        match class {
            ContentClass::AudioVideo => self.rule,
            ContentClass::Chat => self.chat,
            ContentClass::Files => self.files,
        }
    }
}

/// All recording firms of a meeting.
#[derive(Default)]
pub(super) struct Recorders {
    firms: BTreeMap<FirmId, Watch>,
    early: Vec<(Receipt, Identity)>,
    /// Signaling is away since.
    offline: Option<UnixMillis>,
    reported: Option<Vec<RecorderState>>,
}

impl Recorders {
    /// Watches as the rules say. Of firms watched before, under other rules or in another meeting, nothing counts any more
    /// but the beacons that were heard.
    pub(super) fn watch(&mut self, rules: &MeetingRules) {
        let mut before = std::mem::take(&mut self.firms);
        // of another meeting, if of any: they come again
        self.early.clear();
        for statement in rules.statements() {
            let classes = [statement.audio_video, statement.chat, statement.files];
            if !classes.iter().any(|rule| matches!(rule, Rule::Must | Rule::Should)) {
                continue;
            }
            let watch = Watch {
                rule: statement.audio_video,
                chat: statement.chat,
                files: statement.files,
                grace_ms: statement.recorder_grace_ms,
                receipts: BTreeSet::new(),
                alive_at: None,
                participant: None,
                offline_ms: 0,
                sequences: before.remove(&statement.firm).map(|watch| watch.sequences).unwrap_or_default(),
            };
            self.firms.insert(statement.firm.clone(), watch);
        }
    }

    /// A verified receipt. It counts if the recorder is in that epoch and acknowledges the same group state as ours.
    pub(super) fn receipt(
        &mut self,
        now: UnixMillis,
        receipt: Receipt,
        signer: Identity,
        epochs: &Epochs,
    ) -> Result<(), IncidentKind> {
        if epochs.latest().is_none_or(|latest| receipt.epoch > latest.epoch) {
            if self.early.len() < MAX_EARLY {
                self.early.push((receipt, signer));
            }
            return Ok(());
        }
        // of an epoch we have already erased, or never were in
        let Some(state) = epochs.by_epoch(receipt.epoch) else { return Ok(()) };
        if !is_recorder(state, &signer) {
            return Err(IncidentKind::BadReceipt);
        }
        if receipt.transcript_hash != state.transcript_hash || receipt.commitment != state.commitment {
            return Err(IncidentKind::Fork);
        }
        let Some(watch) = self.firms.get_mut(&receipt.firm) else { return Ok(()) };
        if watch.receipts.insert(state.generation) {
            // a sign of life until the first beacon; after that the key may be kept and the media not
            watch.alive_at.get_or_insert(now);
            watch.participant = Some(receipt.recorder);
            if watch.receipts.len() > MAX_RECEIPTS {
                watch.receipts.pop_first();
            }
        }
        Ok(())
    }

    /// Tries receipts that came before their epoch; what still does not fit is told.
    pub(super) fn settle(&mut self, now: UnixMillis, epochs: &Epochs) -> Vec<(IncidentKind, ParticipantId)> {
        let mut bad = Vec::new();
        for (receipt, signer) in std::mem::take(&mut self.early) {
            let participant = signer.participant.clone();
            if let Err(kind) = self.receipt(now, receipt, signer, epochs) {
                bad.push((kind, participant));
            }
        }
        bad
    }

    /// A verified beacon.
    pub(super) fn beacon(
        &mut self,
        now: UnixMillis,
        beacon: Beacon,
        signer: &Identity,
        epochs: &Epochs,
    ) -> Result<(), IncidentKind> {
        // before our first epoch nobody's place is known
        let Some(latest) = epochs.latest() else { return Ok(()) };
        if !is_recorder(latest, signer) {
            // a recorder that joins or restarts is ahead of us for a moment
            return if beacon.epoch > latest.epoch { Ok(()) } else { Err(IncidentKind::BadReceipt) };
        }
        let Some(watch) = self.firms.get_mut(&beacon.firm) else { return Ok(()) };
        let last = watch.sequences.get(&signer.certificate_hash);
        if last.is_some_and(|last| *last >= beacon.sequence) {
            return Ok(());
        }
        watch.sequences.insert(signer.certificate_hash, beacon.sequence);
        // held back by whoever carries it, or a recorder that does not follow the group
        let stale = beacon.epoch < latest.epoch && now.since(latest.entered_at) >= watch.grace_ms;
        if beacon.state == BeaconState::Recording && !stale {
            watch.alive_at = Some(now);
            watch.offline_ms = 0;
            watch.participant = Some(beacon.recorder);
        }
        Ok(())
    }

    /// Does this firm's rule bind its senders?
    pub(super) fn must(&self, firm: &FirmId) -> bool {
        self.firms.get(firm).is_some_and(|watch| watch.rule == Rule::Must)
    }
    /// May its people write, or send files, in this epoch? Where that must be kept, only while the recorder has the epoch and
    /// lives.
    pub(super) fn may_say(&self, firm: &FirmId, state: &EpochState, now: UnixMillis, class: ContentClass) -> bool {
        let must = self.firms.get(firm).is_some_and(|watch| watch.written(class) == Rule::Must);
        !must || (self.acknowledged(firm, state.generation) && self.alive(firm, now))
    }
    /// Does this firm keep what is of this class?
    pub(super) fn keeps(&self, firm: &FirmId, class: ContentClass) -> bool {
        self.firms.get(firm).is_some_and(|watch| matches!(watch.written(class), Rule::Must | Rule::Should))
    }
    /// Signaling is away: what was alive stays so until it is back, for a bounded time.
    pub(super) fn disconnected(&mut self, now: UnixMillis) {
        self.offline.get_or_insert(now);
    }
    /// Signaling is back: each recorder has what was left of its grace to be heard.
    pub(super) fn reconnected(&mut self, now: UnixMillis) {
        let Some(since) = self.offline.take() else { return };
        let away = now.since(since);
        for watch in self.firms.values_mut().filter(|watch| watch.offline_ms + away < OFFLINE_MS) {
            watch.alive_at = watch.alive_at.map(|at| at.plus(away));
            // a service that cuts and comes back again and again stretches nothing: only a beacon gives the time back
            watch.offline_ms += away;
        }
    }
    /// Is signaling away?
    pub(super) fn is_offline(&self) -> bool {
        self.offline.is_some()
    }
    /// The time by which beacons are judged: it stands still while none can come.
    fn beacon_time(&self, watch: &Watch, now: UnixMillis) -> UnixMillis {
        self.offline.filter(|since| watch.offline_ms + now.since(*since) < OFFLINE_MS).unwrap_or(now)
    }
    fn alive(&self, firm: &FirmId, now: UnixMillis) -> bool {
        let Some(watch) = self.firms.get(firm) else { return false };
        let now = self.beacon_time(watch, now);
        watch.alive_at.is_some_and(|at| now.since(at) < watch.grace_ms)
    }
    fn acknowledged(&self, firm: &FirmId, generation: u64) -> bool {
        self.firms.get(firm).is_some_and(|watch| watch.receipts.contains(&generation))
    }

    /// May a sender of a must firm go over to this epoch? With its receipt, or at once after a removal while the
    /// recorder was recording until now.
    pub(super) fn may_enter(&self, firm: &FirmId, state: &EpochState, now: UnixMillis) -> bool {
        if !self.must(firm) || self.acknowledged(firm, state.generation) {
            return true;
        }
        let recorded_before = self.firms.get(firm).is_some_and(|watch| !watch.receipts.is_empty());
        state.removal && recorded_before && self.alive(firm, now) && now.since(state.entered_at) < self.grace(firm)
    }
    /// Grace time of a firm, ms.
    pub(super) fn grace(&self, firm: &FirmId) -> u64 {
        self.firms.get(firm).map_or(0, |watch| watch.grace_ms)
    }
    /// May a sender of a must firm go on in `state`, with `newer` entered since? `Err` says which half of the rule
    /// fails.
    pub(super) fn may_go_on(
        &self,
        firm: &FirmId,
        state: &EpochState,
        newer: Option<UnixMillis>,
        now: UnixMillis,
    ) -> Result<(), MustStop> {
        if !self.must(firm) {
            return Ok(());
        }
        if !self.may_enter(firm, state, now) {
            return Err(if self.alive(firm, now) { MustStop::Receipt } else { MustStop::Beacon });
        }
        if !self.alive(firm, now) {
            return Err(MustStop::Beacon);
        }
        let longest = self.grace(firm).min(KEEP_EPOCH_MS);
        if newer.is_some_and(|entered| now.since(entered) >= longest) {
            return Err(MustStop::Receipt);
        }
        Ok(())
    }

    /// What to show; `Some` when it changed.
    pub(super) fn report(&mut self, now: UnixMillis, latest: Option<&EpochState>) -> Option<Vec<RecorderState>> {
        let at = |watch: &Watch| self.beacon_time(watch, now);
        let states: Vec<RecorderState> =
            self.firms.iter().map(|(firm, watch)| state_of(firm, watch, at(watch), latest)).collect();
        if self.reported.as_ref() == Some(&states) || latest.is_none() {
            return None;
        }
        self.reported = Some(states.clone());
        Some(states)
    }
    /// Next moment at which a clock changes something.
    pub(super) fn next_change(&self, now: UnixMillis) -> Option<UnixMillis> {
        let alive = self.firms.values().filter_map(|watch| Some((watch.alive_at?, watch.grace_ms)));
        let by_beacons = alive.flat_map(|(at, grace)| [at.plus(BEACON_BANNER_MS), at.plus(grace)]);
        let budgets = self.firms.values().map(|watch| OFFLINE_MS.saturating_sub(watch.offline_ms));
        let offline = budgets.filter_map(|left| self.offline.map(|since| since.plus(left)));
        by_beacons.chain(offline).filter(|at| *at > now).min()
    }
    /// Last acknowledged epoch of a firm, for tests and displays.
    pub(super) fn acknowledged_epoch(&self, firm: &FirmId, epochs: &Epochs) -> Option<Epoch> {
        let last = self.firms.get(firm)?.receipts.last()?;
        epochs.by_generation(*last).map(|state| state.epoch)
    }
}

/// Which half of the must-record rule stops a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MustStop {
    Receipt,
    Beacon,
}

fn is_recorder(state: &EpochState, signer: &Identity) -> bool {
    state
        .members
        .values()
        .any(|member| member.role == LeafRole::Recorder && member.certificate_hash == signer.certificate_hash)
}

fn state_of(firm: &FirmId, watch: &Watch, now: UnixMillis, latest: Option<&EpochState>) -> RecorderState {
    let present = latest.is_some_and(|state| {
        state.members.values().any(|member| member.role == LeafRole::Recorder && member.participant.firm == *firm)
    });
    let state = match watch.alive_at.map(|at| now.since(at)) {
        Some(silent) if present && silent < BEACON_BANNER_MS => CopyState::Recording,
        Some(silent) if present && silent < watch.grace_ms => CopyState::Late,
        _ => CopyState::Missing,
    };
    let (participant, rule, chat) = (watch.participant.clone(), watch.rule, watch.chat);
    RecorderState { firm: firm.clone(), participant, state, rule, chat }
}
