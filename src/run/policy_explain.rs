//! `ward policy explain` and `ward explain`: which rule decides, and what else would have to be true.

use super::check::target;
use crate::client::Client;
use crate::command::PolicyExplainArguments;
use crate::output::{Report, escaped};
use crate::policy_text;
use crate::settings::Settings;
use crate::trouble::Trouble;
use ward_mountd::control::message::{Ask, Command, Explained, RecordedDecision};
use ward_policy::{CaseError, DescribedCaller, DescribedQuestion, Heard, Unmet};

/// Of a live process or a described caller.
pub(crate) fn run(
    arguments: &PolicyExplainArguments,
    settings: &Settings,
) -> Result<Report<Explained>, Trouble> {
    let operations: Vec<String> = arguments.operation.split('+').map(str::to_owned).collect();
    let (vault, path) = target(&operations, arguments.target.as_deref())?;
    let (ticket, pid) = (arguments.ticket.clone(), arguments.pid);
    let explained = match &arguments.caller {
        Some(facts) => {
            let operations = Some(operations);
            let ask = DescribedQuestion { operations, vault, path, ticket, ..Default::default() };
            describe(facts, ask, arguments, settings)?
        }
        None => {
            let ask = Ask { operations, vault, path, ticket };
            let command = Command::PolicyExplain { ask, pid };
            Client::connect(settings)?.ask(command)?
        }
    };
    Ok(told(explained))
}

/// Of the entry of the log with this number.
pub(crate) fn record(entry: &str, settings: &Settings) -> Result<Report<Explained>, Trouble> {
    let seq = entry.parse().map_err(|_| {
        Trouble::bad_input(format!(
            "{entry} is neither the number of an entry nor the code of an error"
        ))
        .next("numbers are in ward audit show, codes in ward help errors")
    })?;
    let command = Command::Explain { seq };
    Ok(told(Client::connect(settings)?.ask(command)?))
}

/// Explains here what no process asks.
fn describe(
    facts: &str,
    ask: DescribedQuestion,
    arguments: &PolicyExplainArguments,
    settings: &Settings,
) -> Result<Explained, Trouble> {
    let of_root = || settings.root.join("policy.toml");
    let rules = policy_text::load(&arguments.policy.clone().unwrap_or_else(of_root))?;
    let caller = DescribedCaller::parse(facts).map_err(|error| odd(&error))?;
    let asker = caller.read().map_err(|error| odd(&error))?;
    let asked = ask.read().map_err(|error| odd(&error))?;
    let time = rules.time(arguments.time.as_deref().unwrap_or("Wed 12:00"));
    let time = time.map_err(|error| odd(&error))?;
    let explanation = rules.explain(&asker, &asked.question(), time);
    Ok(Explained { policy: rules.digest().to_string(), caller, ask, record: None, explanation })
}

fn odd(error: &CaseError) -> Trouble {
    Trouble::bad_input(error).next("see ward policy explain --help")
}

fn told(explained: Explained) -> Report<Explained> {
    let text = text(&explained);
    Report::new(explained, text)
}

fn text(explained: &Explained) -> String {
    let Explained { caller, record, explanation, policy, .. } = explained;
    let mut text = String::new();
    if let Some(record) = record {
        text.push_str(&then(record));
        let is_same = record.policy.as_ref() == Some(policy);
        text.push_str(if is_same { "by the same policy:\n" } else { "by the policy in force:\n" });
    }
    let exe = caller.exe.as_deref().unwrap_or("a program without a path");
    let clients = match explanation.clients.as_slice() {
        [] => "no client of the policy".to_owned(),
        clients => clients.join(", "),
    };
    let who = format!("uid {}, {exe}, {}: {clients}", caller.uid, caller.grade);
    text.push_str(&format!("caller  {}\n", escaped(&who)));
    for heard in &explanation.operations {
        text.push_str(&of_operation(heard));
    }
    if let Some(why) = &explanation.outcome.denial {
        text.push_str(&format!("denied, because {}\n", escaped(why)));
    }
    text
}

/// What an entry says of what was decided then.
fn then(record: &RecordedDecision) -> String {
    let RecordedDecision { seq, time, event, decision, rules, why, approval, .. } = record;
    let mut line = format!("entry {seq}, {time}: {event}, {decision}");
    if !rules.is_empty() {
        line.push_str(&format!(" by {}", rules.join(", ")));
    }
    if let Some(request) = approval {
        line.push_str(&format!(", approved as {request}"));
    }
    if let Some(why) = why {
        line.push_str(&format!(" ({why})"));
    }
    format!("{}\n", escaped(&line))
}

fn of_operation(heard: &Heard) -> String {
    let Heard { operation, says, rules, overruled, nearest } = heard;
    let mut text = format!("{operation}  {says}");
    match rules.as_slice() {
        [] => text.push_str(": no rule matches\n"),
        rules => text.push_str(&format!(", by {}\n", escaped(&rules.join(", ")))),
    }
    for rule in overruled {
        let name = escaped(&rule.rule);
        let (says, priority) = (&rule.says, rule.priority);
        text.push_str(&format!(
            "  {name} matches too, and counts less: {says}, priority {priority}\n"
        ));
    }
    for near in nearest {
        text.push_str(&format!("  {} would {}, but\n", escaped(&near.rule), near.says));
        for Unmet { what, is, must_be } in &near.unmet {
            let is = is.as_deref().unwrap_or("not known");
            let line = format!("{what} is {is}, and must be {must_be}");
            text.push_str(&format!("    {}\n", escaped(&line)));
        }
    }
    text
}
