//! `ward policy replay`: what another policy would have decided of what the log tells.

use crate::command::PolicyReplayArguments;
use crate::output::{Report, count, escaped, user};
use crate::past::{Span, decisions};
use crate::policy_text;
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::collections::BTreeMap;
use ward_mountd::Recorded;
use ward_policy::{Denial, Rules};

/// How many names of a group are told.
const TOLD: usize = 3;

/// What would differ.
#[derive(Debug, Serialize)]
pub(crate) struct Replayed {
    /// How many decisions were asked about again.
    decisions: u64,
    /// How many cannot be: refused by something else than rules, or with sealed names.
    left_out: u64,
    /// Facts that clients of the policy ask for, and the log does not keep: they match nobody here.
    unrecorded_facts: Vec<String>,
    /// Decisions that would differ, the most frequent first.
    groups: Vec<Group>,
}

/// Decisions of one kind about one caller.
#[derive(Debug, Serialize)]
struct Group {
    #[serde(flatten)]
    kind: Kind,
    /// How many.
    count: u64,
    /// The number of the last entry.
    last: u64,
    /// Some of what they were about.
    names: Vec<String>,
}

/// What decisions of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Kind {
    /// `allow`, `approve` or `deny`, as it was decided then.
    was: &'static str,
    /// As it would be decided.
    would_be: &'static str,
    /// The rules that would, or why not.
    by: String,
    uid: u32,
    exe: Option<String>,
    agent: Option<String>,
    operations: Vec<String>,
}

/// Asks the policy about the span.
pub(crate) fn run(
    arguments: &PolicyReplayArguments,
    settings: &Settings,
) -> Result<Report<Replayed>, Trouble> {
    let rules = policy_text::load(&arguments.policy)?;
    let span = Span { since: arguments.since.clone(), until: arguments.until.clone() };
    let mut groups: BTreeMap<Kind, Group> = BTreeMap::new();
    let (mut asked, mut left_out) = (0, 0);
    let untold = decisions(&span, settings, |recorded| match again(&rules, &recorded) {
        Some(kind) => {
            asked += 1;
            if kind.was != kind.would_be {
                let group = groups.entry(kind.clone());
                group.or_insert_with(|| Group::new(kind)).add(&recorded);
            }
        }
        None => left_out += 1,
    })?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    let replayed = Replayed {
        decisions: asked,
        left_out: left_out + untold,
        unrecorded_facts: rules.unrecorded_facts(),
        groups,
    };
    let text = told(&replayed);
    Ok(Report::new(replayed, text))
}

/// What was decided and what would be; `None` where the rules had no say, or nothing can be asked.
fn again(rules: &Rules, recorded: &Recorded) -> Option<Kind> {
    let decision = &recorded.decision;
    let was = match decision.decision.as_str() {
        "permitted" if decision.approval.is_some() => "approve",
        "permitted" => "allow",
        "needs-approval" => "approve",
        _ if decision.why.as_deref().is_some_and(Denial::is_told_by) => "deny",
        _ => return None,
    };
    let (caller, asked) = (recorded.caller.read().ok()?, recorded.ask.read().ok()?);
    let time = rules.local_time(recorded.seconds);
    let outcome = rules.outcome(&caller, &asked.question(), time);
    let would_be = match outcome.decision.as_str() {
        "permitted" => "allow",
        "needs approval" => "approve",
        _ => "deny",
    };
    Some(Kind {
        was,
        would_be,
        by: outcome.denial.unwrap_or_else(|| outcome.rules.join(", ")),
        uid: recorded.caller.uid,
        exe: recorded.caller.exe.clone(),
        agent: recorded.caller.session.clone(),
        operations: recorded.ask.operations.clone().unwrap_or_default(),
    })
}

impl Group {
    const fn new(kind: Kind) -> Self {
        Self { kind, count: 0, last: 0, names: Vec::new() }
    }

    fn add(&mut self, recorded: &Recorded) {
        self.count += 1;
        self.last = recorded.decision.seq;
        let name = match (&recorded.ask.vault, &recorded.ask.path) {
            (Some(vault), Some(path)) => format!("{vault}:{path}"),
            (vault, path) => vault.as_ref().or(path.as_ref()).cloned().unwrap_or_default(),
        };
        if self.names.len() < TOLD && !name.is_empty() && !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

fn told(replayed: &Replayed) -> String {
    let Replayed { decisions, left_out, unrecorded_facts, groups } = replayed;
    let mut text = String::new();
    for Group { kind, count: times, last, names } in groups {
        let Kind { was, would_be, by, uid, exe, agent, operations } = kind;
        let exe = exe.as_deref().unwrap_or("a program without a path");
        let agent = agent.as_ref().map(|agent| format!(" for {agent}")).unwrap_or_default();
        let (exe, agent) = (escaped(exe).to_string(), escaped(&agent).to_string());
        let operations = operations.join("+");
        text.push_str(&format!(
            "{was} -> {would_be}  {} {operations} by {} {exe}{agent}\n",
            count(*times, "time"),
            user(*uid)
        ));
        text.push_str(&format!("  {}; last in entry {last}\n", escaped(by)));
        if !names.is_empty() {
            let more = if u64::try_from(names.len()).is_ok_and(|told| told < *times) {
                ", .."
            } else {
                ""
            };
            text.push_str(&format!("  {}{more}\n", escaped(&names.join(", "))));
        }
    }
    if !unrecorded_facts.is_empty() {
        let facts = unrecorded_facts.join(", ");
        text.push_str(&format!("not in the log, so never shown here: {}\n", escaped(&facts)));
    }
    let would: u64 = groups.iter().map(|group| group.count).sum();
    let left = if *left_out == 0 { String::new() } else { format!(", {left_out} left out") };
    text.push_str(&format!("{}: {would} would differ{left}\n", count(*decisions, "decision")));
    text
}
