//! When a service is asked to end.

use tokio::signal::unix::{SignalKind, signal};

/// Done at SIGTERM or SIGINT; never, where signals cannot be caught.
pub async fn asked() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
