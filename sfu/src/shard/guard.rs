//! One panic ends one participant: the shard's work is cut into steps, each for somebody. A step that panics takes the
//! transports of whoever it was for with it, and the engine drops the participant, at worst its meeting.
//!
//! It is sound to go on (`AssertUnwindSafe`): what a step can leave half changed is the transport, the participant or the
//! meeting it acted for, and those are dropped whole without being asked anything; the queues it shares with others are
//! only ever pushed to and popped from.

use super::endpoint::Endpoints;
use super::{EdgeStats, Shard};
use crate::transport::Factory;
use domain::TransportKind;
use sfu_core::{Engine, Micros, PeerKey};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// A step panicked; the panic hook has said where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked;

/// Runs one step.
pub(super) fn caught<T>(step: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|_| Panicked)
}

/// Drops what the step acted for.
pub(super) fn contain(
    now: Micros,
    endpoints: &mut Endpoints,
    engine: &mut Engine,
    stats: &mut EdgeStats,
    blamed: Option<PeerKey>,
) {
    stats.panics += 1;
    for kind in [TransportKind::Publish, TransportKind::Subscribe] {
        if let Some(place) = blamed.and_then(|peer| endpoints.of(peer, kind)) {
            // no goodbye: nothing of it is trusted any more
            drop(endpoints.remove(place));
        }
    }
    let gone = engine.contain(now, blamed);
    tracing::error!(?gone, "a panic was contained");
}

impl<F: Factory> Shard<F> {
    /// Runs one step; false if it panicked and somebody was ended for it.
    pub(super) fn guarded(&mut self, now: Instant, step: impl FnOnce(&mut Self)) -> bool {
        self.blamed = None;
        self.engine.acts_for_nobody();
        let result = caught(|| step(self));
        if result.is_err() {
            let micros = self.clock.micros(now);
            contain(micros, &mut self.endpoints, &mut self.engine, &mut self.stats, self.blamed.take());
        }
        result.is_ok()
    }
}
