//! `ward policy learn`: the smallest rules that would allow what clients were seen to ask for. Only
//! looks at what was recorded, and changes nothing.

use crate::command::PolicyLearnArguments;
use crate::output::{Report, count};
use crate::past::{Span, decisions};
use crate::policy_text;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use ward_mountd::control::message::FailureCode;
use ward_mountd::{Recorded, parse_period};
use ward_policy::{Decision, Denial, Digest, Rules};

/// From how many names of one folder on its pattern is proposed.
const MANY: usize = 32;

/// What was learned.
#[derive(Debug, Serialize)]
pub(crate) struct Learned {
    /// How many decisions about the clients were looked at.
    decisions: u64,
    /// How many rules are proposed.
    rules: u64,
    /// The rules, in TOML.
    proposal: String,
}

/// What one client asked for: operations by place.
type Seen = BTreeMap<String, Place>;

/// A place, and what was asked about it.
#[derive(Debug, Default)]
struct Place {
    operations: BTreeSet<String>,
    times: u64,
}

/// Looks at the log and proposes.
pub(crate) fn run(
    arguments: &PolicyLearnArguments,
    settings: &Settings,
) -> Result<Report<Learned>, Trouble> {
    let of_root = || settings.root.join("policy.toml");
    let file = arguments.policy.clone().unwrap_or_else(of_root);
    let rules = policy_text::load(&file)?;
    let known = rules.client_names();
    if let Some(stranger) = arguments.clients.iter().find(|name| !known.contains(&name.as_str())) {
        let message = format!("no client of {} is named {stranger:?}", file.display());
        let next = "name one of [clients] of the policy; add it there first";
        return Err(Trouble::bad_input(message).next(next));
    }
    let span = Span::last(length(&arguments.span)?, settings)?;
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    let (mut looked_at, mut refused) = (0, BTreeSet::new());
    decisions(&span, settings, |recorded| {
        let Ok(caller) = recorded.caller.read() else { return };
        let clients = rules.clients_of(&caller);
        let named = arguments.clients.iter().find(|name| clients.contains(&name.as_str()));
        let Some(client) = named else { return };
        looked_at += 1;
        match want(&rules, &recorded, arguments.all) {
            Want::Rule => note(seen.entry(client).or_default(), &recorded),
            Want::Nothing => {}
            Want::Denied(rule) => {
                refused.insert(format!("rule {rule} denies some of what {client} asked for"));
            }
        }
    })?;
    let (proposal, count_of_rules) = propose(&rules, &seen, &refused);
    verify(&file, &proposal)?;
    let text = format!(
        "# {} of these clients in the span: {} would allow what no rule allows\n{proposal}",
        count(looked_at, "decision"),
        count(count_of_rules, "rule"),
    );
    Ok(Report::new(Learned { decisions: looked_at, rules: count_of_rules, proposal }, text))
}

fn length(text: &str) -> Result<Duration, Trouble> {
    parse_period(text).ok_or_else(|| {
        let message = format!("{text:?} is no length of time");
        Trouble::bad_input(message).next("write it like 90m, 12h or 1d")
    })
}

/// Whether a decision asks for a rule.
enum Want {
    Rule,
    Nothing,
    Denied(String),
}

fn want(rules: &Rules, recorded: &Recorded, all: bool) -> Want {
    let (Ok(caller), Ok(asked)) = (recorded.caller.read(), recorded.ask.read()) else {
        return Want::Nothing;
    };
    let time = rules.local_time(recorded.seconds);
    match rules.evaluate(&caller, &asked.question(), time) {
        Decision::Denied(Denial::Rule(name)) => Want::Denied(name.to_string()),
        Decision::Denied(_) => Want::Rule,
        Decision::Permitted(_) | Decision::NeedsApproval(_) if all => Want::Rule,
        Decision::Permitted(_) | Decision::NeedsApproval(_) => Want::Nothing,
    }
}

fn note(seen: &mut Seen, recorded: &Recorded) {
    let ask = &recorded.ask;
    let pattern = match (&ask.vault, &ask.path) {
        (Some(vault), Some(path)) => format!("{vault}:{}", literal(path)),
        (Some(vault), None) => format!("{vault}:*"),
        (None, Some(path)) => literal(path),
        (None, None) => "*".to_owned(),
    };
    let place = seen.entry(pattern).or_default();
    place.operations.extend(ask.operations.iter().flatten().cloned());
    place.times += 1;
}

/// A name as a pattern that matches it: what has a meaning of its own there is any one character.
fn literal(path: &str) -> String {
    let has_meaning = |character: char| "*?[]{}\\".contains(character) || character.is_control();
    let (first, rest) =
        path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    // A colon in the first part would name a vault.
    let first = first.replace(':', "?");
    let path = rest.map_or_else(|| first.clone(), |rest| format!("{first}/{rest}"));
    path.replace(has_meaning, "?")
}

/// One rule for each client and set of operations.
fn propose(
    rules: &Rules,
    seen: &BTreeMap<&str, Seen>,
    refused: &BTreeSet<String>,
) -> (String, u64) {
    let mut text: String = refused.iter().map(|line| format!("# not proposed: {line}\n")).collect();
    let mut number = 0;
    for (client, places) in seen {
        let mut by_operations: BTreeMap<&BTreeSet<String>, BTreeMap<&str, u64>> = BTreeMap::new();
        for (pattern, place) in places {
            let patterns = by_operations.entry(&place.operations).or_default();
            patterns.insert(pattern, place.times);
        }
        for (operations, patterns) in by_operations {
            number += 1;
            let times: u64 = patterns.values().sum();
            let patterns = folded(patterns.into_keys());
            let unlisted = operations.iter().filter(|name| {
                ward_policy::Operation::from_name(name).is_some_and(|it| rules.risk(it).is_none())
            });
            let unlisted: String =
                unlisted.map(|name| format!("# [ops] must list {name:?}, too\n")).collect();
            // Writing to a text never fails.
            let _written = write!(
                text,
                "\n# asked for {}\n{unlisted}[[rule]]\nname = {}\nclients = {}\nops = {}\npath = {}\n\
                 decide = \"allow\"\n",
                count(times, "time"),
                quoted(&rules.new_rule_name(&format!("learned-{client}-{number}"))),
                list(&[(*client).to_owned()]),
                list(&operations.iter().cloned().collect::<Vec<_>>()),
                list(&patterns),
            );
        }
    }
    (text, number)
}

/// The patterns, with one for a folder of which many names were seen.
fn folded<'a>(patterns: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pattern in patterns {
        let folder = pattern.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(pattern);
    }
    let fold = |(folder, patterns): (&str, Vec<&str>)| {
        if patterns.len() >= MANY && !folder.is_empty() {
            vec![format!("{folder}/*")]
        } else {
            patterns.into_iter().map(str::to_owned).collect()
        }
    };
    folders.into_iter().flat_map(fold).collect()
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The policy and the proposal must load together.
fn verify(file: &Path, proposal: &str) -> Result<(), Trouble> {
    let text = format!("{}\n{proposal}", policy_text::read(file, "policy")?);
    let loaded = Rules::load(&text, Digest::from_bytes([0; 32]));
    loaded.map(drop).map_err(|fault| {
        Trouble::new(FailureCode::Failed, format!("the proposal does not load: {fault}"))
    })
}
