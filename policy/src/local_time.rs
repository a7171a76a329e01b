//! Local time of a week, for the `when` of rules, and the time zone that makes it.

use crate::suggestion::nearest;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::fmt;

/// A day of the week, Monday first (ISO 8601).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weekday {
    /// Day 1.
    Monday,
    /// Day 2.
    Tuesday,
    /// Day 3.
    Wednesday,
    /// Day 4.
    Thursday,
    /// Day 5.
    Friday,
    /// Day 6.
    Saturday,
    /// Day 7.
    Sunday,
}

impl Weekday {
    /// The day of a name such as `Mon`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "Mon" => Self::Monday,
            "Tue" => Self::Tuesday,
            "Wed" => Self::Wednesday,
            "Thu" => Self::Thursday,
            "Fri" => Self::Friday,
            "Sat" => Self::Saturday,
            "Sun" => Self::Sunday,
            _ => return None,
        })
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Monday => "Mon",
            Self::Tuesday => "Tue",
            Self::Wednesday => "Wed",
            Self::Thursday => "Thu",
            Self::Friday => "Fri",
            Self::Saturday => "Sat",
            Self::Sunday => "Sun",
        })
    }
}

/// A minute of a week, in the policy's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// The day.
    pub weekday: Weekday,
    /// Minutes after midnight, 0 to 1439.
    pub minute: u16,
}

impl fmt::Display for LocalTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:02}:{:02}", self.weekday, self.minute / 60, self.minute % 60)
    }
}

/// The time zone of a policy. The table of zones is part of the program, so that a policy decides
/// the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// The zone of that name in the IANA database.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let zones = TimeZoneDatabase::bundled();
        if let Ok(zone) = zones.get(name) {
            return Ok(Self(zone));
        }
        let known: Vec<String> = zones.available().map(|zone| zone.to_string()).collect();
        Err(match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("{name:?} is no time zone; did you mean {near:?}?"),
            None => format!("{name:?} is no time zone; write one such as \"Europe/Berlin\""),
        })
    }

    /// The minute of the week there, `seconds` after 1970-01-01 UTC.
    pub(crate) fn local(&self, seconds: i64) -> LocalTime {
        let instant = Timestamp::from_second(seconds).unwrap_or_default();
        let there = self.0.to_datetime(instant);
        let weekday = match there.weekday() {
            jiff::civil::Weekday::Monday => Weekday::Monday,
            jiff::civil::Weekday::Tuesday => Weekday::Tuesday,
            jiff::civil::Weekday::Wednesday => Weekday::Wednesday,
            jiff::civil::Weekday::Thursday => Weekday::Thursday,
            jiff::civil::Weekday::Friday => Weekday::Friday,
            jiff::civil::Weekday::Saturday => Weekday::Saturday,
            jiff::civil::Weekday::Sunday => Weekday::Sunday,
        };
        let minute = u16::try_from(i32::from(there.hour()) * 60 + i32::from(there.minute()));
        LocalTime { weekday, minute: minute.unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_its_own_hour_and_its_summer() {
        let at = |zone: &str, seconds| {
            let LocalTime { weekday, minute } = Zone::parse(zone).unwrap().local(seconds);
            (weekday, minute / 60, minute % 60)
        };
        // 2026-01-14T23:30:00Z is a Wednesday; 2026-07-15T23:30:00Z one of summer.
        let (winter, summer) = (1_768_433_400, 1_784_158_200);
        assert_eq!(at("UTC", winter), (Weekday::Wednesday, 23, 30));
        assert_eq!(at("Europe/Berlin", winter), (Weekday::Thursday, 0, 30));
        assert_eq!(at("Europe/Berlin", summer), (Weekday::Thursday, 1, 30));
        assert_eq!(at("Asia/Kolkata", winter), (Weekday::Thursday, 5, 0));
        assert_eq!(at("America/New_York", summer), (Weekday::Wednesday, 19, 30));
    }

    #[test]
    fn a_name_of_no_zone_is_told_with_the_one_that_was_meant() {
        let fault = |name: &str| Zone::parse(name).map(drop).unwrap_err();
        assert!(fault("Europe/Berlim").ends_with("did you mean \"Europe/Berlin\"?"));
        assert!(fault("+02:00").ends_with("write one such as \"Europe/Berlin\""));
        assert!(fault("").contains("is no time zone"));
    }
}
