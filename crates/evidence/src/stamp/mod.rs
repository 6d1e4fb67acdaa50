//! Time stamps (RFC 3161): the question for an authority, and the judgement of its answer under roots that the trust map
//! pins. Pure functions over bytes; sending is the recorder's, keeping the archive's.

mod chain;

use chain::Signed;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerInfo};
use der::asn1::{Any, AnyRef, Int, ObjectIdentifier, OctetString};
use der::{Decode, Encode, Sequence, Tag, Tagged};
use domain::UnixMillis;
use domain::calendar::Date;
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;

/// Largest answer: a token with its chain has some kilobytes.
pub const MAX_ANSWER: usize = 64 * 1024;
/// Content type of a question over HTTP.
pub const QUERY_TYPE: &str = "application/timestamp-query";

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// Why an answer is no stamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// Not an answer in form.
    #[error("not a time stamp: {0}")]
    Malformed(&'static str),
    /// The authority said no.
    #[error("the authority refused (status {0})")]
    Refused(u64),
    /// About other bytes.
    #[error("the stamp is of something else")]
    OtherData,
    /// Answer to another question.
    #[error("the stamp answers another question (nonce)")]
    OtherQuestion,
    /// The signature or what it must cover does not hold.
    #[error("the stamp's signature does not hold: {0}")]
    Signature(&'static str),
    /// The signer is not an authority that the trust map names.
    #[error("the stamp is not by an authority that the trust map names: {0}")]
    Untrusted(&'static str),
}

/// A stamp that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The authority's time, rounded down to milliseconds.
    pub at: UnixMillis,
    /// Common name, or whole subject, of the signer.
    pub authority: String,
}

#[derive(Sequence)]
struct Imprint {
    algorithm: AlgorithmIdentifierOwned,
    hashed: OctetString,
}

#[derive(Sequence)]
struct Query {
    version: u8,
    imprint: Imprint,
    nonce: Option<Int>,
    cert_req: bool,
}

#[derive(Sequence)]
struct Status {
    status: u64,
    #[asn1(optional = "true")]
    text: Option<Any>,
    #[asn1(optional = "true")]
    fail_info: Option<Any>,
}

#[derive(Sequence)]
struct Answer {
    status: Status,
    #[asn1(optional = "true")]
    token: Option<ContentInfo>,
}

/// The question for a stamp of `data`: its SHA-256, a nonce, and the wish for the signer's certificate.
pub fn query(data: &[u8], nonce: u64) -> Vec<u8> {
    let algorithm = AlgorithmIdentifierOwned { oid: SHA_256, parameters: Some(Any::null()) };
    let hashed = OctetString::new(crate::sha256(data)).expect("32 bytes");
    let nonce = Int::new(&integer(nonce)).expect("a few bytes");
    let query = Query { version: 1, imprint: Imprint { algorithm, hashed }, nonce: Some(nonce), cert_req: true };
    query.to_der().expect("plain data")
}

/// A positive DER integer's content.
fn integer(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    let mut content = bytes[first..].to_vec();
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    content
}

/// Judges an authority's answer: is it a stamp of `data` under one of `roots` (certificates, DER)? With `nonce`: is it the
/// answer to our question?
///
/// # Errors
/// [`StampError`] that says what does not hold.
pub fn judge(answer: &[u8], data: &[u8], nonce: Option<u64>, roots: &[impl AsRef<[u8]>]) -> Result<Stamp, StampError> {
    if answer.len() > MAX_ANSWER {
        return Err(StampError::Malformed("too large"));
    }
    let answer = Answer::from_der(answer).map_err(|_| StampError::Malformed("not a TimeStampResp"))?;
    if answer.status.status > 1 {
        return Err(StampError::Refused(answer.status.status));
    }
    let token = answer.token.ok_or(StampError::Malformed("without a token"))?;
    if token.content_type != SIGNED_DATA {
        return Err(StampError::Malformed("not signed data"));
    }
    let signed: SignedData = token.content.decode_as().map_err(|_| StampError::Malformed("not signed data"))?;
    if signed.encap_content_info.econtent_type != TST_INFO {
        return Err(StampError::Malformed("what is signed is no TSTInfo"));
    }
    let content = signed.encap_content_info.econtent.as_ref().ok_or(StampError::Malformed("without content"))?;
    let content = content.decode_as::<OctetString>().map_err(|_| StampError::Malformed("without content"))?;
    let info = Info::read(content.as_bytes())?;
    if info.hashed != crate::sha256(data) {
        return Err(StampError::OtherData);
    }
    if nonce.is_some_and(|nonce| info.nonce.as_deref() != Some(&integer(nonce))) {
        return Err(StampError::OtherQuestion);
    }
    let [signer] = signed.signer_infos.0.as_slice() else {
        return Err(StampError::Malformed("not one signer"));
    };
    let certificates = chain::certificates(&signed);
    let certificate = chain::find(&certificates, &signer.sid).ok_or(StampError::Untrusted("no certificate in it"))?;
    attributes(signer, content.as_bytes(), certificate)?;
    let attributes = signer.signed_attrs.as_ref().and_then(|attributes| attributes.to_der().ok());
    let attributes = attributes.ok_or(StampError::Signature("without signed attributes"))?;
    let by_signer = Signed {
        algorithm: signer.signature_algorithm.oid,
        digest: Some(signer.digest_alg.oid),
        message: &attributes,
        signature: signer.signature.as_bytes(),
    };
    by_signer.verify(&certificate.tbs_certificate.subject_public_key_info)?;
    chain::judge(certificate, &certificates, roots, info.at)?;
    Ok(Stamp { at: info.at, authority: certificate.tbs_certificate.subject.to_string() })
}

/// The signed attributes must bind content, its type and the signer's certificate.
fn attributes(signer: &SignerInfo, content: &[u8], certificate: &Certificate) -> Result<(), StampError> {
    let all = signer.signed_attrs.as_ref().ok_or(StampError::Signature("without signed attributes"))?;
    let value = |oid: ObjectIdentifier| {
        let found = all.iter().find(|one| one.oid == oid)?;
        if let [value] = found.values.as_slice() { Some(value) } else { None }
    };
    let kind = value(CONTENT_TYPE).and_then(|value| value.decode_as::<ObjectIdentifier>().ok());
    if kind != Some(TST_INFO) {
        return Err(StampError::Signature("its content type is not signed"));
    }
    let digest = value(MESSAGE_DIGEST).and_then(|value| value.decode_as::<OctetString>().ok());
    let hash = chain::hash(signer.digest_alg.oid, content)?;
    if digest.is_none_or(|digest| digest.as_bytes() != hash) {
        return Err(StampError::Signature("another content was signed"));
    }
    let named = value(SIGNING_CERTIFICATE_V2).ok_or(StampError::Signature("without SigningCertificateV2"))?;
    let der = certificate.to_der().map_err(|_| StampError::Malformed("certificate"))?;
    if chain::names(named, &der) { Ok(()) } else { Err(StampError::Signature("another certificate was signed")) }
}

/// What is used of a TSTInfo.
struct Info {
    hashed: Vec<u8>,
    at: UnixMillis,
    nonce: Option<Vec<u8>>,
}

impl Info {
    fn read(bytes: &[u8]) -> Result<Self, StampError> {
        let bad = StampError::Malformed("TSTInfo");
        let fields = chain::elements(bytes).ok_or_else(|| bad.clone())?;
        let [version, _policy, imprint, _serial, time, rest @ ..] = fields.as_slice() else { return Err(bad) };
        let imprint = imprint.decode_as::<Imprint>().map_err(|_| bad.clone())?;
        if version.value() != [1] || imprint.algorithm.oid != SHA_256 || time.tag() != Tag::GeneralizedTime {
            return Err(bad);
        }
        let at = std::str::from_utf8(time.value()).ok().and_then(generalized).ok_or(bad)?;
        let nonce = rest.iter().find(|field| field.tag() == Tag::Integer).map(|field| field.value().to_vec());
        Ok(Self { hashed: imprint.hashed.as_bytes().to_vec(), at, nonce })
    }
}

/// `YYYYMMDDhhmmss[.fraction]Z`: stamps may have fractions, which DER's own type leaves out.
fn generalized(text: &str) -> Option<UnixMillis> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() != 14 || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| whole[from..to].parse::<u64>().ok();
    let date = Date { year: number(0, 4)?, month: number(4, 6)?, day: number(6, 8)? };
    let fits = date.year >= 1970 && (1..=12).contains(&date.month) && (1..=31).contains(&date.day);
    let seconds = (number(8, 10)? * 60 + number(10, 12)?) * 60 + number(12, 14)?;
    let millis: u64 = format!("{fraction:0<3.3}").parse().ok()?;
    fits.then(|| date.midnight().plus(seconds * 1000 + millis))
}

/// Same bytes, whatever the type of the element.
fn as_ref(any: &Any) -> AnyRef<'_> {
    AnyRef::from(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_fractions_are_read() {
        let noon = Date { year: 2026, month: 11, day: 22 }.midnight().plus(12 * 3_600_000);
        assert_eq!(generalized("20261122120000Z"), Some(noon));
        assert_eq!(generalized("20261122120000.5Z"), Some(noon.plus(500)));
        assert_eq!(generalized("20261122120000.123456Z"), Some(noon.plus(123)));
        for odd in ["20261122120000", "2026112212000Z", "20261322120000Z", "20261122120000.xZ", "20261122120000+0100"] {
            assert_eq!(generalized(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_question_has_the_rfcs_form() {
        let query = query(b"data", 0x80);
        // SEQUENCE { 1, SEQUENCE { SEQUENCE { sha-256, NULL }, OCTET STRING (32) }, INTEGER 0x0080, TRUE }
        let mut wanted =
            vec![0x30, 0x3d, 2, 1, 1, 0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0];
        wanted.extend([4, 0x20]);
        wanted.extend(crate::sha256(b"data"));
        wanted.extend([2, 2, 0, 0x80, 1, 1, 0xff]);
        wanted[1] = (wanted.len() - 2) as u8;
        assert_eq!(query, wanted);
    }
}
