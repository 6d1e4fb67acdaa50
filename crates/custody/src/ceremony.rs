//! The ceremony: makes what is missing on a token and shows its public facts. Held twice, it changes nothing.

use crate::config::Config;
use crate::failure::Failure;
use crate::people::issue;
use crate::token::{self, Call, Device, Facts, Settings, Token, make};
use custody::sealing;
use domain::UnixMillis;
use domain::message::custody::TokenRole;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Digits of a PIN made here.
const PIN_DIGITS: usize = 16;

/// The system's clock.
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How to get into the token.
///
/// # Errors
/// [`Failure::Config`] about the PIN file, [`Failure::Unavailable`] if a test token's own files are gone.
pub fn settings(config: &Config) -> Result<Settings, Failure> {
    if let Some(softhsm) = config.softhsm.as_ref().filter(|softhsm| !softhsm.config.is_file()) {
        let (label, file) = (&config.token_label, softhsm.config.display());
        return Err(Failure::Unavailable(format!(
            "no token with label {label}: SoftHSM's configuration {file} is missing; run `strongroom-custody ceremony`"
        )));
    }
    Ok(Settings { module: config.module.clone(), label: config.token_label.clone(), pin: config.pin()? })
}

/// `ceremony`.
///
/// # Errors
/// See [`Failure`].
pub fn run(config: &Config) -> Result<(), Failure> {
    if let Some(softhsm) = &config.softhsm {
        prepare_softhsm(&softhsm.config)?;
    }
    ensure_token(config)?;
    let mut device = Device::open(settings(config)?)?;
    for name in ec_keys(config.role) {
        if make::ensure_ec(&mut device, name)? {
            tracing::info!(key = name, "made");
        }
    }
    if let Some(archive) = &config.archive {
        for name in (1..=archive.archive_keys).map(token::archive_key) {
            if make::ensure_rsa(&mut device, &name)? {
                tracing::info!(key = name, "made");
            }
        }
    }
    if config.role == TokenRole::People {
        ensure_root(config, &mut device)?;
    }
    print(config, &mut device)
}

/// `info`.
///
/// # Errors
/// See [`Failure`].
pub fn info(config: &Config) -> Result<(), Failure> {
    print(config, &mut Device::open(settings(config)?)?)
}

fn print(config: &Config, device: &mut Device) -> Result<(), Failure> {
    let info = facts(config, device)?.info(&config.firm, config.role);
    let text = serde_json::to_string_pretty(&info).expect("plain data");
    writeln!(std::io::stdout(), "{text}").map_err(|e| Failure::Other(format!("standard output: {e}")))
}

fn ec_keys(role: TokenRole) -> &'static [&'static str] {
    match role {
        TokenRole::People => &[token::FIRM_CA, token::POLICY],
        TokenRole::Record => &[token::RECORDER_IDENTITY, token::RECORD],
        TokenRole::Archive => &[token::LEDGER],
    }
}

/// Reads the token's public facts; for an archive token its OAEP parameters are proven by opening a probe.
///
/// # Errors
/// See [`Failure`]; a token without its keys is [`Failure::Config`].
pub fn facts(config: &Config, device: &mut Device) -> Result<Facts, Failure> {
    let (token, test_token) = device.name()?;
    let mut keys = Vec::new();
    for name in ec_keys(config.role) {
        keys.push(((*name).to_owned(), device.ec_public(name)?));
    }
    let mut oaep = None;
    if let Some(archive) = &config.archive {
        let proven = device.prove_oaep(&token::archive_key(1))?;
        if proven == sealing::Oaep::Sha1 && !test_token {
            return Err(Failure::Config("this token opens RSA-OAEP with SHA-1 only; only test tokens may".to_owned()));
        }
        for name in (1..=archive.archive_keys).map(token::archive_key) {
            let spki = sealing::archive_spki(&device.rsa_public(&name)?, proven);
            keys.push((name, spki.map_err(|e| Failure::Other(e.to_string()))?));
        }
        oaep = Some(proven);
    }
    let root = match config.role {
        TokenRole::People => Some(device.certificate(token::FIRM_ROOT)?),
        TokenRole::Record | TokenRole::Archive => None,
    };
    Ok(Facts { token, test_token, root, keys, oaep })
}

fn ensure_root(config: &Config, device: &mut Device) -> Result<(), Failure> {
    match device.certificate(token::FIRM_ROOT) {
        Ok(_) => return Ok(()),
        Err(token::TokenError::NoKey { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let spki = device.ec_public(token::FIRM_CA)?;
    let serial = device.call(&Call::Random(issue::SERIAL_BYTES))?;
    let unsigned = issue::root(&config.firm, &spki, &serial, now().seconds());
    let subject = unsigned.subject();
    let signature = device.call(&Call::Sign { key: token::FIRM_CA, hash: unsigned.hash() })?;
    let signature: [u8; 64] = signature.as_slice().try_into().expect("the device checked the length");
    let der = unsigned.finish(&signature)?;
    make::store_certificate(device, token::FIRM_ROOT, &subject, &der)?;
    tracing::info!("root certificate made");
    Ok(())
}

/// Makes the SoftHSM token if there is none of that label, and its PIN if there is no PIN file.
fn ensure_token(config: &Config) -> Result<(), Failure> {
    let context = Device::load(&config.module)?;
    let there = Device::find_slot(&context, &config.token_label).is_some();
    if !there && config.softhsm.is_some() {
        if !config.pin_file.exists() {
            write_secret(&config.pin_file, &random_pin()?)?;
            tracing::info!(file = %config.pin_file.display(), "PIN made");
        }
        let pin = config.pin()?;
        let so_pin = random_pin()?;
        make::init_softhsm(&context, &config.token_label, &so_pin, &pin)?;
        let mut name = config.pin_file.clone().into_os_string();
        name.push("-so");
        write_secret(Path::new(&name), &so_pin)?;
        tracing::info!(label = config.token_label, "test token made");
    }
    context.finalize().map_err(|e| Failure::Other(format!("the PKCS#11 module: {e}")))
}

/// SoftHSM's own configuration and token folder.
fn prepare_softhsm(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let io = |e: std::io::Error| Failure::Other(format!("{}: {e}", path.display()));
    let folder = path.parent().expect("made absolute when read");
    let tokens = folder.join("tokens");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&tokens).map_err(io)?;
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        tokens.display()
    );
    std::fs::write(path, text).map_err(io)
}

fn random_pin() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0u8; PIN_DIGITS]);
    openssl::rand::rand_bytes(&mut *bytes).map_err(|e| Failure::Other(format!("no randomness: {e}")))?;
    Ok(Zeroizing::new(bytes.iter().map(|byte| char::from(b'0' + byte % 10)).collect()))
}

fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let io = |e: std::io::Error| Failure::Other(format!("{}: {e}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(io)?;
    writeln!(file, "{text}").map_err(io)
}
