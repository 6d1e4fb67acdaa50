//! Short-lived credentials for the operator's TURN servers, made from a secret shared with them (the `use-auth-secret`
//! scheme of coturn, draft-uberti-behave-turn-rest-00). The server needs no word with us, and the credential names nobody.
//!
//! What a stolen one is worth: relayed bytes to the addresses that the TURN server's own configuration allows (the SFU's)
//! until it ends. What goes through is DTLS-SRTP all the same.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::UnixMillis;
use domain::message::client::{Relay, ToClient};

/// A credential works for so long: every new transport of a meeting is made within it, and it is renewed at half of it.
pub const LIFE_S: u64 = 3_600;
/// Secrets shorter than this can be guessed from one credential that was overheard, bytes.
const MIN_SECRET: usize = 16;
/// Addresses to try; browsers warn from five servers on.
const MAX_URLS: usize = 4;

/// Why `[relays]` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelaysError {
    /// No address, or too many.
    #[error("`relays.urls` has {0} addresses; give 1 to {MAX_URLS}")]
    Count(usize),
    /// Not an address of RFC 7065.
    #[error("`relays.urls` has {0:?}; write turn:host:port?transport=udp, …?transport=tcp, or turns:host:port")]
    Url(String),
    /// The shared secret.
    #[error("the secret in `relays.secret_file` is shorter than {MIN_SECRET} bytes; make one: openssl rand -hex 32")]
    Secret,
}

/// The TURN servers and what it takes to make credentials for them.
pub struct Relays {
    urls: Vec<String>,
    key: hmac::Key,
}

impl Relays {
    /// From the configuration; white space around the secret is not part of it.
    pub fn new(urls: Vec<String>, secret: &[u8]) -> Result<Self, RelaysError> {
        if urls.is_empty() || urls.len() > MAX_URLS {
            return Err(RelaysError::Count(urls.len()));
        }
        let host = |url: &str| url.strip_prefix("turns:").or_else(|| url.strip_prefix("turn:")).map(str::len);
        if let Some(wrong) = urls.iter().find(|url| host(url).is_none_or(|rest| rest == 0)) {
            return Err(RelaysError::Url(wrong.clone()));
        }
        let secret = secret.trim_ascii();
        if secret.len() < MIN_SECRET {
            return Err(RelaysError::Secret);
        }
        // SHA-1 is what coturn and the draft take; as a MAC it is sound
        Ok(Self { urls, key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret) })
    }

    /// A credential of its own for one connection.
    pub fn grant(&self, now: UnixMillis, random: [u8; 8]) -> ToClient {
        let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let username = format!("{}:{random}", now.0 / 1_000 + LIFE_S);
        let credential = STANDARD.encode(hmac::sign(&self.key, username.as_bytes()).as_ref());
        ToClient::Relays { relays: vec![Relay { urls: self.urls.clone(), username, credential }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "turn:127.0.0.1:3478?transport=udp";

    #[test]
    fn a_credential_is_what_a_turn_server_computes_from_the_shared_secret() {
        let relays = Relays::new(vec![URL.into()], b"0123456789abcdef\n").unwrap();
        let ToClient::Relays { relays } = relays.grant(UnixMillis(1_000_000), [7; 8]) else { panic!("relays") };
        assert_eq!(relays[0].username, "4600:0707070707070707");
        // printf 4600:0707070707070707 | openssl dgst -sha1 -hmac 0123456789abcdef -binary | base64
        assert_eq!(relays[0].credential, "ZjuAiaUJX4RN4zB2PVfQDKLN7aU=");
        assert!(!format!("{relays:?}").contains(&relays[0].credential), "a credential is no matter for a log");
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_do() {
        let made = |urls: &[&str], secret: &[u8]| {
            Relays::new(urls.iter().map(|url| (*url).to_owned()).collect(), secret).err().map(|why| why.to_string())
        };
        assert!(made(&[], b"0123456789abcdef").unwrap().contains("relays.urls"));
        assert!(made(&["stun:a"], b"0123456789abcdef").unwrap().contains("turns:host:port"));
        assert!(made(&["turn:"], b"0123456789abcdef").unwrap().contains("turns:host:port"));
        assert!(made(&[URL], b"short     \n\n\n\n\n\n\n\n").unwrap().contains("openssl rand"));
        assert_eq!(made(&[URL], b"0123456789abcdef"), None);
    }
}
