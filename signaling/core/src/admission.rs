//! The first two messages of a connection: a certificate is claimed, then its key is proven over a fresh nonce
//! (`domain::message::client::challenge_bytes`). Nothing of a connection is believed before.
//!
//! Owns one connection's handshake; does not know rooms or meetings.

use crate::problem::{bad_message, of_firm, problem};
use domain::message::PROTOCOL;
use domain::message::client::{Entering, Problem, ProblemCode, Resume, ToClient, ToServer, challenge_bytes};
use domain::message::custody::LeafRole;
use domain::{B64, ParticipantId, RoomId, UnixMillis};
use evidence::identity::{Identity, TrustMap, judge};
use evidence::invitation::judge_guest;
use std::sync::Arc;

/// Who a connection is, proven.
#[derive(Debug, Clone)]
pub struct Proven {
    /// From the judged certificate.
    pub identity: Identity,
    /// Where to.
    pub room: RoomId,
    /// Group state it still holds.
    pub resume: Option<Resume>,
    /// What else it brings.
    pub entering: Entering,
    /// Who invited it: a guest's, judged.
    pub inviter: Option<ParticipantId>,
    /// Its leaf certificate, DER.
    pub certificate: B64,
}

impl Proven {
    /// A firm's recorder, by its certificate.
    pub fn is_recorder(&self) -> bool {
        self.identity.role == LeafRole::Recorder
    }
}

/// What follows from a message of the handshake.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Send(ToClient),
    /// Hand the connection to its room.
    Proven(Box<Proven>),
    /// Send the refusal and close.
    Refuse(Problem),
}

enum State {
    Fresh,
    Challenged { proven: Box<Proven> },
    Over,
}

/// The handshake of one connection.
pub struct Handshake {
    trust: Arc<TrustMap>,
    nonce: [u8; 32],
    state: State,
}

impl Handshake {
    /// `nonce` is fresh and random.
    pub fn new(trust: Arc<TrustMap>, nonce: [u8; 32]) -> Self {
        Self { trust, nonce, state: State::Fresh }
    }

    /// Takes the next message.
    pub fn handle(&mut self, now: UnixMillis, message: ToServer) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), message) {
            (State::Fresh, ToServer::Hello { version, room, chain, trust, resume, entering }) => {
                let claimed = self.claim(now, version, &chain, &trust);
                match claimed.and_then(|who| self.invited(now, &who, &room, &entering).map(|by| (who, by))) {
                    Ok((identity, inviter)) => {
                        let certificate = chain.into_iter().next().unwrap_or_default();
                        let proven = Box::new(Proven { identity, room, resume, entering, inviter, certificate });
                        self.state = State::Challenged { proven };
                        Step::Send(ToClient::Challenge { nonce: self.nonce.into() })
                    }
                    Err(problem) => Step::Refuse(problem),
                }
            }
            (State::Challenged { proven }, ToServer::Prove { signature }) => {
                let signed = challenge_bytes(&self.nonce, &proven.room, &proven.certificate);
                match proven.identity.public_key.verify(&signed, &signature) {
                    Ok(()) => Step::Proven(proven),
                    Err(_) => Step::Refuse(problem(
                        ProblemCode::BadSignature,
                        "the challenge is not signed by the certificate's key",
                    )),
                }
            }
            _ => Step::Refuse(bad_message("expected hello, then prove")),
        }
    }

    /// A guest brings the invitation of a member of its firm: to this room, for itself.
    fn invited(
        &self,
        now: UnixMillis,
        who: &Identity,
        room: &RoomId,
        entering: &Entering,
    ) -> Result<Option<ParticipantId>, Problem> {
        if who.role != LeafRole::Guest {
            return Ok(None);
        }
        let firm = &who.participant.firm;
        let Some(signed) = &entering.invitation else {
            return Err(of_firm(ProblemCode::NotAMember, "a guest comes with an invitation", firm));
        };
        match judge_guest(&self.trust, signed, &who.participant, room, now) {
            Ok(invited) => Ok(Some(invited.inviter.participant)),
            Err(why) => Err(of_firm(ProblemCode::NotAMember, format!("the invitation does not hold: {why}"), firm)),
        }
    }

    fn claim(&self, now: UnixMillis, version: u16, chain: &[B64], trust: &B64) -> Result<Identity, Problem> {
        if version != PROTOCOL {
            return Err(problem(
                ProblemCode::Upgrade,
                format!("this server speaks protocol {PROTOCOL}: load the page again"),
            ));
        }
        if trust.as_slice() != self.trust.hash() {
            return Err(problem(
                ProblemCode::TrustMismatch,
                "your firm's trust map differs from this server's: ask the firm to load the current one",
            ));
        }
        let [leaf] = chain else {
            return Err(problem(ProblemCode::BadCertificate, "send the leaf certificate alone"));
        };
        let identity = judge(&self.trust, leaf, now.seconds())
            .map_err(|why| problem(ProblemCode::BadCertificate, format!("the certificate is refused: {why}")))?;
        match identity.role {
            LeafRole::Member | LeafRole::Recorder | LeafRole::Guest => Ok(identity),
            LeafRole::Compliance | LeafRole::Administrator => {
                Err(problem(ProblemCode::BadCertificate, "this certificate is for another use than meetings"))
            }
        }
    }
}
