//! Feature `test-secrets`: what a memory search looks for. No shipped binary may enable it.

use super::Session;
use domain::Epoch;

/// Secrets of a session, by name.
pub struct Revealed {
    /// Base key of each epoch held.
    pub base_keys: Vec<(Epoch, [u8; 32])>,
    /// Epoch authenticator of the group's epoch.
    pub epoch_authenticator: Vec<u8>,
    /// Leaf key.
    pub leaf_key: [u8; 32],
}

impl Session {
    /// Every secret this session holds.
    pub fn reveal(&self) -> Revealed {
        Revealed {
            base_keys: self.epochs.states.iter().map(|state| (state.epoch, *state.base.expose())).collect(),
            epoch_authenticator: self.group.as_ref().map(crate::mls::Group::authenticator).unwrap_or_default(),
            leaf_key: *self.key.to_secret(),
        }
    }
}
