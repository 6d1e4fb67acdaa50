//! What is judged without a secret: certificates and trust map, signatures of statements, orders, acknowledgements and
//! grants, sender manifests, receipts, and the archive's formats and proofs.
//!
//! No MLS, no media key, no I/O. Also built for the browser; signaling, custody, front and the offline verifier stand on it.

pub mod acknowledgement;
pub mod archive;
pub mod cbor;
pub mod ceremony;
pub mod cose;
pub mod grant;
pub mod host;
pub mod identity;
pub mod incident;
pub mod invitation;
pub mod key;
pub mod ledger;
pub mod order;
pub mod policy;
pub mod receipt;
pub mod recorder_csr;
pub mod retention;
pub mod revocation;
pub mod said;
pub mod sender_manifest;
#[cfg(feature = "stamp")]
pub mod stamp;
pub mod statement;
pub mod supervision;

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}
