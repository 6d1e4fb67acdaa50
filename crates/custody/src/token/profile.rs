//! What is known of a vendor's token before it is tried, and what was missing when it was. A profile promises nothing: the
//! self-test decides, and says what its findings mean for the firm.

use custody::sealing::Oaep;
use serde::Serialize;

/// How far a profile was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Every release is tested with it.
    Proven,
    /// Written from the vendor's documents; nobody has tried the box with this version.
    FromDocuments,
    /// Not known: only the self-test speaks.
    Unknown,
}

/// One vendor's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// What it is called.
    pub vendor: &'static str,
    /// How far it was tried.
    pub standing: Standing,
    /// A test token: fit for trying, not for records that must be kept.
    pub test_token: bool,
    /// What its administrator should know.
    pub notes: &'static str,
    #[serde(skip)]
    marks: &'static [&'static str],
}

const PROFILES: [Profile; 5] = [
    Profile {
        vendor: "SoftHSM2",
        standing: Standing::Proven,
        test_token: true,
        notes: "opens RSA-OAEP with SHA-1 only; keys are files",
        marks: &["softhsm"],
    },
    Profile {
        vendor: "kryoptic",
        standing: Standing::Proven,
        test_token: true,
        notes: "keys are in a database file",
        marks: &["kryoptic"],
    },
    Profile {
        vendor: "Thales Luna",
        standing: Standing::FromDocuments,
        test_token: false,
        notes: "one partition for each role; its network client may hang for minutes, which ends this process by design",
        marks: &["safenet", "luna", "thales"],
    },
    Profile {
        vendor: "Entrust nShield",
        standing: Standing::FromDocuments,
        test_token: false,
        notes: "keys are protected by the card set or softcard of the label; the module must be loaded with load sharing off",
        marks: &["nshield", "ncipher", "entrust"],
    },
    Profile {
        vendor: "AWS CloudHSM",
        standing: Standing::FromDocuments,
        test_token: false,
        notes: "the PIN is `user:password` of a crypto user; there are no read-only sessions",
        marks: &["cloudhsm", "cavium", "marvell"],
    },
];

const UNKNOWN: Profile = Profile {
    vendor: "unknown",
    standing: Standing::Unknown,
    test_token: false,
    notes: "no profile for this token: the tests below are all that is known",
    marks: &[],
};

impl Profile {
    /// The profile of a token that calls itself `vendor model serial`.
    pub fn of(name: &str) -> Self {
        let name = name.to_lowercase();
        PROFILES.into_iter().find(|profile| profile.marks.iter().any(|mark| name.contains(mark))).unwrap_or(UNKNOWN)
    }

    /// What is missing, in words that say what follows.
    pub fn missing(self, mechanisms: &[(&'static str, bool)], oaep: Option<Oaep>) -> Vec<String> {
        let listed = mechanisms.iter().filter(|(_, there)| !there);
        let mut missing: Vec<String> = listed
            .map(|(name, _)| format!("{name} is not listed by the token; the tests say whether it works"))
            .collect();
        if oaep == Some(Oaep::Sha1) {
            let follows = if self.test_token { "this test token may" } else { "this token may not be used" };
            missing.push(format!("RSA-OAEP with SHA-256: only SHA-1 opens, {follows}"));
        }
        if self.standing != Standing::Proven {
            missing.push("a release test with this token: try it with a copy of your rooms first".to_owned());
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_what_it_calls_itself_and_an_unknown_one_promises_nothing() {
        let of = |name| Profile::of(name).vendor;
        assert_eq!(of("SoftHSM project SoftHSM v2 1234"), "SoftHSM2");
        assert_eq!(of("Kryoptic Project v1 1234"), "kryoptic");
        assert_eq!(of("SafeNet LunaSA 7.4.0 12"), "Thales Luna");
        assert_eq!(of("nCipher Corp. Ltd softcard 1"), "Entrust nShield");
        assert_eq!(of("Marvell Semiconductors, Inc. CloudHSM 9"), "AWS CloudHSM");
        let unknown = Profile::of("Acme Token 1");
        assert_eq!((unknown.standing, unknown.test_token), (Standing::Unknown, false));
        assert!(
            unknown.missing(&[("CKM_ECDSA", false)], Some(Oaep::Sha1)).iter().any(|m| m.contains("may not be used"))
        );
    }
}
