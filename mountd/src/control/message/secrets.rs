//! What is said about secrets: values to store, and what is known of those that are stored.

use super::SecretText;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// Where the value of a `set` comes from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// The daemon makes one; nobody sees it on the way.
    Generate {
        /// Of how many characters, [`Charset::LENGTHS`].
        length: u32,
        /// Of which.
        charset: Charset,
    },
    /// These bytes.
    Bytes(SecretText),
}

/// The characters that a generated value is made of, each as likely as any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charset {
    /// Letters, digits, `-` and `_`: no trouble in a shell, a URL or a line.
    #[default]
    Url,
    /// Letters and digits.
    Alphanumeric,
    /// Digits and `a` to `f`.
    Hex,
    /// Digits.
    Digits,
    /// All that ASCII prints, without the blank.
    Printable,
}

/// How long a value is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// For ever.
    Never,
    /// For so many seconds from now on.
    Seconds(u64),
}

/// A text is no lifetime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no number of days, no time and not never")]
pub struct LifetimeError(String);

/// Whole days (`30` or `30d`), a time such as `12h`, or `never`.
impl FromStr for Lifetime {
    type Err = LifetimeError;

    fn from_str(text: &str) -> Result<Self, LifetimeError> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let days = text.strip_suffix('d').unwrap_or(text).parse::<u64>().ok();
        let of_days = days.and_then(|days| days.checked_mul(DAY));
        let time = || text.parse::<SignedDuration>().ok().filter(|it| it.subsec_nanos() == 0);
        let seconds = of_days.or_else(|| u64::try_from(time()?.as_secs()).ok());
        let seconds = seconds.filter(|seconds| *seconds > 0);
        seconds.map(Self::Seconds).ok_or_else(|| LifetimeError(text.to_owned()))
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => formatter.write_str("never"),
            Self::Seconds(seconds) if seconds.is_multiple_of(DAY) => {
                write!(formatter, "{}d", seconds / DAY)
            }
            Self::Seconds(seconds) => {
                let seconds = i64::try_from(*seconds).unwrap_or(i64::MAX);
                write!(formatter, "{:#}", SignedDuration::from_secs(seconds))
            }
        }
    }
}

/// A secret was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The vault.
    pub vault: String,
    /// The secret.
    pub path: String,
    /// How many versions of it are kept now.
    pub versions: u64,
    /// When it ends, RFC 3339; absent when it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Of a generated value: how many bits of chance are in it, rounded down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
}

/// A secret's value.
#[derive(Debug, Serialize, Deserialize)]
pub struct Secret {
    /// The bytes.
    pub value: SecretText,
}

/// Names that the caller may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// In the order of their bytes.
    pub names: Vec<Name>,
}

/// One name in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The secret.
    pub path: String,
    /// Its size in bytes, for those who may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it was last set, RFC 3339.
    pub modified: String,
    /// When it ends or has ended, RFC 3339; absent when it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Whether it has ended: nobody is given it any more.
    #[serde(default)]
    pub is_expired: bool,
    /// How many versions of it are kept, for those who may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<u64>,
    /// Who wrote it last, for the same; absent for what was written before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<Maker>,
    /// Whether a source keeps it, and the vault only shows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_elsewhere: bool,
}

/// Who wrote a version, as attested then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// The user's number.
    pub uid: u32,
    /// The agent whose session it was in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The program's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

/// What is known of a secret, as far as who asks may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretState {
    /// The vault.
    pub vault: String,
    /// The secret.
    pub path: String,
    /// How it stands for who asks: `available`, `approved`, `pending`, `denied`, `needs-approval`,
    /// `not-allowed` or `expired`.
    pub state: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// When it was last set, RFC 3339.
    pub modified: String,
    /// When it ends or has ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Its size in bytes, for those who may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How many versions of it are kept, for those and for approvers, as what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<u64>,
    /// Who wrote it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<Maker>,
    /// How often it was opened for reading, as far as the log goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<u64>,
    /// The last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read: Option<LastRead>,
    /// The newest request of who asks about it, of the last hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<OwnRequest>,
    /// What an approval gave who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<OwnLease>,
    /// Its grants: all for those who may grant it, else those that one gave or has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<GrantState>,
}

/// An open for reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRead {
    /// When, RFC 3339.
    pub at: String,
    /// By whom.
    pub by: Maker,
}

/// A request of who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRequest {
    /// Its id.
    pub request: String,
    /// `pending`, `approved`, `denied` or `expired`.
    pub state: String,
    /// The approver's words with a no: escape them before showing them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A lease of who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLease {
    /// Its id.
    pub lease: String,
    /// Seconds until it ends.
    pub ends_in: u64,
}

/// A grant of a secret that lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantState {
    /// Its id, for `ward grants revoke`.
    pub grant: String,
    /// The vault.
    pub vault: String,
    /// The secret, as it is named now.
    pub path: String,
    /// The client of the policy that may read it.
    pub client: String,
    /// The user who gave it.
    pub given_by: u32,
    /// When, RFC 3339.
    pub since: String,
    /// When it ends by itself, RFC 3339; absent when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
}

impl Charset {
    /// How many characters a generated value can have.
    pub const LENGTHS: std::ops::RangeInclusive<u32> = 8..=4096;

    /// Its characters.
    pub const fn characters(self) -> &'static [u8] {
        match self {
            Self::Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            Self::Alphanumeric => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            Self::Hex => b"0123456789abcdef",
            Self::Digits => b"0123456789",
            Self::Printable => {
                b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_whole_days_or_a_time_or_never() {
        for (text, seconds, shown) in [
            ("7", 604_800, "7d"),
            ("7d", 604_800, "7d"),
            ("48h", 172_800, "2d"),
            ("12h", 43_200, "12h"),
            ("90s", 90, "1m 30s"),
        ] {
            let read: Lifetime = text.parse().unwrap();
            assert_eq!(read, Lifetime::Seconds(seconds), "{text}");
            assert_eq!(read.to_string(), shown);
            assert_eq!(shown.parse(), Ok(read));
        }
        assert_eq!("never".parse(), Ok(Lifetime::Never));
        assert_eq!(Lifetime::Never.to_string(), "never");
        for text in ["0", "-1", "", "1.5", "1.5s", "soon", "0s", "0d", "99999999999999999999"] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
    }
}
