//! Security events: what a firm's or the operator's SIEM should know. A closed list; an event carries one of our own codes
//! and nothing else, so that no name, key or meeting can be in it by construction.

pub mod events;
mod line;
mod target;

pub use events::{Code, Event};
pub use target::Target;

use crate::ended::Failure;
use crate::metrics::{Service, names};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use target::Sink;

static SINK: OnceLock<Mutex<Sink>> = OnceLock::new();
/// Does a service run, as opposed to a command that only looks at its configuration?
static STARTED: AtomicBool = AtomicBool::new(false);
static COUNTS: [AtomicU64; Event::ALL.len()] = [const { AtomicU64::new(0) }; Event::ALL.len()];

/// Opens the target, once a process. Without one events are in the log and in the metrics alone.
///
/// # Errors
/// [`Failure::Config`] if it cannot be opened.
pub fn start(target: Option<&Target>, service: Service) -> Result<(), Failure> {
    if let Some(target) = target {
        let sink = Sink::open(target, service)?;
        // a second one in the same process (a test) stays out
        let _ = SINK.set(Mutex::new(sink));
    }
    STARTED.store(true, Ordering::Relaxed);
    report(Event::Started);
    Ok(())
}

/// The process ends; reported if its service was started at all.
pub(crate) fn ended(event: Event) {
    if STARTED.load(Ordering::Relaxed) {
        report(event);
    }
}

/// Reports an event.
pub fn report(event: Event) {
    report_as(event, Code::NONE);
}

/// Reports an event with the code of its cause.
pub fn report_as(event: Event, code: Code) {
    COUNTS[event as usize].fetch_add(1, Ordering::Relaxed);
    tracing::info!(target: "security", event = event.name(), code = code.text(), severity = event.severity().name(), "security event");
    let Some(sink) = SINK.get() else { return };
    // a panic inside leaves at worst half a line
    if !sink.lock().unwrap_or_else(PoisonError::into_inner).take(event, code) {
        names::SECURITY_EVENTS_LOST.count();
    }
}

/// How often each was reported by this process.
pub fn counts() -> impl Iterator<Item = (Event, u64)> {
    Event::ALL.into_iter().map(|event| (event, COUNTS[event as usize].load(Ordering::Relaxed)))
}
