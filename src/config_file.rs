//! The file of `--config`: a `ward.toml`, whose folder is the root, or a `.gloves.toml`, which names the root.
//!
//! It says where the root is and nothing more: what one may do there is said by the policy of that root
//! alone. An ACL in the file is therefore neither followed nor passed over in silence.

use crate::import::Here;
use crate::import::gloves::acl;
use crate::policy_text;
use crate::trouble::Trouble;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use ward_mountd::policy_digest;
use ward_mountd::root::{MARK, POLICY};
use ward_policy::{Rules, parse_duration};

/// A file that was read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The root that it names.
    pub(crate) root: PathBuf,
    /// What it says besides and its ACL, which counts for nothing here.
    pub(crate) without_effect: Vec<String>,
    /// Who is in its ACL.
    agents: Vec<String>,
}

impl ConfigFile {
    /// Reads it, every key of it.
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        let path = std::path::absolute(path).map_err(|error| odd(path, &error.to_string()))?;
        if path.ends_with(MARK) {
            let root = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
            return Ok(Self { root, path, without_effect: Vec::new(), agents: Vec::new() });
        }
        let text = policy_text::read(&path, "file")?;
        check_owner(&path)?;
        let here = Here {
            place: "default:".to_owned(),
            users: std::collections::BTreeMap::new(),
            approver: nix::unistd::getuid().as_raw(),
        };
        acl::import(&text, &here).map_err(|error| odd(&path, &error.to_string()))?;
        let agents = acl::agents(&text).map_err(|error| odd(&path, &error.to_string()))?;
        let table: Table = toml::from_str(&text).map_err(|error| odd(&path, error.message()))?;
        check(&table).map_err(|what| odd(&path, &what))?;
        let root = root_of(&table).map_err(|what| odd(&path, &what))?;
        let without_effect = without_effect(&table);
        Ok(Self { root, path, without_effect, agents })
    }

    /// What to do about an ACL that the policy of `root` does not have.
    pub(crate) fn missing_in(&self, root: &Path) -> Option<String> {
        let known = known_in(root);
        let is_missing = |agent: &&String| !known.contains(agent);
        let missing: Vec<&str> =
            self.agents.iter().filter(is_missing).map(String::as_str).collect();
        (!missing.is_empty()).then(|| {
            format!(
                "its ACL is not in the policy of {}, which alone counts: no client is named {}; \
                 ward policy import --gloves {} prints what to add",
                root.display(),
                missing.join(", "),
                self.path.display()
            )
        })
    }
}

/// Whoever can write the file says where secrets go.
fn check_owner(path: &Path) -> Result<(), Trouble> {
    let stat = std::fs::metadata(path).map_err(|error| odd(path, &error.to_string()))?;
    let (ours, path) = (nix::unistd::geteuid().as_raw(), path.display());
    let refused = |why: String, mend: String| {
        Err(Trouble::bad_input(format!("{path} {why}")).next(format!("{mend} {path}")))
    };
    if ![0, ours].contains(&stat.uid()) {
        let why = format!("belongs to uid {}, not to root or uid {ours}", stat.uid());
        return refused(why, format!("chown {ours}"));
    }
    if stat.mode() & 0o022 != 0 {
        return refused("can be written by others".to_owned(), "chmod go-w".to_owned());
    }
    Ok(())
}

/// The clients of a root's policy; none of one that cannot be read.
fn known_in(root: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(root.join(POLICY)).unwrap_or_default();
    let rules = Rules::load(&text, policy_digest(&text));
    let names = |rules: Rules| rules.client_names().into_iter().map(str::to_owned).collect();
    rules.map(names).unwrap_or_default()
}

fn root_of(table: &Table) -> Result<PathBuf, String> {
    let root = table.get("paths").and_then(|paths| paths.get("root")).and_then(Value::as_str);
    let root = PathBuf::from(root.ok_or("it names no root: [paths] root = \"/path\"")?);
    // A relative one would be another root in each directory.
    if root.is_absolute() { Ok(root) } else { Err("[paths] root must be absolute".to_owned()) }
}

/// Its keys that say neither where the root is nor what an ACL does.
fn without_effect(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    let names = |value: &Value| -> Vec<String> {
        value.as_table().into_iter().flat_map(Table::keys).cloned().collect()
    };
    for (key, value) in table.iter().filter(|(key, _)| *key != "version" && *key != "paths") {
        match key.as_str() {
            "private_paths" | "integrations" => found.push(key.clone()),
            "agents" => {
                found.extend(value.as_table().into_iter().flatten().flat_map(|(agent, it)| {
                    let parts = names(it).into_iter().filter(|part| part != "secrets");
                    parts.map(move |part| format!("agents.{agent}.{part}"))
                }))
            }
            _ => found.extend(names(value).iter().map(|name| format!("{key}.{name}"))),
        }
    }
    found.retain(|key| key != "secrets.acl");
    found
}

/// What the other program lets pass, and stumbles over later.
fn check(table: &Table) -> Result<(), String> {
    let aliases = table.get("private_paths").and_then(Value::as_table);
    let agents = table.get("agents").and_then(Value::as_table);
    for (agent, entry) in agents.into_iter().flatten() {
        let used = entry.get("paths").and_then(Value::as_array).into_iter().flatten();
        for alias in used.filter_map(Value::as_str) {
            if !aliases.is_some_and(|aliases| aliases.contains_key(alias)) {
                return Err(format!("agents.{agent}: [private_paths] has no {alias:?}"));
            }
        }
    }
    let ttl = table.get("defaults").and_then(|defaults| defaults.get("vault_mount_ttl"));
    match ttl.map(|ttl| ttl.as_str().and_then(parse_duration)) {
        Some(None) => Err("defaults.vault_mount_ttl is no time such as \"1h\"".to_owned()),
        Some(Some(_)) | None => Ok(()),
    }
}

fn odd(path: &Path, what: &str) -> Trouble {
    Trouble::bad_input(format!("{}: {what}", path.display()))
        .next("mend the file, or name the root by --root PATH")
}
