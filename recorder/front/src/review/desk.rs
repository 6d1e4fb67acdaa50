//! The officers' desk: what the ledger's story looks like beside the archive, and which act may follow it. Pure but for
//! reading the archive.

use crate::review::copies::Copies;
use crate::review::known::Entries;
use crate::review::meetings::Meetings;
use crate::review::requests::Requests;
use crate::review::story::{Review, Story, person, user_of};
use domain::message::front::ArchivedMeeting;
use domain::message::review::{
    AlertRow, CopyRow, CopyStepRow, DispositionRow, NoteRow, ReviewRow, ReviewSource, SampleRow, Supervision,
    WordsList, WordsRow,
};
use domain::{FirmId, MeetingId, ParticipantId, UnixMillis, UserId};
use evidence::archive::CopyWanted;
use evidence::supervision::{CopyStep, Disposition, MAX_DUE_DAYS, Rule, What};
use std::collections::HashMap;

const DAY_MS: u64 = 86_400_000;
/// Meetings whose copies are listed, newest first.
const MAX_COPY_MEETINGS: usize = 500;
/// Clocks of two officers' machines.
const SKEW_MS: u64 = 60_000;

/// Why an act may not follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotNow {
    /// Somebody who was in the meeting.
    InRoster,
    /// Anything else: code and text.
    Not(&'static str, &'static str),
}

fn not(code: &'static str, text: &'static str) -> Result<(), NotNow> {
    Err(NotNow::Not(code, text))
}

/// Meetings that a rule draws from: sealed, whole, in its interval.
pub fn population(meetings: &[ArchivedMeeting], rule: &Rule) -> Vec<(MeetingId, [u8; 32])> {
    let fits = |row: &&ArchivedMeeting| {
        row.integrity == "verified"
            && (rule.from..=rule.to).contains(&row.started_at)
            && (rule.room.is_empty() || row.room.as_str() == rule.room)
            && (rule.counterparty.is_empty() || row.counterparties.contains(&rule.counterparty))
    };
    let one = |row: &ArchivedMeeting| Some((row.meeting.clone(), row.manifest_hash.0.as_slice().try_into().ok()?));
    meetings.iter().filter(fits).filter_map(one).collect()
}

/// What is known when an act is judged.
pub struct Facts<'a> {
    /// The story so far.
    pub story: &'a Story,
    /// The ledger.
    pub entries: &'a Entries,
    /// Replay requests.
    pub requests: &'a Requests,
    /// The meeting that the act is about.
    pub meeting: Option<&'a Copies>,
    /// Who signed.
    pub by: &'a ParticipantId,
    /// Now.
    pub now: UnixMillis,
}

impl Facts<'_> {
    fn was_in(&self, firm: &FirmId, user: &UserId) -> bool {
        self.meeting.is_some_and(|meeting| meeting.manifest.has_person(firm, user))
    }

    fn review(&self, origin: u64, meeting: &MeetingId) -> Option<&Review> {
        self.story.reviews.get(&(origin, meeting.clone()))
    }

    /// May it follow?
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, what: &What) -> Result<(), NotNow> {
        match what {
            What::Sample(_) => Ok(()),
            What::Assign { origin, meeting, reviewer, due } => self.assign((*origin, meeting), reviewer, *due),
            What::Note { origin, meeting, to_ms, .. } => {
                let length = self.meeting.map_or(0, length_ms);
                if *to_ms > length {
                    return not("bad-interval", "The interval ends after the meeting.");
                }
                self.own_review(*origin, meeting)
            }
            What::Dispose { origin, meeting, .. } => self.own_review(*origin, meeting),
            What::Words { version, .. } => {
                let next = self.story.words.as_ref().map_or(1, |words| words.version.saturating_add(1));
                if *version == next {
                    Ok(())
                } else {
                    not("version", "Somebody changed the word lists meanwhile. Reload them.")
                }
            }
            What::Copy { meeting, client, request, step, file, .. } => self.copy(meeting, client, request, *step, file),
            _ => not("bad-message", "This front does not know this act."),
        }
    }

    fn assign(&self, (origin, meeting): (u64, &MeetingId), reviewer: &UserId, due: UnixMillis) -> Result<(), NotNow> {
        if !self.story.has_origin(origin, meeting) {
            return not("no-origin", "No sample and no match of the ledger leads to this review.");
        }
        if self.was_in(&self.by.firm, reviewer) {
            return Err(NotNow::InRoster);
        }
        if self.review(origin, meeting).is_some_and(Review::has_ended) {
            return not("disposed", "This review has ended.");
        }
        let in_time = due.0.saturating_add(SKEW_MS) >= self.now.0
            && due.since(self.now) <= (u64::from(MAX_DUE_DAYS) + 1) * DAY_MS;
        if in_time { Ok(()) } else { not("bad-due", "A review is due between now and a year from now.") }
    }

    fn own_review(&self, origin: u64, meeting: &MeetingId) -> Result<(), NotNow> {
        // also who was assigned before the roster was known to hold them
        if self.was_in(&self.by.firm, &self.by.user) {
            return Err(NotNow::InRoster);
        }
        let review = self.review(origin, meeting);
        if review.is_some_and(Review::has_ended) {
            return not("disposed", "This review has ended.");
        }
        let own = |review: &Review| review.assigned.as_ref().is_some_and(|(who, _)| *who == self.by.user);
        if review.is_some_and(own) {
            Ok(())
        } else {
            not("not-assigned", "This review is not assigned to you. Assign it first.")
        }
    }

    fn copy(
        &self,
        meeting: &MeetingId,
        client: &ParticipantId,
        request: &str,
        step: CopyStep,
        file: &str,
    ) -> Result<(), NotNow> {
        let Some(verified) = self.meeting else { return not("not-verified", "There is no such meeting.") };
        let Some(wish) = wish(verified, client) else {
            return not("no-wish", "This client did not ask for a copy of this meeting.");
        };
        let stored = self.requests.get(request).filter(|stored| stored.request.meeting == *meeting);
        let Some(stored) = stored.filter(|stored| stored.approval.is_some()) else {
            return not(
                "not-approved",
                "A copy needs a replay request for this meeting that a second officer approved.",
            );
        };
        if stored.requester.participant.user != self.by.user {
            return not("not-yours", "Only the officer who requested this replay hands out its copy.");
        }
        let (from_ms, to_ms) = attended(verified, &wish.participant);
        if stored.request.from_ms < from_ms || stored.request.to_ms > to_ms {
            return not(
                "too-much",
                "The request is for more than the client was there for. Request the client's own part.",
            );
        }
        let exported = self.entries.values().any(|seen| {
            seen.event.action == "export"
                && seen.event.meeting == *meeting
                && user_of(&seen.event.actor) == self.by.user.as_str()
        });
        if !exported {
            return not("not-exported", "Nothing of this meeting was exported by you yet.");
        }
        let steps = self.story.copies.get(&(meeting.clone(), person(client)));
        let last = steps.and_then(|steps| steps.last());
        match (step, last) {
            (_, Some(last)) if last.step == CopyStep::Handed => not("handed", "This copy was handed out before."),
            (CopyStep::Prepared, _) => Ok(()),
            (CopyStep::Handed, Some(last)) if last.file == file && last.request == request => Ok(()),
            (CopyStep::Handed, _) => not("not-prepared", "Only a prepared copy is handed out."),
        }
    }
}

fn length_ms(meeting: &Copies) -> u64 {
    meeting.manifest.ended_at.since(meeting.manifest.started_at)
}

/// A client's wish for a copy, on whichever device.
pub fn wish<'a>(meeting: &'a Copies, client: &ParticipantId) -> Option<&'a CopyWanted> {
    let same = |wish: &&CopyWanted| wish.participant.firm == client.firm && wish.participant.user == client.user;
    meeting.manifest.copies_wanted.iter().find(same)
}

/// From when to when a person was there on any device, ms from the begin.
pub fn attended(meeting: &Copies, who: &ParticipantId) -> (u64, u64) {
    let manifest = &meeting.manifest;
    let own =
        || manifest.roster.iter().filter(|row| row.participant.firm == who.firm && row.participant.user == who.user);
    let from = own().map(|row| row.joined_at).min().unwrap_or(manifest.ended_at);
    let to = own().map(|row| row.left_at).max().unwrap_or(manifest.started_at);
    let from_ms = from.since(manifest.started_at);
    (from_ms, to.since(manifest.started_at).min(length_ms(meeting)).max(from_ms))
}

/// Everything an officer sees. Blocking.
pub fn view(story: &Story, entries: &Entries, meetings: &Meetings) -> Supervision {
    let rows = meetings.list();
    let by_id: HashMap<&MeetingId, &ArchivedMeeting> = rows.iter().map(|row| (&row.meeting, row)).collect();
    let title = |meeting: &MeetingId| by_id.get(meeting).map_or_else(String::new, |row| row.title.clone());
    let mut reviews: Vec<ReviewRow> = story
        .reviews
        .iter()
        .map(|((origin, meeting), review)| {
            review_row(story, entries, (*origin, meeting), review, by_id.get(meeting).copied())
        })
        .collect();
    reviews.sort_by_key(|row| (row.due, row.origin));
    let alerts =
        story.matches.iter().rev().filter(|(_, found)| !found.hits.is_empty()).map(|(index, found)| AlertRow {
            index: *index,
            at: found.at,
            by: found.by.clone(),
            meeting: found.meeting.clone(),
            title: title(&found.meeting),
            version: found.version,
            hits: found.hits.clone(),
        });
    Supervision {
        samples: story.samples.iter().rev().map(|(index, sample)| sample_row(*index, sample)).collect(),
        reviews,
        alerts: alerts.collect(),
        words: story.words.as_ref().map(words_row),
        copies: copies(story, meetings, &rows),
        missing: story.missing.clone(),
    }
}

fn sample_row(index: u64, sample: &crate::review::story::Sample) -> SampleRow {
    SampleRow {
        index,
        by: sample.by.to_string(),
        at: sample.at,
        percent: sample.rule.percent,
        room: sample.rule.room.clone(),
        counterparty: sample.rule.counterparty.clone(),
        from: sample.rule.from,
        to: sample.rule.to,
        population: sample.population as u64,
        population_hash: hex::encode(sample.population_hash),
        seed: hex::encode(sample.seed),
        drawn: sample.drawn.clone(),
    }
}

fn words_row(words: &crate::review::story::Words) -> WordsRow {
    let list =
        |list: &evidence::supervision::WordList| WordsList { name: list.name.clone(), words: list.words.clone() };
    WordsRow {
        version: words.version,
        index: words.index,
        by: words.by.to_string(),
        at: words.at,
        hash: hex::encode(words.hash),
        lists: words.lists.iter().map(list).collect(),
    }
}

fn review_row(
    story: &Story,
    entries: &Entries,
    (origin, meeting): (u64, &MeetingId),
    review: &Review,
    row: Option<&ArchivedMeeting>,
) -> ReviewRow {
    let sample = story.samples.get(&origin);
    let begun = sample.map(|sample| sample.at).or_else(|| story.matches.get(&origin).map(|found| found.at));
    let begun = begun.unwrap_or_default();
    let drawn_due = sample.map_or(begun, |sample| begun.plus(u64::from(sample.rule.due_days) * DAY_MS));
    let reviewer = review.assigned.as_ref().map(|(who, _)| who.to_string());
    let opened = |by: &String| {
        let by_them = |seen: &&crate::review::known::Seen| {
            seen.event.action == "open" && seen.event.meeting == *meeting && user_of(&seen.event.actor) == *by
        };
        entries.range(origin..).map(|(_, seen)| seen).find(by_them).map(|seen| seen.event.at)
    };
    let note = |done: &crate::review::story::Done<(u64, u64, String)>| NoteRow {
        by: done.by.to_string(),
        at: done.at,
        from_ms: done.what.0,
        to_ms: done.what.1,
        text: done.what.2.clone(),
    };
    let disposed = |done: &crate::review::story::Done<(Disposition, String)>| DispositionRow {
        by: done.by.to_string(),
        at: done.at,
        disposition: word(done.what.0).to_owned(),
        text: done.what.1.clone(),
    };
    ReviewRow {
        origin,
        source: if sample.is_some() { ReviewSource::Sample } else { ReviewSource::Alert },
        meeting: meeting.clone(),
        title: row.map_or_else(String::new, |row| row.title.clone()),
        started_at: row.map_or_else(UnixMillis::default, |row| row.started_at),
        length_ms: row.map_or(0, |row| row.ended_at.since(row.started_at)),
        participants: row.map_or_else(Vec::new, |row| row.participants.clone()),
        due: review.assigned.as_ref().map_or(drawn_due, |(_, due)| *due),
        opened_at: reviewer.as_ref().and_then(opened),
        reviewer,
        notes: review.notes.iter().map(note).collect(),
        dispositions: review.dispositions.iter().map(disposed).collect(),
    }
}

/// As it is signed.
pub fn word(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::NoFinding => "no-finding",
        Disposition::FollowUp => "follow-up",
        Disposition::Escalate => "escalate",
    }
}

fn copies(story: &Story, meetings: &Meetings, rows: &[ArchivedMeeting]) -> Vec<CopyRow> {
    let wanted = rows.iter().filter(|row| !row.copies_wanted.is_empty()).take(MAX_COPY_MEETINGS);
    let verified = wanted.filter_map(|row| meetings.find(&row.meeting).ok());
    verified.flat_map(|meeting| copies_of(story, &meeting)).collect()
}

fn copies_of(story: &Story, meeting: &Copies) -> Vec<CopyRow> {
    let manifest = &meeting.manifest;
    let mut seen = Vec::new();
    let mut rows = Vec::new();
    for wish in &manifest.copies_wanted {
        let client = person(&wish.participant);
        if seen.contains(&client) {
            continue;
        }
        let steps = story.copies.get(&(manifest.meeting.clone(), client.clone()));
        let (from_ms, to_ms) = attended(meeting, &wish.participant);
        let name = manifest.roster.iter().find(|row| row.participant == wish.participant).map(|row| row.name.clone());
        rows.push(CopyRow {
            meeting: manifest.meeting.clone(),
            title: manifest.title.clone(),
            started_at: manifest.started_at,
            manifest_hash: meeting.first().hash.into(),
            client: wish.participant.to_string(),
            name: name.unwrap_or_default(),
            language: wish.language.clone(),
            asked_at: wish.at,
            from_ms,
            to_ms,
            steps: steps.map_or_else(Vec::new, |steps| steps.iter().map(step_row).collect()),
        });
        seen.push(client);
    }
    rows
}

fn step_row(step: &crate::review::story::Step) -> CopyStepRow {
    CopyStepRow {
        step: match step.step {
            CopyStep::Prepared => "prepared",
            CopyStep::Handed => "handed",
        }
        .to_owned(),
        index: step.index,
        by: step.by.to_string(),
        at: step.at,
        request: step.request.clone(),
        file: step.file.clone(),
        text: step.text.clone(),
    }
}
