//! The recorder's leaf: a fresh key, its CSR countersigned by the recorder identity on the record token, the certificate
//! from the people token through the firm's front.

use crate::config::Config;
use custody::Client;
use domain::message::custody::{Answer, Ask};
use domain::message::front::{EnrolRecorder, Enrolled};
use domain::{DeviceId, ParticipantId};
use e2ee::leaf::LeafKey;
use zeroize::Zeroizing;

/// What enrolment gives.
pub struct Enrolment {
    /// The key, for the session.
    pub key: LeafKey,
    /// Leaf certificate.
    pub chain: Vec<Vec<u8>>,
    /// The same key for the record link's TLS.
    pub pkcs8: Zeroizing<Vec<u8>>,
}

/// Who this recorder is: the same after every restart, so that it takes its old place in a running meeting.
pub fn participant(config: &Config) -> ParticipantId {
    let hash = evidence::sha256(format!("{}/{}", config.firm, config.name).as_bytes());
    let device: DeviceId = domain::message::client::device_id(hash[..8].try_into().expect("eight of 32 bytes"));
    ParticipantId { firm: config.firm.clone(), user: config.name.clone(), device }
}

/// Enrols.
///
/// # Errors
/// What to do about it, as text for the log.
pub async fn enrol(config: &Config, custody: &Client) -> Result<Enrolment, String> {
    let key = LeafKey::generate();
    let csr = key.csr(&participant(config), config.name.as_str()).map_err(|e| e.to_string())?;
    let asked = custody.ask(Ask::CountersignCsr { csr: csr.clone().into() }).await.map_err(|e| e.to_string())?;
    let Answer::Signed { signed } = asked else {
        return Err("custody answered something else than a signature".to_owned());
    };
    let client = crate::net::http_client(&config.front).map_err(|e| e.to_string())?;
    let request = EnrolRecorder { csr: csr.into(), countersignature: signed };
    let url = format!("{}/enrol/recorder", config.front.trim_end_matches('/'));
    let answer =
        client.post(&url).json(&request).send().await.map_err(|e| format!("the front does not answer: {e}"))?;
    if !answer.status().is_success() {
        let status = answer.status();
        return Err(format!("the front refuses ({status}): {}", answer.text().await.unwrap_or_default()));
    }
    let enrolled: Enrolled = answer.json().await.map_err(|e| format!("the front's answer cannot be read: {e}"))?;
    let chain = enrolled.chain.into_iter().map(|der| der.0).collect();
    Ok(Enrolment { pkcs8: key.to_pkcs8(), key, chain })
}
