//! Active speaker from the audio levels of RFC 6464. Levels can lie: this only drives the layout, and is rate-limited.

use crate::Micros;

/// One decision per so long.
const INTERVAL_US: u64 = 300_000;
/// A new speaker must be louder than the old one by so much, in dB averaged.
const MARGIN_DB: u32 = 6;
/// Below this level nobody speaks, in -dBov.
const SILENCE: u32 = 50;

#[derive(Debug, Clone, Copy, Default)]
struct Level {
    sum: u32,
    count: u32,
}

/// Speaker detection of one meeting; participants by their place.
#[derive(Debug, Default)]
pub struct Speaker {
    levels: Vec<Level>,
    current: Option<usize>,
    decided: Micros,
}

impl Speaker {
    /// A sound packet of the participant at `place`; `level` is 0 (loudest) to 127 in -dBov.
    pub fn note(&mut self, place: usize, level: u8) {
        if self.levels.len() <= place {
            self.levels.resize(place + 1, Level::default());
        }
        let entry = &mut self.levels[place];
        entry.sum += 127 - u32::from(level & 0x7f);
        entry.count += 1;
    }

    /// Who speaks, or spoke last.
    pub fn current(&self) -> Option<usize> {
        self.current
    }

    /// Someone left.
    pub fn forget(&mut self, place: usize) {
        if self.current == Some(place) {
            self.current = None;
        }
        if let Some(level) = self.levels.get_mut(place) {
            *level = Level::default();
        }
    }

    /// The new speaker, when it changed.
    pub fn decide(&mut self, now: Micros) -> Option<usize> {
        if now.since(self.decided) < INTERVAL_US {
            return None;
        }
        self.decided = now;
        let mean = |level: &Level| level.sum / level.count.max(1);
        let current = self.current.and_then(|at| self.levels.get(at)).map_or(0, mean);
        let loudest = self.levels.iter().enumerate().max_by_key(|(_, level)| mean(level)).map(|(at, l)| (at, mean(l)));
        self.levels.fill(Level::default());
        let (place, level) = loudest?;
        if self.current == Some(place) || level < 127 - SILENCE || level < current + MARGIN_DB {
            return None;
        }
        self.current = Some(place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_louder_one_takes_over_by_a_margin_and_not_more_often_than_the_interval() {
        let mut speaker = Speaker::default();
        speaker.note(3, 20);
        assert_eq!(speaker.decide(Micros(INTERVAL_US)), Some(3));
        speaker.note(1, 18);
        speaker.note(3, 20);
        assert_eq!(speaker.decide(Micros(2 * INTERVAL_US)), None);
        speaker.note(1, 5);
        speaker.note(3, 20);
        assert_eq!(speaker.decide(Micros(2 * INTERVAL_US + 1)), None);
        assert_eq!(speaker.decide(Micros(3 * INTERVAL_US)), Some(1));
        assert_eq!(speaker.decide(Micros(4 * INTERVAL_US)), None, "silence changes nothing");
    }
}
