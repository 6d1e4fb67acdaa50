//! Meetings as programs see them: announced, running, ended.

use super::{Records, Row, Value, odd, step};
use crate::database::DatabaseError;
use domain::message::rest::MeetingState;
use domain::{FirmId, MeetingId, RoomId, UnixMillis};
use std::collections::BTreeSet;

/// A meeting as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// Which.
    pub meeting: MeetingId,
    /// Its room.
    pub room: RoomId,
    /// Firms that take part.
    pub firms: BTreeSet<FirmId>,
    /// Where it stands.
    pub state: MeetingState,
    /// Announced, or begun.
    pub created: UnixMillis,
    /// First person in.
    pub started: Option<UnixMillis>,
    /// Over.
    pub ended: Option<UnixMillis>,
}

fn word(state: MeetingState) -> &'static str {
    match state {
        MeetingState::Announced => "announced",
        MeetingState::Running => "running",
        MeetingState::Ended => "ended",
    }
}

fn meeting(mut row: Row) -> Result<Meeting, DatabaseError> {
    Ok(Meeting {
        meeting: row.id(0)?,
        room: row.id(1)?,
        firms: serde_json::from_str(&row.text(2)?).map_err(|_| odd("firms that are no list"))?,
        state: match row.text(3)?.as_str() {
            "announced" => MeetingState::Announced,
            "running" => MeetingState::Running,
            _ => MeetingState::Ended,
        },
        created: row.time(4)?,
        started: row.maybe_time(5)?,
        ended: row.maybe_time(6)?,
    })
}

impl Records {
    /// What ran when the process ended runs no more, and answers that were never given never will be.
    pub async fn begin_again(&self, now: UnixMillis) -> Result<(), DatabaseError> {
        let over = "UPDATE meetings SET state = 'ended', ended = $1 WHERE state = 'running'";
        let steps = vec![step(over, vec![now.into()]), step("DELETE FROM answers WHERE status IS NULL", vec![])];
        self.0.run(steps).await.map(drop)
    }

    /// Writes a meeting, or writes it anew.
    pub async fn put_meeting(&self, one: &Meeting) -> Result<(), DatabaseError> {
        let firms = serde_json::to_string(&one.firms).expect("ids are JSON");
        let id = one.meeting.as_str();
        let put = "INSERT INTO meetings (meeting, room, state, firms, created, started, ended)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)
                   ON CONFLICT (meeting) DO UPDATE SET room = excluded.room, state = excluded.state, firms = excluded.firms,
                   created = excluded.created, started = excluded.started, ended = excluded.ended";
        let values = vec![
            id.into(),
            one.room.as_str().into(),
            word(one.state).into(),
            firms.as_str().into(),
            one.created.into(),
            one.started.into(),
            one.ended.into(),
        ];
        let mut steps = vec![step(put, values), step("DELETE FROM meeting_firms WHERE meeting = $1", vec![id.into()])];
        let firm = |firm: &FirmId| {
            let values = vec![id.into(), firm.as_str().into()];
            step("INSERT INTO meeting_firms (meeting, firm) VALUES ($1, $2)", values)
        };
        steps.extend(one.firms.iter().map(firm));
        self.0.run(steps).await.map(drop)
    }

    /// One meeting.
    pub async fn meeting(&self, id: &MeetingId) -> Result<Option<Meeting>, DatabaseError> {
        let query = "SELECT meeting, room, firms, state, created, started, ended FROM meetings WHERE meeting = $1";
        self.first(query, vec![id.as_str().into()]).await?.map(meeting).transpose()
    }

    /// The meeting that runs in a room or was announced.
    pub async fn meeting_of(&self, room: &RoomId) -> Result<Option<Meeting>, DatabaseError> {
        let query = "SELECT meeting, room, firms, state, created, started, ended FROM meetings
                     WHERE room = $1 AND state <> 'ended' ORDER BY created DESC LIMIT 1";
        self.first(query, vec![room.as_str().into()]).await?.map(meeting).transpose()
    }

    /// Meetings that a firm takes part in (`None`: all), newest first, from after `(created, id)`.
    pub async fn meetings(
        &self,
        firm: Option<&FirmId>,
        state: Option<MeetingState>,
        after: Option<(UnixMillis, MeetingId)>,
        most: usize,
    ) -> Result<Vec<Meeting>, DatabaseError> {
        let (created, id) = after.map_or((i64::MAX, "~".to_owned()), |(at, id)| {
            (i64::try_from(at.0).unwrap_or(i64::MAX), id.as_str().to_owned())
        });
        let query = "SELECT meeting, room, firms, state, created, started, ended FROM meetings
                     WHERE (created, meeting) < ($1, $2) AND (CAST($3 AS TEXT) IS NULL OR state = $3)
                     AND (CAST($4 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM meeting_firms
                          WHERE meeting_firms.meeting = meetings.meeting AND firm = $4))
                     ORDER BY created DESC, meeting DESC LIMIT $5";
        let (state, firm) = (state.map(word), firm.map(FirmId::as_str));
        let values = vec![Value::Int(created), id.as_str().into(), state.into(), firm.into(), most.into()];
        self.one(query, values).await?.rows.into_iter().map(meeting).collect()
    }
}
