//! What people say in writing, and the announcements of files: queued until it may be said, said again until every recorder that is there has it, heard
//! once. The words are sealed and signed (`evidence::said`) inside an MLS application message.
//!
//! Whoever comes later gets nothing from before. Whoever was away asks, and those who said something in the last minute
//! say the same bytes again.

use super::application::Message;
use super::event::{Event, IncidentKind, SayError, Words};
use super::{Phase, Session};
use crate::file::Card;
use crate::said::{Place, SaidKey};
use domain::message::client::ToServer;
use domain::message::custody::LeafRole;
use domain::policy::ContentClass;
use domain::{B64, BlobId, Epoch, FirmId, ParticipantId, UnixMillis};
use evidence::archive::Digest;
use evidence::identity::Identity;
use evidence::said::{self, LABEL, MAX_TEXT, Said, What};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zeroize::Zeroizing;

/// What was said is kept so long, to be said again, ms: a connection that is lost is back within it or resyncs.
const KEEP_MS: u64 = 60_000;
/// ... and that a file was told so long, to hear from every recorder that it has it, ms: a recorder fetches one after the
/// other.
const KEEP_FILE_MS: u64 = 15 * 60_000;
/// ... and at most so much of it.
const MAX_OWN: usize = 256;
/// A recorder has said so long after that it keeps it, ms: twelve of its group commits.
const AGAIN_MS: u64 = 3_000;
/// Lines that wait to be said: nobody types more while a recorder is away.
const MAX_WAITING: usize = 32;
/// Lines at once ...
const BURST: u64 = 8;
/// ... and then one in, ms.
const EVERY_MS: u64 = 500;
/// Numbers remembered of one certificate, to hear each once.
const MAX_NUMBERS: usize = 256;
/// Certificates remembered: 250 members, each four times back with a new key.
const MAX_SPEAKERS: usize = 1_024;
/// After a connection is back it asks for what it missed, ms: the commits it missed come first.
const ASK_MS: u64 = 500;
/// What is asked for is said again at most once in, ms: several ask at once when a service was restarted.
const SPACING_MS: u64 = 1_000;

struct Waiting {
    sequence: u64,
    content: Content,
}

pub(super) enum Content {
    Words(Words),
    Plain(What),
    File(Box<Announced>),
}

/// A file that lies at signaling, to be told.
pub(super) struct Announced {
    pub(super) blob: BlobId,
    pub(super) size: u64,
    pub(super) ciphertext: Digest,
    pub(super) card: Card,
}

impl Content {
    fn class(&self) -> ContentClass {
        match self {
            Self::Words(_) | Self::Plain(_) => ContentClass::Chat,
            Self::File(_) => ContentClass::Files,
        }
    }
    fn what(&self, seal: impl Fn(&[u8]) -> Vec<u8>) -> What {
        match self {
            Self::Words(words) => What::Text { sealed: seal(words.0.as_bytes()) },
            Self::Plain(what) => what.clone(),
            Self::File(file) => What::File {
                blob: file.blob.clone(),
                size: file.size,
                ciphertext: file.ciphertext,
                sealed: seal(&file.card.encode()),
            },
        }
    }
}

/// Something this participant said.
struct Own {
    at: UnixMillis,
    said_at: UnixMillis,
    sequence: u64,
    signed: B64,
    hash: [u8; 32],
    class: ContentClass,
    /// Firms whose recorder was there and has not said that it keeps it.
    missing: BTreeSet<FirmId>,
    /// The connection broke after it: it may have reached nobody.
    doubtful: bool,
}

/// What a message said, opened; none within where its key is not here.
enum Read {
    Words(Option<Words>),
    Card(Option<Card>),
    Nothing,
}

impl Read {
    /// `None`: what was sealed is nothing of its kind.
    fn of(what: &What, opened: Option<Zeroizing<Vec<u8>>>) -> Option<Self> {
        Some(match (what, opened) {
            (What::Text { .. }, None) => Self::Words(None),
            (What::Text { .. }, Some(text)) => Self::Words(Some(Words(String::from_utf8(text.to_vec()).ok()?))),
            (What::File { .. }, None) => Self::Card(None),
            (What::File { .. }, Some(card)) => Self::Card(Some(Card::decode(&card)?)),
            _ => Self::Nothing,
        })
    }
}

#[derive(Default)]
struct Numbers {
    below: u64,
    heard: BTreeSet<u64>,
}

/// Both sides of it.
#[derive(Default)]
pub(super) struct Speech {
    sequence: u64,
    waiting: VecDeque<Waiting>,
    own: VecDeque<Own>,
    heard: BTreeMap<[u8; 32], Numbers>,
    spent: u64,
    spent_at: UnixMillis,
    ask_at: Option<UnixMillis>,
    first_epoch: Option<Epoch>,
}

impl Speech {
    /// The connection is back, or the group is: both sides may have missed something.
    pub(super) fn came_back(&mut self, now: UnixMillis) {
        self.ask_at = Some(now.plus(ASK_MS));
        self.own.iter_mut().for_each(|own| own.doubtful = true);
    }
    pub(super) fn entered(&mut self, epoch: Epoch) {
        self.first_epoch.get_or_insert(epoch);
    }
    /// A line more within the rate?
    fn take(&mut self, now: UnixMillis) -> bool {
        let back = now.since(self.spent_at) / EVERY_MS;
        if back > 0 {
            self.spent = self.spent.saturating_sub(back);
            self.spent_at = now;
        }
        let taken = self.spent < BURST;
        self.spent += u64::from(taken);
        taken
    }
    fn is_new(&mut self, certificate: [u8; 32], sequence: u64) -> bool {
        if self.heard.len() >= MAX_SPEAKERS && !self.heard.contains_key(&certificate) {
            self.heard.pop_first();
        }
        let numbers = self.heard.entry(certificate).or_default();
        let new = sequence > numbers.below && numbers.heard.insert(sequence);
        if numbers.heard.len() > MAX_NUMBERS
            && let Some(oldest) = numbers.heard.pop_first()
        {
            numbers.below = oldest;
        }
        new
    }
    /// Those to be said again now.
    fn due(&mut self, now: UnixMillis) -> Vec<B64> {
        self.own.retain(|own| now.since(own.at) < own.keep_ms());
        let mut due = Vec::new();
        for own in self.own.iter_mut().filter(|own| own.again_at().is_some_and(|at| at <= now)) {
            own.said_at = now;
            own.doubtful = false;
            due.push(own.signed.clone());
        }
        due
    }
}

impl Own {
    fn keep_ms(&self) -> u64 {
        if self.class == ContentClass::Files { KEEP_FILE_MS } else { KEEP_MS }
    }
    fn again_at(&self) -> Option<UnixMillis> {
        let again = if self.doubtful {
            Some(self.said_at.plus(SPACING_MS))
        } else {
            (!self.missing.is_empty()).then(|| self.said_at.plus(AGAIN_MS))
        };
        again.filter(|at| at.since(self.at) < KEEP_MS)
    }
}

impl Session {
    /// Says a chat line: at once, or as soon as it may be said (in a must room, once the recorder has the epoch). Returns
    /// its number; [`Event::Said`] follows when it goes out, [`Event::Kept`] from each recorder.
    pub fn say(&mut self, now: UnixMillis, text: &str) -> Result<u64, SayError> {
        if matches!(self.phase, Phase::Over) || self.own.role == LeafRole::Recorder {
            return Err(SayError::NotIn);
        }
        let text = text.trim();
        if text.is_empty() {
            return Err(SayError::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(SayError::TooLong);
        }
        self.queue(now, Content::Words(Words(text.to_owned())))
    }

    /// Says something that is no chat line: tags, a pause, a wish for a copy. As [`Self::say`].
    pub fn declare(&mut self, now: UnixMillis, what: What) -> Result<u64, SayError> {
        if matches!(self.phase, Phase::Over) || self.own.role == LeafRole::Recorder {
            return Err(SayError::NotIn);
        }
        if matches!(what, What::Text { .. } | What::File { .. }) || !what.is_in_range() {
            return Err(SayError::OutOfRange);
        }
        self.queue(now, Content::Plain(what))
    }

    fn queue(&mut self, now: UnixMillis, content: Content) -> Result<u64, SayError> {
        self.is_allowed(&content)?;
        if self.speech.waiting.len() >= MAX_WAITING || !self.speech.take(now) {
            return Err(SayError::TooFast);
        }
        self.put(now, content)
    }

    /// Without a rate: what was bounded before it came here.
    pub(super) fn queue_free(&mut self, now: UnixMillis, content: Content) -> Result<u64, SayError> {
        self.is_allowed(&content)?;
        self.put(now, content)
    }

    fn is_allowed(&self, content: &Content) -> Result<(), SayError> {
        let Some(meeting) = &self.meeting else { return Err(SayError::NotIn) };
        content.what(|_| Vec::new()).allowed(&self.own.participant, meeting.rules.statements())?;
        Ok(())
    }

    fn put(&mut self, now: UnixMillis, content: Content) -> Result<u64, SayError> {
        self.speech.sequence += 1;
        let sequence = self.speech.sequence;
        self.speech.waiting.push_back(Waiting { sequence, content });
        self.settle(now);
        Ok(sequence)
    }

    /// Is there a group to say something in, and a connection to say it by?
    pub(super) fn can_tell_group(&self) -> bool {
        matches!(self.phase, Phase::Member) && self.group.is_some() && !self.recorders.is_offline()
    }

    /// May something new be said in this epoch? Not while somebody who is to go could read it.
    pub(super) fn may_say(&self, now: UnixMillis, class: ContentClass) -> bool {
        let Some(state) = self.epochs.latest() else { return false };
        self.can_tell_group()
            && !self.orders.against_us()
            && self.orders.stop_at().is_none()
            && self.epoch() == Some(state.epoch)
            && self.recorders.may_say(&self.own.participant.firm, state, now, class)
    }

    /// Says what waits and may go, and again what somebody lacks.
    pub(super) fn speak(&mut self, now: UnixMillis) {
        while let Some(first) = self.speech.waiting.front()
            && self.may_say(now, first.content.class())
            && let Some(waiting) = self.speech.waiting.pop_front()
        {
            if let Err(waiting) = self.say_one(now, waiting) {
                self.speech.waiting.push_front(waiting);
                return self.group_failed(now);
            }
        }
        if !self.can_tell_group() {
            return;
        }
        for signed in self.speech.due(now) {
            self.tell_group(&Message::Said { signed });
        }
        if self.speech.ask_at.is_some_and(|at| at <= now) {
            self.speech.ask_at = None;
            self.tell_group(&Message::SaidWanted {});
        }
    }

    pub(super) fn tell_group(&mut self, message: &Message) -> bool {
        let sealed = self.encrypt(message);
        let told = sealed.is_some();
        sealed.into_iter().for_each(|message| self.send(ToServer::Application { message: B64(message) }));
        told
    }

    fn say_one(&mut self, now: UnixMillis, waiting: Waiting) -> Result<(), Waiting> {
        let (Some(state), Some(meeting)) = (self.epochs.latest(), &self.meeting) else { return Err(waiting) };
        let (participant, epoch, sequence) = (self.own.participant.clone(), state.epoch, waiting.sequence);
        let place = Place { meeting: &meeting.terms.meeting, participant: &participant, epoch, sequence };
        let what = waiting.content.what(|clear| SaidKey::of(&state.base).seal(&place, clear));
        let class = waiting.content.class();
        let recorders = state.members.values().filter(|member| member.role == LeafRole::Recorder);
        let there = recorders.map(|member| &member.participant.firm);
        // what is declared belongs to every record, chat and files only to those that keep them
        let declared = matches!(waiting.content, Content::Plain(_));
        let missing = there.filter(|firm| declared || self.recorders.keeps(firm, class)).cloned().collect();
        let said = Said { meeting: meeting.terms.meeting.clone(), epoch, sequence, at: now, what: what.clone() };
        let signed = B64(self.key.sign_cose(LABEL, &said::encode(&said), Some(&self.certificate)));
        if !self.tell_group(&Message::Said { signed: signed.clone() }) {
            return Err(waiting);
        }
        let hash = evidence::sha256(&signed);
        if self.speech.own.len() >= MAX_OWN {
            self.speech.own.pop_front();
        }
        let own =
            Own { at: now, said_at: now, sequence, signed: signed.clone(), hash, class, missing, doubtful: false };
        self.speech.own.push_back(own);
        let event = match waiting.content {
            Content::Words(words) => {
                Event::Said { from: participant, epoch, sequence, at: now, words: Some(words), signed }
            }
            Content::Plain(what) => Event::Declared { from: participant, epoch, sequence, at: now, what, signed },
            Content::File(file) => self.shared(participant, &said, Some(file.card), signed),
        };
        self.tell(event);
        Ok(())
    }

    fn shared(&mut self, from: ParticipantId, said: &Said, card: Option<Card>, signed: B64) -> Event {
        let shown = self.offered(&from, &said.what, card, &signed);
        let (blob, size) = match &said.what {
            What::File { blob, size, .. } => (blob.clone(), *size),
            _ => unreachable!("asked for files alone"),
        };
        let Said { epoch, sequence, at, .. } = *said;
        Event::Shared { from, epoch, sequence, at, blob, file: evidence::sha256(&signed).into(), size, shown, signed }
    }

    /// A member says something.
    pub(super) fn heard_said(&mut self, sender: &Identity, signed: B64) {
        let from = sender.participant.clone();
        let judged = said::judge_member(sender, &signed).ok();
        let judged = judged.filter(|said| self.is_this_meeting(&said.meeting) && sender.role != LeafRole::Recorder);
        let rules = self.meeting.as_ref().map(|meeting| &meeting.rules);
        let allowed = |said: &Said| rules.is_some_and(|rules| said.what.allowed(&from, rules.statements()).is_ok());
        let Some(said) = judged.filter(allowed) else {
            return self.incident(IncidentKind::BadSaid, Some(from));
        };
        // said before we came, and again for somebody who was away
        if self.speech.first_epoch.is_some_and(|first| said.epoch < first) {
            return;
        }
        let read = match &said.what {
            What::Text { sealed } | What::File { sealed, .. } => self.read_sealed(sender, &said, sealed),
            _ => Ok(None),
        };
        let read = read.and_then(|opened| Read::of(&said.what, opened).ok_or(IncidentKind::BadSaid));
        let read = match read {
            Ok(read) => read,
            Err(kind) => return self.incident(kind, Some(from)),
        };
        if self.speech.is_new(sender.certificate_hash, said.sequence) {
            let event = match read {
                Read::Card(card) => self.shared(from, &said, card, signed),
                Read::Words(words) => {
                    Event::Said { from, epoch: said.epoch, sequence: said.sequence, at: said.at, words, signed }
                }
                Read::Nothing => {
                    let Said { epoch, sequence, at, what, .. } = said;
                    Event::Declared { from, epoch, sequence, at, what, signed }
                }
            };
            self.tell(event);
        }
    }

    /// What was sealed, or none where the epoch was never held here or is erased.
    fn read_sealed(
        &self,
        sender: &Identity,
        said: &Said,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, IncidentKind> {
        let Some(state) = self.epochs.by_epoch(said.epoch) else {
            let ahead = self.epochs.latest().is_none_or(|latest| said.epoch > latest.epoch);
            return if ahead { Err(IncidentKind::BadSaid) } else { Ok(None) };
        };
        if state.members.values().all(|member| member.certificate_hash != sender.certificate_hash) {
            return Err(IncidentKind::BadSaid);
        }
        let place = Place {
            meeting: &said.meeting,
            participant: &sender.participant,
            epoch: said.epoch,
            sequence: said.sequence,
        };
        SaidKey::of(&state.base).open(&place, sealed).ok_or(IncidentKind::BadSaid).map(Some)
    }

    /// A recorder has things on disk.
    pub(super) fn heard_kept(&mut self, firm: &FirmId, said: &[B64]) {
        for hash in said {
            let own = self.speech.own.iter_mut().find(|own| own.hash[..] == hash[..]);
            if let Some(own) = own
                && own.missing.remove(firm)
            {
                let sequence = own.sequence;
                self.tell(Event::Kept { sequence, firm: firm.clone() });
            }
        }
    }

    /// A member was away.
    pub(super) fn heard_said_wanted(&mut self, now: UnixMillis, from: &ParticipantId) {
        if *from != self.own.participant {
            let recent = self.speech.own.iter_mut().filter(|own| now.since(own.at) < KEEP_MS);
            recent.for_each(|own| own.doubtful = true);
        }
    }

    /// Recorder: these are on disk, durably (SHA-256 of each signed object).
    pub fn tell_kept(&mut self, said: Vec<[u8; 32]>) {
        if self.can_tell_group() && self.own.role == LeafRole::Recorder {
            self.tell_group(&Message::Kept { said: said.into_iter().map(B64::from).collect() });
        }
    }

    /// Next moment at which something is said again or asked for.
    pub(super) fn next_speech(&self) -> Option<UnixMillis> {
        let again = self.speech.own.iter().filter_map(Own::again_at).min();
        self.speech.ask_at.into_iter().chain(again).min().filter(|_| self.can_tell_group())
    }
}
