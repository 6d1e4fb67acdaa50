//! The engine's clock: one count of microseconds that the edge reads for it.

/// Microseconds since 1970-01-01 UTC. The edge reads the wall clock once at its start and counts monotonically from
/// there, so differences are exact and the value may still be shown as a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub u64);

/// Seconds between 1900 (NTP) and 1970 (Unix), RFC 5905.
const NTP_OFFSET_S: u64 = 2_208_988_800;

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
    /// 64-bit NTP timestamp (RFC 3550 section 4).
    pub const fn ntp(self) -> u64 {
        let seconds = self.0 / 1_000_000 + NTP_OFFSET_S;
        let fraction = ((self.0 % 1_000_000) << 32) / 1_000_000;
        seconds << 32 | fraction
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
    fn ntp_and_abs_send_time_are_the_published_formats() {
        let half_past_epoch = Micros(500_000);
        assert_eq!(half_past_epoch.ntp(), NTP_OFFSET_S << 32 | 1 << 31);
        assert_eq!(Micros(1_500_000).abs_send_time(), 3 << 17);
        assert_eq!(Micros(64_000_000).abs_send_time(), 0);
    }
}
