//! The connection to signaling: enrolment, dialling, what arrives and what its end means.

use super::{Dialed, Live, REDIAL_MS, RENEW_S};
use crate::clock::now;
use crate::enrol;
use crate::net::Socket;
use domain::UnixMillis;
use domain::message::client::ToClient;
use e2ee::session::{Session, SessionConfig};

impl Live {
    pub(super) fn dial(&mut self, wall: UnixMillis) {
        let fresh = self.session.as_ref().is_some_and(|s| s.own().not_after_s > wall.seconds() + RENEW_S);
        let shared = self.shared.clone();
        self.dialing = Some(tokio::spawn(async move {
            let enrolment = if fresh { None } else { Some(enrol::enrol(&shared.config, &shared.custody).await?) };
            let socket = Socket::dial(&shared.config).await?;
            Ok(Dialed { socket, enrolment })
        }));
    }

    pub(super) fn dialed(&mut self, done: Result<Dialed, String>) {
        let now = now();
        let Dialed { socket, enrolment } = match done {
            Ok(dialed) => dialed,
            Err(e) => {
                tracing::warn!(room = %self.room, "not connected: {e}");
                return self.redial(now.mono_ms);
            }
        };
        match enrolment {
            None => {
                if let Some(session) = &mut self.session {
                    session.reconnect(now.wall);
                }
            }
            Some(enrolment) => {
                let key = self.take_leaf(enrolment);
                let (chain, trust) = (self.chain.clone(), self.shared.trust.clone());
                match Session::new(SessionConfig { key, chain, trust, room: self.room.clone() }, now.wall) {
                    Ok(session) => {
                        self.renew_at_s = renew_at(now.wall.seconds(), session.own().not_after_s);
                        self.session = Some(session);
                    }
                    Err(e) => {
                        tracing::error!(room = %self.room, "the certificate from our front is not usable: {e}");
                        service::security::report(service::security::Event::CertificateUnusable);
                        return self.redial(now.mono_ms);
                    }
                }
            }
        }
        self.socket = Some(socket);
        self.heard_ms = now.mono_ms;
        self.said_hello_ms = Some(now.mono_ms);
        self.admitted = false;
        self.outbox.clear();
    }

    /// Is it time for a new leaf? Only between meetings: a leaf that is in a group stays its own.
    pub(super) fn renews(&self, wall: UnixMillis) -> bool {
        let idle = self.socket.is_some() && !self.admitted && self.recording.is_none();
        idle && self.session.is_some() && wall.seconds() >= self.renew_at_s
    }

    pub(super) fn redial(&mut self, now_ms: u64) {
        self.dial_at_ms = now_ms + self.redial_ms;
        self.redial_ms = (self.redial_ms * 2).min(REDIAL_MS.1);
    }

    pub(super) fn disconnected(&mut self, why: &str) {
        tracing::info!(room = %self.room, "{why}");
        self.socket = None;
        self.said_hello_ms = None;
        self.admitted = false;
        self.outbox.clear();
        self.redial(now().mono_ms);
    }

    /// A signaling that lost its state begins another meeting. The one known here keeps session and keys to its end; the
    /// new one gets a leaf and a session of its own.
    fn other_meeting(&mut self, now_ms: u64) {
        self.meeting_over();
        self.session = None;
        self.redial_ms = REDIAL_MS.0;
        self.disconnected("another meeting has begun in the room");
        self.dial_at_ms = now_ms;
    }

    pub(super) fn heard(&mut self, text: &str) {
        let now = now();
        self.heard_ms = now.mono_ms;
        let Some(session) = &mut self.session else { return };
        match serde_json::from_str::<ToClient>(text) {
            Ok(ToClient::Admitted { terms, .. })
                if session.terms().is_some_and(|known| known.meeting != terms.meeting) =>
            {
                self.other_meeting(now.mono_ms);
            }
            Ok(message) => session.handle(now.wall, message),
            Err(_) => session.handle_unreadable(),
        }
    }
}

/// When a leaf that ends at `end_s` is renewed: an hour before its end, or after half of a shorter life.
fn renew_at(now_s: u64, end_s: u64) -> u64 {
    let life = end_s.saturating_sub(now_s);
    end_s - RENEW_S.min(life / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_renewed_an_hour_before_its_end_and_a_short_one_after_half_its_life() {
        assert_eq!(renew_at(1_000, 1_000 + 12 * 3_600), 1_000 + 11 * 3_600);
        assert_eq!(renew_at(1_000, 1_600), 1_300);
        assert_eq!(renew_at(1_000, 900), 900);
    }
}
