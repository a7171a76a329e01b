//! The text of a policy as tables and fields that know where they stand.
//!
//! Knows TOML and nothing of rules. Every fault carries the byte it is about.

use crate::suggestion::nearest;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What is wrong with the text, and at which bytes.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

/// One value and the key it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'text> {
    key: &'text str,
    key_place: Place,
    value: &'text DeValue<'text>,
    place: Place,
}

/// A table and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'text> {
    entries: &'text DeTable<'text>,
    place: Place,
}

/// Bytes of the text, from the first to before the last.
#[derive(Clone, Copy, Debug)]
struct Place(usize, usize);

impl From<Range<usize>> for Place {
    fn from(span: Range<usize>) -> Self {
        Self(span.start, span.end)
    }
}

impl Place {
    fn fault(self, message: impl Into<String>) -> Fault {
        Fault { span: self.0..self.1, message: message.into() }
    }
}

impl<'text> Table<'text> {
    /// The text as a whole.
    pub(crate) const fn of_text(entries: &'text DeTable<'text>) -> Self {
        Self { entries, place: Place(0, 0) }
    }

    /// A fault of the table as a whole.
    pub(crate) fn fault(&self, message: impl Into<String>) -> Fault {
        self.place.fault(message)
    }

    /// The fields in the order of the text.
    pub(crate) fn fields(&self) -> Vec<Field<'text>> {
        let mut fields: Vec<_> = self.entries.iter().map(Field::of).collect();
        fields.sort_by_key(|field| field.key_place.0);
        fields
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Refuses every key that is not `known`; those of `later` by saying that they come later.
    pub(crate) fn allow_only(&self, known: &[&str], later: &[&str]) -> Result<(), Fault> {
        let strange =
            self.entries.iter().map(Field::of).filter(|field| !known.contains(&field.key));
        let Some(field) = strange.min_by_key(|field| field.key_place.0) else {
            return Ok(());
        };
        let key = field.key;
        Err(field.key_fault(if later.contains(&key) {
            format!("this version cannot enforce `{key}` yet; remove it")
        } else {
            match nearest(key, known.iter().copied()) {
                Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
                None => format!("unknown key `{key}`; use one of {}", known.join(", ")),
            }
        }))
    }

    /// The field of that key.
    pub(crate) fn field(&self, key: &str) -> Option<Field<'text>> {
        self.entries.get_key_value(key).map(Field::of)
    }

    /// The field of that key, or a fault that shows an `example` of it.
    pub(crate) fn required(&self, key: &str, example: &str) -> Result<Field<'text>, Fault> {
        self.field(key).ok_or_else(|| self.fault(format!("`{key}` is missing; add {example}")))
    }

    /// The table of that key, when it is there.
    pub(crate) fn table(&self, key: &str) -> Result<Option<Self>, Fault> {
        self.field(key).map(Field::table).transpose()
    }
}

impl<'text> Field<'text> {
    fn of((key, value): (&'text Spanned<DeString<'text>>, &'text Spanned<DeValue<'text>>)) -> Self {
        Self {
            key: key.get_ref(),
            key_place: key.span().into(),
            value: value.get_ref(),
            place: value.span().into(),
        }
    }

    /// The key.
    pub(crate) const fn key(self) -> &'text str {
        self.key
    }

    /// A fault of the value.
    pub(crate) fn fault(self, message: impl Into<String>) -> Fault {
        self.place.fault(message)
    }

    /// A fault of the key.
    pub(crate) fn key_fault(self, message: impl Into<String>) -> Fault {
        self.key_place.fault(message)
    }

    /// The key, as a name that records and terminals can show.
    pub(crate) fn key_as_name(self) -> Result<&'text str, Fault> {
        check_name(self.key).map_err(|message| self.key_fault(message))
    }

    /// The value, as a name that records and terminals can show.
    pub(crate) fn name(self) -> Result<&'text str, Fault> {
        check_name(self.text()?).map_err(|message| self.fault(message))
    }

    pub(crate) fn text(self) -> Result<&'text str, Fault> {
        self.value.as_str().ok_or_else(|| self.not("a text in quotes"))
    }

    pub(crate) fn flag(self) -> Result<bool, Fault> {
        self.value.as_bool().ok_or_else(|| self.not("true or false"))
    }

    pub(crate) fn number(self) -> Result<i64, Fault> {
        let integer = self.value.as_integer().ok_or_else(|| self.not("a whole number"))?;
        i64::from_str_radix(integer.as_str(), integer.radix())
            .map_err(|_| self.not("a whole number of at most 64 bits"))
    }

    /// A number from 1.
    pub(crate) fn count(self) -> Result<u32, Fault> {
        let number = u32::try_from(self.number()?).ok().filter(|number| *number > 0);
        number.ok_or_else(|| self.not("a number from 1"))
    }

    /// A user or group number.
    pub(crate) fn id(self) -> Result<u32, Fault> {
        u32::try_from(self.number()?)
            .ok()
            .filter(|id| *id != u32::MAX)
            .ok_or_else(|| self.not("a number from 0 to 4294967294"))
    }

    /// A time such as `90s`, `10m`, `1h` or `1d`: over zero and at most `longest`.
    pub(crate) fn duration(self, longest: Duration) -> Result<Duration, Fault> {
        let duration = parse_duration(self.text()?)
            .ok_or_else(|| self.not("a time such as \"90s\" or \"10m\""))?;
        if duration > longest {
            let longest = longest.as_secs();
            return Err(
                self.fault(format!("`{}` is over its cap; use at most {longest}s", self.key))
            );
        }
        Ok(duration)
    }

    /// One of some words, by its meaning.
    pub(crate) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Result<T, Fault> {
        let text = self.value.as_str();
        let chosen = choices.iter().find(|(word, _)| Some(*word) == text);
        chosen.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let near = nearest(text.unwrap_or_default(), choices.iter().map(|(word, _)| *word));
            let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
            self.not(&format!("{}{near}", words.join(" or ")))
        })
    }

    pub(crate) fn table(self) -> Result<Table<'text>, Fault> {
        let entries = self.value.as_table().ok_or_else(|| self.not("a table"))?;
        Ok(Table { entries, place: self.place })
    }

    /// The items of a list that is not empty.
    pub(crate) fn list(self) -> Result<Vec<Self>, Fault> {
        let items = self.value.as_array().ok_or_else(|| self.not("a list in [ ]"))?;
        if items.is_empty() {
            return Err(self.fault(format!("`{}` is an empty list; name at least one", self.key)));
        }
        Ok(items
            .iter()
            .map(|item| Self { value: item.get_ref(), place: item.span().into(), ..self })
            .collect())
    }

    /// A fault of a value that names nothing among `known`, and what to do about it.
    pub(crate) fn unknown<'known>(
        self,
        what: &str,
        known: impl IntoIterator<Item = &'known str>,
    ) -> Fault {
        let name = self.value.as_str().unwrap_or_default();
        let table = match what {
            "sandbox" => "sandbox".to_owned(),
            what => format!("{what}s"),
        };
        let next = match nearest(name, known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("define [{table}.{name}]"),
        };
        self.fault(format!("no {what} is named {name:?}; {next}"))
    }

    /// The items of a list that is not empty, or a value that stands for a list of one.
    pub(crate) fn one_or_more(self) -> Result<Vec<Self>, Fault> {
        if self.value.is_array() { self.list() } else { Ok(vec![self]) }
    }

    fn not(self, wanted: &str) -> Fault {
        self.fault(format!("`{}` must be {wanted}", self.key))
    }
}

/// 1 to 64 of `A-Z a-z 0-9 . _ -`: the names of rules, clients and targets.
fn check_name(name: &str) -> Result<&str, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_allowed) {
        Ok(name)
    } else {
        Err(format!("{name:?} is no name; use 1 to 64 of A-Z a-z 0-9 . _ -"))
    }
}

/// A time such as `90s` or `10m`: digits and one of the units s, m, h and d.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(seconds)?;
    (seconds > 0).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_digits_and_one_unit() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("10m"), Some(600));
        assert_eq!(seconds("1h"), Some(3600));
        assert_eq!(seconds("1d"), Some(86400));
        for bad in
            ["", "s", "10", "0s", "-1s", "+1s", "1.5h", "1 h", "1w", "1hm", "99999999999999999999d"]
        {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_shows_as_it_is_everywhere() {
        for good in ["db-read", "a", "A_1.x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "*", "a b", "a\x1b[31m", "\u{e4}", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
