//! What a ceremony would do: decided before anything is touched, shown by a dry run, then carried out in this order.

use crate::config::Config;
use crate::failure::Failure;
use crate::token::{self, Device, TokenError};
use cryptoki::object::ObjectClass;
use domain::message::custody::TokenRole;
use evidence::ceremony::{Action, Step};

/// Signing keys of a role.
pub fn signing_keys(role: TokenRole) -> &'static [&'static str] {
    match role {
        TokenRole::People => &[token::FIRM_CA, token::POLICY],
        TokenRole::Record => &[token::RECORDER_IDENTITY, token::RECORD],
        TokenRole::Archive => &[token::LEDGER],
    }
}

/// The key that signs a role's protocols.
pub fn protocol_key(role: TokenRole) -> &'static str {
    match role {
        TokenRole::People => token::POLICY,
        TokenRole::Record => token::RECORD,
        TokenRole::Archive => token::LEDGER,
    }
}

/// Everything that the configuration names, as kind and name.
pub fn named(config: &Config) -> Vec<(Action, String)> {
    let signing = signing_keys(config.role).iter().map(|name| (Action::MakeKey, (*name).to_owned()));
    let archive = config.archive.iter().flat_map(|archive| archive.keys()).map(|name| (Action::MakeKey, name));
    let root = (config.role == TokenRole::People).then(|| (Action::MakeCertificate, token::FIRM_ROOT.to_owned()));
    signing.chain(archive).chain(root).collect()
}

/// What is missing on a token that is there, in the order in which it is made.
///
/// # Errors
/// See [`TokenError`].
pub fn missing(config: &Config, device: &mut Device) -> Result<Vec<Step>, TokenError> {
    let mut steps = Vec::new();
    for (action, name) in named(config) {
        let class = match action {
            Action::MakeCertificate => ObjectClass::CERTIFICATE,
            _ => ObjectClass::PRIVATE_KEY,
        };
        match device.once(|work| work.find(class, &name)) {
            Ok(_) => {}
            Err(TokenError::NoKey { .. }) => steps.push(step(action, device.id(&name))),
            Err(error) => return Err(error),
        }
    }
    Ok(steps)
}

/// A step that was not done yet.
pub fn step(action: Action, object: String) -> Step {
    Step { action, object, fingerprint: None }
}

/// Which keys `rotate` makes anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Keys {
    /// The role's signing keys, as the next generation; with them the root certificate of a people token.
    Signing,
    /// One more archive key.
    Archive,
}

/// What `rotate` makes: the configuration that names it, and the steps.
///
/// # Errors
/// [`Failure::Config`] where the role has no such keys.
pub fn rotation(config: &Config, keys: Keys) -> Result<(Config, &'static str), Failure> {
    let mut next = config.clone();
    match (keys, config.role, &mut next.archive) {
        (Keys::Signing, TokenRole::People | TokenRole::Record, _) => {
            next.generation += 1;
            Ok((next, "generation"))
        }
        (Keys::Archive, TokenRole::Archive, Some(archive)) => {
            archive.archive_keys += 1;
            Ok((next, "archive.archive_keys"))
        }
        (Keys::Signing, ..) => Err(Failure::Config(
            "the ledger's key stays as long as its ledger: entries are linked and signed by one key. For a new key make a \
             new token with a new ledger, and keep the old ledger with the archive"
                .to_owned(),
        )),
        (Keys::Archive, ..) => {
            Err(Failure::Config("only the archive token has archive keys; name --keys signing".to_owned()))
        }
    }
}
