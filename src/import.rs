//! Import: policies of other programs as policies of ours, with comments that say from where; and their
//! secrets.

pub(crate) mod agent_safe;
pub(crate) mod decrypted;
pub(crate) mod dotenv;
pub(crate) mod gloves;
pub(crate) mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use toml::Value;
use ward_policy::{AgentName, Operation};

/// What the other program does not know of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    /// What its names begin with here: `VAULT:`, and a folder if they lie in one.
    pub(crate) place: String,
    /// Callers that are users, not agents.
    pub(crate) users: BTreeMap<String, u32>,
    /// The user who answers requests.
    pub(crate) approver: u32,
}

/// Why something is not imported: a sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ImportError(pub(crate) String);

/// A policy in the making.
#[derive(Debug, Default)]
struct Draft {
    clients: BTreeMap<String, String>,
    names: BTreeSet<String>,
    rules: String,
}

impl Draft {
    /// The client that a caller of the other program is: an agent's session, or a user.
    fn client(&mut self, id: &str, here: &Here) -> Result<String, ImportError> {
        let fact = match here.users.get(id) {
            Some(uid) => format!("uid = {uid}"),
            None if id == "*" => "session = \"*\"".to_owned(),
            None => {
                AgentName::try_from(id).map_err(|error| {
                    ImportError(format!("{error}; if it is a user, say --user {id}=UID"))
                })?;
                format!("session = {}", text(id))
            }
        };
        let name = if id == "*" { "any-agent".to_owned() } else { word(id) };
        if self.clients.get(&name).is_some_and(|known| *known != fact) {
            return Err(ImportError(format!(
                "two callers would be the client {name:?}; rename one"
            )));
        }
        self.clients.insert(name.clone(), fact);
        Ok(name)
    }

    /// A name like that one which nothing has yet.
    fn name(&mut self, like: &str) -> String {
        let stem = word(like);
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let mut all = [stem.clone()].into_iter().chain(numbered);
        let name = all.find(|name| !self.names.contains(name)).unwrap_or(stem);
        self.names.insert(name.clone());
        name
    }

    /// `[clients]`.
    fn clients(&self) -> String {
        let client = |(name, facts): (&String, &String)| {
            format!("[clients.{}]\n{facts}\n\n", quoted_key(name))
        };
        self.clients.iter().map(client).collect()
    }
}

/// 1 to 56 of what a name may have; anything else is a hyphen.
fn word(text: &str) -> String {
    let allowed =
        |it: char| if it.is_ascii_alphanumeric() || "._-".contains(it) { it } else { '-' };
    let word: String = text.chars().take(56).map(allowed).collect();
    if word.is_empty() { "unnamed".to_owned() } else { word }
}

fn quoted_key(name: &str) -> String {
    if name.contains('.') { text(name) } else { name.to_owned() }
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(text).collect();
    format!("[{}]", items.join(", "))
}

/// A comment: what others wrote stays on its lines.
fn comment(text: &str) -> String {
    let clean = |line: &str| line.chars().filter(|it| !it.is_control()).collect::<String>();
    text.lines().map(|line| format!("# {}", clean(line)).trim_end().to_owned() + "\n").collect()
}

/// A pattern that matches that name, at that place.
fn literal(place: &str, name: &str) -> Result<String, ImportError> {
    let odd = |it: char| "*?[]{}\\".contains(it) || it.is_control();
    if name.is_empty() || name.contains(odd) {
        return Err(ImportError(format!("{name:?} cannot be the name of a secret")));
    }
    Ok(format!("{place}{name}"))
}

/// The operation of that name.
fn operation(name: &str) -> Result<Operation, ImportError> {
    Operation::from_name(name).ok_or_else(|| ImportError(format!("{name:?} is no operation")))
}
