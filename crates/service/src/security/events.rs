//! The list of events, with severity, meaning and what to do. `docs/operations.md` has the same list; a test compares them.

/// How bad, as syslog counts (RFC 5424, table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody has to act now: what must be kept is not kept, or evidence does not hold.
    Critical = 2,
    /// Something does not work.
    Error = 3,
    /// Somebody tried what is not allowed, or a protection is weaker.
    Warning = 4,
    /// Normal, and worth keeping: who audits wants to see it.
    Notice = 5,
}

impl Severity {
    /// As RFC 5424 calls it, in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

macro_rules! events {
    ($($event:ident $name:literal $severity:ident $meaning:literal)*) => {
        /// What can be reported.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Event { $(#[doc = $meaning] $event),* }

        impl Event {
            /// All of them, in order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$event),*];

            /// Stable name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$event => $name),* }
            }

            /// How bad.
            pub fn severity(self) -> Severity {
                match self { $(Self::$event => Severity::$severity),* }
            }

            /// What happened, in words.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$event => $meaning),* }
            }
        }
    };
}

events! {
    Started "started" Notice "The service was started."
    Stopped "stopped" Notice "The service ends in order."
    Failed "failed" Error "The service ends because it cannot go on; the log says why."
    OriginRefused "origin-refused" Warning "A page of an unknown origin wanted to connect."
    ProofRefused "proof-refused" Warning "A connection did not prove itself: certificate, signature or trust map."
    MembershipRefused "membership-refused" Warning "A proven person wanted into a room of which it is no member."
    ConnectionRefused "connection-refused" Notice "A connection was refused for another reason; the code says which."
    MemberRemoved "member-removed" Notice "A membership ended while its meeting runs: the person is removed."
    StatementRefused "statement-refused" Error "A signed statement does not hold or cannot be read and was left out."
    DirectoryLost "directory-lost" Error "The room directory is not heard of for 30 s: nobody new comes into meetings."
    DirectoryBack "directory-back" Notice "The room directory is heard of again."
    SfuLost "sfu-lost" Warning "An SFU's control link ended."
    ControlLinkRefused "control-link-refused" Warning "A control link did not begin as an SFU's does."
    ControlLinkLost "control-link-lost" Warning "The SFU lost signaling; running media goes on."
    RecordLinkRefused "record-link-refused" Warning "A recorder did not prove itself: certificate, token or first message."
    Panicked "panicked" Error "A part of the service failed by our own bug and was contained."
    StoreNotWorm "store-not-worm" Critical "An archive store is not write-once although the configuration says so."
    StoreUnreachable "store-unreachable" Warning "An archive store could not be probed."
    ArchiveDamaged "archive-damaged" Critical "A file of the archive is not as it was signed."
    RecordingRefused "recording-refused" Critical "A recording that was due could not start."
    RecorderRefused "recorder-refused" Error "Signaling refuses this recorder."
    CertificateUnusable "certificate-unusable" Error "The certificate that was issued to this recorder is not usable."
    LoginRefused "login-refused" Warning "A request was refused: not logged in, or a token or proof that does not hold."
    AccessDenied "access-denied" Warning "A person asked for what its role does not allow."
    CustodyRefused "custody-refused" Warning "Custody refused a request; the code says why."
    TokenFailing "token-failing" Critical "The token did not carry out a request."
    TokenHangs "token-hangs" Critical "The token's module hangs; the process ends itself to be started anew."
    TestToken "test-token" Warning "The token is a test token: not for records that must be kept."
    KeyOpened "key-opened" Notice "Custody opened a meeting's key, after two signatures and a ledger entry."
    CertificateIssued "certificate-issued" Notice "Custody certified a person or recorder."
    StatementSigned "statement-signed" Notice "Custody signed a statement of the firm."
}

/// Why: one of our own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(&'static str);

/// Every code there is.
const CODES: [&str; 30] = [
    "bad-request",
    "bad-csr",
    "bad-token",
    "role",
    "rate",
    "two-persons",
    "unavailable",
    "pin-incorrect",
    "token-missing",
    "grant-expired",
    "grant-used",
    "grant-invalid",
    "upgrade",
    "bad-message",
    "bad-certificate",
    "bad-signature",
    "trust-mismatch",
    "not-a-member",
    "replaced",
    "policy-clash",
    "meeting-full",
    "rate-limited",
    "internal",
    "unauthorized",
    "forbidden",
    "rooms-unavailable",
    "in-roster",
    "not-recorder",
    "recorder-missing",
    "removed",
];

impl Code {
    /// Nothing to add.
    pub const NONE: Self = Self("-");

    /// The code if it is one of ours; whatever else stands in `text` is not repeated.
    pub fn of(text: &str) -> Self {
        Self(CODES.into_iter().find(|code| *code == text).unwrap_or("other"))
    }

    /// As text.
    pub fn text(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_what_is_no_code_of_ours_is_not_repeated() {
        let names: std::collections::BTreeSet<_> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), Event::ALL.len());
        assert!(names.iter().all(|name| name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        assert_eq!(Code::of("bad-token").text(), "bad-token");
        assert_eq!(Code::of("alice@bank-a").text(), "other");
    }
}
