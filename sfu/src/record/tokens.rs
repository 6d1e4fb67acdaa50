//! One-time tokens of record links, as signaling announced them: shared between the control link and the record listener.

use crate::tls::fingerprint;
use dashmap::DashMap;
use domain::{MeetingId, ParticipantId};
use std::time::{Duration, Instant};

/// A token that is not used in so long is void: a recorder dials at once.
const LIFE: Duration = Duration::from_secs(60);
/// Most tokens at a time: those of all links a node may have, twice.
const MAX_TOKENS: usize = 8192;

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Which recorder.
    pub participant: ParticipantId,
    /// SHA-256 of the certificate it must show.
    pub certificate: [u8; 32],
}

/// The tokens that are open, by their hash.
#[derive(Debug, Default)]
pub struct Tokens {
    open: DashMap<[u8; 32], (Granted, Instant)>,
}

impl Tokens {
    /// Takes a token's hash.
    pub fn grant(&self, now: Instant, token_hash: [u8; 32], granted: Granted) {
        if self.open.len() >= MAX_TOKENS {
            self.open.retain(|_, (_, until)| *until > now);
        }
        if self.open.len() < MAX_TOKENS {
            self.open.insert(token_hash, (granted, now + LIFE));
        }
    }

    /// Uses a token up. `None` if it is unknown, late, or not for this certificate; a wrong certificate does not void it.
    pub fn redeem(&self, token: &[u8], certificate: &[u8; 32]) -> Option<Granted> {
        self.redeem_at(Instant::now(), token, certificate)
    }

    fn redeem_at(&self, now: Instant, token: &[u8], certificate: &[u8; 32]) -> Option<Granted> {
        let fits =
            |_: &[u8; 32], (granted, until): &(Granted, Instant)| granted.certificate == *certificate && now < *until;
        self.open.remove_if(&fingerprint(token), fits).map(|(_, (granted, _))| granted)
    }

    /// Voids the tokens of a recorder that was cut, or of a whole meeting.
    pub fn revoke(&self, meeting: &MeetingId, participant: Option<&ParticipantId>) {
        self.open.retain(|_, (granted, _)| {
            granted.meeting != *meeting || participant.is_some_and(|p| *p != granted.participant)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> Granted {
        Granted {
            meeting: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
            participant: "bank-a/recorder-1/1".parse().expect("a participant"),
            certificate: [7; 32],
        }
    }

    #[test]
    fn a_token_opens_once_in_its_time_with_its_certificate() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        tokens.grant(now, fingerprint(b"secret"), granted());
        assert_eq!(tokens.redeem_at(now, b"other", &[7; 32]), None);
        assert_eq!(tokens.redeem_at(now, b"secret", &[8; 32]), None);
        assert_eq!(tokens.redeem_at(now, b"secret", &[7; 32]), Some(granted()));
        assert_eq!(tokens.redeem_at(now, b"secret", &[7; 32]), None);
        tokens.grant(now, fingerprint(b"late"), granted());
        assert_eq!(tokens.redeem_at(now + LIFE, b"late", &[7; 32]), None);
    }

    #[test]
    fn a_cut_recorder_or_an_ended_meeting_has_no_tokens() {
        let (tokens, now) = (Tokens::default(), Instant::now());
        let other: ParticipantId = "bank-b/recorder-1/1".parse().expect("a participant");
        tokens.grant(now, fingerprint(b"secret"), granted());
        tokens.revoke(&granted().meeting, Some(&other));
        tokens.revoke(&granted().meeting, Some(&granted().participant));
        assert_eq!(tokens.redeem_at(now, b"secret", &[7; 32]), None);
        tokens.grant(now, fingerprint(b"secret"), granted());
        tokens.revoke(&granted().meeting, None);
        assert_eq!(tokens.redeem_at(now, b"secret", &[7; 32]), None);
    }
}
