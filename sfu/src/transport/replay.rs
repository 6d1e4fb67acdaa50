//! Windows over extended indices: what was received (RFC 3711 section 3.3.2), and what was sent.

/// Indices behind the newest that are still told apart: a second of reordering at 1,000 packets/s.
const WIDTH: u64 = 1024;
const WORDS: usize = (WIDTH / 64) as usize;

/// A sliding window of seen indices.
#[derive(Debug, Clone)]
pub struct Window {
    newest: Option<u64>,
    bits: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self { newest: None, bits: [0; WORDS] }
    }
}

impl Window {
    /// The extended index that a 16-bit sequence number most likely means (RFC 3711 section 3.3.1).
    pub fn guess(&self, sequence: u16) -> u64 {
        let Some(newest) = self.newest else { return sequence.into() };
        let distance = i64::from(sequence.wrapping_sub(newest as u16) as i16);
        newest.checked_add_signed(distance).unwrap_or(sequence.into())
    }

    /// Not seen, and not too old to tell.
    pub fn is_new(&self, index: u64) -> bool {
        match self.newest {
            None => true,
            Some(newest) if index > newest => true,
            Some(newest) if newest - index >= WIDTH => false,
            Some(_) => self.bits[(index % WIDTH / 64) as usize] >> (index % 64) & 1 == 0,
        }
    }

    /// Marks an index that [`Window::is_new`].
    pub fn mark(&mut self, index: u64) {
        match self.newest {
            None => self.newest = Some(index),
            Some(newest) if index > newest => {
                if index - newest >= WIDTH {
                    self.bits = [0; WORDS];
                } else {
                    for passed in newest + 1..=index {
                        self.bits[(passed % WIDTH / 64) as usize] &= !(1 << (passed % 64));
                    }
                }
                self.newest = Some(index);
            }
            Some(_) => {}
        }
        self.bits[(index % WIDTH / 64) as usize] |= 1 << (index % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_new_once_and_old_ones_never() {
        let mut window = Window::default();
        let mut seen = std::collections::HashSet::new();
        let mut seed = 3u64;
        for round in 0..50_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = 100_000 + round - (seed >> 40) % 1500 + if seed >> 56 == 0 { 600 } else { 0 };
            if window.is_new(index) {
                assert!(seen.insert(index), "{index} twice");
                window.mark(index);
            }
        }
        assert!(seen.len() > 10_000, "{}", seen.len());
        assert!(!window.is_new(0));
    }

    #[test]
    fn sequence_numbers_are_extended_over_both_ends() {
        let mut window = Window::default();
        assert_eq!(window.guess(65_530), 65_530);
        window.mark(65_530);
        assert_eq!(window.guess(3), 65_539);
        window.mark(65_539);
        assert_eq!(window.guess(65_531), 65_531);
    }
}
