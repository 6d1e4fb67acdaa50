//! Ceremonies: make what is missing on a token, make the next generation of its keys, destroy what is no longer named. Each
//! can be tried dry first, and leaves a signed protocol of what it changed. Held twice, it changes nothing.

pub mod plan;
mod protocol;

use crate::config::Config;
use crate::failure::Failure;
use crate::people::issue;
use crate::token::{self, Call, Device, Facts, Settings, Token, inventory, make};
use custody::sealing;
use domain::UnixMillis;
use domain::message::custody::TokenRole;
use evidence::ceremony::{Action, Step};
use plan::Keys;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
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
    if let Some(token) = config.test_token().filter(|token| !token.config.is_file()) {
        let (label, module, file) = (&config.token_label, token.kind.name(), token.config.display());
        return Err(Failure::Unavailable(format!(
            "no token with label {label}: {module}'s configuration {file} is missing; run `strongroom-custody ceremony`"
        )));
    }
    let (module, label) = (config.module.clone(), config.token_label.clone());
    Ok(Settings { module, label, pin: config.pin()?, generation: config.generation })
}

/// How a ceremony is held.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// Show what would be done and do nothing.
    pub dry_run: bool,
    /// Where the protocol goes; without it a new file beside the configuration.
    pub protocol: Option<&'a Path>,
}

/// `ceremony`.
///
/// # Errors
/// See [`Failure`].
pub fn run(config: &Config, manner: Manner<'_>) -> Result<(), Failure> {
    if manner.dry_run {
        return show(&would_make(config)?);
    }
    protocol::free(manner.protocol)?;
    if let Some(token) = config.test_token() {
        token.prepare()?;
    }
    let mut done = ensure_token(config)?;
    let mut device = Device::open(settings(config)?)?;
    let steps = plan::missing(config, &mut device)?;
    carry_out(config, &mut device, steps, &mut done)?;
    if !done.is_empty() {
        protocol::write(config, &mut device, done, manner.protocol)?;
    }
    print(config, &mut device)
}

/// `rotate`: makes the next generation of keys beside the present one, which stays in use until the configuration names
/// the new one. The present key signs the protocol, and so vouches for the new one.
///
/// # Errors
/// See [`Failure`].
pub fn rotate(config: &Config, keys: Keys, manner: Manner<'_>) -> Result<(), Failure> {
    let (next, setting) = plan::rotation(config, keys)?;
    let mut device = Device::open(settings(config)?)?;
    device.turn_to(next.generation);
    let steps = plan::missing(&next, &mut device)?;
    if steps.is_empty() {
        let text = format!("the next keys are there already: raise `{setting}` in the configuration to use them");
        return Err(Failure::Config(text));
    }
    if manner.dry_run {
        return show(&steps);
    }
    protocol::free(manner.protocol)?;
    let mut done = Vec::new();
    carry_out(&next, &mut device, steps, &mut done)?;
    device.turn_to(config.generation);
    protocol::write(config, &mut device, done, manner.protocol)?;
    device.turn_to(next.generation);
    tracing::info!("made; publish the keys in a new trust map, then raise `{setting}` and start the process again");
    print(&next, &mut device)
}

/// `destroy`: a key that the configuration names no more.
///
/// # Errors
/// [`Failure::Config`] for a key in use, one that is not there, or another fingerprint.
pub fn destroy(config: &Config, id: &str, fingerprint: &str, manner: Manner<'_>) -> Result<(), Failure> {
    let wanted = hex::decode(fingerprint).ok().filter(|digest| digest.len() == 32).map(domain::B64::from);
    let wanted =
        wanted.ok_or_else(|| Failure::Config("a fingerprint has 64 hexadecimal digits; see `list`".to_owned()))?;
    let mut device = Device::open(settings(config)?)?;
    if in_use(config, &device).iter().any(|used| used == id) {
        return Err(Failure::Config(format!(
            "{id} is in use: rotate it and raise `generation`, `archive.first_archive_key` or `archive.archive_keys` first"
        )));
    }
    let step = Step { action: Action::DestroyKey, object: id.to_owned(), fingerprint: Some(wanted.clone()) };
    if manner.dry_run {
        let items = inventory::list(&mut device, &[])?;
        if !items.iter().any(|item| item.id == id && item.fingerprint.as_deref() == Some(fingerprint)) {
            return Err(Failure::Config(format!("the token has no key {id} of this fingerprint; see `list`")));
        }
        return show(&[step]);
    }
    protocol::free(manner.protocol)?;
    inventory::destroy(&mut device, id, &wanted)?;
    protocol::write(config, &mut device, vec![step], manner.protocol)?;
    print_list(config, &mut device)
}

/// `list`.
///
/// # Errors
/// See [`Failure`].
pub fn list(config: &Config) -> Result<(), Failure> {
    print_list(config, &mut Device::open(settings(config)?)?)
}

fn print_list(config: &Config, device: &mut Device) -> Result<(), Failure> {
    let in_use = in_use(config, device);
    show(&inventory::list(device, &in_use)?)
}

fn in_use(config: &Config, device: &Device) -> Vec<String> {
    plan::named(config).into_iter().map(|(_, name)| device.id(&name)).collect()
}

/// What a ceremony would do, on a token that may not be there yet.
fn would_make(config: &Config) -> Result<Vec<Step>, Failure> {
    let fresh = config.test_token().is_some_and(|token| !token.config.is_file());
    if !fresh {
        match settings(config).and_then(|settings| Ok(Device::open(settings)?)) {
            Ok(mut device) => return Ok(plan::missing(config, &mut device)?),
            Err(Failure::Unavailable(_)) if config.test_token().is_some() => {}
            Err(error) => return Err(error),
        }
    }
    let token = plan::step(Action::MakeToken, config.token_label.clone());
    let objects = plan::named(config).into_iter().map(|(action, name)| plan::step(action, name));
    Ok(std::iter::once(token).chain(objects).collect())
}

/// Does the steps in order and notes each with its fingerprint.
fn carry_out(config: &Config, device: &mut Device, steps: Vec<Step>, done: &mut Vec<Step>) -> Result<(), Failure> {
    for mut step in steps {
        let digest = match step.action {
            Action::MakeCertificate => evidence::sha256(&make_root(config, device)?).into(),
            _ => {
                if step.object.starts_with(token::ARCHIVE) {
                    make::rsa(device, &step.object)?;
                } else {
                    make::ec(device, &step.object)?;
                }
                let missing = || token::TokenError::NoKey { name: step.object.clone() };
                device.once(|work| work.fingerprint(&step.object).ok_or_else(missing))?
            }
        };
        step.fingerprint = Some(digest);
        tracing::info!(object = step.object, "made");
        done.push(step);
    }
    Ok(())
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
    show(&info)
}

fn show<T: serde::Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).expect("plain data");
    writeln!(std::io::stdout(), "{text}").map_err(|e| Failure::Other(format!("standard output: {e}")))
}

/// Reads the token's public facts; for an archive token its OAEP parameters are proven by opening a probe.
///
/// # Errors
/// See [`Failure`]; a token without its keys is [`Failure::Config`].
pub fn facts(config: &Config, device: &mut Device) -> Result<Facts, Failure> {
    let (token, test_token) = device.name()?;
    let mut keys = Vec::new();
    for name in plan::signing_keys(config.role) {
        keys.push(((*name).to_owned(), device.ec_public(name)?));
    }
    let mut oaep = None;
    if let Some(archive) = &config.archive {
        let proven = device.prove_oaep(&token::archive_key(archive.first_archive_key))?;
        if proven == sealing::Oaep::Sha1 && !test_token {
            return Err(Failure::Config("this token opens RSA-OAEP with SHA-1 only; only test tokens may".to_owned()));
        }
        for name in archive.keys() {
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

/// Signs the root certificate with the certification authority's key and stores it; its DER.
fn make_root(config: &Config, device: &mut Device) -> Result<Vec<u8>, Failure> {
    let spki = device.ec_public(token::FIRM_CA)?;
    let serial = device.call(&Call::Random(issue::SERIAL_BYTES))?;
    let unsigned = issue::root(&config.firm, &spki, &serial, now().seconds());
    let subject = unsigned.subject();
    let signature = device.call(&Call::Sign { key: token::FIRM_CA, hash: unsigned.hash() })?;
    let signature: [u8; 64] = signature.as_slice().try_into().expect("the device checked the length");
    let der = unsigned.finish(&signature)?;
    let id = device.id(token::FIRM_ROOT);
    make::store_certificate(device, &id, &subject, &der)?;
    Ok(der)
}

/// Makes the test token if there is none of that label, and its PIN if there is no PIN file.
fn ensure_token(config: &Config) -> Result<Vec<Step>, Failure> {
    let mut done = Vec::new();
    let context = Device::load(&config.module)?;
    let there = Device::find_slot(&context, &config.token_label).is_some();
    if let Some(test) = config.test_token().filter(|_| !there) {
        if !config.pin_file.exists() {
            write_secret(&config.pin_file, &random_pin()?)?;
            tracing::info!(file = %config.pin_file.display(), "PIN made");
        }
        let pin = config.pin()?;
        let so_pin = random_pin()?;
        make::init_test_token(&context, test.kind, &config.token_label, &so_pin, &pin)?;
        let mut name = config.pin_file.clone().into_os_string();
        name.push("-so");
        write_secret(Path::new(&name), &so_pin)?;
        tracing::info!(label = config.token_label, "test token made");
        done.push(plan::step(Action::MakeToken, config.token_label.clone()));
    }
    context.finalize().map_err(|e| Failure::Other(format!("the PKCS#11 module: {e}")))?;
    Ok(done)
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
