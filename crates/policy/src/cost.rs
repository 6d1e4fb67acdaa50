//! What a quality tier costs a month. An estimate from measured rates, for whoever chooses the tier.

use domain::policy::{Rule, Statement, Tier};
use serde::Serialize;

/// Sound of one meeting, bytes an hour: 300 kbit/s for all its speakers together.
const AUDIO_HOUR: u64 = 135_000_000;
/// Pictures of the 360p layers, bytes an hour: 2.25 Mbit/s.
const P360_HOUR: u64 = 1_012_500_000;
/// Top layers, bytes an hour: 5 streams of 1.7 Mbit/s.
const FULL_HOUR: u64 = 3_825_000_000;
/// A shared screen, bytes an hour: 600 kbit/s while it changes.
const SCREEN_HOUR: u64 = 270_000_000;

/// How much a room is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Hours of meetings a month.
    pub hours_a_month: u32,
}

/// What storage costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Of 10^9 bytes for a month, in hundredths of a cent; every copy of the archive counts.
    pub gigabyte_month: u32,
}

/// What a firm's copies of a room take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cost {
    /// New bytes a month.
    pub bytes_a_month: u64,
    /// Bytes held once the first of them are disposed of.
    pub bytes_held: u64,
    /// Cents for what the first month adds.
    pub first_month_cents: u64,
    /// Cents a month once the archive is full.
    pub full_month_cents: u64,
}

fn bytes_an_hour(tier: Tier) -> u64 {
    match tier {
        Tier::Audio => AUDIO_HOUR,
        Tier::ScreenOnly => AUDIO_HOUR + SCREEN_HOUR,
        Tier::P360 => AUDIO_HOUR + P360_HOUR,
        Tier::Full => AUDIO_HOUR + FULL_HOUR,
    }
}

/// What the copies under `statement` cost; nothing where it keeps no sound and picture.
pub fn cost(statement: &Statement, usage: Usage, price: Price) -> Cost {
    if !matches!(statement.audio_video, Rule::Must | Rule::Should) {
        return Cost::default();
    }
    let bytes_a_month = bytes_an_hour(statement.tier) * u64::from(usage.hours_a_month);
    let bytes_held = bytes_a_month * u64::from(statement.retention_years) * 12;
    // u128: 10 years of the largest room times the dearest store passes 64 bits
    let cents = |bytes: u64| {
        let hundredths = u128::from(bytes) * u128::from(price.gigabyte_month) / 1_000_000_000;
        u64::try_from(hundredths / 100).unwrap_or(u64::MAX)
    };
    Cost { bytes_a_month, bytes_held, first_month_cents: cents(bytes_a_month), full_month_cents: cents(bytes_held) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::UnixMillis;
    use domain::policy::Copies;

    fn sample() -> Statement {
        Statement {
            version: 1,
            serial: 1,
            firm: "bank-a".parse().unwrap(),
            room: "deal-room".parse().unwrap(),
            audio_video: Rule::Must,
            chat: Rule::Off,
            files: Rule::Off,
            tier: Tier::Full,
            retention_years: 7,
            archive: domain::policy::Archive::Worm,
            pause: None,
            copies: Copies::None,
            recorder_grace_ms: 2_000,
            archive_key_ids: Vec::new(),
            issued_at: UnixMillis(1),
            conditions: Box::default(),
        }
    }

    #[test]
    fn a_wider_tier_costs_more_and_no_copy_costs_nothing() {
        let (usage, price) = (Usage { hours_a_month: 100 }, Price { gigabyte_month: 200 });
        let of = |tier, rule| {
            let mut statement = sample();
            (statement.tier, statement.audio_video) = (tier, rule);
            cost(&statement, usage, price)
        };
        let audio = of(Tier::Audio, Rule::Must);
        assert_eq!(audio.bytes_a_month, 13_500_000_000);
        // 13.5 GB at 2 cents
        assert_eq!(audio.first_month_cents, 27);
        assert_eq!(audio.full_month_cents, 27 * 84);
        let by_width = [Tier::Audio, Tier::ScreenOnly, Tier::P360, Tier::Full].map(|t| of(t, Rule::Should).bytes_held);
        assert!(by_width.is_sorted() && by_width[0] < by_width[3]);
        assert_eq!(of(Tier::Full, Rule::Off), Cost::default());
    }
}
