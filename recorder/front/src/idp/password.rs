//! Salted password hashes of the development identity provider: PBKDF2-HMAC-SHA-256 by OpenSSL.
//! Text form `pbkdf2-sha256$<rounds>$<salt>$<hash>`, both parts base64url.

use domain::B64;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkcs5::pbkdf2_hmac;

/// OWASP's figure for PBKDF2-HMAC-SHA-256.
pub const ROUNDS: u32 = 600_000;
/// A file that asks for more would turn each login into a stall.
const MAX_ROUNDS: u32 = 5_000_000;
const SALT: usize = 16;
const HASH: usize = 32;

/// A hash in its parts.
pub struct PasswordHash {
    rounds: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl PasswordHash {
    /// Hashes `password` with a fresh salt.
    pub fn new(password: &str, rounds: u32) -> Self {
        let salt = rand::random::<[u8; SALT]>().to_vec();
        let hash = derive(password, &salt, rounds).to_vec();
        Self { rounds, salt, hash }
    }

    /// Reads the text form; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let ("pbkdf2-sha256", rounds, salt, hash, None) = (
            parts.next()?,
            parts.next()?.parse().ok()?,
            B64::decode(parts.next()?)?.0,
            B64::decode(parts.next()?)?.0,
            parts.next(),
        ) else {
            return None;
        };
        let fits = (1..=MAX_ROUNDS).contains(&rounds) && salt.len() >= SALT && hash.len() == HASH;
        fits.then_some(Self { rounds, salt, hash })
    }

    /// The text form.
    pub fn to_text(&self) -> String {
        format!("pbkdf2-sha256${}${}${}", self.rounds, B64(self.salt.clone()).encode(), B64(self.hash.clone()).encode())
    }

    /// Is it this password's? Takes as long as hashing does: call it off the event loop.
    pub fn verify(&self, password: &str) -> bool {
        memcmp::eq(&derive(password, &self.salt, self.rounds), &self.hash)
    }
}

fn derive(password: &str, salt: &[u8], rounds: u32) -> [u8; HASH] {
    let mut hash = [0; HASH];
    pbkdf2_hmac(password.as_bytes(), salt, rounds as usize, MessageDigest::sha256(), &mut hash)
        .expect("PBKDF2 with SHA-256 takes any password, salt and positive count");
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_and_knows_only_its_password() {
        let hash = PasswordHash::parse(&PasswordHash::new("anna-demo", 10).to_text()).expect("own form");
        assert!(hash.verify("anna-demo"));
        assert!(!hash.verify("anna-dem0"));
        assert!(PasswordHash::parse("pbkdf2-sha256$9999999$AAAA$AAAA").is_none());
        assert!(PasswordHash::parse("plain").is_none());
    }
}
