//! A window of time: `Mon-Fri 08:00-18:00`.

use crate::{LocalTime, Weekday};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Days of a week and a span of minutes that begins on each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    first: Weekday,
    last: Weekday,
    start: u16,
    end: u16,
}

impl Window {
    /// Reads `Days HH:MM-HH:MM`, where Days is `Mon` or `Mon-Fri`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse_window(text).ok_or_else(|| {
            format!("{text:?} is no time window; write \"Mon-Fri 08:00-18:00\" (24:00 ends a day)")
        })
    }

    /// Whether `time` lies in it; the start does, the end does not.
    ///
    /// A span over midnight belongs to the day on which it starts.
    pub(crate) fn contains(self, time: LocalTime) -> bool {
        if self.start < self.end {
            return self.has_day(time.weekday) && (self.start..self.end).contains(&time.minute);
        }
        let is_evening = self.has_day(time.weekday) && time.minute >= self.start;
        let is_morning_after = self.has_day(day_before(time.weekday)) && time.minute < self.end;
        is_evening || is_morning_after
    }

    fn has_day(self, day: Weekday) -> bool {
        if self.first <= self.last {
            (self.first..=self.last).contains(&day)
        } else {
            day >= self.first || day <= self.last
        }
    }
}

fn parse_window(text: &str) -> Option<Window> {
    let (days, times) = text.split_once(' ')?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (start, end) = times.split_once('-')?;
    let (start, end) = (parse_minute(start)?, parse_minute(end)?);
    if start == end || start == DAY {
        return None;
    }
    Some(Window { first: Weekday::from_name(first)?, last: Weekday::from_name(last)?, start, end })
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY).then_some(total)
}

const fn day_before(day: Weekday) -> Weekday {
    match day {
        Weekday::Monday => Weekday::Sunday,
        Weekday::Tuesday => Weekday::Monday,
        Weekday::Wednesday => Weekday::Tuesday,
        Weekday::Thursday => Weekday::Wednesday,
        Weekday::Friday => Weekday::Thursday,
        Weekday::Saturday => Weekday::Friday,
        Weekday::Sunday => Weekday::Saturday,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(window: &str, weekday: Weekday, hour: u16, minute: u16) -> bool {
        Window::parse(window).unwrap().contains(LocalTime { weekday, minute: hour * 60 + minute })
    }

    #[test]
    fn a_window_includes_its_start_and_excludes_its_end() {
        let office = "Mon-Fri 08:00-18:00";
        assert!(!contains(office, Weekday::Wednesday, 7, 59));
        assert!(contains(office, Weekday::Wednesday, 8, 0));
        assert!(contains(office, Weekday::Wednesday, 17, 59));
        assert!(!contains(office, Weekday::Wednesday, 18, 0));
        assert!(!contains(office, Weekday::Sunday, 12, 0));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_starts_on() {
        let night = "Fri 22:00-06:00";
        assert!(contains(night, Weekday::Friday, 22, 0));
        assert!(contains(night, Weekday::Saturday, 5, 59));
        assert!(!contains(night, Weekday::Saturday, 6, 0));
        assert!(!contains(night, Weekday::Friday, 5, 0));
        assert!(!contains(night, Weekday::Saturday, 23, 0));
        assert!(contains("Sun 22:00-06:00", Weekday::Monday, 1, 0));
    }

    #[test]
    fn days_may_wrap_around_the_week_and_a_day_may_be_whole() {
        assert!(contains("Sat-Mon 00:00-24:00", Weekday::Sunday, 23, 59));
        assert!(contains("Sat-Mon 00:00-24:00", Weekday::Monday, 0, 0));
        assert!(!contains("Sat-Mon 00:00-24:00", Weekday::Friday, 12, 0));
    }

    #[test]
    fn a_text_that_is_no_window_is_refused() {
        for bad in [
            "",
            "Mon",
            "Mon 8:00-18:00",
            "mon 08:00-18:00",
            "Mon 08:00-08:00",
            "Mon 08:60-09:00",
            "Mon 24:00-08:00",
            "Mon 08:00-24:01",
            "Mon 08:00",
            "Mon-Xyz 08:00-18:00",
            "Mon  08:00-18:00",
            "Mon 08:00-18:00 ",
        ] {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
    }
}
