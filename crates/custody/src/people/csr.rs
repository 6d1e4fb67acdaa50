//! Reading and judging a PKCS#10 request (RFC 2986): P-256, its own signature, one participant as SAN. Nothing else in it is
//! taken over: profile and name of a certificate are ours.

use crate::refusal::{Refusal, refuse};
use domain::ParticipantId;
use evidence::key::PublicKey;
use openssl::x509::X509Req;
use spki::der::asn1::ObjectIdentifier;
use spki::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::CertReq;

/// Ours have about 300 bytes.
const MAX_CSR: usize = 4096;
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A request whose holder proved to have the key.
pub struct Csr {
    /// For whom.
    pub participant: ParticipantId,
    /// Its key.
    pub key: PublicKey,
}

impl Csr {
    /// Judges the DER of a request.
    ///
    /// # Errors
    /// `bad-csr`.
    pub fn judge(der: &[u8]) -> Result<Self, Refusal> {
        if der.len() > MAX_CSR {
            return refuse("bad-csr", "the CSR is too long");
        }
        let Ok(request) = CertReq::from_der(der) else {
            return refuse("bad-csr", "the CSR is no PKCS#10 in DER");
        };
        let spki = request.info.public_key.to_der().unwrap_or_default();
        let Ok(key) = PublicKey::from_spki(&spki) else {
            return refuse("bad-csr", "the CSR's key is not on P-256");
        };
        if request.algorithm.oid != ECDSA_SHA256 || !proves(&request, &key) || !openssl_agrees(der, &spki) {
            return refuse("bad-csr", "the CSR's signature does not verify");
        }
        let Some(participant) = participant(&request) else {
            return refuse("bad-csr", "the CSR's alternative name is not one participant (sr://firm/user/device)");
        };
        Ok(Self { participant, key })
    }
}

fn proves(request: &CertReq, key: &PublicKey) -> bool {
    let Ok(info) = request.info.to_der() else { return false };
    request.signature.as_bytes().is_some_and(|signature| key.verify_der(&info, signature).is_ok())
}

/// A second implementation must read the same key and find the same signature good: a request that two parsers read
/// differently is not certified.
fn openssl_agrees(der: &[u8], spki: &[u8]) -> bool {
    let Ok(request) = X509Req::from_der(der) else { return false };
    let Ok(key) = request.public_key() else { return false };
    key.public_key_to_der().is_ok_and(|same| same == spki) && request.verify(&key).unwrap_or(false)
}

fn participant(request: &CertReq) -> Option<ParticipantId> {
    let mut asked = request.info.attributes.iter().filter(|attribute| attribute.oid == EXTENSION_REQUEST);
    let (attribute, None) = (asked.next()?, asked.next()) else { return None };
    let [value] = attribute.values.as_slice() else { return None };
    let extensions: Vec<Extension> = value.decode_as().ok()?;
    let mut names = extensions.iter().filter(|extension| extension.extn_id == ALT_NAME);
    let (extension, None) = (names.next()?, names.next()) else { return None };
    let names = SubjectAltName::from_der(extension.extn_value.as_bytes()).ok()?;
    match names.0.as_slice() {
        [GeneralName::UniformResourceIdentifier(uri)] => ParticipantId::from_uri(uri.as_str()).ok(),
        _ => None,
    }
}
