//! A network for tests and benches: a seeded model of a link that is told the time ([`link::Link`]), the schedules that
//! congestion control is judged by ([`cases`]), and a whole call in virtual time over it ([`call::Call`]): the real
//! forwarding engine between a simulated publisher and simulated subscribers that measure what they get.
//!
//! It owns no clock and no randomness but its seed. A package of its own, so that benches need not link what else the
//! test kit does.

pub mod call;
pub mod cases;
pub mod dice;
pub mod link;
pub mod publisher;
pub mod subscriber;
