//! The firm of the campaigns: a record key in software, so that segments and meetings are signed and verified as they are
//! with a token. It protects nothing.

use domain::{FirmId, MeetingId, ParticipantId};
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use std::convert::Infallible;

fn record_key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).expect("a scalar")
}

/// Signs as custody would.
pub fn sign(label: &str, payload: &[u8]) -> Vec<u8> {
    let signer = |hash: &[u8; 32]| {
        let signature: Signature = record_key().sign_prehash(hash).expect("32 bytes");
        Ok::<[u8; 64], Infallible>(signature.to_bytes().into())
    };
    evidence::cose::sign(label, payload, None, signer).expect("cannot fail")
}

/// Its public key, SPKI.
pub fn spki() -> Vec<u8> {
    let point = record_key().verifying_key().to_encoded_point(false);
    PublicKey::from_sec1(point.as_bytes()).expect("a point").to_spki()
}

/// The firm.
pub fn id() -> FirmId {
    "bank-a".parse().expect("an id")
}

/// The meeting.
pub fn meeting() -> MeetingId {
    "00112233445566778899aabbccddeeff".parse().expect("an id")
}

/// The recorder.
pub fn recorder() -> ParticipantId {
    "bank-a/recorder-1/r".parse().expect("an id")
}

/// What an examiner is given.
pub fn trust() -> TrustMap {
    let key = domain::B64(spki());
    let own = serde_json::json!({ "firm": id(), "name": "Bank A", "roots": [], "policy_key": key, "recorder_identity": key,
        "record_key": key, "ledger_key": key, "archive_keys": [] });
    let own: FirmTrust = serde_json::from_value(own).expect("what a trust map holds");
    TrustMap { version: 1, firms: vec![own], order_key: spki().into() }
}
