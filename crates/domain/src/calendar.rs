//! Dates of the Gregorian calendar in UTC: a retention counts years as people do, leap days included.
//!
//! The arithmetic between days and dates is that of Howard Hinnant's notes on `chrono`.

use crate::UnixMillis;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: u64 = 719_468;

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: u64,
    /// Day of the month, from 1.
    pub day: u64,
}

impl Date {
    /// The day of a time.
    pub fn of(at: UnixMillis) -> Self {
        let day = at.0 / DAY_MS + EPOCH_DAYS;
        let era = day / 146_097;
        let of_era = day % 146_097;
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        Self { year: year_of_era + era * 400 + u64::from(month <= 2), month, day }
    }

    /// Its midnight. A day that the month does not have is the day after its last one.
    pub fn midnight(self) -> UnixMillis {
        let year = self.year - u64::from(self.month <= 2);
        let (era, year_of_era) = (year / 400, year % 400);
        let shifted = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let of_year = (153 * shifted + 2) / 5 + self.day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        UnixMillis((era * 146_097 + of_era).saturating_sub(EPOCH_DAYS) * DAY_MS)
    }
}

impl UnixMillis {
    /// The same time of the same day so many years later; the 29th of February becomes the 1st of March where the year has
    /// none. Never sooner than the calendar's years.
    pub fn plus_years(self, years: u16) -> Self {
        let date = Date::of(self);
        let later = Date { year: date.year + u64::from(years), ..date };
        later.midnight().plus(self.0 % DAY_MS)
    }

    /// As RFC 3339 writes it, in UTC.
    pub fn rfc3339(self) -> String {
        let Date { year, month, day } = Date::of(self);
        let (s, ms) = (self.0 / 1_000 % 86_400, self.0 % 1_000);
        format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z", s / 3_600, s / 60 % 60, s % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_says() {
        assert_eq!(UnixMillis(1_614_265_330_007).rfc3339(), "2021-02-25T15:02:10.007Z");
        assert_eq!(UnixMillis(0).rfc3339(), "1970-01-01T00:00:00.000Z");
    }

    fn at(year: u64, month: u64, day: u64) -> UnixMillis {
        Date { year, month, day }.midnight()
    }

    #[test]
    fn days_and_dates_agree_over_four_centuries() {
        let mut before = None;
        for day in 0..150_000 {
            let at = UnixMillis(day * DAY_MS);
            let date = Date::of(at);
            assert_eq!(date.midnight(), at);
            assert!(before < Some(date));
            before = Some(date);
        }
        assert_eq!(Date::of(UnixMillis(951_782_400_000)), Date { year: 2000, month: 2, day: 29 });
        assert_eq!(Date::of(UnixMillis(1_795_305_600_000)), Date { year: 2026, month: 11, day: 22 });
    }

    #[test]
    fn years_are_the_calendars_and_a_leap_day_is_never_lost() {
        let noon = 12 * 3600 * 1000;
        assert_eq!(at(2024, 1, 31).plus(noon).plus_years(5), at(2029, 1, 31).plus(noon));
        assert_eq!(at(2024, 2, 29).plus_years(1), at(2025, 3, 1));
        assert_eq!(at(2024, 2, 29).plus_years(4), at(2028, 2, 29));
        assert_eq!(at(2023, 2, 28).plus_years(1), at(2024, 2, 28));
        assert_eq!(at(2096, 2, 29).plus_years(4), at(2100, 3, 1), "2100 has no leap day");
        assert_eq!(at(2026, 11, 22).plus_years(0), at(2026, 11, 22));
    }
}
