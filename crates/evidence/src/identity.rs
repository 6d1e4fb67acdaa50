//! Who a certificate speaks for, by our own rules (X.509, RFC 5280 forms): the firm in the SAN names the only roots that
//! may have signed it, directly; exactly one own extended key usage; P-256; a life bound; nothing critical unknown.
//!
//! General validators check less than this (no EKU, roots by subject name), so none is used.

use crate::key::PublicKey;
use crate::sha256;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Reader, SliceReader};
use domain::limits::MAX_LEAF_LIFE_S;
use domain::message::custody::LeafRole;
use domain::{B64, FirmId, ParticipantId};
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};

/// Arc of our extended key usages: IANA's documentation arc (RFC 5612).
pub const EKU_ARC: &str = "1.3.6.1.4.1.32473.7";
/// Largest certificate taken: ours have 450 bytes.
pub const MAX_CERTIFICATE: usize = 8 * 1024;
/// A guest's certificate lives at most, s.
pub const MAX_GUEST_LIFE_S: u64 = 4 * 3600;
/// Longest display name, in characters.
pub const MAX_NAME: usize = 64;

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const EXTENDED_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// What the front of a firm pins about one firm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirmTrust {
    /// Which firm.
    pub firm: FirmId,
    /// Its name, for people.
    pub name: String,
    /// Root certificates, DER.
    pub roots: Vec<B64>,
    /// Key that signs its statements, SPKI DER.
    pub policy_key: B64,
    /// Key that countersigns its recorders' CSRs, SPKI DER.
    pub recorder_identity: B64,
    /// Key that signs its manifests, SPKI DER.
    pub record_key: B64,
    /// Key that signs its ledger, SPKI DER.
    pub ledger_key: B64,
    /// Keys its meeting keys are sealed to, RSA SPKI DER.
    pub archive_keys: Vec<B64>,
    /// Root certificates of the time-stamp authorities it relies on (RFC 3161), DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stamp_roots: Vec<B64>,
}

/// Whom a participant trusts with what; pinned by its firm's front, its hash in the GroupContext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustMap {
    /// Always 1.
    pub version: u16,
    /// Sorted by firm.
    pub firms: Vec<FirmTrust>,
    /// Key of the delivery service's orders, SPKI DER.
    pub order_key: B64,
}

impl TrustMap {
    /// SHA-256 of the map as CBOR.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&crate::cbor::encode(self))
    }
    /// What is pinned about a firm.
    pub fn firm(&self, firm: &FirmId) -> Option<&FirmTrust> {
        self.firms.iter().find(|entry| entry.firm == *firm)
    }
}

/// Whom a leaf certificate speaks for. Debug shows no name.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// From the URI SAN.
    pub participant: ParticipantId,
    /// From the extended key usage.
    pub role: LeafRole,
    /// Common name: what people see.
    pub name: String,
    /// The leaf key.
    pub public_key: PublicKey,
    /// Start of validity, seconds since 1970.
    pub not_before_s: u64,
    /// End of validity, seconds since 1970.
    pub not_after_s: u64,
    /// SHA-256 of the DER.
    pub certificate_hash: [u8; 32],
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({:?} {:?} {:?})", self.participant, self.role, self.public_key)
    }
}

/// Why a certificate is refused. Its holder's or its issuer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not a DER certificate of version 3 with a P-256 key.
    #[error("not a certificate of the expected form: {0}")]
    Malformed(&'static str),
    /// The SAN is not exactly one participant URI.
    #[error("the subject alternative name is not one participant")]
    Name,
    /// Not exactly one extended key usage of ours.
    #[error("the extended key usage is not exactly one of ours")]
    Role,
    /// Key usage or basic constraints do not fit a leaf.
    #[error("key usage or basic constraints are not a leaf's")]
    Usage,
    /// A critical extension that we do not know.
    #[error("an unknown critical extension")]
    CriticalExtension,
    /// Valid for longer than allowed.
    #[error("valid for longer than allowed")]
    Life,
    /// The firm is not pinned.
    #[error("firm {0} is not in the trust map")]
    UnknownFirm(FirmId),
    /// No pinned root of the firm signed it.
    #[error("not signed by a root of firm {0}")]
    NotByRoot(FirmId),
    /// Too early.
    #[error("not valid yet")]
    NotYetValid,
    /// Too late.
    #[error("expired")]
    Expired,
}

/// OID of a role's extended key usage.
pub fn role_oid(role: LeafRole) -> ObjectIdentifier {
    let last = match role {
        LeafRole::Member => 1,
        LeafRole::Recorder => 2,
        LeafRole::Guest => 3,
        LeafRole::Compliance => 4,
        LeafRole::Administrator => 5,
    };
    ObjectIdentifier::new_unwrap(EKU_ARC).push_arc(last).expect("a short arc")
}

fn role_of(usages: &[ObjectIdentifier]) -> Result<LeafRole, IdentityError> {
    const ROLES: [LeafRole; 5] =
        [LeafRole::Member, LeafRole::Recorder, LeafRole::Guest, LeafRole::Compliance, LeafRole::Administrator];
    let mut own = usages.iter().filter(|oid| **oid != CLIENT_AUTH);
    match (own.next(), own.next()) {
        (Some(oid), None) => ROLES.into_iter().find(|role| role_oid(*role) == *oid).ok_or(IdentityError::Role),
        _ => Err(IdentityError::Role),
    }
}

/// A certificate read, its form checked, nothing judged.
struct Leaf {
    identity: Identity,
    certificate: Certificate,
    tbs: Vec<u8>,
}

fn malformed(what: &'static str) -> impl Fn(der::Error) -> IdentityError {
    move |_| IdentityError::Malformed(what)
}

/// The signed bytes as received: a signature is never checked over a re-encoding.
fn signed_part(bytes: &[u8]) -> Result<&[u8], der::Error> {
    let mut reader = SliceReader::new(bytes)?;
    der::Header::decode(&mut reader)?;
    reader.tlv_bytes()
}

struct Extensions {
    participant: ParticipantId,
    role: LeafRole,
}

fn extensions(certificate: &Certificate) -> Result<Extensions, IdentityError> {
    let list = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let (mut participant, mut role, mut signs) = (None, None, false);
    for (at, extension) in list.iter().enumerate() {
        if list[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(IdentityError::Malformed("an extension twice"));
        }
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            KEY_USAGE => {
                let usage = KeyUsage::from_der(value).map_err(malformed("key usage"))?;
                signs = usage.0 == KeyUsages::DigitalSignature;
            }
            CONSTRAINTS => {
                let constraints = BasicConstraints::from_der(value).map_err(malformed("basic constraints"))?;
                if constraints.ca || constraints.path_len_constraint.is_some() {
                    return Err(IdentityError::Usage);
                }
            }
            EXTENDED_USAGE => {
                let usages = ExtendedKeyUsage::from_der(value).map_err(malformed("extended key usage"))?;
                role = Some(role_of(&usages.0)?);
            }
            ALT_NAME => {
                let names = SubjectAltName::from_der(value).map_err(malformed("alternative name"))?;
                let [GeneralName::UniformResourceIdentifier(uri)] = names.0.as_slice() else {
                    return Err(IdentityError::Name);
                };
                participant = Some(ParticipantId::from_uri(uri.as_str()).map_err(|_| IdentityError::Name)?);
            }
            _ if extension.critical => return Err(IdentityError::CriticalExtension),
            _ => {}
        }
    }
    if !signs {
        return Err(IdentityError::Usage);
    }
    Ok(Extensions { participant: participant.ok_or(IdentityError::Name)?, role: role.ok_or(IdentityError::Role)? })
}

/// Common name of the subject, or the user id where there is none that can be shown.
fn display_name(certificate: &Certificate, participant: &ParticipantId) -> String {
    let name = certificate.tbs_certificate.subject.0.iter().flat_map(|rdn| rdn.0.iter()).find_map(|part| {
        (part.oid == COMMON_NAME).then(|| std::str::from_utf8(part.value.value()).ok().map(str::to_owned)).flatten()
    });
    match name {
        Some(name) if !name.trim().is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(hidden) => name,
        _ => participant.user.to_string(),
    }
}

/// Characters that could make one name look like another's: controls, marks that turn or hide text, letters that show
/// nothing.
pub(crate) fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{3164}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

fn read(bytes: &[u8]) -> Result<Leaf, IdentityError> {
    if bytes.len() > MAX_CERTIFICATE {
        return Err(IdentityError::Malformed("too long"));
    }
    let certificate = Certificate::from_der(bytes).map_err(malformed("DER"))?;
    if certificate.to_der().map_err(malformed("DER"))? != bytes {
        return Err(IdentityError::Malformed("not DER"));
    }
    let tbs = &certificate.tbs_certificate;
    if tbs.version != Version::V3 {
        return Err(IdentityError::Malformed("version"));
    }
    if certificate.signature_algorithm != tbs.signature || tbs.signature.oid != ECDSA_SHA256 {
        return Err(IdentityError::Malformed("signature algorithm"));
    }
    let spki = tbs.subject_public_key_info.to_der().map_err(malformed("key"))?;
    let public_key = PublicKey::from_spki(&spki).map_err(|_| IdentityError::Malformed("key"))?;
    let Extensions { participant, role } = extensions(&certificate)?;
    let identity = Identity {
        name: display_name(&certificate, &participant),
        participant,
        role,
        public_key,
        not_before_s: tbs.validity.not_before.to_unix_duration().as_secs(),
        not_after_s: tbs.validity.not_after.to_unix_duration().as_secs(),
        certificate_hash: sha256(bytes),
    };
    let tbs = signed_part(bytes).map_err(malformed("DER"))?.to_vec();
    Ok(Leaf { identity, certificate, tbs })
}

fn is_root_of(root: &[u8], leaf: &Leaf, at_s: u64) -> bool {
    let Ok(root) = Certificate::from_der(root) else { return false };
    let tbs = &root.tbs_certificate;
    let valid = tbs.validity.not_before.to_unix_duration().as_secs() <= at_s
        && at_s <= tbs.validity.not_after.to_unix_duration().as_secs();
    let authority = tbs.get::<BasicConstraints>().ok().flatten().is_some_and(|(_, constraints)| constraints.ca)
        && tbs.get::<KeyUsage>().ok().flatten().is_none_or(|(_, usage)| usage.key_cert_sign());
    let named = tbs.subject == leaf.certificate.tbs_certificate.issuer;
    let key = tbs.subject_public_key_info.to_der().ok().and_then(|spki| PublicKey::from_spki(&spki).ok());
    let signed = key
        .zip(leaf.certificate.signature.as_bytes())
        .is_some_and(|(key, signature)| key.verify_der(&leaf.tbs, signature).is_ok());
    valid && authority && named && signed
}

/// Judges a leaf at `at_s` (seconds since 1970) by the trust map.
pub fn judge(trust: &TrustMap, leaf: &[u8], at_s: u64) -> Result<Identity, IdentityError> {
    let leaf = read(leaf)?;
    let identity = &leaf.identity;
    let longest = if identity.role == LeafRole::Guest { MAX_GUEST_LIFE_S } else { MAX_LEAF_LIFE_S };
    if identity.not_after_s.saturating_sub(identity.not_before_s) > longest {
        return Err(IdentityError::Life);
    }
    let firm = &identity.participant.firm;
    let pinned = trust.firm(firm).ok_or_else(|| IdentityError::UnknownFirm(firm.clone()))?;
    if !pinned.roots.iter().any(|root| is_root_of(root, &leaf, at_s)) {
        return Err(IdentityError::NotByRoot(firm.clone()));
    }
    if at_s < identity.not_before_s {
        return Err(IdentityError::NotYetValid);
    }
    if at_s > identity.not_after_s {
        return Err(IdentityError::Expired);
    }
    Ok(leaf.identity)
}

/// Reads a leaf without judging it: for messages to its own holder, never to decide.
pub fn inspect(leaf: &[u8]) -> Result<Identity, IdentityError> {
    read(leaf).map(|leaf| leaf.identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_any_certificate_is_not_parsed() {
        let long = inspect(&vec![0x30; MAX_CERTIFICATE + 1]);
        assert_eq!(long, Err(IdentityError::Malformed("too long")));
        assert_eq!(inspect(&vec![0x30; MAX_CERTIFICATE]), Err(IdentityError::Malformed("DER")));
    }

    #[test]
    fn marks_that_turn_hide_or_fill_make_no_name() {
        for c in "\u{7}\u{ad}\u{61c}\u{115f}\u{180e}\u{200b}\u{202e}\u{2066}\u{206f}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{e0041}".chars() {
            assert!(hidden(c), "{c:?}");
        }
        assert!(!"Ähre-O\u{2019}Neill \u{5d0}\u{4e2d}\u{1f600}".chars().any(hidden));
    }
}
