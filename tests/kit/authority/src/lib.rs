//! A time-stamp authority that is not ours: `openssl ts`, with keys of the kinds that real authorities have, under a root of
//! its own.

use std::path::Path;
use std::process::Command;

/// ECDSA P-256.
pub const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
/// What a signer's certificate must say.
pub const STAMPING: &str = "critical,timeStamping";

const CONFIG: &str = "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=unused\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
    [tsa]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=USAGE\n[ts]\nserial=serial\nsigner_digest=sha256\n\
    digests=sha256\nordering=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\ndefault_policy=1.2.3.4\n\
    accuracy=secs:1\n";

/// The authority.
pub struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    /// With keys of a kind, and a certificate for a usage.
    ///
    /// # Panics
    /// If `openssl` is not there.
    pub fn new(key: &str, usage: &str) -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a folder") };
        authority.write("c.cnf", CONFIG.replace("USAGE", usage).as_bytes());
        authority.write("serial", b"01\n");
        authority.openssl(&format!(
            "req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -subj /CN=root -days 30 -config c.cnf -extensions ca"
        ));
        authority.openssl(&format!(
            "req -newkey {key} -nodes -keyout tsa.key -out tsa.csr -subj /CN=authority -config c.cnf"
        ));
        authority.openssl(
            "x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -extfile c.cnf -extensions tsa -out tsa.pem",
        );
        authority.openssl("x509 -in ca.pem -outform DER -out ca.der");
        authority
    }

    /// Its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `openssl` among its files.
    ///
    /// # Panics
    /// If it fails.
    pub fn openssl(&self, words: &str) {
        let ran = Command::new("openssl").current_dir(self.folder()).args(words.split(' ')).output();
        let out = ran.expect("openssl is there");
        assert!(out.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// Its root, DER.
    ///
    /// # Panics
    /// If its files are gone.
    pub fn root(&self) -> Vec<u8> {
        std::fs::read(self.folder().join("ca.der")).expect("made")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder().join(name), bytes).expect("written");
    }

    /// Its answer (TimeStampResp) to a question (TimeStampReq), both DER.
    ///
    /// # Panics
    /// If `openssl` refuses the question.
    pub fn answer(&self, query: &[u8]) -> Vec<u8> {
        self.write("q.tsq", query);
        self.openssl("ts -reply -config c.cnf -section ts -queryfile q.tsq -signer tsa.pem -inkey tsa.key -out a.tsr");
        std::fs::read(self.folder().join("a.tsr")).expect("answered")
    }

    /// When the last answer was written, s since 1970.
    ///
    /// # Panics
    /// Before the first answer.
    pub fn answered_at(&self) -> u64 {
        let file = std::fs::metadata(self.folder().join("a.tsr")).expect("answered");
        let at = file.modified().expect("files have times").duration_since(std::time::UNIX_EPOCH);
        at.expect("after 1970").as_secs()
    }
}
