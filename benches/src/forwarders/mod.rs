//! Who is measured: two floors, ours, str0m in this process; Janus, Pion and whoever the environment names in theirs.

pub mod external;
pub mod floor;
pub mod janus;
pub mod namespace;
pub mod pion;
pub mod served;
pub mod str0m;
pub mod strongroom;

use crate::client::Client;
use crate::machine::{Core, pin};
use dimpl::SrtpProfile;
use std::thread::JoinHandle;

/// Runs on a thread of the forwarder's core; returns the thread's id.
fn thread(run: impl FnOnce() + std::marker::Send + 'static) -> anyhow::Result<(u32, JoinHandle<()>)> {
    let (id, known) = std::sync::mpsc::channel();
    let handle = std::thread::spawn(move || {
        pin(Core::Forwarder);
        // its maker waits for it
        let _ = id.send(rustix::thread::gettid().as_raw_nonzero().get() as u32);
        run();
    });
    Ok((known.recv()?, handle))
}

/// What a client's media is sealed with.
fn cipher(client: &Client) -> &'static str {
    match client.profile {
        Some(SrtpProfile::AEAD_AES_256_GCM) => "AEAD_AES_256_GCM",
        Some(SrtpProfile::AEAD_AES_128_GCM) => "AEAD_AES_128_GCM",
        _ => "another",
    }
}
