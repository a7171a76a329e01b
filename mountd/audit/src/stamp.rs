//! A stamp: when something happened, on both clocks. This crate reads neither.

use crate::{AppendError, Log};
use serde::{Deserialize, Serialize};
use std::fmt;
use ward_policy::Moment;

/// When something happened; made by the daemon's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Microseconds since 1970-01-01 UTC (`CLOCK_REALTIME`), which somebody may set.
    pub wall: u64,
    /// The same instant since boot, which nobody can set.
    pub boot: Moment,
}

/// The id of one boot of the machine: the text of `/proc/sys/kernel/random/boot_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootId(Box<str>);

/// A text that is no boot id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no boot id: pass the text of /proc/sys/kernel/random/boot_id")]
pub struct BootIdError;

impl Log {
    /// By how many seconds the clock is behind the newest entry; somebody set it back then.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn seconds_ahead_of(&self, now: Stamp) -> Result<u64, AppendError> {
        Ok(self.tail()?.time().microseconds().saturating_sub(now.wall) / 1_000_000)
    }
}

impl BootId {
    /// The id as text, without a newline.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for BootId {
    type Error = BootIdError;

    fn try_from(text: &str) -> Result<Self, BootIdError> {
        let id = text.trim_end();
        let is_allowed = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        if id.len() == 36 && id.bytes().all(is_allowed) {
            Ok(Self(id.into()))
        } else {
            Err(BootIdError)
        }
    }
}

/// The `ts` of an entry: microseconds since 1970, written `2026-11-21T04:22:45.123456Z`.
///
/// Always 27 bytes, so texts compare as times do. The last instant is in the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The length of its text.
    pub(crate) const LENGTH: usize = 27;
    /// 9999-12-30T22:00:00Z, the end of the calendar.
    const LAST: u64 = 253_402_207_200_000_000;

    /// The time `microseconds` after 1970-01-01 UTC.
    pub const fn from_microseconds(microseconds: u64) -> Self {
        Self(if microseconds < Self::LAST { microseconds } else { Self::LAST })
    }

    /// Microseconds since 1970-01-01 UTC.
    pub const fn microseconds(self) -> u64 {
        self.0
    }

    /// The next microsecond.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The time with this text; `None` for any other text.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.len() != Self::LENGTH {
            return None;
        }
        let parsed: jiff::Timestamp = text.parse().ok()?;
        let timestamp = Self(u64::try_from(parsed.as_microsecond()).ok()?);
        (timestamp.to_string() == text).then_some(timestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Six digits, also when they are zero.
        const PRINTER: jiff::fmt::temporal::DateTimePrinter =
            jiff::fmt::temporal::DateTimePrinter::new().precision(Some(6));
        let microseconds = i64::try_from(self.0).map_err(|_| fmt::Error)?;
        let instant = jiff::Timestamp::from_microsecond(microseconds).map_err(|_| fmt::Error)?;
        PRINTER.print_timestamp(&instant, jiff::fmt::StdFmtWrite(formatter)).map_err(|_| fmt::Error)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).ok_or_else(|| serde::de::Error::custom("no timestamp"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_six_digits_and_reads_back() {
        for (microseconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_795_234_965_000_001, "2026-11-21T04:22:45.000001Z"),
            (u64::MAX, "9999-12-30T22:00:00.000000Z"),
        ] {
            let timestamp = Timestamp::from_microseconds(microseconds);
            assert_eq!(timestamp.to_string(), text);
            assert_eq!(text.len(), Timestamp::LENGTH);
            assert_eq!(Timestamp::from_text(text), Some(timestamp));
        }
    }

    #[test]
    fn a_timestamp_in_another_form_is_refused() {
        for text in [
            "",
            "2026-11-21 04:22:45.000001Z",
            "2026-11-21T04:22:45Z",
            "2026-13-21T04:22:45.000001Z",
        ] {
            assert_eq!(Timestamp::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_boot_id_is_36_characters_with_or_without_its_newline() {
        let text = "7c6a1b52-0d3e-4f6a-9b1c-2d3e4f5a6b7c";
        assert_eq!(BootId::try_from(format!("{text}\n").as_str()).unwrap().as_str(), text);
        assert_eq!(BootId::try_from("\"}"), Err(BootIdError));
    }
}
