//! The people token: certifies persons and recorders of its firm and signs the firm's statements. It opens nothing.

pub mod csr;
mod guests;
pub mod issue;
pub mod journal;
pub mod oidc;
mod revoke;
mod statement;

pub use revoke::{list, revoke_from_terminal};
pub use statement::sign_statement_file;

use crate::config::{Config, People as Settings};
use crate::failure::Failure;
use crate::refusal::{Refusal, refuse};
use crate::token::{Call, FIRM_CA, Facts, Handle};
use csr::Csr;
use domain::message::custody::{Answer, Ask, LeafRole};
use domain::{B64, FirmId, UnixMillis};
use evidence::cose;
use evidence::identity::{FirmTrust, MAX_GUEST_LIFE_S, TrustMap};
use evidence::invitation::{self, EARLY_MS};
use evidence::key::PublicKey;
use evidence::recorder_csr::{self, RecorderCsr};
use journal::{Issued, Journal};
use oidc::Oidc;
use std::sync::{Mutex, PoisonError};

/// Users whose ids begin so are recorders; no person is certified under such a name.
const RECORDER_PREFIX: &str = "recorder-";

/// State of the people token's process.
pub struct People {
    firm: FirmId,
    settings: Settings,
    oidc: Option<Oidc>,
    recorder_identity: Option<PublicKey>,
    root: Vec<u8>,
    trust: TrustMap,
    guests: Mutex<guests::Guests>,
    token: Handle,
    journal: Mutex<Journal>,
    /// The newest list, signed.
    list: Mutex<Option<revoke::Signed>>,
}

impl People {
    /// Puts it together from configuration and token.
    ///
    /// # Errors
    /// [`Failure::Config`] if the ceremony has not been held or a pinned key is bad.
    pub fn new(config: &Config, facts: &Facts, token: Handle) -> Result<Self, Failure> {
        let settings = config.people.clone().expect("the configuration has the section of its role");
        let root = facts.root.clone().ok_or_else(|| {
            Failure::Config("the token has no root certificate; run `strongroom-custody ceremony`".to_owned())
        })?;
        let recorder_identity = config.recorder_identity()?;
        if recorder_identity.is_none() {
            tracing::warn!("no `people.recorder_identity` in the configuration: recorders are not certified");
        }
        if settings.oidc.is_none() {
            tracing::warn!("no `people.oidc` in the configuration: persons are not certified");
        }
        let trust = own_trust(&config.firm, &root);
        let oidc = settings.oidc.clone().map(Oidc::new);
        let now_s = crate::ceremony::now().seconds();
        let journal = Mutex::new(Journal::open(&settings.journal, now_s).map_err(Failure::Config)?);
        let (firm, list, guests) = (config.firm.clone(), Mutex::default(), Mutex::default());
        Ok(Self { firm, oidc, settings, recorder_identity, root, trust, guests, token, journal, list })
    }

    /// Answers what this token answers.
    ///
    /// # Errors
    /// A refusal.
    pub fn answer(&self, now: UnixMillis, ask: Ask) -> Result<Answer, Refusal> {
        match ask {
            Ask::CertifyMember { csr, id_token, dpop, role } => self.certify_member(now, &csr, &id_token, &dpop, role),
            Ask::CertifyGuest { csr, invitation, code } => self.certify_guest(now, &csr, &invitation, &code),
            Ask::CertifyRecorder { csr, countersignature } => self.certify_recorder(now, &csr, &countersignature),
            Ask::SignStatement { statement, administrators } => {
                let signed = statement::sign(self, now, &statement, &administrators)?;
                Ok(Answer::Signed { signed: signed.into() })
            }
            Ask::Revoke { whom } => self.revoke(now, &whom),
            Ask::Revocations {} => self.revocations(now),
            _ => refuse("bad-request", "the people token does not do this"),
        }
    }

    fn certify_member(
        &self,
        now: UnixMillis,
        csr: &B64,
        id_token: &str,
        dpop: &str,
        role: LeafRole,
    ) -> Result<Answer, Refusal> {
        let Some(oidc) = &self.oidc else {
            return refuse("bad-request", "no identity provider is configured for this token");
        };
        if !matches!(role, LeafRole::Member | LeafRole::Compliance | LeafRole::Administrator) {
            return refuse("role", "members, compliance officers and administrators are certified this way");
        }
        let person = oidc.judge(now, id_token, dpop, &evidence::sha256(csr))?;
        if !person.roles.contains(&role) {
            return refuse("role", "the identity provider does not give this person the wanted role");
        }
        let csr = Csr::judge(csr)?;
        if csr.participant.firm != self.firm || csr.participant.user != person.user {
            return refuse("bad-csr", "the CSR is for another firm or person than the token");
        }
        if person.user.as_str().starts_with(RECORDER_PREFIX) {
            return refuse("bad-csr", "names that begin with `recorder-` are kept for recorders");
        }
        if person.user.as_str().starts_with(invitation::PREFIX) {
            return refuse("bad-csr", "names that begin with `guest-` are kept for guests");
        }
        self.issue(now, &csr, &person.name, role, self.settings.leaf_life_s)
    }

    /// By an invitation that a member of this firm signed, and the code that opens it. No longer than the invitation.
    fn certify_guest(&self, now: UnixMillis, csr: &B64, signed: &B64, code: &str) -> Result<Answer, Refusal> {
        let invited = match invitation::judge(&self.trust, signed, now) {
            Ok(invited) => invited.invitation,
            Err(why) => return refuse("bad-invitation", format!("the invitation does not hold: {why}")),
        };
        if now.plus(EARLY_MS) < invited.valid_from {
            return refuse("too-early", "the invitation holds only from a quarter of an hour before the meeting");
        }
        let csr = Csr::judge(csr)?;
        if csr.participant.firm != self.firm || csr.participant.user != invited.guest {
            return refuse("bad-csr", "the CSR is for another firm or guest than the invitation");
        }
        let left_s = invited.valid_until.seconds().saturating_sub(now.seconds());
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.take(now, &invited, &csr.participant.device, code)?;
        drop(guests);
        self.issue(now, &csr, &invited.name, LeafRole::Guest, left_s.min(MAX_GUEST_LIFE_S))
    }

    fn certify_recorder(&self, now: UnixMillis, csr: &B64, countersignature: &B64) -> Result<Answer, Refusal> {
        let Some(identity) = &self.recorder_identity else {
            return refuse("bad-request", "no recorder identity is pinned in this token's configuration");
        };
        let Ok(payload) = cose::verify(recorder_csr::LABEL, countersignature, identity) else {
            return refuse("bad-csr", "the CSR is not countersigned by this firm's recorder identity");
        };
        if !RecorderCsr::covers(&payload, csr, now) {
            return refuse("bad-csr", "the countersignature is for another CSR, or older than five minutes");
        }
        let csr = Csr::judge(csr)?;
        if csr.participant.firm != self.firm || !csr.participant.user.as_str().starts_with(RECORDER_PREFIX) {
            return refuse("bad-csr", "a recorder is named sr://<this firm>/recorder-<n>/<device>");
        }
        let name = csr.participant.user.to_string();
        self.issue(now, &csr, &name, LeafRole::Recorder, self.settings.leaf_life_s)
    }

    fn issue(&self, now: UnixMillis, csr: &Csr, name: &str, role: LeafRole, life_s: u64) -> Result<Answer, Refusal> {
        let serial = self.token.call(Call::Random(issue::SERIAL_BYTES))?;
        let leaf = issue::Leaf { csr, name, role, serial: &serial, now_s: now.seconds(), life_s };
        let unsigned = leaf.prepare(&self.root)?;
        let signature = self.token.sign(FIRM_CA, &unsigned.hash())?;
        let certificate = unsigned.finish(&signature)?;
        // what everybody else would refuse is not given out
        let identity = match evidence::identity::judge(&self.trust, &certificate, now.seconds()) {
            Ok(identity) => identity,
            Err(error) => return refuse("bad-csr", format!("the certificate would be refused by everybody: {error}")),
        };
        // ... and nothing that could not be taken back
        self.journal.lock().expect("no holder panics").issued(Issued {
            serial: hex::encode(issue::serial(&serial)),
            certificate: hex::encode(identity.certificate_hash),
            holder: identity.participant,
            role,
            from_s: identity.not_before_s,
            until_s: identity.not_after_s,
            revoked_at: None,
        })?;
        tracing::info!(?role, "certificate issued");
        Ok(Answer::Certificate { certificate: certificate.into() })
    }
}

/// A trust map with nothing but this firm's own root, to judge what it issued itself.
fn own_trust(firm: &FirmId, root: &[u8]) -> TrustMap {
    let none = B64::default;
    let own = FirmTrust {
        firm: firm.clone(),
        name: firm.to_string(),
        roots: vec![root.into()],
        policy_key: none(),
        recorder_identity: none(),
        record_key: none(),
        ledger_key: none(),
        archive_keys: Vec::new(),
        stamp_roots: Vec::new(),
    };
    TrustMap { version: 1, firms: vec![own], order_key: none() }
}
