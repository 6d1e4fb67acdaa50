//! The meeting most tests of the must-record rule begin with.

use crate::firm::World;
use crate::net::Net;
use domain::ParticipantId;
use domain::policy::Rule;

/// The room's grace, ms.
pub const GRACE: u64 = 2_000;

/// A recorded meeting of two banks.
pub struct Deal {
    pub net: Net,
    pub anna: ParticipantId,
    pub ben: ParticipantId,
    pub recorder: ParticipantId,
}

/// Bank A must record, bank B does not.
pub fn deal() -> Deal {
    let mut net = Net::new(World::new(Rule::Must, Rule::Off, GRACE));
    let anna = net.join("bank-a/anna/1");
    let ben = net.join("bank-b/ben/1");
    let recorder = net.join("bank-a/recorder-1/1");
    net.advance(1_000);
    Deal { net, anna, ben, recorder }
}
