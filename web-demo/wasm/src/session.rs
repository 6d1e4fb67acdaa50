//! One participant in one meeting, as the worker drives it.

use crate::{Key, codec, error, time};
use domain::message::client::ToClient;
use domain::{B64, ParticipantId, RoomId, Slot};
use e2ee::session::SessionConfig;
use evidence::identity::TrustMap;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// `e2ee::Session` for JavaScript.
#[wasm_bindgen]
pub struct Session(e2ee::Session);

/// An authentic frame.
#[wasm_bindgen]
pub struct Opened {
    data: Vec<u8>,
    capture_us: f64,
    key_frame: Option<bool>,
}

#[wasm_bindgen]
impl Opened {
    /// Encoded media; a copy, taken once.
    #[wasm_bindgen(getter)]
    pub fn data(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.data)
    }
    /// Sender's monotonic clock, microseconds.
    #[wasm_bindgen(getter)]
    pub fn capture_us(&self) -> f64 {
        self.capture_us
    }
    /// Key frame, where the shim tells.
    #[wasm_bindgen(getter)]
    pub fn key_frame(&self) -> Option<bool> {
        self.key_frame
    }
}

fn digest(text: &str) -> Result<[u8; 32], JsError> {
    let bytes = B64::decode(text).and_then(|bytes| bytes.0.try_into().ok());
    bytes.ok_or_else(|| JsError::new("out-of-range"))
}

#[wasm_bindgen]
impl Session {
    /// Queues `Hello`. `chain` is an array of one `Uint8Array`.
    #[wasm_bindgen(constructor)]
    pub fn new(key: &Key, chain: js_sys::Array, trust: &str, room: &str, now: f64) -> Result<Session, JsError> {
        let chain = chain.iter().map(|der| js_sys::Uint8Array::new(&der).to_vec()).collect();
        let trust: TrustMap = serde_json::from_str(trust).map_err(error)?;
        let room: RoomId = room.parse().map_err(error)?;
        let config = SessionConfig { key: key.duplicate(), chain, trust, room };
        e2ee::Session::new(config, time(now)).map(Session).map_err(error)
    }
    /// One text frame of signaling. What does not read becomes an incident.
    pub fn handle(&mut self, now: f64, text: &str) {
        let fits = text.len() <= domain::limits::MAX_CLIENT_MESSAGE;
        match serde_json::from_str::<ToClient>(text).ok().filter(|_| fits) {
            Some(message) => self.0.handle(time(now), message),
            None => self.0.handle_unreadable(),
        }
    }
    /// Time has come.
    pub fn timeout(&mut self, now: f64) {
        self.0.handle_timeout(time(now));
    }
    /// When `timeout` wants to be called, ms since 1970.
    pub fn next_timeout(&self) -> Option<f64> {
        self.0.poll_timeout().map(|at| at.0 as f64)
    }
    /// `{"send": …}` or `{"event": …}`.
    pub fn poll(&mut self) -> Option<String> {
        let output = self.0.poll_output()?;
        Some(serde_json::to_string(&output).expect("outputs are plain JSON"))
    }
    /// The WebSocket is gone: media goes on, manifests wait, the SFU alone enforces the recorder's grace.
    pub fn disconnected(&mut self, now: f64) {
        self.0.disconnected(time(now));
    }
    /// The WebSocket is a new one.
    pub fn reconnect(&mut self, now: f64) {
        self.0.reconnect(time(now));
    }
    /// I will seal on this slot.
    pub fn add_source(&mut self, slot: u8, codec_name: &str) -> Result<(), JsError> {
        self.0.add_source(Slot(slot), codec(codec_name)?);
        Ok(())
    }
    /// Seals a frame; throws the reason when it must be dropped.
    pub fn seal(
        &mut self,
        now: f64,
        slot: u8,
        key_frame: bool,
        frame: &[u8],
        capture_us: f64,
    ) -> Result<Vec<u8>, JsError> {
        let mut out = Vec::new();
        let capture_us = capture_us.max(0.0) as u64;
        self.0.seal(time(now), Slot(slot), key_frame, frame, capture_us, &mut out).map_err(error)?;
        Ok(out)
    }
    /// Opens a frame of `from`'s source that starts at `first_slot`; throws the reason when it must be dropped.
    pub fn open(
        &mut self,
        now: f64,
        from: &str,
        first_slot: u8,
        codec_name: &str,
        wire: &[u8],
    ) -> Result<Opened, JsError> {
        let codec = codec(codec_name)?;
        let from: ParticipantId = from.parse().map_err(|_| JsError::new("wrong-sender"))?;
        match self.0.open(time(now), &from, Slot(first_slot), codec, wire) {
            Ok(opened) => {
                Ok(Opened { data: opened.frame, capture_us: opened.capture_us as f64, key_frame: opened.key_frame })
            }
            Err(why) => Err(JsError::new(why.code())),
        }
    }
    /// Says something that is no chat line: JSON of `evidence::said::What`. As [`Session::say`], and `out-of-range`, `no-pause`,
    /// `pause-too-long`, `no-copies`.
    pub fn declare(&mut self, now: f64, what: &str) -> Result<f64, JsError> {
        let what = serde_json::from_str(what).map_err(|_| JsError::new("out-of-range"))?;
        self.0.declare(time(now), what).map(|number| number as f64).map_err(error)
    }
    /// The notices were shown in this language (`en`) and acknowledged.
    pub fn acknowledge(&mut self, now: f64, language: &str) {
        self.0.acknowledge(time(now), language);
    }
    /// Says a chat line; its number. Throws why not: `not-in`, `empty`, `too-long`, `too-fast`, `forbidden:` and the firm.
    pub fn say(&mut self, now: f64, text: &str) -> Result<f64, JsError> {
        self.0.say(time(now), text).map(|number| number as f64).map_err(error)
    }
    /// A passcode, where one is asked for, and a guest's invitation (base64url): they go with every hello, the one that waits
    /// included.
    pub fn bring(&mut self, passcode: Option<String>, invitation: Option<String>) -> Result<(), JsError> {
        let invitation =
            invitation.map(|text| domain::B64::decode(&text).ok_or_else(|| JsError::new("malformed"))).transpose()?;
        self.0.bring(passcode.map(domain::message::client::Passcode), invitation);
        Ok(())
    }
    /// Shows something: JSON of `domain::message::member::Sign`. Throws why not: `not-in`, `too-fast`, `out-of-range`.
    pub fn sign(&mut self, now: f64, sign: &str) -> Result<(), JsError> {
        let sign = serde_json::from_str(sign).map_err(|_| JsError::new("out-of-range"))?;
        self.0.sign(time(now), sign).map_err(error)
    }
    /// Host: JSON of `evidence::host::Order`. Throws why not: `not-in`, `not-host`, `out-of-range`.
    pub fn order(&mut self, now: f64, order: &str) -> Result<(), JsError> {
        let order = serde_json::from_str(order).map_err(|_| JsError::new("out-of-range"))?;
        self.0.order(time(now), order).map_err(error)
    }
    /// Host: what newcomers are to know from now on.
    pub fn set_passcode(&mut self, passcode: &str) -> Result<(), JsError> {
        self.0.set_passcode(passcode).map_err(error)
    }
    /// Sends a file; its name at signaling. Throws why not, as [`Session::say`].
    pub fn share(&mut self, now: f64, name: &str, media_type: &str, bytes: Vec<u8>) -> Result<String, JsError> {
        self.0.share(time(now), name, media_type, bytes).map(|blob| blob.to_string()).map_err(error)
    }
    /// Takes back a file that is on its way.
    pub fn cancel_share(&mut self, blob: &str) -> Result<(), JsError> {
        self.0.cancel_share(&blob.parse().map_err(error)?);
        Ok(())
    }
    /// Asks for a file by the SHA-256 of what announced it, base64url. Throws why not.
    pub fn fetch(&mut self, now: f64, file: &str) -> Result<(), JsError> {
        self.0.fetch(time(now), digest(file)?).map_err(error)
    }
    /// No longer wanted.
    pub fn cancel_fetch(&mut self, file: &str) -> Result<(), JsError> {
        self.0.cancel_fetch(&digest(file)?);
        Ok(())
    }
    /// What was fetched, once.
    pub fn take_file(&mut self, file: &str) -> Result<Option<Vec<u8>>, JsError> {
        Ok(self.0.take_file(&digest(file)?).map(|mut bytes| std::mem::take(&mut *bytes)))
    }
    /// I go.
    pub fn leave(&mut self) {
        self.0.leave();
    }
    /// Host: removes `firm/user/device`.
    pub fn remove(&mut self, participant: &str) -> Result<(), JsError> {
        self.0.remove(participant.parse().map_err(error)?);
        Ok(())
    }
}
