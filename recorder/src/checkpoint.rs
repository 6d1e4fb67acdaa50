//! The recorder's group state on disk, for a restart inside a meeting: sealed under a key that custody holds in memory only
//! while the meeting runs. Whoever takes the disk has nothing; whoever restarts custody resyncs.

use crate::enrol::Enrolment;
use crate::room::Shared;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use domain::message::custody::{Answer, Ask};
use domain::{MeetingId, RoomId, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::{Session, SessionConfig};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// Its file in the meeting's folder; gone when the meeting is closed.
pub const FILE: &str = "state.bin";
/// First part of the associated data.
const LABEL: &str = "strongroom recorder state v1";
/// Nonce bytes before the ciphertext.
const NONCE: usize = 12;

/// What a restart needs.
// not a wire type: a recorder reads what it wrote itself
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(with = "serde_bytes")]
    leaf: Vec<u8>,
    #[serde(with = "serde_bytes")]
    certificate: Vec<u8>,
    #[serde(with = "serde_bytes")]
    session: Vec<u8>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.leaf.zeroize();
        self.session.zeroize();
    }
}

/// Key of one meeting's checkpoints.
pub struct StateKey {
    key: Zeroizing<Vec<u8>>,
    meeting: MeetingId,
}

impl StateKey {
    /// From custody, which makes it at the first ask.
    ///
    /// # Errors
    /// Text for the log.
    pub async fn ask(shared: &Shared, meeting: &MeetingId) -> Result<Self, String> {
        let asked = shared.custody.ask(Ask::StateKey { meeting: meeting.clone() }).await.map_err(|e| e.to_string())?;
        match asked {
            Answer::Key { key } if key.len() == 32 => Ok(Self { key: Zeroizing::new(key.0), meeting: meeting.clone() }),
            _ => Err("custody answered something else than a key".to_owned()),
        }
    }

    fn place(&self, room: &RoomId) -> String {
        format!("{LABEL}|{}|{room}", self.meeting)
    }

    /// Seals the session and its leaf.
    pub fn seal(&self, room: &RoomId, session: &mut Session, leaf: &[u8; 32], certificate: &[u8]) -> Vec<u8> {
        let stored =
            Stored { leaf: leaf.to_vec(), certificate: certificate.to_vec(), session: session.snapshot().to_vec() };
        let plain = Zeroizing::new(evidence::cbor::encode(&stored));
        let nonce: [u8; NONCE] = rand::random();
        let cipher = Aes256Gcm::new_from_slice(&self.key).expect("32 bytes");
        let place = self.place(room);
        let payload = Payload { msg: &plain, aad: place.as_bytes() };
        let sealed = cipher.encrypt(Nonce::from_slice(&nonce), payload).expect("far below every limit of GCM");
        [&nonce[..], &sealed].concat()
    }

    /// Opens a checkpoint: a session that says `Hello` with what it holds, and its leaf. `None`: sealed under another key,
    /// for another meeting, or no longer valid; then the recorder enrols and resyncs.
    pub fn open(&self, shared: &Shared, room: &RoomId, bytes: &[u8], now: UnixMillis) -> Option<(Session, Enrolment)> {
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let cipher = Aes256Gcm::new_from_slice(&self.key).ok()?;
        let place = self.place(room);
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let plain = Zeroizing::new(cipher.decrypt(Nonce::from_slice(nonce), payload).ok()?);
        let stored: Stored = evidence::cbor::decode(&plain).ok()?;
        let key = LeafKey::from_secret(&stored.leaf).ok()?;
        let again = LeafKey::from_secret(&stored.leaf).ok()?;
        let chain = vec![stored.certificate.clone()];
        let config = SessionConfig { key, chain: chain.clone(), trust: shared.trust.clone(), room: room.clone() };
        let session = Session::restore(config, &stored.session, now).ok()?;
        Some((session, Enrolment { pkcs8: again.to_pkcs8(), key: again, chain }))
    }
}

/// Tells custody that a meeting is over.
pub async fn forget(shared: &Shared, meeting: &MeetingId) {
    if let Err(e) = shared.custody.ask(Ask::ForgetStateKey { meeting: meeting.clone() }).await {
        tracing::warn!("custody could not be told to forget a state key: {e}");
    }
}
