//! When a service is asked to end.

use tokio::signal::unix::{SignalKind, signal};

/// Done at SIGTERM or SIGINT; never, where signals cannot be caught. They are caught from this call on, not from the first
/// look at the result: a service that is asked to end while it takes its first connection ends in order too.
///
/// Belongs into a running tokio runtime.
pub fn asked() -> impl Future<Output = ()> {
    let caught = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = caught else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_before_anybody_looks_is_not_lost() {
        let asked = asked();
        // without a handler this would end the test's process
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        asked.await;
    }
}
