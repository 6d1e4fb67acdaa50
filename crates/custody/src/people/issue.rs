//! The certificates this firm issues (RFC 5280): its root and its leaves. Built here, signed by the token: [`Unsigned::hash`]
//! goes to it, the signature comes back into [`Unsigned::finish`].

use super::csr::Csr;
use crate::refusal::{Refusal, refuse};
use crate::token::TokenError;
use domain::FirmId;
use domain::message::custody::LeafRole;
use evidence::identity::{MAX_NAME, role_oid};
use sha2::{Digest, Sha256};
use spki::AlgorithmIdentifierOwned;
use spki::SubjectPublicKeyInfoOwned;
use spki::der::asn1::{
    Any, BitString, GeneralizedTime, Ia5String, ObjectIdentifier, OctetString, SetOfVec, UtcTime, Utf8StringRef,
};
use spki::der::flagset::FlagSet;
use spki::der::{DateTime, Decode, Encode};
use std::time::Duration;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

/// Random bytes of a serial number (RFC 5280 allows 20; 16 random ones never meet).
pub const SERIAL_BYTES: u32 = 16;
/// Leaves begin so long before their making, s: clocks of participants may be a little behind.
const BACKDATE_S: u64 = 60;
/// Life of a root: ten years, s.
const ROOT_LIFE_S: u64 = 3652 * 24 * 3600;
/// UTCTime ends with 2049 (RFC 5280 section 4.1.2.5).
const UTC_TIME_END_S: u64 = 2_524_608_000;

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const EXTENDED_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

/// A certificate without its signature.
pub struct Unsigned {
    tbs: TbsCertificate,
    der: Vec<u8>,
}

impl Unsigned {
    fn new(tbs: TbsCertificate) -> Self {
        let der = tbs.to_der().expect("built from bounded parts");
        Self { tbs, der }
    }
    /// What the CA key signs.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }
    /// The certificate, DER. `signature` is r||s.
    ///
    /// # Errors
    /// [`TokenError::Failed`] if r or s is out of range.
    pub fn finish(self, signature: &[u8; 64]) -> Result<Vec<u8>, TokenError> {
        let signature = p256::ecdsa::Signature::from_slice(signature)
            .map_err(|e| TokenError::Failed { what: "signing a certificate", why: e.to_string() })?;
        let certificate = Certificate {
            signature_algorithm: self.tbs.signature.clone(),
            tbs_certificate: self.tbs,
            signature: BitString::from_bytes(signature.to_der().as_bytes()).expect("72 bytes at most"),
        };
        Ok(certificate.to_der().expect("built from bounded parts"))
    }
    /// Subject, DER.
    pub fn subject(&self) -> Vec<u8> {
        self.tbs.subject.to_der().expect("built from bounded parts")
    }
}

/// What a leaf is made of.
pub struct Leaf<'a> {
    /// Whose key and name.
    pub csr: &'a Csr,
    /// Common name.
    pub name: &'a str,
    /// Extended key usage.
    pub role: LeafRole,
    /// [`SERIAL_BYTES`] random bytes.
    pub serial: &'a [u8],
    /// Now, seconds since 1970.
    pub now_s: u64,
    /// Life, s.
    pub life_s: u64,
}

impl Leaf<'_> {
    /// Builds the leaf under `root` (DER).
    ///
    /// # Errors
    /// `unavailable` if the root has ended, `bad-request` if the name cannot stand in a certificate.
    pub fn prepare(&self, root: &[u8]) -> Result<Unsigned, Refusal> {
        let Ok(root) = Certificate::from_der(root) else {
            return refuse("unavailable", "the root certificate is damaged");
        };
        let root = &root.tbs_certificate;
        let begin = self.now_s.saturating_sub(BACKDATE_S);
        let end = begin + self.life_s;
        if end > root.validity.not_after.to_unix_duration().as_secs() {
            return refuse("unavailable", "the firm's root certificate ends too soon; hold a ceremony for a new one");
        }
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return refuse("bad-token", "the person's name is empty, too long, or has control characters");
        }
        let uri = Ia5String::new(&self.csr.participant.uri()).expect("ids are ASCII");
        let names = SubjectAltName(vec![GeneralName::UniformResourceIdentifier(uri)]);
        let spki = self.csr.key.to_spki();
        let issuer_spki = root.subject_public_key_info.to_der().expect("read from DER");
        let extensions = vec![
            extension(CONSTRAINTS, true, &BasicConstraints { ca: false, path_len_constraint: None }),
            extension(KEY_USAGE, true, &KeyUsage(FlagSet::from(KeyUsages::DigitalSignature))),
            extension(EXTENDED_USAGE, false, &ExtendedKeyUsage(vec![role_oid(self.role)])),
            extension(ALT_NAME, false, &names),
            extension(SUBJECT_KEY, false, &SubjectKeyIdentifier(key_identifier(&spki))),
            extension(
                AUTHORITY_KEY,
                false,
                &AuthorityKeyIdentifier {
                    key_identifier: Some(key_identifier(&issuer_spki)),
                    ..AuthorityKeyIdentifier::default()
                },
            ),
        ];
        Ok(Unsigned::new(tbs(self.serial, root.subject.clone(), common_name(name), (begin, end), &spki, extensions)))
    }
}

/// Builds the firm's root: P-256, path length 0, ten years.
pub fn root(firm: &FirmId, spki: &[u8], serial: &[u8], now_s: u64) -> Unsigned {
    let name = common_name(&format!("Strongroom root of {firm}"));
    let extensions = vec![
        extension(CONSTRAINTS, true, &BasicConstraints { ca: true, path_len_constraint: Some(0) }),
        extension(KEY_USAGE, true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign)),
        extension(SUBJECT_KEY, false, &SubjectKeyIdentifier(key_identifier(spki))),
    ];
    let begin = now_s.saturating_sub(BACKDATE_S);
    Unsigned::new(tbs(serial, name.clone(), name, (begin, begin + ROOT_LIFE_S), spki, extensions))
}

/// The serial number that random bytes make: positive and never zero, whatever they are.
pub fn serial(random: &[u8]) -> Vec<u8> {
    let mut serial = random.to_vec();
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    serial
}

fn tbs(
    serial: &[u8],
    issuer: Name,
    subject: Name,
    (begin, end): (u64, u64),
    spki: &[u8],
    extensions: Vec<Extension>,
) -> TbsCertificate {
    let serial = self::serial(serial);
    TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).expect("16 bytes"),
        signature: AlgorithmIdentifierOwned { oid: ECDSA_SHA256, parameters: None },
        issuer,
        validity: Validity { not_before: time(begin), not_after: time(end) },
        subject,
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(spki).expect("our own encoding"),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    }
}

fn time(at_s: u64) -> Time {
    let at = DateTime::from_unix_duration(Duration::from_secs(at_s)).expect("before the year 9999");
    if at_s < UTC_TIME_END_S {
        Time::UtcTime(UtcTime::from_date_time(at).expect("before 2050"))
    } else {
        Time::GeneralTime(GeneralizedTime::from_date_time(at))
    }
}

fn common_name(text: &str) -> Name {
    let value = Any::from(Utf8StringRef::new(text).expect("bounded by the callers"));
    let part = AttributeTypeAndValue { oid: COMMON_NAME, value };
    let set = SetOfVec::try_from(vec![part]).expect("one element");
    RdnSequence(vec![RelativeDistinguishedName(set)])
}

/// RFC 7093 section 2, method 1: the leftmost 160 bits of the SHA-256 of the key; over the whole SPKI here.
fn key_identifier(spki: &[u8]) -> OctetString {
    OctetString::new(&Sha256::digest(spki)[..20]).expect("20 bytes")
}

fn extension(oid: ObjectIdentifier, critical: bool, value: &impl Encode) -> Extension {
    let value = OctetString::new(value.to_der().expect("bounded parts")).expect("bounded parts");
    Extension { extn_id: oid, critical, extn_value: value }
}
