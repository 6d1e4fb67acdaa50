//! Marks on the time line: what an officer sees of the archive's events. Pure.

use domain::ParticipantId;
use domain::message::custody::LeafRole;
use domain::message::front::LaneEvent;
use domain::policy::{Rule, Statement};
use evidence::archive::{ArchiveEvent, Gap, MeetingManifest};
use std::collections::HashSet;

/// Kind of the marks that are chat lines.
pub const CHAT: &str = "chat";
/// Marks of one kind shown at most: a time line with more is unreadable.
pub const MAX_MARKS: usize = 5_000;

/// Collects marks in the order of the archive.
pub struct Marks<'a> {
    manifest: &'a MeetingManifest,
    present: HashSet<ParticipantId>,
    events: Vec<LaneEvent>,
}

impl<'a> Marks<'a> {
    /// No marks yet.
    pub fn new(manifest: &'a MeetingManifest) -> Self {
        Self { manifest, present: HashSet::new(), events: Vec::new() }
    }

    /// An event of the archive at the recorder's time, microseconds since 1970.
    pub fn add(&mut self, at_us: u64, event: &ArchiveEvent) {
        if self.events.len() >= MAX_MARKS {
            return;
        }
        let at_ms = (at_us / 1000).saturating_sub(self.manifest.started_at.0);
        if let ArchiveEvent::Terms { statements, .. } = event {
            let marks = statements.iter().filter_map(|signed| statement(signed));
            self.events.extend(marks.map(|text| LaneEvent { at_ms, kind: "statement".to_owned(), text }));
        }
        if let Some((kind, text)) = self.shown(event) {
            self.events.push(LaneEvent { at_ms, kind: kind.to_owned(), text });
        }
    }

    /// All marks with the manifest's gaps, in order of time.
    pub fn finish(self) -> Vec<LaneEvent> {
        let mut events = self.events;
        events.extend(self.manifest.gaps.iter().take(MAX_MARKS).map(|gap| gap_mark(gap, self.manifest)));
        events.sort_by_key(|event| event.at_ms);
        events
    }

    /// A recorder hears of a join from several sides; people come and go once.
    fn shown(&mut self, event: &ArchiveEvent) -> Option<(&'static str, String)> {
        Some(match event {
            ArchiveEvent::Joined { participant } => {
                self.present.insert(participant.clone()).then(|| ("join", name_of(self.manifest, participant)))?
            }
            ArchiveEvent::Left { participant } => {
                self.present.remove(participant).then(|| ("leave", name_of(self.manifest, participant)))?
            }
            ArchiveEvent::Paused { by, .. } => ("pause", format!("record paused by {}", name_of(self.manifest, by))),
            ArchiveEvent::Resumed { by } => {
                let by = by.as_ref().map_or_else(|| "its time was over".to_owned(), |by| name_of(self.manifest, by));
                ("pause", format!("record resumed ({by})"))
            }
            ArchiveEvent::Acknowledged { participant, .. } => {
                ("notice", format!("{} acknowledged the notices", name_of(self.manifest, participant)))
            }
            ArchiveEvent::Epoch { epoch, members, .. } => {
                ("epoch", format!("epoch {} with {} members", epoch.0, members.len()))
            }
            ArchiveEvent::RecorderStarted { incarnation, .. } => {
                ("recorder", format!("recorder started ({incarnation})"))
            }
            ArchiveEvent::LinkDown {} => ("recorder", "record link lost".to_owned()),
            ArchiveEvent::LinkUp { lost } => ("recorder", format!("record link up, {lost} messages lost")),
            ArchiveEvent::ArchiveFailed { .. } => {
                ("incident", "the archive could not be written; it can again".to_owned())
            }
            ArchiveEvent::Incident { text, .. } => ("incident", text.clone()),
            ArchiveEvent::Unsaid { participant, count, .. } => {
                ("gap", format!("{}: {count} chat lines missing", name_of(self.manifest, participant)))
            }
            _ => return None,
        })
    }
}

/// A chat line, read or not.
pub fn chat(manifest: &MeetingManifest, at_ms: u64, from: &ParticipantId, words: Option<String>) -> LaneEvent {
    let words = words.unwrap_or_else(|| "(no key of this archive opens it)".to_owned());
    LaneEvent { at_ms, kind: CHAT.to_owned(), text: format!("{}: {words}", name_of(manifest, from)) }
}

/// What a statement says, in one line; the manifest's signature covers it, and the verifier judges its own.
fn statement(signed: &[u8]) -> Option<String> {
    let stated: Statement = evidence::cbor::decode(&evidence::cose::payload_unverified(signed)?).ok()?;
    let word = |rule: Rule| serde_json::to_value(rule).ok().and_then(|value| value.as_str().map(str::to_owned));
    let (seen, chat) = (word(stated.audio_video)?, word(stated.chat)?);
    Some(format!("{}: sound and picture {seen}, chat {chat}, kept {} years", stated.firm, stated.retention_years))
}

/// Name of a person of the meeting, as people know it.
pub fn name_of(manifest: &MeetingManifest, participant: &ParticipantId) -> String {
    let known = manifest.roster.iter().find(|row| row.participant == *participant);
    match known {
        // every firm has a recorder of the same name
        Some(row) if row.role == LeafRole::Recorder => format!("{} of {}", row.name, participant.firm),
        Some(row) => row.name.clone(),
        None => participant.user.to_string(),
    }
}

fn gap_mark(gap: &Gap, manifest: &MeetingManifest) -> LaneEvent {
    let who = gap.participant.as_ref().map_or_else(|| "everybody".to_owned(), |whose| name_of(manifest, whose));
    let cause =
        serde_json::to_value(gap.cause).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    let frames = if gap.count == 0 { "frames".to_owned() } else { format!("{} frames", gap.count) };
    LaneEvent {
        at_ms: gap.from.since(manifest.started_at),
        kind: "gap".to_owned(),
        text: format!("{who}: {frames} missing ({cause})"),
    }
}
