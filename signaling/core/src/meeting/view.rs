//! A running meeting as others may see it from outside: who is in, since when; nothing of keys or media.

use super::Meeting;
use domain::{MeetingId, ParticipantId, UnixMillis};

/// One connected participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Who.
    pub participant: ParticipantId,
    /// A firm's recorder.
    pub recorder: bool,
    /// Host of the meeting.
    pub host: bool,
    /// Its media is up at the SFU.
    pub media: bool,
}

/// A running meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which.
    pub meeting: MeetingId,
    /// Since when.
    pub started_at: UnixMillis,
    /// Who is connected, in order of their names.
    pub people: Vec<Seen>,
}

impl Meeting {
    /// The meeting as it is now.
    pub fn seen(&self) -> View {
        let connected = self.people.values().filter(|person| person.conn.is_some());
        let seen = connected.map(|person| Seen {
            participant: person.entrant.participant.clone(),
            recorder: person.entrant.recorder,
            host: person.entrant.host,
            media: !person.media.is_empty(),
        });
        View { meeting: self.terms.meeting.clone(), started_at: self.terms.started_at, people: seen.collect() }
    }
}
