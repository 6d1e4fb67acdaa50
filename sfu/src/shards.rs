//! All shards of a node as the control side sees them: where a message goes, and their counters together.

use crate::placement::Placement;
use crate::shard::EdgeStats;
use crate::shard::commands::{Command, Commands, ShardBusy};
use domain::MeetingId;
use domain::message::control::ToSfu;
use sfu_core::Stats;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Most shards of a node: more cores than this belong to several nodes, so that one that fails takes fewer meetings along.
pub const MAX_SHARDS: usize = 64;

/// The shards of a node; clones share them.
#[derive(Clone)]
pub struct Shards {
    commands: Arc<[Commands]>,
    placement: Arc<Mutex<Placement>>,
}

impl Shards {
    /// Over these shards, at least one.
    pub fn new(commands: Vec<Commands>) -> Self {
        let placement = Placement::new(commands.len());
        Self { commands: commands.into(), placement: Arc::new(Mutex::new(placement)) }
    }

    /// Hands a message of signaling to the shard of its meeting.
    pub fn control(&self, message: ToSfu) -> Result<(), ShardBusy> {
        // a panic inside leaves at worst a wrong count of loads
        let shard = self.placement.lock().unwrap_or_else(PoisonError::into_inner).route(&message);
        self.commands[shard].send(Command::Control(message))
    }

    /// The shard that a meeting lives on; the first answers for one that is nowhere.
    pub fn of(&self, meeting: &MeetingId) -> &Commands {
        let placement = self.placement.lock().unwrap_or_else(PoisonError::into_inner);
        &self.commands[placement.of(meeting).unwrap_or(0)]
    }

    /// Every shard.
    pub fn all(&self) -> &[Commands] {
        &self.commands
    }

    /// Counters of each shard; `None` if one does not answer in time.
    pub async fn stats(&self, within: Duration) -> Option<Vec<(EdgeStats, Stats)>> {
        let mut answers = Vec::new();
        for shard in self.commands.iter() {
            let (reply, answer) = oneshot::channel();
            shard.send(Command::Stats(reply)).ok()?;
            answers.push(answer);
        }
        let all = futures_util::future::try_join_all(answers);
        tokio::time::timeout(within, all).await.ok()?.ok()
    }
}
