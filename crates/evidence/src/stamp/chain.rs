//! Signatures of authorities, and the way from the signer's certificate to a pinned root.

use super::{StampError, as_ref};
use cms::cert::CertificateChoices;
use cms::signed_data::{SignedData, SignerIdentifier};
use der::asn1::{Any, AnyRef, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use domain::UnixMillis;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha256, Sha384, Sha512};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectKeyIdentifier};

/// Certificates between an authority and its root.
const MAX_BETWEEN: usize = 4;
/// RSA keys: shorter are weak, longer only slow.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The hash under an OID.
pub(super) fn hash(oid: ObjectIdentifier, bytes: &[u8]) -> Result<Vec<u8>, StampError> {
    match oid {
        SHA_256 => Ok(Sha256::digest(bytes).to_vec()),
        SHA_384 => Ok(Sha384::digest(bytes).to_vec()),
        SHA_512 => Ok(Sha512::digest(bytes).to_vec()),
        _ => Err(StampError::Signature("under a hash that is not SHA-256, SHA-384 or SHA-512")),
    }
}

/// A signature and what it covers.
pub(super) struct Signed<'a> {
    pub(super) algorithm: ObjectIdentifier,
    /// The hash, where the algorithm does not name it.
    pub(super) digest: Option<ObjectIdentifier>,
    pub(super) message: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl Signed<'_> {
    /// Does the key verify it?
    pub(super) fn verify(&self, spki: &SubjectPublicKeyInfoOwned) -> Result<(), StampError> {
        let bad = StampError::Signature("another key signed, or other bytes");
        let digest = match self.algorithm {
            RSA_SHA_256 | ECDSA_SHA_256 => SHA_256,
            RSA_SHA_384 | ECDSA_SHA_384 => SHA_384,
            RSA_SHA_512 | ECDSA_SHA_512 => SHA_512,
            RSA => self.digest.ok_or_else(|| bad.clone())?,
            _ => return Err(StampError::Signature("under an algorithm that is neither ECDSA nor RSA PKCS #1")),
        };
        let hash = hash(digest, self.message)?;
        let der = spki.to_der().map_err(|_| bad.clone())?;
        let is_rsa = matches!(self.algorithm, RSA | RSA_SHA_256 | RSA_SHA_384 | RSA_SHA_512);
        if is_rsa != (spki.algorithm.oid == RSA) {
            return Err(bad);
        }
        let holds = if is_rsa { self.rsa(&der, digest, &hash) } else { self.ecdsa(spki, &der, &hash) };
        if holds { Ok(()) } else { Err(bad) }
    }

    fn rsa(&self, spki: &[u8], digest: ObjectIdentifier, hash: &[u8]) -> bool {
        use rsa::traits::PublicKeyParts;
        let Ok(key) = rsa::RsaPublicKey::from_public_key_der(spki) else { return false };
        let scheme = match digest {
            SHA_256 => rsa::Pkcs1v15Sign::new::<Sha256>(),
            SHA_384 => rsa::Pkcs1v15Sign::new::<Sha384>(),
            _ => rsa::Pkcs1v15Sign::new::<Sha512>(),
        };
        RSA_BITS.contains(&key.n().bits()) && key.verify(scheme, hash, self.signature).is_ok()
    }

    fn ecdsa(&self, spki: &SubjectPublicKeyInfoOwned, der: &[u8], hash: &[u8]) -> bool {
        let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        match curve {
            Some(P_256) => {
                let key = p256::ecdsa::VerifyingKey::from_public_key_der(der);
                let signature = p256::ecdsa::Signature::from_der(self.signature);
                key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()))
            }
            Some(P_384) => {
                let key = p384::ecdsa::VerifyingKey::from_public_key_der(der);
                let signature = p384::ecdsa::Signature::from_der(self.signature);
                key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify_prehash(hash, &signature).is_ok()))
            }
            _ => false,
        }
    }
}

/// The certificates that came with a token.
pub(super) fn certificates(signed: &SignedData) -> Vec<Certificate> {
    let all = signed.certificates.iter().flat_map(|set| set.0.iter());
    all.filter_map(|one| if let CertificateChoices::Certificate(one) = one { Some(one.clone()) } else { None })
        .collect()
}

/// The certificate that a signer names.
pub(super) fn find<'a>(all: &'a [Certificate], signer: &SignerIdentifier) -> Option<&'a Certificate> {
    all.iter().find(|one| match signer {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            one.tbs_certificate.issuer == named.issuer && one.tbs_certificate.serial_number == named.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            matches!(one.tbs_certificate.get::<SubjectKeyIdentifier>(), Ok(Some((_, own))) if own == *id)
        }
    })
}

/// The elements of a SEQUENCE.
pub(super) fn elements(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let sequence = AnyRef::from_der(der).ok()?;
    if sequence.tag() != Tag::Sequence {
        return None;
    }
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let mut all = Vec::new();
    while !reader.is_finished() {
        all.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(all)
}

/// Does the first id of a SigningCertificateV2 (RFC 5035) name this certificate?
pub(super) fn names(value: &Any, certificate: &[u8]) -> bool {
    let inside = |any: AnyRef<'_>| any.to_der().ok();
    let first = |der: &[u8]| elements(der).and_then(|all| all.first().and_then(|one| inside(*one)));
    // SigningCertificateV2 { certs { ESSCertIDv2 { hashAlgorithm DEFAULT sha-256, certHash, ... }, ... }, ... }
    let id = as_ref(value).to_der().ok().and_then(|der| first(&der)).and_then(|certs| first(&certs));
    let Some(id) = id else { return false };
    let Some(fields) = elements(&id) else { return false };
    let (algorithm, hashed) = match fields.as_slice() {
        [hashed, ..] if hashed.tag() == Tag::OctetString => (SHA_256, hashed),
        [algorithm, hashed, ..] => {
            let inner = algorithm.to_der().unwrap_or_default();
            let oid = elements(&inner).and_then(|all| all.first()?.decode_as::<ObjectIdentifier>().ok());
            let Some(oid) = oid else { return false };
            (oid, hashed)
        }
        [] | [_] => return false,
    };
    let named = hashed.decode_as::<OctetString>();
    named.is_ok_and(|named| hash(algorithm, certificate).is_ok_and(|own| own == named.as_bytes()))
}

fn valid_at(certificate: &Certificate, at: UnixMillis) -> bool {
    let validity = &certificate.tbs_certificate.validity;
    let seconds = at.seconds();
    (validity.not_before.to_unix_duration().as_secs()..=validity.not_after.to_unix_duration().as_secs())
        .contains(&seconds)
}

fn signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let Ok(message) = certificate.tbs_certificate.to_der() else { return false };
    let Some(signature) = certificate.signature.as_bytes() else { return false };
    let signed = Signed { algorithm: certificate.signature_algorithm.oid, digest: None, message: &message, signature };
    certificate.tbs_certificate.issuer == issuer.tbs_certificate.subject
        && signed.verify(&issuer.tbs_certificate.subject_public_key_info).is_ok()
}

fn is_ca(certificate: &Certificate) -> bool {
    matches!(certificate.tbs_certificate.get::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca)
}

/// Is the signer a time-stamp authority under one of the roots, at the time it says?
pub(super) fn judge(
    signer: &Certificate,
    all: &[Certificate],
    roots: &[impl AsRef<[u8]>],
    at: UnixMillis,
) -> Result<(), StampError> {
    let usage = signer.tbs_certificate.get::<ExtendedKeyUsage>();
    if !matches!(usage, Ok(Some((true, ref usage))) if usage.0 == [TIME_STAMPING]) {
        return Err(StampError::Untrusted("its certificate is not for time stamps alone (RFC 3161, 2.3)"));
    }
    let roots: Vec<Certificate> = roots.iter().filter_map(|root| Certificate::from_der(root.as_ref()).ok()).collect();
    let mut now = signer;
    for _ in 0..=MAX_BETWEEN {
        if !valid_at(now, at) {
            return Err(StampError::Untrusted("a certificate was not valid at that time"));
        }
        if roots.iter().any(|root| root == now || (is_ca(root) && valid_at(root, at) && signed_by(now, root))) {
            return Ok(());
        }
        let Some(next) = all.iter().find(|one| *one != now && is_ca(one) && signed_by(now, one)) else {
            return Err(StampError::Untrusted("its chain leads to no pinned root"));
        };
        now = next;
    }
    Err(StampError::Untrusted("its chain is too long"))
}
