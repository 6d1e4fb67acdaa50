//! What compliance officers work on: archived meetings, replay requests, approvals, the ledger. Holds no key and opens nothing.

pub mod chain;
pub mod meetings;
pub mod requests;
pub mod search;
