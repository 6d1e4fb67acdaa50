//! The sealed form of a meeting key: RSA-OAEP to an archive public key, so that sealing needs no token.
//!
//! An archive public key is an SPKI of type id-RSAES-OAEP (RFC 4055 section 4.1): the key itself says with which hash it
//! is to be used, so no one can seal with parameters that the token cannot open. Plain rsaEncryption means SHA-256.

use domain::{B64, FirmId, MeetingId};
use openssl::encrypt::Encrypter;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::rsa::{Padding, Rsa};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use spki::der::asn1::{AnyRef, BitStringRef};
use spki::der::{Decode, Encode};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Version of both the outer and the inner form.
const VERSION: u16 = 1;
/// Archive keys have 3,072 bits; others are refused, so that a weak key cannot be slipped into a trust map.
pub const RSA_BITS: u32 = 3072;
/// Largest outer form read: 384 bytes of RSA and its names.
const MAX_SEALED: usize = 1024;
const ID_RSAES_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RSAES-OAEP-params, all defaults: SHA-1 and MGF1 with SHA-1.
const PARAMS_SHA1: &[u8] = &[0x30, 0x00];
/// RSAES-OAEP-params: SHA-256 and MGF1 with SHA-256.
const PARAMS_SHA256: &[u8] = &[
    0x30, 0x2f, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
];

/// What is wrong with a key or a sealed form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealingError {
    /// Not an RSA-3072 key with OAEP parameters that we know.
    #[error("archive key {index} of the trust map is no RSA-{RSA_BITS} key with known OAEP parameters")]
    BadKey {
        /// Position in the list.
        index: usize,
    },
    /// The firm states no archive key.
    #[error("no archive key to seal to")]
    NoKey,
    /// The library failed.
    #[error("sealing failed: {0}")]
    Library(#[from] openssl::error::ErrorStack),
    /// Not a sealed meeting key, or not of this meeting.
    #[error("not a sealed meeting key: {0}")]
    NotSealed(&'static str),
}

/// Hash of OAEP and of its MGF1.
// not a wire type: part of the stored form below
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oaep {
    /// Every vendor but SoftHSM.
    Sha256,
    /// SoftHSM (a test token) offers nothing else.
    Sha1,
}

impl Oaep {
    fn digest(self) -> MessageDigest {
        match self {
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha1 => MessageDigest::sha1(),
        }
    }
    fn params(self) -> &'static [u8] {
        match self {
            Self::Sha256 => PARAMS_SHA256,
            Self::Sha1 => PARAMS_SHA1,
        }
    }
}

/// Outer form, as kept in `keys/sealed.cbor` of a meeting's folder.
// not a wire type: a stored form that custody alone writes and reads
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// 1.
    pub version: u16,
    /// OAEP parameters.
    pub oaep: Oaep,
    /// Archive key ([`key_id`]).
    pub key_id: String,
    /// RSA ciphertext of [`MeetingKey`].
    pub sealed: B64,
}

impl Sealed {
    /// Reads the outer form.
    ///
    /// # Errors
    /// [`SealingError::NotSealed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SealingError> {
        if bytes.len() > MAX_SEALED {
            return Err(SealingError::NotSealed("too long"));
        }
        let sealed: Self = evidence::cbor::decode(bytes).map_err(|_| SealingError::NotSealed("not its CBOR"))?;
        if sealed.version == VERSION { Ok(sealed) } else { Err(SealingError::NotSealed("unknown version")) }
    }
}

/// Inner form: a key with the names it was sealed for, so that a sealed key cannot be moved to another meeting.
// not a wire type: never leaves RSA but into custody's memory
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct MeetingKey {
    version: u16,
    firm: String,
    meeting: String,
    incarnation: u64,
    #[serde(with = "serde_bytes")]
    key: Vec<u8>,
}

impl MeetingKey {
    /// Reads what the token opened and gives the key out only under its right names.
    ///
    /// # Errors
    /// [`SealingError::NotSealed`] naming what differs.
    pub fn open(
        plain: &[u8],
        firm: &FirmId,
        meeting: &MeetingId,
        incarnation: u64,
    ) -> Result<Zeroizing<[u8; 32]>, SealingError> {
        let inner: Self = evidence::cbor::decode(plain).map_err(|_| SealingError::NotSealed("not its CBOR inside"))?;
        if inner.version != VERSION {
            return Err(SealingError::NotSealed("unknown version inside"));
        }
        if inner.firm != firm.as_str() {
            return Err(SealingError::NotSealed("sealed by another firm"));
        }
        if inner.meeting != meeting.as_str() {
            return Err(SealingError::NotSealed("sealed for another meeting"));
        }
        if inner.incarnation != incarnation {
            return Err(SealingError::NotSealed("sealed for another incarnation"));
        }
        let key: [u8; 32] =
            inner.key.as_slice().try_into().map_err(|_| SealingError::NotSealed("no key of 32 bytes"))?;
        Ok(Zeroizing::new(key))
    }
}

/// Id of an archive key: SHA-256 of its SPKI, hexadecimal.
pub fn key_id(spki: &[u8]) -> String {
    hex::encode(Sha256::digest(spki))
}

/// SPKI of an archive key with its OAEP parameters.
///
/// # Errors
/// [`SealingError::Library`] if the key cannot be encoded.
pub fn archive_spki(key: &Rsa<Public>, oaep: Oaep) -> Result<Vec<u8>, SealingError> {
    let pkcs1 = key.public_key_to_der_pkcs1()?;
    let params = AnyRef::from_der(oaep.params()).expect("constants are DER");
    let spki = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef { oid: ID_RSAES_OAEP, parameters: Some(params) },
        subject_public_key: BitStringRef::from_bytes(&pkcs1).expect("shorter than DER's limit"),
    };
    Ok(spki.to_der().expect("sizes are bounded by the key"))
}

/// Reads an archive key.
pub fn read_archive_key(spki: &[u8]) -> Option<(Rsa<Public>, Oaep)> {
    let info = SubjectPublicKeyInfoRef::from_der(spki).ok()?;
    let params = info.algorithm.parameters.map(|p| p.to_der()).transpose().ok()?;
    let oaep = match (info.algorithm.oid, params.as_deref()) {
        (ID_RSAES_OAEP, Some(PARAMS_SHA1)) => Oaep::Sha1,
        (ID_RSAES_OAEP, Some(PARAMS_SHA256)) | (RSA_ENCRYPTION, _) => Oaep::Sha256,
        _ => return None,
    };
    let key = Rsa::public_key_from_der_pkcs1(info.subject_public_key.as_bytes()?).ok()?;
    (key.n().num_bits() == RSA_BITS.cast_signed()).then_some((key, oaep))
}

/// RSA-OAEP with an empty label.
///
/// # Errors
/// [`SealingError::Library`].
pub fn oaep_encrypt(key: &Rsa<Public>, oaep: Oaep, plain: &[u8]) -> Result<Vec<u8>, SealingError> {
    let key = PKey::from_rsa(key.clone())?;
    let mut encrypter = Encrypter::new(&key)?;
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    encrypter.set_rsa_oaep_md(oaep.digest())?;
    encrypter.set_rsa_mgf1_md(oaep.digest())?;
    let mut out = vec![0; encrypter.encrypt_len(plain)?];
    let length = encrypter.encrypt(plain, &mut out)?;
    out.truncate(length);
    Ok(out)
}

/// Seals one meeting key to every archive key, in their order. Each element is the CBOR of a [`Sealed`].
///
/// # Errors
/// [`SealingError::NoKey`] for an empty list, [`SealingError::BadKey`] for a key that is none of ours.
pub fn seal_meeting_key(
    firm: &FirmId,
    meeting: &MeetingId,
    incarnation: u64,
    key: &[u8; 32],
    archive_keys: &[B64],
) -> Result<Vec<Vec<u8>>, SealingError> {
    if archive_keys.is_empty() {
        return Err(SealingError::NoKey);
    }
    let inner = MeetingKey {
        version: VERSION,
        firm: firm.to_string(),
        meeting: meeting.to_string(),
        incarnation,
        key: key.to_vec(),
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(318));
    ciborium::into_writer(&inner, &mut *plain).expect("writing to memory");
    let seal = |(index, spki): (usize, &B64)| {
        let (key, oaep) = read_archive_key(spki).ok_or(SealingError::BadKey { index })?;
        let sealed = oaep_encrypt(&key, oaep, &plain)?.into();
        let form = Sealed { version: VERSION, oaep, key_id: key_id(spki), sealed };
        let mut out = Vec::new();
        ciborium::into_writer(&form, &mut out).expect("writing to memory");
        Ok(out)
    };
    archive_keys.iter().enumerate().map(seal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::encrypt::Decrypter;

    fn names() -> (FirmId, MeetingId) {
        ("bank-a".parse().unwrap(), "0123456789abcdef0123456789abcdef".parse().unwrap())
    }

    #[test]
    fn a_sealed_key_opens_under_its_own_names_only() {
        let (firm, meeting) = names();
        let private = Rsa::generate(RSA_BITS).unwrap();
        let public =
            Rsa::from_public_components(private.n().to_owned().unwrap(), private.e().to_owned().unwrap()).unwrap();
        for oaep in [Oaep::Sha1, Oaep::Sha256] {
            let spki = archive_spki(&public, oaep).unwrap();
            assert_eq!(read_archive_key(&spki).unwrap().1, oaep);
            let sealed = seal_meeting_key(&firm, &meeting, 7, &[9; 32], &[B64(spki.clone())]).unwrap();
            let form = Sealed::parse(&sealed[0]).unwrap();
            assert_eq!((form.oaep, form.key_id.as_str()), (oaep, key_id(&spki).as_str()));
            let key = PKey::from_rsa(private.clone()).unwrap();
            let mut decrypter = Decrypter::new(&key).unwrap();
            decrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
            decrypter.set_rsa_oaep_md(oaep.digest()).unwrap();
            decrypter.set_rsa_mgf1_md(oaep.digest()).unwrap();
            let mut plain = vec![0; decrypter.decrypt_len(&form.sealed).unwrap()];
            let length = decrypter.decrypt(&form.sealed, &mut plain).unwrap();
            let plain = &plain[..length];
            assert_eq!(*MeetingKey::open(plain, &firm, &meeting, 7).unwrap(), [9; 32]);
            assert!(MeetingKey::open(plain, &"bank-b".parse().unwrap(), &meeting, 7).is_err());
            assert!(MeetingKey::open(plain, &firm, &"other".parse().unwrap(), 7).is_err());
            assert!(MeetingKey::open(plain, &firm, &meeting, 8).is_err());
        }
    }

    #[test]
    fn the_longest_names_fit_into_one_rsa_block() {
        let long = "a".repeat(64);
        let public = Rsa::generate(RSA_BITS).unwrap();
        let public =
            Rsa::from_public_components(public.n().to_owned().unwrap(), public.e().to_owned().unwrap()).unwrap();
        let spki = archive_spki(&public, Oaep::Sha256).unwrap();
        let sealed =
            seal_meeting_key(&long.parse().unwrap(), &long.parse().unwrap(), u64::MAX, &[9; 32], &[spki.into()]);
        assert!(Sealed::parse(&sealed.unwrap()[0]).is_ok());
    }

    #[test]
    fn a_short_key_and_unknown_parameters_are_refused() {
        let (firm, meeting) = names();
        let weak = Rsa::generate(2048).unwrap();
        let weak = Rsa::from_public_components(weak.n().to_owned().unwrap(), weak.e().to_owned().unwrap()).unwrap();
        let spki = archive_spki(&weak, Oaep::Sha256).unwrap();
        let refused = seal_meeting_key(&firm, &meeting, 1, &[9; 32], &[spki.into()]);
        assert!(matches!(refused, Err(SealingError::BadKey { index: 0 })));
        assert!(matches!(seal_meeting_key(&firm, &meeting, 1, &[9; 32], &[]), Err(SealingError::NoKey)));
    }
}
