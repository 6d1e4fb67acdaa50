//! Traces: how long the work of a service took, as spans for an OpenTelemetry collector (OTLP over HTTP, JSON). Off unless an
//! endpoint is configured. A closed list of names; a span carries one of our own codes and random numbers, nothing else, so
//! that no name, key, room or meeting can be in it by construction (ADR-0023).

mod export;

pub use export::Endpoint;

use crate::metrics::Service;
use crate::security::Code;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Spans that wait for the collector: some seconds of a burst of joins. More are left out.
const QUEUE: usize = 8_192;

static QUEUED: OnceLock<mpsc::Sender<Ended>> = OnceLock::new();

/// What took time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Name {
    /// Signaling: from a connection to its admission or refusal.
    Join,
    /// Signaling: from a member's commit to its broadcast, the media server's yes included.
    Commit,
    /// Signaling: a firm's statement judged and kept.
    Statement,
    /// Signaling: a request of a program.
    Request,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Join, Self::Commit, Self::Statement, Self::Request];

    /// As the collector sees it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Commit => "commit",
            Self::Statement => "statement",
            Self::Request => "request",
        }
    }
}

/// Work that goes on.
#[derive(Debug)]
pub struct Span {
    name: Name,
    wall: SystemTime,
    begun: Instant,
}

/// Work that is done.
#[derive(Debug)]
struct Ended {
    name: Name,
    code: Code,
    begun: Duration,
    took: Duration,
    /// 128 bits of trace, 64 of span: random, and of no meaning.
    ids: [u64; 3],
}

/// Begins one.
pub fn begin(name: Name) -> Span {
    Span { name, wall: SystemTime::now(), begun: Instant::now() }
}

impl Span {
    /// Ends it: well, or with the code of what was wrong.
    pub fn end(self, code: Code) {
        let Some(queued) = QUEUED.get() else { return };
        let begun = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let ended =
            Ended { name: self.name, code, begun, took: self.begun.elapsed(), ids: [random(), random(), random()] };
        // full: the collector is away or slow, and nothing waits for it
        let _ = queued.try_send(ended);
    }
}

/// Never zero, which would be no id. The standard library's keyed hash of nothing: unlike before, nothing else is wanted of it.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

/// Sends what ends from now on to a collector, once a process, inside its runtime.
pub(crate) fn start(endpoint: &Endpoint, service: Service) {
    let (queue, ended) = mpsc::channel(QUEUE);
    if QUEUED.set(queue).is_ok() {
        tokio::spawn(export::run(endpoint.clone(), service, ended));
    }
}
