//! Configuration of one token's process: TOML, an unknown key is an error, `STRONGROOM__A__B` overrides.
//! Relative paths are taken from the folder of the configuration file.

use crate::failure::Failure;
use crate::test_token::{Kind, TestToken};
use domain::FirmId;
use domain::limits::MAX_LEAF_LIFE_S;
use domain::message::custody::TokenRole;
use serde::Deserialize;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Archive keys in use at once: two, and as many again while they are rotated.
const MAX_ARCHIVE_KEYS: usize = 4;
/// Generations of keys: one each day of a leap year is more than anybody rotates.
const MAX_GENERATION: u32 = 366;
/// A module that is inside one call for so long hangs, s, if the configuration says nothing: vendors' clients were seen to
/// hang for five minutes, a fail-over takes them a few seconds.
const HANG_S: u64 = 15;
/// What it may be set to, s: two more than the time in which custody answers, so that who waits hears why before the process ends;
/// a firm waits no longer than two minutes.
const HANG_RANGE_S: std::ops::RangeInclusive<u64> = 7..=120;
/// Opened meeting keys an hour if the configuration says nothing: a busy review desk stays below.
const OPENS_PER_HOUR: u32 = 60;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose token.
    pub firm: FirmId,
    /// Which token.
    pub role: TokenRole,
    /// PKCS#11 module.
    pub module: PathBuf,
    /// Label of the token.
    pub token_label: String,
    /// File with the PIN, readable by its owner only.
    pub pin_file: PathBuf,
    /// Unix socket to serve.
    pub socket: PathBuf,
    /// Generation of the signing keys in use; `rotate` makes the next one.
    #[serde(default = "first")]
    pub generation: u32,
    /// A single call inside the module for so long, s, means that it hangs; the process then ends.
    #[serde(default = "hang")]
    pub hang_s: u64,
    /// How operators see it.
    #[serde(default)]
    pub operations: service::operations::Settings,
    /// SoftHSM2 (test token) only.
    pub softhsm: Option<ModuleFile>,
    /// kryoptic (test token) only.
    pub kryoptic: Option<ModuleFile>,
    /// Role people.
    pub people: Option<People>,
    /// Role record.
    pub record: Option<Record>,
    /// Role archive.
    pub archive: Option<Archive>,
    /// Where relative paths begin.
    #[serde(skip)]
    folder: PathBuf,
}

/// A test token's module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleFile {
    /// Path of the module's own configuration (`softhsm2.conf`, kryoptic's TOML); the ceremony writes one if it is missing.
    pub config: PathBuf,
}

/// The people token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// The firm's identity provider. Without it no person is certified.
    pub oidc: Option<Oidc>,
    /// Life of a leaf, s.
    #[serde(default = "max_leaf_life")]
    pub leaf_life_s: u64,
    /// What was issued and ended, a line each.
    #[serde(default = "journal")]
    pub journal: PathBuf,
    /// Recorder identity of this firm: SPKI as base64url, or a file with it (DER or base64url). Without it no recorder is
    /// certified.
    pub recorder_identity: Option<String>,
    /// How many administrators must sign a statement: 1, or 2 for four eyes.
    #[serde(default = "one")]
    pub administrators: usize,
}

/// Whose ID tokens count.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// `iss`.
    pub issuer: String,
    /// `aud`: this firm's enrolment.
    pub audience: String,
    /// The issuer's keys (JWK set); read at each enrolment, so a rotation needs no restart.
    pub jwks_file: PathBuf,
    /// `htu` of the DPoP proof: address of the front's enrolment.
    pub dpop_htu: String,
    /// Algorithms that are taken, and what the provider calls users and roles.
    #[serde(default)]
    pub claims: custody::id_token::Claims,
}

/// The record token.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {}

/// The archive token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Trust map (JSON).
    pub trust: PathBuf,
    /// Ledger file.
    pub ledger: PathBuf,
    /// Number of the newest archive key: the ceremony makes all from the first to it.
    #[serde(default = "two")]
    pub archive_keys: usize,
    /// Number of the oldest archive key in use: those before it may be destroyed, and what is sealed to them alone is lost.
    #[serde(default = "one")]
    pub first_archive_key: usize,
    /// At most so many meeting keys are opened in an hour.
    #[serde(default = "opens_per_hour")]
    pub opens_per_hour: u32,
}

fn max_leaf_life() -> u64 {
    MAX_LEAF_LIFE_S
}
fn journal() -> PathBuf {
    PathBuf::from("certificates.jsonl")
}
fn one() -> usize {
    1
}
fn first() -> u32 {
    1
}
fn hang() -> u64 {
    HANG_S
}
fn two() -> usize {
    2
}
fn opens_per_hour() -> u32 {
    OPENS_PER_HOUR
}

impl Config {
    /// Reads the file and the environment.
    ///
    /// # Errors
    /// [`Failure::Config`] naming file and key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let mut config: Self = service::config::read(path, service::config::environment())?;
        config.folder = service::config::folder(path);
        let bad = |why: String| Failure::Config(format!("{}: {why}", path.display()));
        config.judge().map_err(bad)?;
        config.operations.settle(path)?;
        config.place();
        Ok(config)
    }

    fn judge(&self) -> Result<(), String> {
        let has = match self.role {
            TokenRole::People => self.people.is_some() && self.record.is_none() && self.archive.is_none(),
            TokenRole::Record => self.people.is_none() && self.archive.is_none(),
            TokenRole::Archive => self.archive.is_some() && self.people.is_none() && self.record.is_none(),
        };
        if !has {
            return Err("`role` and the sections do not fit: one section named like the role, no other".to_owned());
        }
        if let Some(people) = &self.people {
            if !(60..=MAX_LEAF_LIFE_S).contains(&people.leaf_life_s) {
                return Err(format!("`people.leaf_life_s` must be 60 to {MAX_LEAF_LIFE_S} seconds"));
            }
            if let Some(oidc) = &people.oidc {
                oidc.claims.check().map_err(|why| format!("`people.oidc.claims`: {why}"))?;
            }
            if !(1..=2).contains(&people.administrators) {
                return Err("`people.administrators` must be 1 or 2".to_owned());
            }
        }
        if let Some(archive) = &self.archive {
            let (first, newest) = (archive.first_archive_key, archive.archive_keys);
            if first < 1 || newest < first || newest - first >= MAX_ARCHIVE_KEYS {
                return Err(format!(
                    "`archive.archive_keys` must not be below `archive.first_archive_key`, from 1, and at most \
                     {MAX_ARCHIVE_KEYS} are in use at once"
                ));
            }
        }
        if !HANG_RANGE_S.contains(&self.hang_s) {
            return Err(format!("`hang_s` must be {} to {} seconds", HANG_RANGE_S.start(), HANG_RANGE_S.end()));
        }
        if self.softhsm.is_some() && self.kryoptic.is_some() {
            return Err("a token is one of `[softhsm]` and `[kryoptic]`, or neither".to_owned());
        }
        if !(1..=MAX_GENERATION).contains(&self.generation) {
            return Err(format!("`generation` must be 1 to {MAX_GENERATION}"));
        }
        Ok(())
    }

    fn place(&mut self) {
        let folder = self.folder.clone();
        let put = |path: &mut PathBuf| *path = folder.join(&*path);
        put(&mut self.pin_file);
        put(&mut self.socket);
        for file in [&mut self.softhsm, &mut self.kryoptic].into_iter().flatten() {
            put(&mut file.config);
        }
        if let Some(oidc) = self.people.as_mut().and_then(|p| p.oidc.as_mut()) {
            put(&mut oidc.jwks_file);
        }
        if let Some(people) = &mut self.people {
            put(&mut people.journal);
        }
        if let Some(archive) = &mut self.archive {
            put(&mut archive.trust);
            put(&mut archive.ledger);
        }
    }

    /// The journal of certificates.
    ///
    /// # Errors
    /// [`Failure::Config`] for another token than *people*.
    pub fn journal(&self) -> Result<PathBuf, Failure> {
        let people = self.people.as_ref().map(|people| people.journal.clone());
        people.ok_or_else(|| Failure::Config("certificates are the people token's".to_owned()))
    }

    /// A file in the folder of the configuration.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What can be checked without the token.
    ///
    /// # Errors
    /// [`Failure::Config`].
    pub fn check(&self) -> Result<(), Failure> {
        if !self.module.is_file() {
            return Err(Failure::Config(format!(
                "the PKCS#11 module {} does not exist; for the test token install the package softhsm2",
                self.module.display()
            )));
        }
        self.pin()?;
        self.recorder_identity()?;
        if let Some(archive) = &self.archive {
            archive.read_trust()?;
        }
        Ok(())
    }

    /// The PIN, without surrounding white space.
    ///
    /// # Errors
    /// [`Failure::Config`] if the file is missing, empty or readable by others.
    pub fn pin(&self) -> Result<Zeroizing<String>, Failure> {
        let name = self.pin_file.display();
        let bad = |why: String| Failure::Config(format!("PIN file {name}: {why}"));
        let file = std::fs::metadata(&self.pin_file)
            .map_err(|e| bad(format!("{e}; write the token's PIN into it, mode 0600, or let the ceremony make it")))?;
        if file.permissions().mode() & 0o077 != 0 {
            return Err(bad("others can read it; run chmod 600 on it".to_owned()));
        }
        let text = Zeroizing::new(std::fs::read_to_string(&self.pin_file).map_err(|e| bad(e.to_string()))?);
        let pin = Zeroizing::new(text.trim().to_owned());
        if pin.is_empty() { Err(bad("it is empty".to_owned())) } else { Ok(pin) }
    }

    /// Recorder identity (SPKI DER) if one is pinned.
    ///
    /// # Errors
    /// [`Failure::Config`] if it is no P-256 key.
    pub fn recorder_identity(&self) -> Result<Option<evidence::key::PublicKey>, Failure> {
        let Some(text) = self.people.as_ref().and_then(|people| people.recorder_identity.as_ref()) else {
            return Ok(None);
        };
        let key = |bytes: &[u8]| evidence::key::PublicKey::from_spki(bytes).ok();
        let from_text = |text: &str| domain::B64::decode(text.trim()).and_then(|spki| key(&spki));
        if let Some(found) = from_text(text) {
            return Ok(Some(found));
        }
        let path = self.folder.join(text);
        let bad = |why: &str| Failure::Config(format!("`people.recorder_identity`: {} {why}", path.display()));
        let bytes = std::fs::read(&path).map_err(|e| bad(&format!("cannot be read ({e})")))?;
        let found = key(&bytes).or_else(|| std::str::from_utf8(&bytes).ok().and_then(from_text));
        found.map(Some).ok_or_else(|| bad("holds no P-256 public key (SPKI, DER or base64url)"))
    }

    /// The test token that this is, if it is one whose module has a file of its own.
    pub fn test_token(&self) -> Option<TestToken<'_>> {
        let kinds = [(Kind::SoftHsm, &self.softhsm), (Kind::Kryoptic, &self.kryoptic)];
        let found = kinds.into_iter().find_map(|(kind, file)| Some((kind, file.as_ref()?)));
        found.map(|(kind, file)| TestToken { kind, config: &file.config })
    }
}

impl Archive {
    /// Names of the archive keys in use, oldest first.
    pub fn keys(&self) -> impl Iterator<Item = String> + use<> {
        (self.first_archive_key..=self.archive_keys).map(crate::token::archive_key)
    }

    /// Reads the trust map.
    ///
    /// # Errors
    /// [`Failure::Config`].
    pub fn read_trust(&self) -> Result<evidence::identity::TrustMap, Failure> {
        let bad = |why: String| Failure::Config(format!("trust map {}: {why}", self.trust.display()));
        let bytes = std::fs::read(&self.trust).map_err(|e| bad(format!("cannot be read ({e})")))?;
        serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "firm = \"bank-a\"\nrole = \"record\"\nmodule = \"m.so\"\ntoken_label = \"t\"\npin_file = \"pin\"\nsocket = \"s\"\n";

    fn read(text: &str) -> Result<Config, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("custody.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file() {
        let error = read(&format!("{GOOD}pin = \"1234\"\n")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("custody.toml") && text.contains("`pin`"), "{text}");
    }

    #[test]
    fn the_documented_samples_are_good() {
        for token in ["people", "record", "archive"] {
            let sample = format!("../../docs/deploy/config/custody-{token}.toml");
            Config::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(sample)).expect("good");
        }
    }

    #[test]
    fn relative_paths_begin_at_the_file() {
        let config = read(GOOD).unwrap();
        assert!(config.pin_file.is_absolute() && config.pin_file.ends_with("pin"));
    }

    #[test]
    fn a_section_of_another_role_is_refused() {
        assert!(read(&format!("{GOOD}[archive]\ntrust = \"t\"\nledger = \"l\"\n")).is_err());
    }

    #[test]
    fn a_pin_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("custody.toml");
        std::fs::write(&path, GOOD).unwrap();
        std::fs::write(folder.path().join("pin"), "1234\n").unwrap();
        let config = Config::read(&path).unwrap();
        std::fs::set_permissions(&config.pin_file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(config.pin().unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&config.pin_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(*config.pin().unwrap(), "1234");
    }
}
