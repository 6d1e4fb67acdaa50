//! The order of a disposal: everything that holds a key, in all places, before anything else; and before each single piece
//! the rules are asked again, so that a hold that comes meanwhile wins. No I/O: told the time and the standing.

use domain::UnixMillis;
use evidence::archive::names;
use evidence::retention::{Refusal, Standing};
use std::collections::VecDeque;

/// A file or an object's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Index of its place, as the caller counts them.
    pub place: usize,
    /// Path in the meeting's folder.
    pub path: String,
    /// The store's version id; empty for a file.
    pub version: String,
}

impl Piece {
    /// Does it hold sealed keys? The signed manifests do too, those that were superseded included.
    pub fn holds_keys(&self) -> bool {
        self.path.starts_with("keys/") || self.path == names::MEETING || self.path.starts_with("superseded/")
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Delete this piece, then say so by [`Disposal::deleted`].
    Delete(Piece),
    /// Something stands against it: nothing more may be deleted.
    Stop(Refusal),
    /// Nothing is left.
    Over,
}

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pieces that held keys.
    pub keys: u64,
    /// All pieces.
    pub objects: u64,
}

/// One disposal that goes on.
#[derive(Debug, Clone)]
pub struct Disposal {
    keys: VecDeque<Piece>,
    rest: VecDeque<Piece>,
    tally: Tally,
}

impl Disposal {
    /// Of all that there is, in any order.
    pub fn new(pieces: Vec<Piece>) -> Self {
        let (keys, rest): (Vec<_>, Vec<_>) = pieces.into_iter().partition(Piece::holds_keys);
        Self { keys: keys.into(), rest: rest.into(), tally: Tally::default() }
    }

    /// The next piece, if nothing stands against it at `now`. Asked twice, it answers the same.
    pub fn next(&self, now: UnixMillis, standing: &Standing) -> Step {
        if let Err(refusal) = standing.may_delete(now) {
            return Step::Stop(refusal);
        }
        self.keys.front().or_else(|| self.rest.front()).map_or(Step::Over, |piece| Step::Delete(piece.clone()))
    }

    /// The piece that [`Self::next`] named is gone.
    pub fn deleted(&mut self) {
        if self.keys.pop_front().is_some() {
            self.tally.keys += 1;
        } else if self.rest.pop_front().is_none() {
            return;
        }
        self.tally.objects += 1;
    }

    /// What went so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What is left, as (pieces with keys, others).
    pub fn left(&self) -> (usize, usize) {
        (self.keys.len(), self.rest.len())
    }
}
