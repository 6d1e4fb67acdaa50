//! The token: what may be asked of it and why it may fail. [`device`] speaks PKCS#11, [`actor`] owns the one thread that
//! does so.

pub mod actor;
pub mod device;
pub mod inventory;
pub mod make;
pub mod profile;

pub use actor::Handle;
pub use device::{Device, Settings};

use custody::sealing::Oaep;
use domain::FirmId;
use domain::message::custody::{Info, TokenRole};
use zeroize::Zeroizing;

/// Name of the certification authority's key (people).
pub const FIRM_CA: &str = "firm-ca";
/// Name of the root certificate (people).
pub const FIRM_ROOT: &str = "firm-root";
/// Name of the policy key (people).
pub const POLICY: &str = "policy";
/// Name of the recorder identity (record).
pub const RECORDER_IDENTITY: &str = "recorder-identity";
/// Name of the manifest and log key (record).
pub const RECORD: &str = "record";
/// Name of the ledger key (archive).
pub const LEDGER: &str = "ledger";

/// Names of archive keys begin so.
pub const ARCHIVE: &str = "archive-";

/// Name of the nth archive key, from 1.
pub fn archive_key(number: usize) -> String {
    format!("{ARCHIVE}{number}")
}

/// One thing to do on the token.
#[derive(Debug)]
pub enum Call {
    /// CKM_ECDSA over a SHA-256 hash; answers r||s.
    Sign {
        /// Key name.
        key: &'static str,
        /// Hash.
        hash: [u8; 32],
    },
    /// RSA-OAEP decryption.
    Open {
        /// Key name.
        key: String,
        /// Parameters.
        oaep: Oaep,
        /// RSA block.
        sealed: Vec<u8>,
    },
    /// Random bytes.
    Random(u32),
}

/// Answer to a [`Call`].
pub type Bytes = Zeroizing<Vec<u8>>;

/// What the token does; the fake of the tests does it too.
pub trait Token: Send + 'static {
    /// Carries a call out, recovering from a lost session by itself.
    ///
    /// # Errors
    /// See [`TokenError`].
    fn call(&mut self, call: &Call) -> Result<Bytes, TokenError>;
}

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The module cannot be loaded.
    #[error("the PKCS#11 module {path} cannot be used ({why})")]
    Module {
        /// Path.
        path: String,
        /// What it said.
        why: String,
    },
    /// No token of that label.
    #[error("no token with label {label}; connect it, or run `strongroom-custody ceremony` to make a test token")]
    Missing {
        /// Label.
        label: String,
    },
    /// The PIN was refused; it is never tried again.
    #[error(
        "the token refused the PIN ({0}); put the right one into the PIN file. It is not tried again, because a token locks or erases itself after a few wrong ones"
    )]
    Pin(String),
    /// The token is there, its key is not.
    #[error("the token has no key named {name}; run `strongroom-custody ceremony`")]
    NoKey {
        /// Name.
        name: String,
    },
    /// A key was to be destroyed, but another one has its name.
    #[error("the key {name} has the fingerprint {found}, not the one given; nothing was destroyed")]
    OtherKey {
        /// Id.
        name: String,
        /// Its fingerprint.
        found: String,
    },
    /// The token refused to open something although it opened a known answer right after: the input is at fault.
    #[error("the token does not open this although it works: it was changed, or sealed to another key")]
    Sealed,
    /// The token failed.
    #[error("the token failed in {what} ({why})")]
    Failed {
        /// Doing what.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// The token's thread did not answer in time, or too much is waiting for it.
    #[error("the token does not answer; the process ends by itself if it stays so")]
    Busy,
}

/// Public facts, read once at the start.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `vendor model serial`.
    pub token: String,
    /// Test token?
    pub test_token: bool,
    /// Root certificate (people).
    pub root: Option<Vec<u8>>,
    /// Public keys by name, SPKI DER, sorted as made.
    pub keys: Vec<(String, Vec<u8>)>,
    /// Proven OAEP parameters (archive).
    pub oaep: Option<Oaep>,
}

impl Facts {
    /// As it goes over the socket.
    pub fn info(&self, firm: &FirmId, role: TokenRole) -> Info {
        Info {
            firm: firm.clone(),
            role,
            token: self.token.clone(),
            test_token: self.test_token,
            root: self.root.clone().map(Into::into),
            keys: self.keys.iter().map(|(name, spki)| (name.clone(), spki.clone().into())).collect(),
        }
    }
    /// SPKI of a key.
    pub fn key(&self, name: &str) -> Option<&[u8]> {
        self.keys.iter().find(|(known, _)| known == name).map(|(_, spki)| spki.as_slice())
    }
}
