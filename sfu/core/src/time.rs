//! The engine's clock: one count of microseconds that the edge reads for it.

/// Microseconds since 1970-01-01 UTC. The edge reads the wall clock once at its start and counts monotonically from
/// there, so differences are exact and the value may still be shown as a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub u64);

impl Micros {
    /// Later by so many microseconds.
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }
    /// Later by so many milliseconds.
    pub const fn plus_ms(self, millis: u64) -> Self {
        self.plus(millis.saturating_mul(1000))
    }
    /// Microseconds since `earlier`, 0 if it is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
    /// 24-bit `abs-send-time`: 6.18 fixed point seconds.
    pub const fn abs_send_time(self) -> u32 {
        let micros = self.0 % 64_000_000;
        ((micros << 18) / 1_000_000) as u32 & 0x00ff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abs_send_time_is_the_published_format() {
        assert_eq!(Micros(1_500_000).abs_send_time(), 3 << 17);
        assert_eq!(Micros(64_000_000).abs_send_time(), 0);
    }
}
