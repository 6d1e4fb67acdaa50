//! This process in the database: its term, the fences of its links, and what is written down beside running meetings. A
//! process that finds a newer term was replaced: it lets nobody in any more, and its SFUs hear no more of it.

use domain::{FirmId, MeetingId, ParticipantId, RoomId, UnixMillis, UserId};
use evidence::invitation::MAX_AHEAD_MS;
use signaling_store::Records;
use signaling_store::database::DatabaseError;
use signaling_store::records::{Placed, Standing, Term};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Links of one term: a million, one a minute for two years.
const LINK_BITS: u32 = 20;
/// Notes that wait for a slow database: every meeting of a node begins and ends once.
pub const NOTES: usize = 16_384;
/// A database that did not answer is asked again after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// What is written down, in its order.
#[derive(Debug)]
pub enum Note {
    /// A meeting is on an SFU.
    Placed {
        /// Which.
        meeting: MeetingId,
        /// Its room.
        room: RoomId,
        /// Name of the SFU.
        node: String,
    },
    /// It is over.
    Lifted(MeetingId),
    /// A host turned a guest away for good.
    TurnedAway(ParticipantId),
}

/// The records, and who we are in them.
pub struct Truth {
    /// The records.
    pub records: Records,
    term: Term,
    links: AtomicU64,
    replaced: AtomicBool,
}

impl Truth {
    /// Begins a term. Meetings of older ones are over: their people come back into new ones, and their SFU forgets them.
    pub async fn begin(records: Records, now: UnixMillis) -> Result<Self, DatabaseError> {
        let term = records.begin_term().await?;
        records.begin_again(now).await?;
        let orphans = records.take_orphans(term).await?;
        if !orphans.is_empty() {
            tracing::warn!(meetings = orphans.len(), "meetings ran when signaling ended: they are over");
        }
        Ok(Self::of(records, term))
    }

    /// In a term that was begun.
    pub fn of(records: Records, term: Term) -> Self {
        Self { records, term, links: AtomicU64::new(0), replaced: AtomicBool::new(false) }
    }

    /// Which term is ours.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The number that a new link of an SFU begins with: above all before, of this process and of older ones.
    pub fn fence(&self) -> u64 {
        (self.term.0 << LINK_BITS) + 1 + self.links.fetch_add(1, Ordering::Relaxed)
    }

    /// Did another process take our place?
    pub fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// What the database says of our term.
    pub fn hear(&self, standing: Standing) {
        if let Standing::Replaced(newer) = standing
            && !self.replaced.swap(true, Ordering::Relaxed)
        {
            tracing::error!(
                ours = self.term.0,
                newer = newer.0,
                "another signaling took this one's place: stop this one"
            );
        }
    }

    /// Did a host turn this guest away?
    pub async fn is_turned_away(&self, guest: &ParticipantId) -> Result<bool, DatabaseError> {
        self.records.is_invitation_ended(&invitation(&guest.firm, &guest.user)).await
    }

    async fn write(&self, note: &Note, now: UnixMillis) -> Result<(), DatabaseError> {
        match note {
            Note::Placed { meeting, room, node } => {
                let (meeting, room, node) = (meeting.clone(), room.clone(), node.clone());
                let placed = Placed { meeting, room, node, term: self.term };
                self.hear(self.records.place(&placed, now).await?);
                Ok(())
            }
            Note::Lifted(meeting) => self.records.lift(meeting).await,
            Note::TurnedAway(guest) => {
                let hash = invitation(&guest.firm, &guest.user);
                self.records.end_invitation(&hash, now.plus(2 * MAX_AHEAD_MS), now).await
            }
        }
    }

    /// Writes notes down, each until the database takes it.
    pub async fn keep(&self, clock: crate::clock::Clock, mut notes: mpsc::Receiver<Note>) {
        while let Some(note) = notes.recv().await {
            while let Err(error) = self.write(&note, clock.now()).await {
                tracing::error!("a note is not written yet: {error}");
                sleep(AGAIN).await;
            }
        }
    }
}

/// An invitation is for one guest, whose id is used for nothing else: so it is known, and not by bytes that a guest could sign
/// or change otherwise.
fn invitation(firm: &FirmId, user: &UserId) -> [u8; 32] {
    evidence::sha256(format!("{firm}/{user}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_restarted_signaling_has_a_higher_fence_and_the_one_before_learns_that_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::sqlite(&folder.path().join("signaling.db")).unwrap();
        let old = Truth::begin(records.clone(), UnixMillis(1)).await.unwrap();
        let fences = [old.fence(), old.fence()];
        assert!(fences[1] > fences[0]);
        let note = |n: u32| {
            let (meeting, room) = (format!("m{n}").parse().unwrap(), "deal-room".parse().unwrap());
            Note::Placed { meeting, room, node: "sfu-1".into() }
        };
        old.write(&note(1), UnixMillis(2)).await.unwrap();
        assert!(!old.is_replaced());
        let new = Truth::begin(records, UnixMillis(3)).await.unwrap();
        assert!(new.fence() > fences[1]);
        old.write(&note(2), UnixMillis(4)).await.unwrap();
        new.write(&note(3), UnixMillis(4)).await.unwrap();
        assert!(old.is_replaced() && !new.is_replaced());
    }

    #[tokio::test]
    async fn a_guest_that_was_turned_away_stays_so_on_all_devices() {
        let records = Records::sqlite(std::path::Path::new(":memory:")).unwrap();
        let truth = Truth::of(records, Term(1));
        let [guest, elsewhere, other]: [ParticipantId; 3] =
            ["a/guest-1/d1", "a/guest-1/d2", "a/guest-2/d1"].map(|id| id.parse().unwrap());
        truth.write(&Note::TurnedAway(guest), UnixMillis(1)).await.unwrap();
        assert!(truth.is_turned_away(&elsewhere).await.unwrap());
        assert!(!truth.is_turned_away(&other).await.unwrap());
    }
}
