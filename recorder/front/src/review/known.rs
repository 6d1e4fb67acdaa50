//! What this front knows of the ledger: entries about supervision and openings, each verified once as the continuation of
//! the one before, with the hash of its signed form. Follows the ledger; writes nothing.

use crate::api::custody_problem;
use crate::problem::ApiProblem;
use domain::FirmId;
use domain::message::custody::{Answer, Ask, LedgerEvent};
use evidence::key::PublicKey;
use evidence::ledger::{Head, judge};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Actions that are remembered; the rest (plays, seeks, searches) is only verified.
const REMEMBERED: [&str; 9] = ["sample", "assign", "note", "dispose", "words", "match", "copy", "open", "export"];
/// Entries remembered: decades of a firm's reviews. The oldest go first.
const MAX_KNOWN: usize = 200_000;
/// Entries verified for one answer: some seconds; asking again goes on from there.
const MAX_STEP: u64 = 50_000;

/// A verified entry.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What happened.
    pub event: LedgerEvent,
    /// SHA-256 of the signed entry.
    pub hash: [u8; 32],
}

/// The ledger as far as it was followed.
pub struct Known {
    firm: FirmId,
    key: PublicKey,
    state: Mutex<Followed>,
}

/// What was seen, by index.
pub type Entries = Arc<BTreeMap<u64, Seen>>;

/// How far, and what was seen.
struct Followed {
    head: Head,
    entries: Entries,
}

impl Known {
    /// Nothing followed yet.
    pub fn new(firm: FirmId, key: PublicKey) -> Self {
        let state = Mutex::new(Followed { head: Head::EMPTY, entries: Entries::default() });
        Self { firm, key, state }
    }

    /// Follows the ledger to its end, and answers what is remembered of it.
    ///
    /// # Errors
    /// 503 if custody does not answer or the chain does not hold: what is unproven is not worked on.
    pub async fn catch_up(&self, custody: &custody::Client) -> Result<Entries, ApiProblem> {
        let mut state = self.state.lock().await;
        let first = state.head.next;
        loop {
            let entries = match custody.ask(Ask::Ledger { from: state.head.next }).await {
                Ok(Answer::Entries { entries }) => entries,
                Ok(_) => return Err(ApiProblem::unavailable("Custody answered something else than the ledger.")),
                Err(e) => return Err(custody_problem(&e)),
            };
            if entries.is_empty() {
                return Ok(state.entries.clone());
            }
            if state.head.next - first >= MAX_STEP {
                return Err(ApiProblem::unavailable("The ledger is long and being verified. Ask again."));
            }
            for signed in entries {
                let (entry, head) = judge(&self.key, &self.firm, &state.head, &signed).map_err(|e| {
                    tracing::error!("{e}");
                    ApiProblem::unavailable("The ledger does not verify. Nothing is shown; call your security desk.")
                })?;
                if REMEMBERED.contains(&entry.event.action.as_str()) {
                    let known = Arc::make_mut(&mut state.entries);
                    known.insert(entry.index, Seen { event: entry.event, hash: head.hash });
                    if known.len() > MAX_KNOWN {
                        known.pop_first();
                    }
                }
                state.head = head;
            }
            // a thousand signatures take a tenth of a second: others come first in between
            tokio::task::yield_now().await;
        }
    }
}
