//! Seeded chance for tests: the same seed gives the same run. Nothing secret may come from here.

/// A small generator (xorshift64*), good enough to choose tests with.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed; every seed, 0 too, gives another run.
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_add(0x9e37_79b9_7f4a_7c15) | 1);
        (0..4).for_each(|_| dice.0 = dice.next());
        dice
    }

    /// 64 bits.
    #[expect(clippy::should_implement_trait, reason = "dice never run out")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`; 0 when `bound` is.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { (self.next() >> 16) % bound }
    }

    /// From `low` up to and with `high`.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u64) as usize)
    }
}

/// The seed that a test binary was told by this environment variable.
pub fn seed_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// Is the long form of the tests wanted (`STRONGROOM_FULL=1`)?
pub fn full() -> bool {
    std::env::var("STRONGROOM_FULL").is_ok_and(|value| value == "1")
}

/// A seed of now, for runs that need not repeat.
pub fn fresh_seed() -> u64 {
    rand::random::<u64>() >> 16
}
