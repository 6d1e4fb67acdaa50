//! What the unit tests stand on: a firm in software, and a token that does in software what the real one does and writes
//! down what it was asked.

use crate::people::csr::Csr;
use crate::people::issue;
use crate::token::{Bytes, Call, Token, TokenError};
use custody::sealing::Oaep;
use domain::message::custody::LeafRole;
use domain::{B64, FirmId, ParticipantId, UnixMillis};
use evidence::cose;
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use openssl::encrypt::Decrypter;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use std::sync::{Arc, Mutex, OnceLock};

/// 2026-11-22, the present of these tests.
pub const NOW: UnixMillis = UnixMillis(1_795_300_000_000);

/// A software key from a seed.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

/// Its public half.
pub fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_sec1(key.verifying_key().to_encoded_point(false).as_bytes()).unwrap()
}

/// r||s over a hash.
pub fn sign(key: &SigningKey, hash: &[u8; 32]) -> [u8; 64] {
    let signature: p256::ecdsa::Signature = key.sign_prehash(hash).unwrap();
    signature.to_bytes().into()
}

/// COSE_Sign1 by a software key.
pub fn signed(key: &SigningKey, label: &str, payload: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
    cose::sign::<()>(label, payload, certificate, |hash| Ok(sign(key, hash))).unwrap()
}

/// One RSA key for all tests of this program: making one takes half a second.
pub fn rsa() -> &'static Rsa<Private> {
    static KEY: OnceLock<Rsa<Private>> = OnceLock::new();
    KEY.get_or_init(|| Rsa::generate(custody::sealing::RSA_BITS).unwrap())
}

/// SPKI of [`rsa`] with SHA-256.
pub fn archive_spki() -> Vec<u8> {
    let public = Rsa::from_public_components(rsa().n().to_owned().unwrap(), rsa().e().to_owned().unwrap()).unwrap();
    custody::sealing::archive_spki(&public, Oaep::Sha256).unwrap()
}

/// A firm in software: record key 2, ledger key 3; `bank-a` with CA key 1.
pub struct Firm {
    pub id: FirmId,
    pub root: Vec<u8>,
    ca: SigningKey,
}

impl Firm {
    pub fn new() -> Self {
        Self::of("bank-a", 1)
    }

    /// Another firm, with another CA key.
    pub fn of(id: &str, ca: u8) -> Self {
        let ca = key(ca);
        let id: FirmId = id.parse().unwrap();
        let unsigned = issue::root(&id, &public(&ca).to_spki(), &[7; 16], NOW.seconds() - 86_400);
        let hash = unsigned.hash();
        Self { root: unsigned.finish(&sign(&ca, &hash)).unwrap(), id, ca }
    }

    /// A leaf of this firm, valid for an hour from `from`.
    pub fn leaf(&self, who: &str, role: LeafRole, key: &SigningKey, from: UnixMillis) -> Vec<u8> {
        let participant: ParticipantId = format!("{}/{who}/d1", self.id).parse().unwrap();
        let csr = Csr { participant, key: public(key) };
        let leaf = issue::Leaf { csr: &csr, name: who, role, serial: &[9; 16], now_s: from.seconds(), life_s: 3600 };
        let unsigned = leaf.prepare(&self.root).map_err(|refusal| refusal.0).unwrap();
        let hash = unsigned.hash();
        unsigned.finish(&sign(&self.ca, &hash)).unwrap()
    }

    pub fn trust(&self) -> TrustMap {
        let spki = |seed| B64(public(&key(seed)).to_spki());
        let own = FirmTrust {
            firm: self.id.clone(),
            name: "Bank A".to_owned(),
            roots: vec![self.root.clone().into()],
            policy_key: spki(4),
            recorder_identity: spki(5),
            record_key: spki(2),
            ledger_key: spki(3),
            archive_keys: vec![archive_spki().into()],
            stamp_roots: Vec::new(),
        };
        TrustMap { version: 1, firms: vec![own], order_key: spki(6) }
    }
}

/// What a [`SoftToken`] was asked, in order: `sign <key>`, `open <key>`, `random`.
pub type Asked = Arc<Mutex<Vec<String>>>;

/// A token in software: every signing key is [`key`] of 3, every archive key [`rsa`].
pub struct SoftToken(pub Asked);

impl Token for SoftToken {
    fn call(&mut self, call: &Call) -> Result<Bytes, TokenError> {
        let mut asked = self.0.lock().unwrap();
        match call {
            Call::Sign { key: name, hash } => {
                asked.push(format!("sign {name}"));
                Ok(sign(&key(3), hash).to_vec().into())
            }
            Call::Open { key, sealed, .. } => {
                asked.push(format!("open {key}"));
                let private = PKey::from_rsa(rsa().clone()).unwrap();
                let mut decrypter = Decrypter::new(&private).unwrap();
                decrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
                decrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
                decrypter.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
                let mut plain = vec![0; decrypter.decrypt_len(sealed).unwrap()];
                let length = decrypter.decrypt(sealed, &mut plain).map_err(|_| TokenError::Sealed)?;
                plain.truncate(length);
                Ok(plain.into())
            }
            Call::Random(length) => {
                asked.push("random".to_owned());
                Ok(vec![4; *length as usize].into())
            }
        }
    }
}
