//! A reference to a secret on the command line: `db/password` or `VAULT:db/password`.

use crate::trouble::Trouble;
use ward_policy::{SecretPath, VaultName};

/// The vault of names that name none.
pub(crate) const DEFAULT_VAULT: &str = "default";

/// A vault and a path in it, each well-formed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SecretReference {
    /// The vault.
    pub(crate) vault: String,
    /// The secret.
    pub(crate) path: String,
}

impl SecretReference {
    /// Reads `text`; what stands before its first `:` is the vault.
    pub(crate) fn parse(text: &str) -> Result<Self, Trouble> {
        let (vault, path) = text.split_once(':').unwrap_or((DEFAULT_VAULT, text));
        SecretPath::try_from(path).map_err(Trouble::bad_name)?;
        Ok(Self { vault: vault_name(vault)?, path: path.to_owned() })
    }
}

/// Reads the name of a vault.
pub(crate) fn vault_name(text: &str) -> Result<String, Trouble> {
    VaultName::try_from(text).map(|name| name.to_string()).map_err(Trouble::bad_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        let reference = SecretReference::parse(text).ok()?;
        Some((reference.vault, reference.path))
    }

    fn pair(vault: &str, path: &str) -> Option<(String, String)> {
        Some((vault.to_owned(), path.to_owned()))
    }

    #[test]
    fn a_name_without_a_vault_is_of_the_vault_default() {
        assert_eq!(read("db/password"), pair("default", "db/password"));
    }

    #[test]
    fn what_stands_before_the_first_colon_is_the_vault() {
        assert_eq!(read("work:db/password"), pair("work", "db/password"));
        assert_eq!(read("default:a:b"), pair("default", "a:b"));
    }

    #[test]
    fn a_reference_with_a_bad_vault_or_a_bad_path_is_refused() {
        for text in ["", ":", ":a", "work:", "Work:a", "../x:a", "work:/a", "a//b", "a/", ".."] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
