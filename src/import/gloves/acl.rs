//! The ACL of a `.gloves.toml`: agents, the names they may touch, and what they may do there.

use super::settings;
use crate::import::{Draft, Here, ImportError, comment, list, literal, operation, text, word};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use toml::{Table, Value};
use ward_policy::Operation;

/// Words of the ACL, and the operations that they are.
const OPERATIONS: [(&str, &[&str]); 8] = [
    ("read", &["file.read"]),
    ("write", &["file.write", "secret.set"]),
    ("list", &["file.list"]),
    ("revoke", &["secret.revoke"]),
    ("request", &["request.create"]),
    // Who asks is told how its request stands, and an approver both approves and denies.
    ("status", &[]),
    ("approve", &[]),
    ("deny", &["request.deny"]),
];
/// What the file says besides, and ours says elsewhere or not at all.
const ELSEWHERE: [(&str, &str); 5] = [
    ("paths", "a root is named by --root, or by --config with this very file"),
    ("private_paths", "paths of files are a matter of the file system"),
    ("vault", "vaults need no other program, so there is none to require"),
    ("integrations", "names are secrets: write them to the vault"),
    ("agents", "it enforced nothing there but for agents.NAME.secrets, which is below"),
];
/// What became of it.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The policy that allows what the ACL does, in TOML.
    pub(crate) policy: String,
    /// Lines of a `ward.toml` for what is said besides; none where nothing is.
    pub(crate) settings: String,
}

/// What an agent may do, and where.
#[derive(Debug, Default)]
struct Entry {
    refs: BTreeSet<String>,
    operations: BTreeSet<String>,
}

/// The policy that allows what the ACL of `file` does, and the settings of the rest.
pub(crate) fn import(file: &str, here: &Here) -> Result<Imported, ImportError> {
    let table: Table = toml::from_str(file).map_err(|error| ImportError(error.to_string()))?;
    let entries = entries(&table)?;
    let mut draft = Draft::default();
    for (agent, parts) in &entries {
        let client = draft.client(agent, here)?;
        if parts.iter().any(|part| part.operations.contains("approve"))
            && let Some(facts) = draft.clients.get_mut(&client)
        {
            facts.push_str("\nrole = \"approver\"");
        }
        for part in parts {
            let rule = rule(&mut draft, &client, part, here)?;
            draft.rules.push_str(&comment(&format!("from the ACL of {agent}")));
            draft.rules.push_str(&rule);
        }
    }
    let mut out = comment(
        "Imported from a .gloves.toml. There an agent is whoever says so with --agent; here it is what\n\
         runs in a session of ward run --agent NAME, or a user.",
    );
    for (key, why) in ELSEWHERE.iter().filter(|(key, _)| table.contains_key(*key)) {
        out.push_str(&comment(&format!("not here: [{key}]: {why}")));
    }
    let settings = settings::import(&table)?;
    if !settings.is_empty() {
        out.push_str(&comment(&format!("for ward.toml:\n{settings}")));
    }
    out.push_str("\nversion = 1\n\n[ops]\n");
    let used = entries.values().flatten().flat_map(|entry| &entry.operations);
    let used: BTreeSet<Operation> = used
        .flat_map(|word| words(word).unwrap_or_default())
        .map(|name| operation(name))
        .collect::<Result<_, _>>()?;
    for operation in used {
        // Writing to a text never fails.
        let _written =
            writeln!(out, "{} = {}", text(operation.name()), text(operation.risk().name()));
    }
    out.push('\n');
    out.push_str(&draft.clients());
    out.push_str(&draft.rules);
    Ok(Imported { policy: out.trim_end().to_owned() + "\n", settings })
}

/// The ACL by agents; what two tables say of one adds up.
fn entries(table: &Table) -> Result<BTreeMap<String, Vec<Entry>>, ImportError> {
    let mut entries: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    let elsewhere = ELSEWHERE.iter().map(|(key, _)| *key);
    let known: Vec<&str> = elsewhere.chain(settings::TABLES).chain(["version"]).collect();
    if let Some(stranger) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(ImportError(format!("a .gloves.toml has no key {stranger:?}")));
    }
    let secrets = table.get("secrets").and_then(Value::as_table);
    let acl = secrets.and_then(|secrets| secrets.get("acl")).and_then(Value::as_table);
    for (agent, value) in acl.into_iter().flatten() {
        entries.entry(agent.clone()).or_default().push(entry(agent, value)?);
    }
    for (agent, value) in table.get("agents").and_then(Value::as_table).into_iter().flatten() {
        if let Some(secrets) = value.get("secrets") {
            entries.entry(agent.clone()).or_default().push(entry(agent, secrets)?);
        }
    }
    Ok(entries)
}

/// The clients that its ACL is about.
pub(crate) fn agents(file: &str) -> Result<Vec<String>, ImportError> {
    let table: Table = toml::from_str(file).map_err(|error| ImportError(error.to_string()))?;
    let client = |id: &String| if id == "*" { "any-agent".to_owned() } else { word(id) };
    Ok(entries(&table)?.keys().map(client).collect())
}

fn entry(agent: &str, value: &Value) -> Result<Entry, ImportError> {
    let odd = |what: &str| ImportError(format!("the ACL of {agent:?}: {what}"));
    let table = value.as_table().ok_or_else(|| odd("it must be a table"))?;
    let mut entry = Entry::default();
    for (key, value) in table {
        let items = value.as_array().ok_or_else(|| odd("its entries must be lists"))?;
        let items: Option<BTreeSet<String>> =
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        let items = items.ok_or_else(|| odd("its entries must be lists of text"))?;
        match key.as_str() {
            "refs" | "paths" => entry.refs.extend(items),
            "operations" => entry.operations.extend(items),
            other => return Err(odd(&format!("it has no key {other:?}"))),
        }
    }
    if entry.refs.is_empty() || entry.operations.is_empty() {
        return Err(odd("it needs `refs` and `operations`"));
    }
    Ok(entry)
}

fn words(word: &str) -> Option<&'static [&'static str]> {
    OPERATIONS.iter().find(|(known, _)| *known == word).map(|(_, operations)| *operations)
}

fn rule(
    draft: &mut Draft,
    client: &str,
    entry: &Entry,
    here: &Here,
) -> Result<String, ImportError> {
    let mut operations = Vec::new();
    for word in &entry.operations {
        let found = words(word)
            .ok_or_else(|| ImportError(format!("{word:?} is no operation of an ACL")))?;
        operations.extend(found);
    }
    if operations.is_empty() {
        return Ok(comment("which allows nothing that a rule must say") + "\n");
    }
    let mut patterns = Vec::new();
    for name in &entry.refs {
        patterns.push(match (name.as_str(), name.strip_suffix("/*")) {
            ("*", _) => format!("{}**", here.place),
            (_, Some(folder)) => format!("{}/**", literal(&here.place, folder)?),
            (name, None) => literal(&here.place, name)?,
        });
    }
    Ok(format!(
        "[[rule]]\nname = {}\nclients = {}\nops = {}\npath = {}\ndecide = \"allow\"\n\n",
        text(&draft.name(&format!("acl-{client}"))),
        list([client]),
        list(operations),
        list(patterns.iter().map(String::as_str)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ward_policy::{DescribedCaller, DescribedQuestion, Digest, Rules};

    const FILE: &str = r#"
version = 1
[paths]
root = "/srv/gloves"
[secrets.acl.agent-main]
paths = ["shared/*", "svc/*"]
operations = ["read", "write", "list", "request", "status"]
[secrets.acl.agent-workflows]
refs = ["shared/*", "svc/workflows/*", "vault/key"]
operations = ["read", "list"]
[agents.agent-workflows.secrets]
refs = ["own/*"]
operations = ["write"]
[secrets.acl.human-ops]
paths = ["*"]
operations = ["read", "write", "list", "revoke", "request", "status", "approve", "deny"]
[secrets.pipe.commands.curl]
require_url = true
url_prefixes = ["https://api.example/"]
"#;

    /// What the other program decides, by its own words: `*`, strict descendants, or the very name.
    fn allows(agent: &str, word: &str, name: &str) -> bool {
        let acl: &[(&str, &[&str], &[&str])] = &[
            ("agent-main", &["shared/*", "svc/*"], &["read", "write", "list", "request", "status"]),
            ("agent-workflows", &["shared/*", "svc/workflows/*", "vault/key"], &["read", "list"]),
            ("agent-workflows", &["own/*"], &["write"]),
            ("human-ops", &["*"], &["read", "write", "list", "revoke", "request", "status"]),
        ];
        acl.iter().any(|(who, refs, words)| {
            let is_in = |it: &&str| {
                let folder = it.strip_suffix("/*");
                *it == "*"
                    || *it == name
                    || folder.is_some_and(|it| name.starts_with(&format!("{it}/")))
            };
            *who == agent && words.contains(&word) && refs.iter().any(is_in)
        })
    }

    #[test]
    fn every_combination_is_decided_as_before() {
        let users = [("human-ops".to_owned(), 1000)].into();
        let here = Here { place: "default:".to_owned(), users, approver: 0 };
        let policy = import(FILE, &here).unwrap().policy;
        let rules = Rules::load(&policy, Digest::from_bytes([0; 32])).unwrap();
        let folders = [
            "shared",
            "svc",
            "svc/workflows",
            "own",
            "vault",
            "prod/db",
            "shared/a/b",
            "x",
            "shared2",
            "svc2/workflows",
        ];
        assert!(
            policy.contains("[clients.human-ops]\nuid = 1000\nrole = \"approver\"\n"),
            "{policy}"
        );
        let names: Vec<String> = folders
            .iter()
            .flat_map(|folder| ["", "/key", "/a", "/a/b"].map(|name| format!("{folder}{name}")))
            .collect();
        let mut combinations = 0;
        for agent in ["agent-main", "agent-workflows", "human-ops", "stranger", "nobody", "human-x"]
        {
            let uid = if agent == "human-ops" { 1000 } else { 7 };
            let session = format!("session = {agent:?}");
            let facts = if uid == 7 { format!("uid = 7, {session}") } else { "uid = 1000".into() };
            let caller = DescribedCaller::parse(&facts).unwrap().read().unwrap();
            for (word, operations) in OPERATIONS
                .iter()
                .filter(|(word, operations)| !operations.is_empty() && *word != "deny")
            {
                for name in &names {
                    let ask = DescribedQuestion {
                        operations: Some(operations.iter().map(ToString::to_string).collect()),
                        vault: Some("default".to_owned()),
                        path: Some(name.clone()),
                        ..DescribedQuestion::default()
                    };
                    let time = rules.time("Wed 12:00").unwrap();
                    let asked = ask.read().unwrap();
                    let decided = rules.outcome(&caller, &asked.question(), time).decision;
                    let expected = if allows(agent, word, name) { "permitted" } else { "denied" };
                    assert_eq!(decided, expected, "{agent} {word} {name}\n{policy}");
                    combinations += 1;
                }
            }
        }
        assert!(combinations >= 1000, "{combinations}");
    }

    #[test]
    fn what_is_not_understood_is_refused_and_what_is_left_out_is_said() {
        let here = Here { place: "default:in/".to_owned(), users: BTreeMap::new(), approver: 0 };
        let policy = import(FILE, &here).unwrap().policy;
        assert!(policy.contains("# not here: [paths]: a root is named by --root"), "{policy}");
        assert!(policy.contains("# for ward.toml:\n# [pipe.commands.curl]\n"), "{policy}");
        assert!(policy.contains("path = [\"default:in/**\"]"), "{policy}");
        assert!(policy.contains("\"default:in/svc/workflows/**\""), "{policy}");
        let odd = FILE.replace("\"revoke\"", "\"revook\"");
        let refused = import(&odd, &here).unwrap_err();
        assert_eq!(refused.to_string(), "\"revook\" is no operation of an ACL");
        let odd = FILE.replace("[paths]", "[places]");
        let refused = import(&odd, &here).unwrap_err();
        assert_eq!(refused.to_string(), "a .gloves.toml has no key \"places\"");
    }
}
