//! The browser's thin shim over `e2ee` and `evidence`: JavaScript types in, JavaScript types out, nothing decided here.
//!
//! It runs in one module worker. No exported function returns a secret. Errors are thrown with a stable code as
//! message; any other thrown text is a panic, after which the worker closes itself. The API is in `README.md` beside this crate.

mod evidence_api;
mod key;
mod session;

pub use evidence_api::{
    csr_hash, encode_approval, encode_request, encode_statement, inspect_certificate, judge_statement, sha256,
    trust_hash,
};
pub use key::Key;
pub use session::{Opened, Session};

use domain::{Codec, UnixMillis};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// Makes a panic a thrown error with its text, so that the worker can stop instead of going on with broken state.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| wasm_bindgen::throw_str(&format!("panic: {info}"))));
}

/// `Date.now()` as milliseconds; JavaScript numbers hold them exactly.
fn time(now: f64) -> UnixMillis {
    UnixMillis(now.max(0.0) as u64)
}

fn codec(name: &str) -> Result<Codec, JsError> {
    match name {
        "opus" => Ok(Codec::Opus),
        "vp8" => Ok(Codec::Vp8),
        "vp9" => Ok(Codec::Vp9),
        "av1" => Ok(Codec::Av1),
        _ => Err(JsError::new("unknown-codec")),
    }
}

fn error(why: impl std::fmt::Display) -> JsError {
    JsError::new(&why.to_string())
}
