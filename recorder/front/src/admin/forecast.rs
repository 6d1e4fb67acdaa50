//! How the archive grows and shrinks: hours, bytes and ends of what lies there, and what each room's statement will add.
//! Reads manifests that verify; opens nothing.

use crate::admin::draft::priced;
use crate::review::meetings::Meetings;
use dashmap::DashMap;
use domain::calendar::Date;
use domain::message::admin::{ExpiryRow, ForecastRoom, YearRow};
use domain::message::front::ArchivedMeeting;
use domain::policy::Statement;
use domain::{MeetingId, RoomId, UnixMillis};
use std::collections::BTreeMap;

/// A month is measured over thirty days.
const MONTH_MS: u64 = 30 * 86_400_000;
const HOUR_MS: u64 = 3_600_000;
/// Manifests read for one answer that were not known before: a tenth of a millisecond each.
const MAX_READ: usize = 2_000;
/// Meetings remembered: as many as the archive's list has.
const MAX_REMEMBERED: usize = 10_000;
/// Longest forecast, years: no retention class is longer.
const MAX_YEARS: u16 = 30;

/// What a forecast needs of a meeting.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Where it was.
    pub room: RoomId,
    /// Begin.
    pub started_at: UnixMillis,
    /// How long it took, ms.
    pub length_ms: u64,
    /// Bytes of its segments.
    pub bytes: u64,
    /// Kept until.
    pub until: UnixMillis,
}

/// Meetings as they were counted: a closed meeting does not change.
#[derive(Default)]
pub struct Archived(DashMap<MeetingId, Counted>);

impl Archived {
    /// Counts what verifies; answers also how many were left out. Blocking.
    pub fn count(&self, meetings: &Meetings) -> (Vec<Counted>, u64) {
        let (mut all, mut left_out, mut read) = (Vec::new(), 0, 0);
        for row in meetings.list() {
            if row.integrity == "open" {
                continue;
            }
            if let Some(known) = self.0.get(&row.meeting) {
                all.push(known.clone());
            } else if row.integrity == "verified" && read < MAX_READ {
                read += 1;
                match self.read(meetings, &row) {
                    Some(counted) => all.push(counted),
                    None => left_out += 1,
                }
            } else {
                left_out += 1;
            }
        }
        (all, left_out)
    }

    fn read(&self, meetings: &Meetings, row: &ArchivedMeeting) -> Option<Counted> {
        let found = meetings.find(&row.meeting).ok()?;
        let manifest = &found.manifest;
        let counted = Counted {
            room: manifest.room.clone(),
            started_at: manifest.started_at,
            length_ms: manifest.ended_at.since(manifest.started_at),
            bytes: found.all().iter().flat_map(|copy| &copy.manifest.segments).map(|segment| segment.size).sum(),
            until: manifest.retain_until,
        };
        if self.0.len() < MAX_REMEMBERED {
            self.0.insert(row.meeting.clone(), counted.clone());
        }
        Some(counted)
    }
}

/// Hours of meetings in a room in the last thirty days, begun hours counted whole.
pub fn hours(all: &[Counted], room: &RoomId, now: UnixMillis) -> u32 {
    let recent = all.iter().filter(|one| one.room == *room && now.since(one.started_at) <= MONTH_MS);
    let ms: u64 = recent.map(|one| one.length_ms).sum();
    u32::try_from(ms.div_ceil(HOUR_MS)).unwrap_or(u32::MAX)
}

/// A room's future under its statement.
pub fn room(statement: &Statement, title: String, all: &[Counted], hours: u32, price: u32) -> ForecastRoom {
    let inside = || all.iter().filter(|one| one.room == statement.room);
    let cost = priced(statement, hours, price);
    let years = (1..=statement.retention_years.min(MAX_YEARS)).map(|year| {
        let bytes = cost.bytes_a_month.saturating_mul(12).saturating_mul(u64::from(year));
        let hundredths = u128::from(bytes) * u128::from(price) / 1_000_000_000;
        YearRow { year, bytes, month_cents: u64::try_from(hundredths / 100).unwrap_or(u64::MAX) }
    });
    ForecastRoom {
        room: statement.room.clone(),
        title,
        audio_video: statement.audio_video,
        tier: statement.tier,
        retention_years: statement.retention_years,
        meetings: inside().count() as u64,
        bytes: inside().map(|one| one.bytes).sum(),
        years: if cost.bytes_a_month == 0 { Vec::new() } else { years.collect() },
        cost,
    }
}

/// What ends when, by year.
pub fn expiries(all: &[Counted]) -> Vec<ExpiryRow> {
    let mut by_year: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for one in all {
        let row = by_year.entry(Date::of(one.until).year).or_default();
        *row = (row.0 + 1, row.1 + one.bytes);
    }
    by_year.into_iter().map(|(year, (meetings, bytes))| ExpiryRow { year, meetings, bytes }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn meeting(room: &str, days_ago: u64, minutes: u64) -> Counted {
        Counted {
            room: room.parse().expect("an id"),
            started_at: UnixMillis(NOW.0 - days_ago * 86_400_000),
            length_ms: minutes * 60_000,
            bytes: 1_000,
            until: UnixMillis(NOW.0 + 7 * 365 * 86_400_000),
        }
    }

    #[test]
    fn a_month_is_the_last_thirty_days_of_one_room_and_begun_hours_count() {
        let all = [meeting("a", 1, 61), meeting("a", 29, 60), meeting("a", 31, 600), meeting("b", 1, 600)];
        assert_eq!(hours(&all, &"a".parse().expect("an id"), NOW), 3);
        assert_eq!(hours(&all, &"c".parse().expect("an id"), NOW), 0);
        assert_eq!(expiries(&all), [ExpiryRow { year: 2034, meetings: 4, bytes: 4_000 }]);
    }
}
