//! Stamps by an authority that is not ours: `openssl ts`, with keys of the kinds that real authorities have.

use evidence::stamp::{StampError, judge, query};
use std::path::Path;
use std::process::Command;

const NONCE: u64 = 0x8123_4567_89ab_cdef;

fn openssl(folder: &Path, words: &str) {
    let out = Command::new("openssl").current_dir(folder).args(words.split(' ')).output().expect("openssl is there");
    assert!(out.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&out.stderr));
}

/// An authority under a root of its own, whose signer's certificate has this key usage.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new(key: &str, usage: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let config =
            "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=unused\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
             [tsa]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=USAGE\n[ts]\nserial=serial\nsigner_digest=sha256\n\
             digests=sha256\nordering=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\ndefault_policy=1.2.3.4\n\
             accuracy=secs:1\n"
                .replace("USAGE", usage);
        std::fs::write(path.join("c.cnf"), config).expect("written");
        std::fs::write(path.join("serial"), "01\n").expect("written");
        openssl(
            path,
            &format!(
                "req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -subj /CN=root -days 30 -config c.cnf -extensions ca"
            ),
        );
        openssl(
            path,
            &format!("req -newkey {key} -nodes -keyout tsa.key -out tsa.csr -subj /CN=authority -config c.cnf"),
        );
        openssl(
            path,
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile c.cnf -extensions tsa -out tsa.pem",
        );
        openssl(path, "x509 -in ca.pem -outform DER -out ca.der");
        Self(folder)
    }
    fn root(&self) -> Vec<u8> {
        std::fs::read(self.0.path().join("ca.der")).expect("made")
    }
    /// When the last answer was written, s since 1970.
    fn answered_at(&self) -> u64 {
        let file = std::fs::metadata(self.0.path().join("a.tsr")).expect("answered");
        let at = file.modified().expect("files have times").duration_since(std::time::UNIX_EPOCH);
        at.expect("after 1970").as_secs()
    }
    fn answer(&self, data: &[u8]) -> Vec<u8> {
        let path = self.0.path();
        std::fs::write(path.join("q.tsq"), query(data, NONCE)).expect("written");
        openssl(path, "ts -reply -config c.cnf -section ts -queryfile q.tsq -signer tsa.pem -inkey tsa.key -out a.tsr");
        std::fs::read(path.join("a.tsr")).expect("answered")
    }
}

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const STAMPING: &str = "critical,timeStamping";

#[test]
fn stamps_by_ecdsa_and_rsa_authorities_hold_for_their_data_question_and_root() {
    let others = Authority::new(P256, STAMPING).root();
    for key in [P256, "ec -pkeyopt ec_paramgen_curve:P-384", "rsa:2048"] {
        let authority = Authority::new(key, STAMPING);
        let (answer, root) = (authority.answer(b"manifest"), authority.root());
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
    let (answer, root) = (authority.answer(b"manifest"), authority.root());
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
    let path = authority.0.path();
    let answer = authority.answer(b"manifest");
    std::fs::write(path.join("x.cnf"), "[tsa]\nextendedKeyUsage=timeStamping\n").expect("written");
    openssl(
        path,
        "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile x.cnf -extensions tsa -outform DER -out x.der",
    );
    openssl(path, "x509 -in tsa.pem -outform DER -out tsa.der");
    let other = std::fs::read(path.join("x.der")).expect("made");
    // pinned as a root the exchanged certificate is still none that may stamp this
    let judged = judge(&answer, b"manifest", None, &[&other]);
    assert!(matches!(judged, Err(StampError::Untrusted(_))), "{judged:?}");
    assert_eq!(judge(b"", b"manifest", None, &[&other]), Err(StampError::Malformed("not a TimeStampResp")));
}
