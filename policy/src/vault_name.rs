//! The name of a vault: a folder of the root and a word on the command line.

use std::fmt;
use std::sync::Arc;

/// 1 to 64 characters of `a-z 0-9 . _ -`, starting with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultName(Arc<str>);

/// A text that cannot name a vault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name a vault: use 1 to 64 of a-z 0-9 . _ - and start with a letter or a digit"
)]
pub struct VaultNameError(String);

impl VaultName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for VaultName {
    type Error = VaultNameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        let is_allowed =
            |character: char| matches!(character, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
        let starts_well = text.starts_with(|character: char| character.is_ascii_alphanumeric());
        if text.len() <= 64 && starts_well && text.chars().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(VaultNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for VaultName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_name_is_one_plain_word() {
        for good in ["default", "work-2", "a", "0.x_y"] {
            assert!(VaultName::try_from(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-x", "A", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(VaultName::try_from(bad).is_err(), "{bad}");
        }
    }
}
