//! Supervision as the ledger tells it: which acts took place, in which order, and where each review and copy stands by them.
//! Pure but for reading acts; nothing that the ledger does not name is in it.

use crate::review::acts::{Acts, Signed};
use crate::review::known::{Entries, Seen};
use domain::message::review::HitRow;
use domain::{MeetingId, ParticipantId, UnixMillis, UserId};
use evidence::supervision::{self, CopyStep, Disposition, Rule, What, WordList};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Hits named in one ledger entry: its note takes 1024 characters.
pub const HITS_AN_ENTRY: usize = 12;

/// A sample.
pub struct Sample {
    /// By whom.
    pub by: UserId,
    /// When.
    pub at: UnixMillis,
    /// Its rule.
    pub rule: Rule,
    /// Meetings it was drawn from.
    pub population: usize,
    /// SHA-256 of their list.
    pub population_hash: [u8; 32],
    /// SHA-256 of the signed ledger entry.
    pub seed: [u8; 32],
    /// What was drawn, in order.
    pub drawn: Vec<MeetingId>,
}

/// A match of word lists.
pub struct Match {
    /// By whom (user id).
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Version of the lists.
    pub version: u32,
    /// Where.
    pub hits: Vec<HitRow>,
}

/// An act of a review: when and by whom.
pub struct Done<T> {
    /// By whom.
    pub by: UserId,
    /// When.
    pub at: UnixMillis,
    /// What.
    pub what: T,
}

/// A review.
#[derive(Default)]
pub struct Review {
    /// Who is to review, until when.
    pub assigned: Option<(UserId, UnixMillis)>,
    /// Intervals and notes.
    pub notes: Vec<Done<(u64, u64, String)>>,
    /// Dispositions and their reasons.
    pub dispositions: Vec<Done<(Disposition, String)>>,
}

impl Review {
    /// Did it end? What is to be followed up did not.
    pub fn has_ended(&self) -> bool {
        self.dispositions.last().is_some_and(|last| last.what.0 != Disposition::FollowUp)
    }
}

/// Word lists in force.
pub struct Words {
    /// Version.
    pub version: u32,
    /// Ledger index.
    pub index: u64,
    /// By whom.
    pub by: UserId,
    /// When.
    pub at: UnixMillis,
    /// SHA-256 of the signed act.
    pub hash: [u8; 32],
    /// The lists.
    pub lists: Vec<WordList>,
}

/// A step of a copy.
pub struct Step {
    /// Which.
    pub step: CopyStep,
    /// Ledger index.
    pub index: u64,
    /// By whom.
    pub by: UserId,
    /// When.
    pub at: UnixMillis,
    /// Replay request.
    pub request: String,
    /// SHA-256 of the file, hexadecimal.
    pub file: String,
    /// What it is; how it was handed out.
    pub text: String,
}

/// Everything.
#[derive(Default)]
pub struct Story {
    /// By the ledger index of their drawing.
    pub samples: BTreeMap<u64, Sample>,
    /// By the ledger index of their entry.
    pub matches: BTreeMap<u64, Match>,
    /// By what they come from, and the meeting.
    pub reviews: BTreeMap<(u64, MeetingId), Review>,
    /// In force.
    pub words: Option<Words>,
    /// By meeting and client (firm, user).
    pub copies: HashMap<(MeetingId, String), Vec<Step>>,
    /// Ledger entries whose act is missing or changed.
    pub missing: Vec<u64>,
}

/// Ledger actions that name an act.
const ACTIONS: [&str; 6] = ["sample", "assign", "note", "dispose", "words", "copy"];

/// The ledger's word for an act.
pub fn action(what: &What) -> &'static str {
    match what {
        What::Sample(_) => "sample",
        What::Assign { .. } => "assign",
        What::Note { .. } => "note",
        What::Dispose { .. } => "dispose",
        What::Words { .. } => "words",
        What::Copy { .. } => "copy",
        _ => "",
    }
}

/// The person of a participant, without the device.
pub fn person(who: &ParticipantId) -> String {
    format!("{}/{}", who.firm, who.user)
}

/// The user id in an actor's URI.
pub fn user_of(actor: &str) -> String {
    ParticipantId::from_uri(actor).map_or_else(|_| actor.to_owned(), |who| who.user.to_string())
}

impl Story {
    /// Tells it. Blocking where an act is read for the first time.
    pub fn of(entries: &Entries, acts: &Acts) -> Self {
        let mut story = Self::default();
        for (index, seen) in entries.iter() {
            if seen.event.action == "match" {
                story.matches.extend(matched(seen).map(|found| (*index, found)));
                continue;
            }
            if !ACTIONS.contains(&seen.event.action.as_str()) {
                continue;
            }
            let Some(hash) = named(&seen.event.note, "act ") else { continue };
            let whole = |signed: &Arc<Signed>| {
                signed.by.uri() == seen.event.actor && action(&signed.act.what) == seen.event.action
            };
            match acts.get(&hash).filter(whole) {
                Some(signed) => story.add(*index, seen, &signed, hash, acts),
                None => story.missing.push(*index),
            }
        }
        story
    }

    fn add(&mut self, index: u64, seen: &Seen, signed: &Signed, hash: [u8; 32], acts: &Acts) {
        let (by, at) = (signed.by.user.clone(), seen.event.at);
        match signed.act.what.clone() {
            What::Sample(rule) => {
                let listed = named(&seen.event.note, "population sha256 ");
                let Some((population_hash, population)) = listed.and_then(|hash| Some((hash, acts.population(&hash)?)))
                else {
                    self.missing.push(index);
                    return;
                };
                let drawn = supervision::draw(&seen.hash, &population, rule.percent);
                self.reviews.extend(drawn.iter().map(|meeting| ((index, meeting.clone()), Review::default())));
                let population = population.lines().count();
                let sample = Sample { by, at, rule, population, population_hash, seed: seen.hash, drawn };
                self.samples.insert(index, sample);
            }
            What::Assign { origin, meeting, reviewer, due } => {
                self.reviews.entry((origin, meeting)).or_default().assigned = Some((reviewer, due));
            }
            What::Note { origin, meeting, from_ms, to_ms, text } => {
                let note = Done { by, at, what: (from_ms, to_ms, text) };
                self.reviews.entry((origin, meeting)).or_default().notes.push(note);
            }
            What::Dispose { origin, meeting, disposition, text } => {
                let done = Done { by, at, what: (disposition, text) };
                self.reviews.entry((origin, meeting)).or_default().dispositions.push(done);
            }
            What::Words { version, lists } => self.words = Some(Words { version, index, by, at, hash, lists }),
            What::Copy { meeting, client, request, step, file, text } => {
                let step = Step { step, index, by, at, request, file, text };
                self.copies.entry((meeting, person(&client))).or_default().push(step);
            }
            _ => self.missing.push(index),
        }
    }

    /// Is there something that a review of this meeting comes from?
    pub fn has_origin(&self, origin: u64, meeting: &MeetingId) -> bool {
        self.samples.get(&origin).is_some_and(|sample| sample.drawn.contains(meeting))
            || self.matches.get(&origin).is_some_and(|found| found.meeting == *meeting && !found.hits.is_empty())
    }
}

/// A hash that a note names.
fn named(note: &str, word: &str) -> Option<[u8; 32]> {
    let part = note.split("; ").find_map(|part| part.strip_prefix(word))?;
    hex::decode(part).ok()?.try_into().ok()
}

/// The note of a match. Names of lists and times only: what was written stays sealed.
pub fn match_note(version: u32, lines: usize, hits: &[HitRow], request: &str, case: &str) -> String {
    let hits: Vec<String> = hits.iter().map(|hit| format!("{}@{}", hit.list, hit.at_ms)).collect();
    let hits = if hits.is_empty() { "none".to_owned() } else { hits.join(" ") };
    format!("words {version}; lines {lines}; hits {hits}; request {request}; case {case}")
}

fn matched(seen: &Seen) -> Option<Match> {
    let mut parts = seen.event.note.split("; ");
    let version = parts.next()?.strip_prefix("words ")?.parse().ok()?;
    parts.next()?.strip_prefix("lines ")?;
    let hits = parts.next()?.strip_prefix("hits ")?.split(' ').filter_map(|hit| hit.split_once('@'));
    let hits =
        hits.filter_map(|(list, at)| Some(HitRow { list: list.to_owned(), at_ms: at.parse().ok()?, line: None }));
    let (by, at, meeting) = (user_of(&seen.event.actor), seen.event.at, seen.event.meeting.clone());
    Some(Match { by, at, meeting, version, hits: hits.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::message::custody::LedgerEvent;

    #[test]
    fn a_match_reads_back_from_its_ledger_entry_whatever_the_case_is_called() {
        let hit = |list: &str, at_ms| HitRow { list: list.to_owned(), at_ms, line: None };
        let hits: Vec<_> = (0..HITS_AN_ENTRY as u64).map(|n| hit(&"x".repeat(32), 86_400_000 + n)).collect();
        for hits in [&hits[..], &[]] {
            let case = "; hits a@1; act 0".chars().chain(std::iter::repeat_n('\u{1f600}', 83)).collect::<String>();
            let note = match_note(3, 17, hits, &"f".repeat(32), &case);
            assert!(note.len() <= evidence::ledger::MAX_NOTE, "{}", note.len());
            let event = LedgerEvent {
                at: UnixMillis(5),
                actor: "sr://bank-a/carol/d1".to_owned(),
                action: "match".to_owned(),
                meeting: "m1".parse().expect("an id"),
                note,
            };
            let found = matched(&Seen { event, hash: [0; 32] }).expect("reads");
            assert_eq!((found.version, found.by.as_str(), found.hits.as_slice()), (3, "carol", hits));
        }
    }
}
