//! Frames on their way: lossy, late, twice. Everybody gets everything, removed ones too: what protects is the keys.

use crate::laws::{invariant_must_firms_seal_with_a_receipt, invariant_removed_members_open_nothing};
use crate::network::Event;
use crate::node::Habit;
use crate::world::World;
use domain::limits::HOLD_MS;
use domain::policy::Rule;
use domain::{Codec, ParticipantId, Slot, UnixMillis};
use e2ee::session::OpenError;

/// Everybody speaks so often, ms.
pub const SPEAK_MS: u64 = 100;
/// A frame of the next epoch is tried again after, ms.
const RETRY_MS: u64 = 50;

pub struct Frame {
    from: ParticipantId,
    sealed: UnixMillis,
    wire: Vec<u8>,
}

impl World {
    pub fn speak(&mut self) {
        let now = self.now;
        self.network.at(now.plus(SPEAK_MS), Event::Speak);
        let speakers: Vec<_> =
            self.present().filter(|(_, node)| !node.is_recorder()).map(|(id, _)| id.clone()).collect();
        for from in speakers {
            let bound = self.rule(&from) == Rule::Must;
            let Some(node) = self.nodes.get_mut(&from) else { continue };
            let text = format!("{from} at {}", now.0);
            let mut wire = Vec::new();
            if node.session.seal(now, Slot::MICROPHONE, false, text.as_bytes(), now.0, &mut wire).is_err() {
                assert!(wire.is_empty(), "nothing of a refused frame is left");
                continue;
            }
            if bound && node.habit == Habit::Honest {
                invariant_must_firms_seal_with_a_receipt(now, &from, node);
            }
            self.frames.push(Frame { from: from.clone(), sealed: now, wire });
            self.carry(self.frames.len() - 1, &from);
        }
    }

    fn carry(&mut self, frame: usize, from: &ParticipantId) {
        for to in self.nodes.keys().filter(|to| *to != from).cloned().collect::<Vec<_>>() {
            let loss = self.network.weather.loss;
            if self.dice.chance(loss) {
                continue;
            }
            let copies = if self.dice.chance(loss) { 2 } else { 1 };
            for _ in 0..copies {
                let at = self.now.plus(self.dice.within(5, 80));
                self.network.at(at, Event::Frame(frame, to.clone(), 0));
            }
        }
    }

    pub fn arrive(&mut self, number: usize, to: &ParticipantId, tries: u32) {
        let Some(mut node) = self.nodes.remove(to) else { return };
        let frame = &self.frames[number];
        // a removed one keeps its clock, and with it its keys
        let at = node.ghost_since.unwrap_or(self.now);
        match node.session.open(at, &frame.from, Slot::MICROPHONE, Codec::Opus, &frame.wire) {
            Ok(opened) => {
                let text = format!("{} at {}", frame.from, frame.sealed.0);
                assert_eq!(opened.frame, text.as_bytes(), "what opens is what its sender sealed");
                if let (Some(_), Some(sender)) = (node.ghost_since, self.nodes.get(&frame.from)) {
                    invariant_removed_members_open_nothing(to, sender, frame.sealed, &frame.wire, &self.history());
                } else {
                    let last = node.heard.insert(frame.from.clone(), self.now);
                    let silence = node.silence.entry(frame.from.clone()).or_default();
                    *silence = (*silence).max(last.map_or(0, |last| self.now.since(last)));
                }
            }
            Err(OpenError::NotYet) if u64::from(tries) * RETRY_MS < HOLD_MS && node.ghost_since.is_none() => {
                self.network.at(self.now.plus(RETRY_MS), Event::Frame(number, to.clone(), tries + 1));
            }
            Err(_) => {}
        }
        self.nodes.insert(to.clone(), node);
    }
}
