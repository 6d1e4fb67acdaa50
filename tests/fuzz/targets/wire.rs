//! Wire messages between services, pages and processes.

use domain::message::client::{ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::message::custody::{Answer, Ask};
use domain::message::export::ToExport;
use domain::message::record_link::{FromSfuRecord, ToSfuRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What reads as JSON is written in one form.
fn json<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(data) else { return };
    let text = serde_json::to_string(&value).expect("messages are plain data");
    let again: T = serde_json::from_str(&text).expect("what we write reads");
    assert_eq!(serde_json::to_string(&again).expect("plain data"), text);
}

/// The same for CBOR.
fn cbor<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(value) = ciborium::from_reader::<T, _>(data) else { return };
    let write = |value: &T| {
        let mut out = Vec::new();
        ciborium::into_writer(value, &mut out).expect("messages are plain data");
        out
    };
    let written = write(&value);
    let again: T = ciborium::from_reader(&written[..]).expect("what we write reads");
    assert_eq!(write(&again), written);
}

/// Participant and signaling.
pub fn client_json(data: &[u8]) {
    json::<ToServer>(data);
    json::<ToClient>(data);
}

/// SFU and signaling.
pub fn control_json(data: &[u8]) {
    json::<ToSfu>(data);
    json::<FromSfu>(data);
}

/// Recorder and SFU.
pub fn record_link(data: &[u8]) {
    cbor::<ToSfuRecord>(data);
    cbor::<FromSfuRecord>(data);
}

/// Anybody on the custody socket.
pub fn custody(data: &[u8]) {
    let _ = custody::frame::decode::<Ask>(data);
    let _ = custody::frame::decode::<Answer>(data);
    let _ = custody::sealing::Sealed::parse(data);
    let _ = custody::sealing::read_archive_key(data);
}

/// Front and exporter.
pub fn export(data: &[u8]) {
    cbor::<ToExport>(data);
}
