//! Signed statements, every version. What is stored was judged before; the newest of each firm counts.

use super::placements::{Standing, Term, newest_term, standing};
use super::{Records, step};
use crate::database::DatabaseError;
use domain::{B64, FirmId, RoomId, UnixMillis};
use std::collections::BTreeSet;

/// A signed statement with what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Whose.
    pub firm: FirmId,
    /// About which room.
    pub room: RoomId,
    /// Which version.
    pub serial: u64,
    /// As signed.
    pub signed: B64,
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    New,
    /// A statement of this firm, room and serial is there: it stays.
    Known,
}

impl Records {
    /// Keeps statements; one that is there already stays as it is. What became of each, in order.
    pub async fn put_statements(&self, all: &[Stated], now: UnixMillis) -> Result<Vec<Stored>, DatabaseError> {
        let put = "INSERT INTO statements (room, firm, serial, signed, at) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (room, firm, serial) DO NOTHING";
        let one = |one: &Stated| {
            let signed: &[u8] = &one.signed;
            let (room, firm) = (one.room.as_str().into(), one.firm.as_str().into());
            step(put, vec![room, firm, one.serial.into(), signed.into(), now.into()])
        };
        let done = self.0.run(all.iter().map(one).collect()).await?;
        Ok(done.into_iter().map(|done| if done.changed == 0 { Stored::Known } else { Stored::New }).collect())
    }

    /// The newest statement of every firm about a room, ordered by firm; and whether the asker's term still stands, as one
    /// transaction saw it.
    pub async fn statements_for(&self, room: &RoomId, own: Term) -> Result<(Standing, Vec<Stated>), DatabaseError> {
        let query = "SELECT firm, serial, signed FROM statements AS one WHERE room = $1 AND serial =
                     (SELECT max(serial) FROM statements AS every WHERE every.room = one.room AND every.firm = one.firm)
                     ORDER BY firm";
        let mut done = self.0.run(vec![newest_term(), step(query, vec![room.as_str().into()])]).await?;
        let rows = done.pop().unwrap_or_default().rows.into_iter();
        let stated = |mut row: super::Row| {
            let (firm, serial, signed) = (row.id(0)?, row.count(1)?, B64(row.bytes(2)?));
            Ok(Stated { firm, room: room.clone(), serial, signed })
        };
        let all = rows.map(stated).collect::<Result<_, DatabaseError>>()?;
        Ok((standing(done.pop().unwrap_or_default(), own)?, all))
    }

    /// Rooms that firms have statements about.
    pub async fn stated_rooms(&self) -> Result<BTreeSet<RoomId>, DatabaseError> {
        let rows = self.one("SELECT DISTINCT room FROM statements", vec![]).await?.rows;
        rows.into_iter().map(|mut row| row.id(0)).collect()
    }
}
