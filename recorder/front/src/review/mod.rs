//! What compliance officers work on: archived meetings, replay requests, approvals. Holds no key and opens nothing.

pub mod meetings;
pub mod requests;
