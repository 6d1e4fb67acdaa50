//! A running recorder carries out what two officers signed on the front's pages. The work is the store's; here is the clock.

use crate::retention::office_of;
use crate::room::Shared;
use recorder_store::retention::{Acts, Spool};
use std::sync::Arc;
use std::time::Duration;

/// New acts are looked for so often: an officer waits for what comes of one.
const LOOK: Duration = Duration::from_secs(2);

/// Runs until the recorder stops.
pub async fn run(shared: Arc<Shared>) {
    tokio::join!(carry(&shared, Acts::Keeping), carry(&shared, Acts::Disposing));
}

async fn carry(shared: &Shared, acts: Acts) {
    let mut spool = Spool::new(office_of(shared), acts);
    loop {
        spool.round().await;
        tokio::time::sleep(LOOK).await;
    }
}
