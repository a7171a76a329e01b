//! What a `.gloves.toml` says besides its ACL, as a `ward.toml` says it.

use crate::import::ImportError;
use toml::{Table, Value};

/// The keys of which something comes, and the tables that they become.
pub(super) const TABLES: [&str; 3] = ["daemon", "defaults", "secrets"];

/// What the `ward.toml` of a root begins with.
const BEFORE: &str = "version = 1\nlayout = \"private\"\ninstance = \"\"\n";

/// The lines of a `ward.toml` that say the same; none where nothing is said.
pub(crate) fn import(table: &Table) -> Result<String, ImportError> {
    let text = |path: &[&str]| at(table, path).and_then(Value::as_str).map(Value::from);
    let days = at(table, &["defaults", "secret_ttl_days"]).and_then(Value::as_integer);
    let pipes = at(table, &["secrets", "pipe", "commands"]).cloned();
    let settings: Table = [
        ("mount", "ttl", text(&["defaults", "vault_mount_ttl"])),
        ("secrets", "ttl", days.map(|days| Value::from(format!("{days}d")))),
        ("sidecar", "bind", text(&["daemon", "bind"])),
        ("pipe", "commands", pipes),
    ]
    .into_iter()
    .filter_map(|(table, key, value)| {
        Some((table.to_owned(), Value::Table(Table::from_iter([(key.to_owned(), value?)]))))
    })
    .collect();
    let settings = toml::to_string(&settings).map_err(|error| ImportError(error.to_string()))?;
    // What it lets pass and ours does not, such as prefixes that are no addresses.
    ward_mountd::check_settings(&format!("{BEFORE}{settings}")).map_err(|fault| {
        ImportError(format!("what it says besides its ACL cannot be a setting: {fault}"))
    })?;
    Ok(settings)
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, folders) = path.split_last()?;
    let step = |table: &'a Table, name: &&str| table.get(*name)?.as_table();
    folders.iter().try_fold(table, step)?.get(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<String, String> {
        import(&toml::from_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn times_addresses_and_rules_for_commands_are_said_in_our_words() {
        let said = settings(
            "version = 1\n[daemon]\nbind = \"127.0.0.1:7788\"\nio_timeout_seconds = 5\n\
             [defaults]\nvault_mount_ttl = \"45m\"\nsecret_ttl_days = 7\n\
             [secrets.pipe.commands.curl]\nrequire_url = true\nurl_prefixes = [\"https://a.example/v1/\"]\n",
        );
        let expected = "[mount]\nttl = \"45m\"\n\n[pipe.commands.curl]\nrequire_url = true\n\
                        url_prefixes = [\"https://a.example/v1/\"]\n\n[secrets]\nttl = \"7d\"\n\n\
                        [sidecar]\nbind = \"127.0.0.1:7788\"\n";
        assert_eq!(said.as_deref(), Ok(expected));
        assert_eq!(settings("version = 1\n[paths]\nroot = \"/r\"\n").as_deref(), Ok(""));
    }

    #[test]
    fn what_cannot_be_a_setting_is_refused_with_a_word_why() {
        let odd = settings("[defaults]\nvault_mount_ttl = \"soon\"\n").unwrap_err();
        assert!(odd.contains("besides its ACL"), "{odd}");
        let odd = settings("[secrets.pipe.commands.curl]\nrequire_url = true\n").unwrap_err();
        assert!(odd.contains("takes `url_prefixes`"), "{odd}");
    }
}
