//! Acknowledgements of the notices: our own, signed and said at each admission, and those of others for who keeps them.

use super::{Event, IncidentKind, Output, Session};
use domain::message::client::ToServer;
use domain::{B64, UnixMillis};
use evidence::acknowledgement::{self, Acknowledgement, LABEL};

/// What we said yes to.
pub(super) struct Yes {
    statements: [u8; 32],
    language: String,
}

impl Session {
    /// The person has seen who keeps what here, in this language. Holds for these very statements: it is said again after
    /// every admission under them, and not under others.
    pub fn acknowledge(&mut self, now: UnixMillis, language: &str) {
        let Some(meeting) = &self.meeting else { return };
        self.yes = Some(Yes { statements: meeting.rules.statements_hash(), language: language.to_owned() });
        // before anything else that waits: an offer may be the owner's very next word
        if let Some(yes) = self.signed_yes(now) {
            self.out.push_front(Output::Send(yes));
        }
        self.settle(now);
    }

    /// Says it, if it is about the statements that bind now.
    pub(super) fn say_yes(&mut self, now: UnixMillis) {
        if let Some(yes) = self.signed_yes(now) {
            self.send(yes);
        }
    }

    fn signed_yes(&self, now: UnixMillis) -> Option<ToServer> {
        let (meeting, yes) = (self.meeting.as_ref()?, self.yes.as_ref()?);
        if yes.statements != meeting.rules.statements_hash() {
            return None;
        }
        let acknowledgement = Acknowledgement {
            meeting: meeting.terms.meeting.clone(),
            statements: yes.statements,
            language: yes.language.clone(),
            at: now,
        };
        let payload = acknowledgement::encode(&acknowledgement);
        let signed = B64(self.key.sign_cose(LABEL, &payload, Some(&self.certificate)));
        Some(ToServer::Acknowledge { acknowledgement: signed })
    }

    pub(super) fn on_acknowledged(&mut self, now: UnixMillis, signed: B64) {
        let judged = acknowledgement::judge(&self.trust, &signed, now.seconds()).ok();
        let ours = |meeting: &super::Meeting, read: &Acknowledgement| {
            read.meeting == meeting.terms.meeting && read.statements == meeting.rules.statements_hash()
        };
        match judged {
            Some((read, signer)) if self.meeting.as_ref().is_some_and(|meeting| ours(meeting, &read)) => {
                self.tell(Event::Acknowledged { from: signer.participant, acknowledgement: signed });
            }
            Some((_, signer)) => self.incident(IncidentKind::BadAcknowledgement, Some(signer.participant)),
            None => self.incident(IncidentKind::BadAcknowledgement, None),
        }
    }
}
