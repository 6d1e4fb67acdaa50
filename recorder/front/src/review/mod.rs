//! What compliance officers work on: archived meetings, replay requests, approvals, supervision, the ledger. Holds no key
//! and opens nothing.

pub mod acts;
pub mod away;
pub mod chain;
pub mod copies;
pub mod desk;
pub mod known;
pub mod lexicon;
pub mod meetings;
pub mod requests;
pub mod retention;
pub mod search;
pub mod story;
