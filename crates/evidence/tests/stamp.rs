//! Stamps by an authority that is not ours: `openssl ts`, with keys of the kinds that real authorities have.

use evidence::stamp::{StampError, judge, query};
use stamp_authority::{Authority, P256, STAMPING};

const NONCE: u64 = 0x8123_4567_89ab_cdef;

fn answer(authority: &Authority, data: &[u8]) -> Vec<u8> {
    authority.answer(&query(data, NONCE))
}

#[test]
fn stamps_by_ecdsa_and_rsa_authorities_hold_for_their_data_question_and_root() {
    let others = Authority::new(P256, STAMPING).root();
    for key in [P256, "ec -pkeyopt ec_paramgen_curve:P-384", "rsa:2048"] {
        let authority = Authority::new(key, STAMPING);
        let (answer, root) = (answer(&authority, b"manifest"), authority.root());
        let stamp = judge(&answer, b"manifest", Some(NONCE), &[&root]).expect("a good stamp");
        let now = authority.answered_at();
        assert!(stamp.at.seconds() <= now && stamp.at.seconds() + 60 > now, "{stamp:?}");
        assert!(stamp.authority.contains("authority"), "{stamp:?}");
        assert_eq!(judge(&answer, b"manifesto", Some(NONCE), &[&root]), Err(StampError::OtherData));
        assert_eq!(judge(&answer, b"manifest", Some(1), &[&root]), Err(StampError::OtherQuestion));
        let untrusted = judge(&answer, b"manifest", None, &[&others]);
        assert!(matches!(untrusted, Err(StampError::Untrusted(_))), "{untrusted:?}");
    }
}

#[test]
fn every_changed_byte_of_what_a_stamp_signs_breaks_it() {
    let authority = Authority::new(P256, STAMPING);
    let (answer, root) = (answer(&authority, b"manifest"), authority.root());
    let good = judge(&answer, b"manifest", Some(NONCE), &[&root]).expect("a good stamp");
    for at in 0..answer.len() {
        let mut broken = answer.clone();
        broken[at] ^= 1;
        // what is outside of the signature (a version number, a policy's text) may differ; the time may not
        if let Ok(stamp) = judge(&broken, b"manifest", Some(NONCE), &[&root]) {
            assert_eq!(stamp.at, good.at, "byte {at}");
        }
    }
}

#[test]
fn a_certificate_that_is_not_for_time_stamps_alone_stamps_nothing() {
    // openssl itself refuses to sign with such a one, so the certificate is exchanged: same key, other usage
    let authority = Authority::new(P256, STAMPING);
    let path = authority.folder();
    let answer = answer(&authority, b"manifest");
    std::fs::write(path.join("x.cnf"), "[tsa]\nextendedKeyUsage=timeStamping\n").expect("written");
    authority.openssl(
        "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile x.cnf -extensions tsa -outform DER -out x.der",
    );
    authority.openssl("x509 -in tsa.pem -outform DER -out tsa.der");
    let other = std::fs::read(path.join("x.der")).expect("made");
    // pinned as a root the exchanged certificate is still none that may stamp this
    let judged = judge(&answer, b"manifest", None, &[&other]);
    assert!(matches!(judged, Err(StampError::Untrusted(_))), "{judged:?}");
    assert_eq!(judge(b"", b"manifest", None, &[&other]), Err(StampError::Malformed("not a TimeStampResp")));
}
