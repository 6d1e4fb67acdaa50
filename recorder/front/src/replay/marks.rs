//! Marks on the time line: what an officer sees of the archive's events, told once where two copies tell it. Pure.

use crate::review::copies::{Copies, Holes, touches};
use domain::ParticipantId;
use domain::message::custody::LeafRole;
use domain::message::front::LaneEvent;
use domain::policy::{Rule, Statement};
use evidence::archive::{ArchiveEvent, Digest, Gap, MeetingManifest, sha256};
use evidence::host::Order;
use std::collections::HashSet;

/// Kind of the marks that are chat lines.
pub const CHAT: &str = "chat";
/// Marks of one kind shown at most: a time line with more is unreadable.
pub const MAX_MARKS: usize = 5_000;
/// Numbers of one run of missing words that are looked up one by one: more than a meeting says.
const MAX_NUMBERS: u64 = 100_000;

/// Events that make marks, as the copies of a meeting tell them.
#[derive(Default)]
pub struct Told {
    /// When (recorder's clock, microseconds since 1970), by which copy, what.
    events: Vec<(u64, usize, ArchiveEvent)>,
    /// Words that are here, by certificate and number; looked at where there are two copies.
    said: HashSet<(Digest, u64)>,
}

impl Told {
    /// Takes an event of a copy; what makes no mark is let go.
    pub fn take(&mut self, copy: usize, at_us: u64, event: ArchiveEvent) {
        if let ArchiveEvent::Said { said, .. } = &event {
            let named = evidence::cose::certificate(said).zip(evidence::said::read_unverified(said));
            self.said.extend(named.map(|(certificate, read)| (sha256(&certificate), read.sequence)));
        }
        let makes_a_mark = matches!(
            event,
            ArchiveEvent::Terms { .. }
                | ArchiveEvent::Joined { .. }
                | ArchiveEvent::Left { .. }
                | ArchiveEvent::Paused { .. }
                | ArchiveEvent::Resumed { .. }
                | ArchiveEvent::Acknowledged { .. }
                | ArchiveEvent::HostAct { .. }
                | ArchiveEvent::Epoch { .. }
                | ArchiveEvent::RecorderStarted { .. }
                | ArchiveEvent::LinkDown {}
                | ArchiveEvent::LinkUp { .. }
                | ArchiveEvent::Incident { .. }
                | ArchiveEvent::Unsaid { .. }
        );
        // a day's quarrels; what is more is no time line
        if makes_a_mark && self.events.len() < 4 * MAX_MARKS {
            self.events.push((at_us, copy, event));
        }
    }

    /// All marks with what is missing in all copies, in order of time.
    pub fn marks(mut self, copies: &Copies) -> Vec<LaneEvent> {
        self.events.sort_by_key(|(at_us, copy, _)| (*at_us, *copy));
        let is_paired = copies.second().is_some();
        let mut marks = Marks::new(&copies.manifest, is_paired.then(|| copies.first_away()));
        for (at_us, copy, mut event) in self.events {
            if let ArchiveEvent::Unsaid { certificate, first, count, .. } = &mut event
                && is_paired
            {
                // numbers that neither has, each told once
                let numbers = *first..first.saturating_add((*count).min(MAX_NUMBERS));
                *count = numbers.filter(|number| self.said.insert((*certificate, *number))).count() as u64;
                if *count == 0 {
                    continue;
                }
            }
            marks.add(at_us, copy, &event);
        }
        marks.finish()
    }
}

/// Collects marks in the order of time.
struct Marks<'a> {
    manifest: &'a MeetingManifest,
    /// When the first of two recorders was not there: only then the second's word counts for what both see.
    away: Option<Holes>,
    present: HashSet<ParticipantId>,
    /// What was told before, where each is told once.
    known: HashSet<Digest>,
    /// Which recorder wrote each copy.
    recorders: [Option<ParticipantId>; 2],
    events: Vec<LaneEvent>,
}

impl<'a> Marks<'a> {
    fn new(manifest: &'a MeetingManifest, away: Option<Holes>) -> Self {
        let (present, known, recorders) = (HashSet::new(), HashSet::new(), [None, None]);
        Self { manifest, away, present, known, recorders, events: Vec::new() }
    }

    /// An event of a copy at its recorder's time, microseconds since 1970.
    fn add(&mut self, at_us: u64, copy: usize, event: &ArchiveEvent) {
        if self.events.len() >= MAX_MARKS {
            return;
        }
        let at_ms = (at_us / 1000).saturating_sub(self.manifest.started_at.0);
        if let ArchiveEvent::Terms { statements, .. } = event {
            let new: Vec<_> = statements.iter().filter(|signed| self.known.insert(sha256(signed))).collect();
            let marks = new.into_iter().filter_map(|signed| statement(signed));
            self.events.extend(marks.map(|text| LaneEvent { at_ms, kind: "statement".to_owned(), text }));
        }
        if let ArchiveEvent::RecorderStarted { recorder, .. } = event {
            self.recorders[copy.min(1)] = Some(recorder.clone());
        }
        let is_others = copy > 0 && self.away.as_ref().is_some_and(|away| !touches(away, at_ms, at_ms));
        if let Some((kind, text)) = self.shown(event, copy, is_others) {
            self.events.push(LaneEvent { at_ms, kind: kind.to_owned(), text });
        }
    }

    /// All marks with the manifest's gaps, in order of time.
    fn finish(self) -> Vec<LaneEvent> {
        let mut events = self.events;
        events.extend(self.manifest.gaps.iter().take(MAX_MARKS).map(|gap| gap_mark(gap, self.manifest)));
        events.sort_by_key(|event| event.at_ms);
        events
    }

    /// Which recorder, where there are two.
    fn recorder(&self, copy: usize) -> String {
        let named = self.away.as_ref().and(self.recorders[copy.min(1)].as_ref());
        named.map_or_else(|| "recorder".to_owned(), |who| who.user.to_string())
    }

    /// A recorder hears of a join from several sides; people come and go once. `is_others`: both recorders were there, and
    /// this is the second's word.
    fn shown(&mut self, event: &ArchiveEvent, copy: usize, is_others: bool) -> Option<(&'static str, String)> {
        Some(match event {
            ArchiveEvent::Joined { .. }
            | ArchiveEvent::Left { .. }
            | ArchiveEvent::Paused { .. }
            | ArchiveEvent::Resumed { .. }
                if is_others =>
            {
                return None;
            }
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
            ArchiveEvent::Acknowledged { participant, acknowledgement } => {
                self.first_time(acknowledgement)?;
                ("notice", format!("{} acknowledged the notices", name_of(self.manifest, participant)))
            }
            ArchiveEvent::HostAct { participant, act } => {
                self.first_time(act)?;
                ("host", format!("{} {}", name_of(self.manifest, participant), host_act(self.manifest, act)?))
            }
            ArchiveEvent::Epoch { epoch, members, .. } => {
                self.first_time(&epoch.0.to_be_bytes())?;
                ("epoch", format!("epoch {} with {} members", epoch.0, members.len()))
            }
            ArchiveEvent::RecorderStarted { incarnation, .. } => {
                ("recorder", format!("{} started ({incarnation})", self.recorder(copy)))
            }
            ArchiveEvent::LinkDown {} => ("recorder", format!("{} lost its record link", self.recorder(copy))),
            ArchiveEvent::LinkUp { lost } => {
                ("recorder", format!("{} has its record link, {lost} messages lost", self.recorder(copy)))
            }
            ArchiveEvent::Incident { text, .. } if is_others => {
                self.first_time(text.as_bytes())?;
                ("incident", text.clone())
            }
            ArchiveEvent::Incident { text, .. } => {
                self.known.insert(sha256(text.as_bytes()));
                ("incident", text.clone())
            }
            ArchiveEvent::ArchiveFailed { .. } => {
                ("incident", "the archive could not be written; it can again".to_owned())
            }
            ArchiveEvent::Unsaid { participant, count, .. } => {
                ("gap", format!("{}: {count} chat lines missing", name_of(self.manifest, participant)))
            }
            _ => return None,
        })
    }

    fn first_time(&mut self, bytes: &[u8]) -> Option<()> {
        self.known.insert(sha256(bytes)).then_some(())
    }
}

/// What a host ordered, in words.
fn host_act(manifest: &MeetingManifest, signed: &[u8]) -> Option<String> {
    let payload = evidence::cose::payload_unverified(signed)?;
    let act: evidence::host::HostAct = evidence::cbor::decode(&payload).ok()?;
    let name = |who: &ParticipantId| name_of(manifest, who);
    Some(match &act.what {
        Order::Lock {} => "locked the meeting".to_owned(),
        Order::Unlock {} => "unlocked the meeting".to_owned(),
        Order::Admit { participant } => format!("admitted {}", name(participant)),
        Order::Deny { participant } => format!("did not admit {}", name(participant)),
        Order::MuteAll {} => "muted everybody".to_owned(),
        Order::Mute { participant } => format!("muted {}", name(participant)),
        Order::Remove { participant } => format!("removed {}", name(participant)),
        Order::HandOver { to } => format!("made {} host", name(to)),
        Order::End {} => "ended the meeting".to_owned(),
        _ => return None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::kit::{BEGAN, key, person, reel, signed};
    use domain::Epoch;
    use evidence::host::HostAct;

    fn act(what: Order) -> ArchiveEvent {
        let meeting = "00112233445566778899aabbccddeeff".parse().expect("an id");
        let act = HostAct { meeting, sequence: 1, at: BEGAN, what };
        let act = signed(&key(9), evidence::host::LABEL, &evidence::host::encode(&act), None).into();
        ArchiveEvent::HostAct { participant: person("anna"), act }
    }

    /// Marks of these events, (copy, ms from the begin, event); without the kit's own gaps, of which there are none.
    fn texts(copies: &Copies, events: &[(usize, u64, ArchiveEvent)]) -> Vec<String> {
        let mut told = Told::default();
        for (copy, at_ms, event) in events {
            told.take(*copy, BEGAN.plus(*at_ms).0 * 1000, event.clone());
        }
        told.marks(copies).into_iter().map(|mark| format!("{} {}: {}", mark.at_ms, mark.kind, mark.text)).collect()
    }

    #[test]
    fn what_a_host_ordered_stands_on_the_time_line_in_words() {
        let ben = || "bank-b/ben/d9".parse().expect("an id");
        let orders = [
            act(Order::Lock {}),
            act(Order::Admit { participant: ben() }),
            act(Order::MuteAll {}),
            act(Order::Remove { participant: ben() }),
            act(Order::HandOver { to: ben() }),
            act(Order::End {}),
        ];
        let events: Vec<_> = orders.into_iter().enumerate().map(|(n, event)| (0, n as u64, event)).collect();
        let marks = texts(&reel().plan.copies, &events);
        let words =
            ["locked the meeting", "admitted Ben Cole", "muted everybody", "removed Ben Cole", "made Ben Cole host"];
        for (n, said) in words.iter().chain(&["ended the meeting"]).enumerate() {
            assert_eq!(marks[n], format!("{n} host: Anna Berg {said}"));
        }
    }

    #[test]
    fn what_both_recorders_tell_is_told_once_and_what_one_tells_is_told() {
        let one = reel().plan.copies.first().clone();
        let copies = Copies::two(one.clone(), one);
        let joined = || ArchiveEvent::Joined { participant: person("anna") };
        let left = || ArchiveEvent::Left { participant: person("anna") };
        let epoch = |number| {
            let transcript_hash = Digest([0; 32]);
            ArchiveEvent::Epoch { epoch: Epoch(number), transcript_hash, members: Vec::new() }
        };
        let unsaid = |first, count| {
            let certificate = Digest([7; 32]);
            ArchiveEvent::Unsaid { participant: person("anna"), certificate, first, count }
        };
        let incident = |text: &str| ArchiveEvent::Incident { firm: None, text: text.to_owned() };
        let events = [
            (0, 10, joined()),
            (1, 12, joined()),
            (0, 20, epoch(1)),
            (1, 21, epoch(1)),
            (0, 30, act(Order::Lock {})),
            (1, 31, act(Order::Lock {})),
            // the second hears of a leave late, when she is back
            (0, 40, left()),
            (0, 50, joined()),
            (1, 51, left()),
            (0, 60, incident("A")),
            (1, 61, incident("A")),
            (1, 62, incident("B")),
            (0, 70, unsaid(3, 2)),
            (1, 71, unsaid(4, 2)),
        ];
        assert_eq!(
            texts(&copies, &events),
            [
                "10 join: Anna Berg",
                "20 epoch: epoch 1 with 0 members",
                "30 host: Anna Berg locked the meeting",
                "40 leave: Anna Berg",
                "50 join: Anna Berg",
                "60 incident: A",
                "62 incident: B",
                "70 gap: Anna Berg: 2 chat lines missing",
                "71 gap: Anna Berg: 1 chat lines missing",
            ]
        );
    }
}
