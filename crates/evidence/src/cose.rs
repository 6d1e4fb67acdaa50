//! COSE_Sign1 (RFC 9052), tagged, ES256, one signature under one label.
//!
//! The label `strongroom x v1` is the external AAD and, as `application/strongroom-x-v1` (content types have that form),
//! the content type in the protected header (3): a signature made for one purpose never verifies for another. The
//! unprotected header must be empty: nothing unsigned is carried.

use crate::identity::{Identity, IdentityError, TrustMap, judge};
use crate::key::PublicKey;
use coset::cbor::Value;
use coset::iana::{Algorithm, EnumI64, HeaderParameter};
use coset::{ContentType, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label};
use coset::{RegisteredLabelWithPrivate, SignatureContext, TaggedCborSerializable, sig_structure_data};

/// Largest signed object.
pub const MAX: usize = crate::cbor::MAX;

/// Why a signed object is refused. The signer's fault, or an attacker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoseError {
    /// Not a tagged COSE_Sign1 of our profile.
    #[error("not a COSE_Sign1 of the expected form")]
    Malformed,
    /// Signed for another purpose.
    #[error("signed under another label")]
    Label,
    /// Not this key's signature.
    #[error("the signature does not verify")]
    BadSignature,
    /// No certificate in it, or one that does not judge well.
    #[error("the signer's certificate is refused: {0}")]
    Certificate(#[from] IdentityError),
    /// A certificate was needed and there is none.
    #[error("no certificate in the protected header")]
    NoCertificate,
}

fn content_type(label: &str) -> String {
    format!("application/{}", label.replace(' ', "-"))
}

fn sig_structure(label: &str, header: coset::ProtectedHeader, payload: &[u8]) -> [u8; 32] {
    crate::sha256(&sig_structure_data(SignatureContext::CoseSign1, header, None, label.as_bytes(), payload))
}

/// Signs `payload` under `label`. `certificate` (DER) goes into the protected header as x5chain. `signer` gets the
/// SHA-256 of the Sig_structure and answers r||s; its error is passed on.
pub fn sign<E>(
    label: &str,
    payload: &[u8],
    certificate: Option<&[u8]>,
    signer: impl FnOnce(&[u8; 32]) -> Result<[u8; 64], E>,
) -> Result<Vec<u8>, E> {
    let mut header = HeaderBuilder::new().algorithm(Algorithm::ES256).content_type(content_type(label));
    if let Some(der) = certificate {
        header = header.value(HeaderParameter::X5Chain.to_i64(), Value::Bytes(der.to_vec()));
    }
    let unsigned = CoseSign1Builder::new().protected(header.build()).payload(payload.to_vec()).build();
    let signature = signer(&sig_structure(label, unsigned.protected.clone(), payload))?;
    let signed = CoseSign1 { signature: signature.to_vec(), ..unsigned };
    Ok(signed.to_tagged_vec().expect("headers made above encode"))
}

fn read(signed: &[u8]) -> Result<CoseSign1, CoseError> {
    if signed.len() > MAX {
        return Err(CoseError::Malformed);
    }
    let object = CoseSign1::from_tagged_slice(signed).map_err(|_| CoseError::Malformed)?;
    let header = &object.protected.header;
    let es256 = RegisteredLabelWithPrivate::Assigned(Algorithm::ES256);
    let ours = header.alg == Some(es256) && header.crit.is_empty() && object.unprotected == Header::default();
    if ours && object.payload.is_some() { Ok(object) } else { Err(CoseError::Malformed) }
}

fn x5chain(object: &CoseSign1) -> Option<&[u8]> {
    let wanted = Label::Int(HeaderParameter::X5Chain.to_i64());
    let (_, value) = object.protected.header.rest.iter().find(|(label, _)| *label == wanted)?;
    value.as_bytes().map(Vec::as_slice)
}

fn check(label: &str, object: CoseSign1, public_key: &PublicKey) -> Result<Vec<u8>, CoseError> {
    if object.protected.header.content_type != Some(ContentType::Text(content_type(label))) {
        return Err(CoseError::Label);
    }
    let payload = object.payload.unwrap_or_default();
    let signature: [u8; 64] = object.signature.try_into().map_err(|_| CoseError::BadSignature)?;
    let hash = sig_structure(label, object.protected, &payload);
    public_key.verify_prehash(&hash, &signature).map_err(|_| CoseError::BadSignature)?;
    Ok(payload)
}

/// Verifies and returns the payload.
pub fn verify(label: &str, signed: &[u8], public_key: &PublicKey) -> Result<Vec<u8>, CoseError> {
    check(label, read(signed)?, public_key)
}

/// Judges the certificate in the protected header at `at_s` (seconds since 1970), then verifies with its key.
pub fn verify_by_leaf(
    label: &str,
    signed: &[u8],
    trust: &TrustMap,
    at_s: u64,
) -> Result<(Vec<u8>, Identity), CoseError> {
    let object = read(signed)?;
    let identity = judge(trust, x5chain(&object).ok_or(CoseError::NoCertificate)?, at_s)?;
    let payload = check(label, object, &identity.public_key)?;
    Ok((payload, identity))
}

/// The certificate in the protected header, unverified.
pub fn certificate(signed: &[u8]) -> Option<Vec<u8>> {
    x5chain(&read(signed).ok()?).map(<[u8]>::to_vec)
}

/// The payload, unverified: to learn whose key to verify with, never to act upon.
pub fn payload_unverified(signed: &[u8]) -> Option<Vec<u8>> {
    read(signed).ok()?.payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::hazmat::PrehashSigner;

    fn key(seed: u8) -> (SigningKey, PublicKey) {
        let key = SigningKey::from_slice(&[seed; 32]).expect("a scalar");
        let public = PublicKey::from_sec1(key.verifying_key().to_encoded_point(false).as_bytes()).expect("a point");
        (key, public)
    }
    fn sign_with(key: &SigningKey, label: &str, payload: &[u8]) -> Vec<u8> {
        sign::<()>(label, payload, Some(b"cert"), |hash| {
            let signature: p256::ecdsa::Signature = key.sign_prehash(hash).map_err(|_| ())?;
            Ok(signature.to_bytes().into())
        })
        .expect("software keys sign")
    }

    #[test]
    fn a_signature_holds_for_its_label_key_and_bytes_only() {
        let (key_a, public_a) = key(1);
        let signed = sign_with(&key_a, "strongroom test v1", b"payload");
        assert_eq!(verify("strongroom test v1", &signed, &public_a), Ok(b"payload".to_vec()));
        assert_eq!(verify("strongroom other v1", &signed, &public_a), Err(CoseError::Label));
        assert_eq!(verify("strongroom test v1", &signed, &key(2).1), Err(CoseError::BadSignature));
        assert_eq!(certificate(&signed).as_deref(), Some(&b"cert"[..]));
        assert_eq!(payload_unverified(&signed).as_deref(), Some(&b"payload"[..]));
        for at in 0..signed.len() {
            let mut broken = signed.clone();
            broken[at] ^= 1;
            assert!(verify("strongroom test v1", &broken, &public_a).is_err(), "byte {at}");
        }
    }

    /// The Sig_structure (RFC 9052 section 4.4), written down by hand.
    #[test]
    fn what_is_signed_is_the_rfcs_structure_with_the_label_as_external_data() {
        let (key_a, public_a) = key(1);
        let signed = sign_with(&key_a, "l", b"p");
        let object = CoseSign1::from_tagged_slice(&signed).expect("ours");
        let protected = object.protected.original_data.expect("as received");
        let mut by_hand = vec![0x84, 0x6a];
        by_hand.extend(b"Signature1");
        assert!(protected.len() < 256);
        by_hand.extend([0x58, protected.len() as u8]);
        by_hand.extend(&protected);
        by_hand.extend([0x41, b'l', 0x41, b'p']);
        let signature = object.signature.try_into().expect("64 bytes");
        assert!(public_a.verify_prehash(&crate::sha256(&by_hand), &signature).is_ok());
    }

    #[test]
    fn another_algorithm_or_a_critical_header_is_refused() {
        let (key_a, public_a) = key(1);
        let signed_by = |builder: HeaderBuilder| {
            let header = builder.content_type(content_type("l")).build();
            let unsigned = CoseSign1Builder::new().protected(header).payload(b"p".to_vec()).build();
            let hash = sig_structure("l", unsigned.protected.clone(), b"p");
            let signature: p256::ecdsa::Signature = key_a.sign_prehash(&hash).expect("signs");
            let object = CoseSign1 { signature: signature.to_bytes().to_vec(), ..unsigned };
            verify("l", &object.to_tagged_vec().expect("encodes"), &public_a)
        };
        let es256 = || HeaderBuilder::new().algorithm(Algorithm::ES256);
        assert_eq!(signed_by(es256()), Ok(b"p".to_vec()));
        assert_eq!(signed_by(HeaderBuilder::new().algorithm(Algorithm::EdDSA)), Err(CoseError::Malformed));
        assert_eq!(signed_by(HeaderBuilder::new()), Err(CoseError::Malformed));
        assert_eq!(signed_by(es256().add_critical(HeaderParameter::Kid)), Err(CoseError::Malformed));
    }

    #[test]
    fn the_label_is_signed_as_external_data_too() {
        let (key_a, public_a) = key(1);
        let signed = sign_with(&key_a, "strongroom aaaa v1", b"payload");
        let text = signed.windows(4).position(|w| w == b"aaaa").expect("label is in the header");
        let mut relabelled = signed;
        relabelled[text..text + 4].copy_from_slice(b"bbbb");
        assert_eq!(verify("strongroom bbbb v1", &relabelled, &public_a), Err(CoseError::BadSignature));
    }

    #[test]
    fn an_unprotected_header_is_refused() {
        let (key_a, public_a) = key(1);
        let mut object = CoseSign1::from_tagged_slice(&sign_with(&key_a, "l", b"p")).expect("ours");
        object.unprotected = HeaderBuilder::new().key_id(vec![1]).build();
        let bytes = object.to_tagged_vec().expect("encodes");
        assert_eq!(verify("l", &bytes, &public_a), Err(CoseError::Malformed));
    }
}
