//! The grace clock of a must-record firm: its people are forwarded while a recorder of the firm acknowledges, and for
//! `recorder_grace` after the last acknowledgement. Fail closed: before the first acknowledgement nothing goes.

use crate::Micros;
use domain::message::control::FirmRule;
use domain::policy::Rule;

/// May a firm's people be forwarded?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// No: the firm's must-recorder is not acknowledging.
    Closed,
}

/// Grace clock of one firm in one meeting.
#[derive(Debug)]
pub struct GraceClock {
    rule: FirmRule,
    acknowledged: Option<Micros>,
    announced: Gate,
}

impl GraceClock {
    /// Starts under a rule; a must firm starts closed.
    pub fn new(rule: FirmRule) -> Self {
        Self { rule, acknowledged: None, announced: Gate::Open }
    }

    /// The rule changed; acknowledgements so far still count.
    pub fn set_rule(&mut self, rule: FirmRule) {
        self.rule = rule;
    }

    /// A recorder of the firm acknowledged.
    pub fn acknowledge(&mut self, now: Micros) {
        self.acknowledged = Some(now);
    }

    /// The firm's recorder was removed from the meeting: its acknowledgements no longer count.
    pub fn forget(&mut self) {
        self.acknowledged = None;
    }

    /// Length of the grace, ms.
    pub fn grace_ms(&self) -> u64 {
        self.rule.recorder_grace_ms
    }

    /// Does the firm keep sound and pictures?
    pub fn records(&self) -> bool {
        matches!(self.rule.audio_video, Rule::Must | Rule::Should)
    }

    /// The gate at this very time.
    pub fn gate(&self, now: Micros) -> Gate {
        if self.rule.audio_video != Rule::Must {
            return Gate::Open;
        }
        match self.acknowledged {
            Some(at) if now < at.plus_ms(self.rule.recorder_grace_ms) => Gate::Open,
            _ => Gate::Closed,
        }
    }

    /// When the gate closes by itself, if it is open and may.
    pub fn deadline(&self) -> Option<Micros> {
        if self.rule.audio_video != Rule::Must || self.announced == Gate::Closed {
            return None;
        }
        Some(self.acknowledged.map_or(Micros(0), |at| at.plus_ms(self.rule.recorder_grace_ms)))
    }

    /// The gate if it is another than last announced; the caller tells signaling.
    pub fn changed(&mut self, now: Micros) -> Option<Gate> {
        let gate = self.gate(now);
        (gate != self.announced).then(|| {
            self.announced = gate;
            gate
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(audio_video: Rule) -> GraceClock {
        let firm = "bank-a".parse().expect("well formed");
        GraceClock::new(FirmRule { firm, audio_video, recorder_grace_ms: 2000 })
    }

    #[test]
    fn a_must_firm_is_closed_until_the_first_acknowledgement_and_exactly_from_the_grace_on() {
        let mut clock = clock(Rule::Must);
        assert_eq!(clock.gate(Micros(0)), Gate::Closed);
        assert_eq!(clock.changed(Micros(0)), Some(Gate::Closed));
        clock.acknowledge(Micros(1_000));
        assert_eq!(clock.changed(Micros(1_000)), Some(Gate::Open));
        assert_eq!(clock.deadline(), Some(Micros(2_001_000)));
        assert_eq!(clock.gate(Micros(2_000_999)), Gate::Open);
        assert_eq!(clock.gate(Micros(2_001_000)), Gate::Closed);
        assert_eq!(clock.changed(Micros(2_001_000)), Some(Gate::Closed));
        assert_eq!(clock.changed(Micros(2_001_001)), None);
        assert_eq!(clock.deadline(), None);
        clock.acknowledge(Micros(3_000_000));
        assert_eq!(clock.changed(Micros(3_000_000)), Some(Gate::Open));
    }

    #[test]
    fn only_must_closes() {
        for rule in [Rule::Should, Rule::Off, Rule::Forbidden] {
            let mut clock = clock(rule);
            assert_eq!(clock.gate(Micros(9_000_000)), Gate::Open);
            assert_eq!((clock.changed(Micros(0)), clock.deadline()), (None, None));
        }
    }
}
