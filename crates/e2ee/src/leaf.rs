//! The leaf key of one device: P-256, made here, never exported but to a recorder's sealed checkpoint and its TLS.

use domain::ParticipantId;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{DerSignature, Signature, SigningKey};
use p256::pkcs8::EncodePrivateKey;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::{Builder, RequestBuilder};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};
use zeroize::Zeroizing;

/// Common name in certificate requests.
const COMMON_NAME: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("2.5.4.3");

/// A device's signing key. Wiped when dropped.
pub struct LeafKey(SigningKey);

/// Why a leaf key or request could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// The bytes are no P-256 secret.
    #[error("not a P-256 secret key")]
    NotAKey,
    /// The display name cannot stand in a certificate request.
    #[error("the display name cannot stand in a certificate request")]
    BadName,
}

impl LeafKey {
    /// A new random key.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0u8; 32]);
        loop {
            getrandom::fill(bytes.as_mut()).expect("the system has a random source");
            // fails for 0 and for values above the group's order: once in 2^32
            if let Ok(key) = SigningKey::from_slice(bytes.as_ref()) {
                return Self(key);
            }
        }
    }
    /// Reads a key from its 32 bytes: a recorder's checkpoint.
    pub fn from_secret(bytes: &[u8]) -> Result<Self, LeafError> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| LeafError::NotAKey)
    }
    /// The 32 bytes, for a recorder's sealed checkpoint alone.
    pub fn to_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }
    /// PKCS#8 DER, for the TLS of the record link alone.
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let document = self.0.to_pkcs8_der().expect("a valid key encodes");
        Zeroizing::new(document.as_bytes().to_vec())
    }
    /// The public point, SEC1 uncompressed, 65 bytes.
    pub fn public_sec1(&self) -> Vec<u8> {
        self.0.verifying_key().to_encoded_point(false).as_bytes().to_vec()
    }
    /// r||s over SHA-256 of a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
    /// r||s over a SHA-256 hash.
    pub fn sign_prehash(&self, hash: &[u8; 32]) -> [u8; 64] {
        let signature: Signature = self.0.sign_prehash(hash).expect("a 32-byte hash fits the curve");
        signature.to_bytes().into()
    }
    /// COSE_Sign1 by this key (see `evidence::cose`), with its certificate in the protected header where given.
    pub fn sign_cose(&self, label: &str, payload: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
        let signer = |hash: &[u8; 32]| Ok::<_, std::convert::Infallible>(self.sign_prehash(hash));
        match evidence::cose::sign(label, payload, certificate, signer) {
            Ok(signed) => signed,
            Err(never) => match never {},
        }
    }
    /// PKCS#10 request (RFC 2986), DER: the participant's URI as subject alternative name, the display name as CN.
    pub fn csr(&self, participant: &ParticipantId, display_name: &str) -> Result<Vec<u8>, LeafError> {
        let bad = |_| LeafError::BadName;
        let value = der::Any::from(der::asn1::Utf8StringRef::new(display_name).map_err(bad)?);
        let part = AttributeTypeAndValue { oid: COMMON_NAME, value };
        let name = RelativeDistinguishedName(der::asn1::SetOfVec::try_from(vec![part]).map_err(bad)?);
        let mut builder = RequestBuilder::new(RdnSequence(vec![name]), &self.0).map_err(|_| LeafError::BadName)?;
        let uri = der::asn1::Ia5String::new(&participant.uri()).map_err(bad)?;
        builder
            .add_extension(&SubjectAltName(vec![GeneralName::UniformResourceIdentifier(uri)]))
            .map_err(|_| LeafError::BadName)?;
        let request = builder.build::<DerSignature>().map_err(|_| LeafError::BadName)?;
        der::Encode::to_der(&request).map_err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_participant_and_verifies_under_its_key() {
        let key = LeafKey::generate();
        let participant: ParticipantId = "bank-a/anna/0f".parse().expect("an id");
        let der = key.csr(&participant, "Anna Ähre").expect("a plain name");
        let request = <x509_cert::request::CertReq as der::Decode>::from_der(&der).expect("PKCS#10");
        let public = evidence::key::PublicKey::from_sec1(&key.public_sec1()).expect("a point");
        let info = der::Encode::to_der(&request.info).expect("encodes");
        public.verify_der(&info, request.signature.raw_bytes()).expect("self-signed");
        let uri = participant.uri();
        assert!(der.windows(uri.len()).any(|part| part == uri.as_bytes()));
        let again = LeafKey::from_secret(key.to_secret().as_ref()).expect("its own bytes");
        assert_eq!(again.public_sec1(), key.public_sec1());
    }
}
