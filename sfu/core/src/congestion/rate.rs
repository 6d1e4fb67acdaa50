//! Bits a second.

/// A rate in bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BitRate(pub u64);

impl BitRate {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many thousand bits a second.
    pub const fn kbps(kilobits: u64) -> Self {
        Self(kilobits * 1000)
    }

    /// The rate of `bytes` in `micros`; nothing when no time passed.
    pub const fn of(bytes: u64, micros: u64) -> Self {
        match bytes.saturating_mul(8_000_000).checked_div(micros) {
            Some(rate) => Self(rate),
            None => Self::ZERO,
        }
    }

    /// Bytes that this rate carries in so many microseconds.
    pub const fn bytes_in(self, micros: u64) -> u64 {
        (self.0 as u128 * micros as u128 / 8_000_000) as u64
    }

    /// Microseconds that so many bytes take; [`u64::MAX`] at no rate.
    pub const fn time_of(self, bytes: u64) -> u64 {
        match bytes.saturating_mul(8_000_000).checked_div(self.0) {
            Some(micros) => micros,
            None => u64::MAX,
        }
    }

    /// This rate times `factor`.
    pub fn scale(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor.max(0.0)) as u64)
    }

    /// What is left of it beside `other`.
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Both together.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::fmt::Display for BitRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} kbit/s", self.0 / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_time_and_rate_agree() {
        let rate = BitRate::kbps(800);
        assert_eq!(rate.bytes_in(10_000), 1000);
        assert_eq!(rate.time_of(1000), 10_000);
        assert_eq!(BitRate::of(1000, 10_000), rate);
        assert_eq!((BitRate::of(1, 0), BitRate::ZERO.time_of(1)), (BitRate::ZERO, u64::MAX));
    }
}
