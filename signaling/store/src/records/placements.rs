//! Who signaling is, and which meeting is on which SFU. Every start of signaling begins a term; who finds a newer one in the
//! database has been replaced, and places nothing any more. Invitations that hosts ended stay ended.

use super::{Done, Records, Step, Value, step};
use crate::database::DatabaseError;
use domain::{MeetingId, RoomId, UnixMillis};

/// Which life of signaling; counts up from 1 over all processes on one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

/// Is a process still who it was?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No newer one began.
    Ours,
    /// This one did.
    Replaced(Term),
}

/// A meeting on an SFU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Which.
    pub meeting: MeetingId,
    /// Its room.
    pub room: RoomId,
    /// Name of the SFU.
    pub node: String,
    /// Who placed it.
    pub term: Term,
}

pub(super) fn newest_term() -> Step {
    step("SELECT term FROM fences WHERE name = 'signaling'", vec![])
}

/// What [`newest_term`] found, for `own`.
pub(super) fn standing(found: Done, own: Term) -> Result<Standing, DatabaseError> {
    let newest = found.rows.into_iter().next().map(|mut row| row.count(0)).transpose()?.map_or(own, Term);
    Ok(if newest > own { Standing::Replaced(newest) } else { Standing::Ours })
}

impl Records {
    /// Begins a term: all older ones are over.
    pub async fn begin_term(&self) -> Result<Term, DatabaseError> {
        let next = "INSERT INTO fences (name, term) VALUES ('signaling', 1)
                    ON CONFLICT (name) DO UPDATE SET term = fences.term + 1 RETURNING term";
        let row = self.first(next, vec![]).await?;
        Ok(Term(row.ok_or_else(|| super::odd("no term"))?.count(0)?))
    }

    /// Does this term still stand?
    pub async fn standing(&self, own: Term) -> Result<Standing, DatabaseError> {
        standing(self.0.run(vec![newest_term()]).await?.pop().unwrap_or_default(), own)
    }

    /// Notes where a meeting is. Refused, with who took over, to a term that a newer one replaced.
    pub async fn place(&self, one: &Placed, now: UnixMillis) -> Result<Standing, DatabaseError> {
        let put = "INSERT INTO placements (meeting, room, node, term, at)
                   SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT)
                   WHERE NOT EXISTS (SELECT 1 FROM fences WHERE name = 'signaling' AND term > CAST($4 AS BIGINT))
                   ON CONFLICT (meeting) DO UPDATE SET node = excluded.node, term = excluded.term, at = excluded.at
                   WHERE placements.term <= excluded.term";
        let (meeting, room) = (one.meeting.as_str().into(), one.room.as_str().into());
        let values = vec![meeting, room, one.node.as_str().into(), one.term.0.into(), now.into()];
        if self.one(put, values).await?.changed > 0 { Ok(Standing::Ours) } else { self.standing(one.term).await }
    }

    /// A meeting is over.
    pub async fn lift(&self, meeting: &MeetingId) -> Result<(), DatabaseError> {
        self.one("DELETE FROM placements WHERE meeting = $1", vec![meeting.as_str().into()]).await.map(drop)
    }

    /// Meetings that were placed before a term and never lifted: their signaling ended with them. They are forgotten here.
    pub async fn take_orphans(&self, before: Term) -> Result<Vec<Placed>, DatabaseError> {
        let query = "DELETE FROM placements WHERE term < $1 RETURNING meeting, room, node, term";
        let rows = self.one(query, vec![before.0.into()]).await?.rows.into_iter();
        let placed = |mut row: super::Row| {
            Ok(Placed { meeting: row.id(0)?, room: row.id(1)?, node: row.text(2)?, term: Term(row.count(3)?) })
        };
        rows.map(placed).collect()
    }

    /// A host ended an invitation: nobody enters with it any more. Kept until it would have ended by itself.
    pub async fn end_invitation(
        &self,
        hash: &[u8; 32],
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), DatabaseError> {
        let put = "INSERT INTO dead_invitations (hash, until) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
        let steps = vec![
            step("DELETE FROM dead_invitations WHERE until < $1", vec![now.into()]),
            step(put, vec![Value::Bytes(hash.to_vec()), until.into()]),
        ];
        self.0.run(steps).await.map(drop)
    }

    /// Did a host end it?
    pub async fn is_invitation_ended(&self, hash: &[u8; 32]) -> Result<bool, DatabaseError> {
        let query = "SELECT until FROM dead_invitations WHERE hash = $1";
        Ok(self.first(query, vec![Value::Bytes(hash.to_vec())]).await?.is_some())
    }
}
