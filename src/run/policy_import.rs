//! `ward policy import`: policies of other programs as a policy of ours.

use crate::command::PolicyImportArguments;
use crate::import::agent_safe::{Folder, Settings as Imported};
use crate::import::gloves::acl;
use crate::import::{Here, ImportError, agent_safe};
use crate::output::Report;
use crate::policy_text;
use crate::trouble::Trouble;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use ward_mountd::policy_digest;
use ward_policy::Rules;

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Policy {
    /// The policy, in TOML.
    policy: String,
}

/// Reads and translates.
pub(crate) fn run(arguments: &PolicyImportArguments) -> Result<Report<Policy>, Trouble> {
    let users = pairs(&arguments.users, "user")?;
    let uid = |(name, uid): (String, String)| {
        let number =
            uid.parse().map_err(|_| odd(&format!("--user {name}={uid}: {uid:?} is no uid")));
        number.map(|number| (name, number))
    };
    let here = Here {
        place: format!("{}:", arguments.vault),
        users: users.into_iter().map(uid).collect::<Result<_, _>>()?,
        approver: arguments.approver.unwrap_or_else(|| nix::unistd::getuid().as_raw()),
    };
    let policy = match (&arguments.from.gloves, &arguments.from.agent_safe) {
        (Some(file), _) => {
            acl::import(&policy_text::read(file, "ACL")?, &here).map(|imported| imported.policy)
        }
        (None, Some(folder)) => {
            let settings = Imported {
                here,
                actions: pairs(&arguments.actions, "action")?.into_iter().collect(),
                roles: members(&arguments.roles, "role")?,
                groups: members(&arguments.groups, "group")?,
            };
            Folder::read(folder).and_then(|folder| agent_safe::import(&folder, &settings))
        }
        (None, None) => Err(ImportError("nothing to import".to_owned())),
    };
    let policy = policy.map_err(|error| odd(&error.to_string()))?;
    // What does not load is a fault of ours, and worth a word all the same.
    Rules::load(&policy, policy_digest(&policy))
        .map_err(|fault| odd(&format!("what comes of it does not load: {fault}")))?;
    Ok(Report::new(Policy { policy: policy.clone() }, policy))
}

fn pairs(words: &[String], flag: &str) -> Result<Vec<(String, String)>, Trouble> {
    let pair = |word: &String| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let all: Option<_> = words.iter().map(pair).collect();
    all.ok_or_else(|| odd(&format!("--{flag} takes NAME=VALUE")))
}

fn members(words: &[String], flag: &str) -> Result<BTreeMap<String, BTreeSet<String>>, Trouble> {
    let agents =
        |list: &str| list.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let all = pairs(words, flag)?.into_iter().map(|(name, list)| (name, agents(&list)));
    Ok(all.collect())
}

fn odd(message: &str) -> Trouble {
    Trouble::bad_input(message).next("see ward policy import --help")
}
