//! One-time codes of guests: each opens its invitation for one device, and few wrong ones are heard. In memory: the front keeps
//! what was used over a restart, and a guest's leaf ends within hours.

use crate::refusal::{Refusal, refuse};
use domain::{DeviceId, UnixMillis, UserId};
use evidence::invitation::{Invitation, code_hash};
use std::collections::BTreeMap;

/// Wrong codes for one invitation before it is of no use any more.
const TRIES: u32 = 8;
/// Invitations remembered at once: a large firm has some hundreds of guests a day.
const MAX_KEPT: usize = 10_000;

#[derive(Default)]
struct Kept {
    wrong: u32,
    device: Option<DeviceId>,
    until: UnixMillis,
}

/// What was tried and used.
#[derive(Default)]
pub(super) struct Guests(BTreeMap<UserId, Kept>);

/// Takes as long whatever is wrong.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |apart, (a, b)| apart | (a ^ b))) == 0
}

impl Guests {
    /// Takes a code for an invitation that judged well.
    pub(super) fn take(
        &mut self,
        now: UnixMillis,
        invitation: &Invitation,
        device: &DeviceId,
        code: &str,
    ) -> Result<(), Refusal> {
        self.0.retain(|_, kept| kept.until > now);
        if self.0.len() >= MAX_KEPT && !self.0.contains_key(&invitation.guest) {
            return refuse("rate", "too many invitations are in use at once");
        }
        let kept = self.0.entry(invitation.guest.clone()).or_default();
        kept.until = invitation.valid_until;
        if kept.wrong >= TRIES {
            return refuse("code-tries", "too many wrong codes: ask for another invitation");
        }
        if !same(&invitation.code_hash, &code_hash(&invitation.guest, code)) {
            kept.wrong += 1;
            return refuse("bad-code", "this is not the code of the invitation");
        }
        if kept.device.as_ref().is_some_and(|known| known != device) {
            return refuse("code-used", "this code was used on another device");
        }
        kept.device = Some(device.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        let guest: UserId = "guest-00112233445566aa".parse().expect("an id");
        Invitation {
            room: "deal-room".parse().expect("an id"),
            name: "Gus Guest".to_owned(),
            code_hash: code_hash(&guest, "ABCDE23456"),
            guest,
            issued_at: UnixMillis(1_000),
            valid_from: UnixMillis(1_000),
            valid_until: UnixMillis(3_601_000),
        }
    }

    fn device(name: &str) -> DeviceId {
        name.parse().expect("an id")
    }

    #[test]
    fn a_code_is_for_one_device_and_wrong_ones_are_few() {
        let (mut guests, invited, now) = (Guests::default(), invitation(), UnixMillis(2_000));
        let mut take =
            |which: &str, code: &str| guests.take(now, &invited, &device(which), code).map_err(|why| why.0.code);
        assert_eq!(take("d1", "abcde-23456"), Ok(()), "as people type it");
        assert_eq!(take("d1", "ABCDE23456"), Ok(()), "a page that was loaded again");
        assert_eq!(take("d2", "ABCDE23456"), Err("code-used".to_owned()));
        for _ in 0..TRIES {
            assert_eq!(take("d1", "ABCDE23457"), Err("bad-code".to_owned()));
        }
        assert_eq!(take("d1", "ABCDE23456"), Err("code-tries".to_owned()), "the right one comes too late");
    }
}
