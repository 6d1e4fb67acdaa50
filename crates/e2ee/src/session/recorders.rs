//! Watches every recording firm's recorder: receipts per epoch, beacons, and one grace clock.

use super::epochs::{EpochState, Epochs};
use super::event::{CopyState, IncidentKind, RecorderCopy, RecorderState};
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

/// What is known of one recorder. Paired recorders of a firm count each for itself: an epoch is kept where one of them
/// has its key and lives, and never by the receipt of one and the beacons of the other.
#[derive(Default)]
struct Copy {
    /// Generations of epochs it has acknowledged.
    receipts: BTreeSet<u64>,
    /// Last good sign of life.
    alive_at: Option<UnixMillis>,
    /// Time without signaling since that sign of life, ms.
    offline_ms: u64,
}

struct Watch {
    rule: Rule,
    chat: Rule,
    files: Rule,
    grace_ms: u64,
    copies: BTreeMap<ParticipantId, Copy>,
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
                copies: BTreeMap::new(),
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
        let copy = watch.copy(&signer.participant, state);
        if copy.receipts.insert(state.generation) {
            // a sign of life until the first beacon; after that the key may be kept and the media not
            copy.alive_at.get_or_insert(now);
            if copy.receipts.len() > MAX_RECEIPTS {
                copy.receipts.pop_first();
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
            let copy = watch.copy(&signer.participant, latest);
            (copy.alive_at, copy.offline_ms) = (Some(now), 0);
        }
        Ok(())
    }

    /// Does this firm's rule bind its senders?
    pub(super) fn must(&self, firm: &FirmId) -> bool {
        self.firms.get(firm).is_some_and(|watch| watch.rule == Rule::Must)
    }
    /// May its people write, or send files, in this epoch? Where that must be kept, only while a recorder has the epoch and
    /// lives.
    pub(super) fn may_say(&self, firm: &FirmId, state: &EpochState, now: UnixMillis, class: ContentClass) -> bool {
        let must = self.firms.get(firm).is_some_and(|watch| watch.written(class) == Rule::Must);
        let keeps = |copy: &&Copy| copy.receipts.contains(&state.generation) && self.lives(firm, copy, now);
        !must || self.copies(firm).any(|copy| keeps(&copy))
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
        let copies = self.firms.values_mut().flat_map(|watch| watch.copies.values_mut());
        for copy in copies.filter(|copy| copy.offline_ms + away < OFFLINE_MS) {
            copy.alive_at = copy.alive_at.map(|at| at.plus(away));
            // a service that cuts and comes back again and again stretches nothing: only a beacon gives the time back
            copy.offline_ms += away;
        }
    }
    /// Is signaling away?
    pub(super) fn is_offline(&self) -> bool {
        self.offline.is_some()
    }
    /// The time by which beacons are judged: it stands still while none can come.
    fn beacon_time(&self, copy: &Copy, now: UnixMillis) -> UnixMillis {
        self.offline.filter(|since| copy.offline_ms + now.since(*since) < OFFLINE_MS).unwrap_or(now)
    }
    fn copies(&self, firm: &FirmId) -> impl Iterator<Item = &Copy> {
        self.firms.get(firm).into_iter().flat_map(|watch| watch.copies.values())
    }
    fn lives(&self, firm: &FirmId, copy: &Copy, now: UnixMillis) -> bool {
        let now = self.beacon_time(copy, now);
        copy.alive_at.is_some_and(|at| now.since(at) < self.grace(firm))
    }

    /// Does this recorder let senders of its firm go over to an epoch? With its receipt, or at once after a removal while
    /// it was recording until now.
    fn lets_in(&self, firm: &FirmId, copy: &Copy, state: &EpochState, now: UnixMillis) -> bool {
        copy.receipts.contains(&state.generation)
            || (state.removal
                && !copy.receipts.is_empty()
                && self.lives(firm, copy, now)
                && now.since(state.entered_at) < self.grace(firm))
    }
    /// May a sender of a must firm go over to this epoch? If one recorder of the firm lets it.
    pub(super) fn may_enter(&self, firm: &FirmId, state: &EpochState, now: UnixMillis) -> bool {
        !self.must(firm) || self.copies(firm).any(|copy| self.lets_in(firm, copy, state, now))
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
        let alive = self.copies(firm).any(|copy| self.lives(firm, copy, now));
        let keeps = |copy: &Copy| self.lets_in(firm, copy, state, now) && self.lives(firm, copy, now);
        if !self.copies(firm).any(keeps) {
            return Err(if alive { MustStop::Receipt } else { MustStop::Beacon });
        }
        let longest = self.grace(firm).min(KEEP_EPOCH_MS);
        if newer.is_some_and(|entered| now.since(entered) >= longest) {
            return Err(MustStop::Receipt);
        }
        Ok(())
    }

    /// What to show; `Some` when it changed.
    pub(super) fn report(&mut self, now: UnixMillis, latest: Option<&EpochState>) -> Option<Vec<RecorderState>> {
        let at = |copy: &Copy| self.beacon_time(copy, now);
        let states: Vec<RecorderState> =
            self.firms.iter().map(|(firm, watch)| state_of(firm, watch, &at, latest)).collect();
        if self.reported.as_ref() == Some(&states) || latest.is_none() {
            return None;
        }
        self.reported = Some(states.clone());
        Some(states)
    }
    /// Next moment at which a clock changes something.
    pub(super) fn next_change(&self, now: UnixMillis) -> Option<UnixMillis> {
        let all = || self.firms.values().flat_map(|watch| watch.copies.values().map(|copy| (copy, watch.grace_ms)));
        let alive = all().filter_map(|(copy, grace)| Some((copy.alive_at?, grace)));
        let by_beacons = alive.flat_map(|(at, grace)| [at.plus(BEACON_BANNER_MS), at.plus(grace)]);
        let budgets = all().map(|(copy, _)| OFFLINE_MS.saturating_sub(copy.offline_ms));
        let offline = budgets.filter_map(|left| self.offline.map(|since| since.plus(left)));
        by_beacons.chain(offline).filter(|at| *at > now).min()
    }
    /// Last acknowledged epoch of a firm, for tests and displays.
    pub(super) fn acknowledged_epoch(&self, firm: &FirmId, epochs: &Epochs) -> Option<Epoch> {
        let last = self.copies(firm).filter_map(|copy| copy.receipts.last()).max()?;
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

impl Watch {
    /// The account of a recorder that is in the group. Those that left it are forgotten when another comes.
    fn copy(&mut self, recorder: &ParticipantId, state: &EpochState) -> &mut Copy {
        if !self.copies.contains_key(recorder) {
            self.copies.retain(|known, _| state.members.values().any(|member| member.participant == *known));
        }
        self.copies.entry(recorder.clone()).or_default()
    }
}

fn state_of(
    firm: &FirmId,
    watch: &Watch,
    at: &dyn Fn(&Copy) -> UnixMillis,
    latest: Option<&EpochState>,
) -> RecorderState {
    let there = latest.into_iter().flat_map(|state| state.members.values());
    let there = there.filter(|member| member.role == LeafRole::Recorder && member.participant.firm == *firm);
    let mut copies: Vec<RecorderCopy> = there
        .map(|member| {
            let copy = watch.copies.get(&member.participant);
            let silent = copy.and_then(|copy| Some(at(copy).since(copy.alive_at?)));
            let state = match silent {
                Some(silent) if silent < BEACON_BANNER_MS => CopyState::Recording,
                Some(silent) if silent < watch.grace_ms => CopyState::Late,
                _ => CopyState::Missing,
            };
            RecorderCopy { participant: member.participant.clone(), state }
        })
        .collect();
    copies.sort_by(|one, other| one.participant.cmp(&other.participant));
    let best = [CopyState::Recording, CopyState::Late]
        .into_iter()
        .find_map(|state| copies.iter().find(|copy| copy.state == state))
        .cloned();
    let state = best.as_ref().map_or(CopyState::Missing, |copy| copy.state);
    let participant = best.map(|copy| copy.participant).or_else(|| watch.copies.keys().next().cloned());
    RecorderState { firm: firm.clone(), participant, state, rule: watch.rule, chat: watch.chat, copies }
}
