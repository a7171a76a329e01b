//! Policies of agent-safe: actions, rules and inventory in YAML. Of the rules that match the one of
//! the highest priority decides there, so each rule gets a priority of its own here.

mod folder;
#[cfg(test)]
mod identical;

pub(crate) use folder::Folder;

use super::{Draft, Here, ImportError, comment, list, literal, operation, quoted_key, text};
use folder::{Callers, Matching, Rule, Target, TimeWindow};
use std::collections::{BTreeMap, BTreeSet};
use ward_policy::Operation;

/// What its folder does not say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) here: Here,
    /// The operation that an action is, where its name does not say so.
    pub(crate) actions: BTreeMap<String, String>,
    /// The agents that hold a role, or are in a group.
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    pub(crate) groups: BTreeMap<String, BTreeSet<String>>,
}

/// Who a rule speaks to.
enum Who {
    Everybody,
    AnyAgent,
    Agents(BTreeSet<String>),
}

/// The policy that decides as those of `folder` do.
pub(crate) fn import(folder: &Folder, settings: &Settings) -> Result<String, ImportError> {
    let operations = operations(folder, settings)?;
    let mut draft = Draft::default();
    let names: Vec<String> = folder.targets.iter().map(|target| draft.name(&target.id)).collect();
    draft.names.clear();
    let mut rules: Vec<&(String, Rule)> = folder.rules.iter().collect();
    rules.sort_by_key(|(_, rule)| std::cmp::Reverse(rule.priority));
    let mut priority = rules.len();
    for (file, rule) in rules {
        let written = Writer { folder, settings, operations: &operations, targets: &names };
        let origin = format!("{file}, rule {:?}, priority {}", rule.name, rule.priority);
        draft.rules.push_str(&comment(&origin));
        match written.rule(rule, priority, &mut draft)? {
            Ok(rule) => draft.rules.push_str(&rule),
            Err(why) => draft.rules.push_str(&comment(&format!("left out: {why}"))),
        }
        draft.rules.push('\n');
        priority -= 1;
    }
    Ok(format!("{}{}", head(folder, &operations), body(folder, settings, &names, &draft)?))
}

/// The operation of each action that is one, by the action's name.
fn operations(
    folder: &Folder,
    settings: &Settings,
) -> Result<BTreeMap<String, Operation>, ImportError> {
    let by_itself = |action: &str| {
        Operation::ALL.iter().copied().find(|it| it.name().replace('.', "-") == action)
    };
    let mut operations = BTreeMap::new();
    if let Some(stranger) = settings.actions.keys().find(|name| !folder.actions.contains_key(*name))
    {
        return Err(ImportError(format!("no action is named {stranger:?}")));
    }
    for action in folder.actions.keys() {
        let found = match settings.actions.get(action) {
            Some(name) => Some(operation(name)?),
            None => by_itself(action),
        };
        let Some(found) = found else { continue };
        if let Some((other, _)) = operations.iter().find(|(_, known)| **known == found) {
            return Err(ImportError(format!("{other:?} and {action:?} would both be {found}")));
        }
        operations.insert(action.clone(), found);
    }
    Ok(operations)
}

fn head(folder: &Folder, operations: &BTreeMap<String, Operation>) -> String {
    let mut text = comment(
        "Imported from agent-safe. Each rule has a priority of its own, in the order there.\n\
         What it checks of parameters is not here. Nobody acts for another here: what speaks of\n\
         delegation is read as of a caller that acts for itself.",
    );
    for action in folder.actions.keys().filter(|action| !operations.contains_key(*action)) {
        let line = format!(
            "left out: the action {action} is no operation; --action {action}=OPERATION makes it one"
        );
        text.push_str(&comment(&line));
    }
    text
}

fn body(
    folder: &Folder,
    settings: &Settings,
    names: &[String],
    draft: &Draft,
) -> Result<String, ImportError> {
    let here = &settings.here;
    let mut out = String::from("\nversion = 1\n\n[defaults]\nungraded = \"critical\"\n\n[ops]\n");
    for (action, operation) in operations(folder, settings)? {
        let risk = folder.actions.get(&action).map_or("critical", |risk| risk.as_str());
        out.push_str(&format!("{} = {} # {action}\n", text(operation.name()), text(risk)));
    }
    out.push('\n');
    out.push_str(&draft.clients());
    if folder.rules.iter().any(|(_, rule)| rule.decision.word() == "approve") {
        let approver =
            format!("[clients.approver]\nuid = {}\nrole = \"approver\"\n\n", here.approver);
        out.push_str(&approver);
    }
    for (target, name) in folder.targets.iter().zip(names) {
        let path = literal(&here.place, &target.id)?;
        let labels = labels(target);
        out.push_str(&format!(
            "[targets.{}]\npath = [{}]\nsensitivity = {}\nlabels = {{ {labels} }}\n\n",
            quoted_key(name),
            text(&path),
            text(&target.sensitivity)
        ));
    }
    out.push_str(&draft.rules);
    Ok(out.trim_end().to_owned() + "\n")
}

fn labels(target: &Target) -> String {
    let own = [("environment", &target.environment), ("type", &target.kind)];
    let others = target.labels.iter().map(|(name, value)| (name.as_str(), value));
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in others.chain(own) {
        all.insert(super::word(name), value.clone());
    }
    let all = all.iter().map(|(name, value)| format!("{} = {}", quoted_key(name), text(value)));
    all.collect::<Vec<_>>().join(", ")
}

struct Writer<'a> {
    folder: &'a Folder,
    settings: &'a Settings,
    operations: &'a BTreeMap<String, Operation>,
    targets: &'a [String],
}

impl Writer<'_> {
    /// A rule in TOML, or why it can never match.
    fn rule(
        &self,
        rule: &Rule,
        priority: usize,
        draft: &mut Draft,
    ) -> Result<Result<String, &'static str>, ImportError> {
        let Matching { actions, targets, callers, risk_classes, time_windows, require_ticket } =
            &rule.matching;
        let everything = vec!["*".to_owned()];
        let patterns = actions.as_ref().unwrap_or(&everything);
        let is_meant = |action: &String| patterns.iter().any(|glob| is_like(glob, action));
        let operations = self.operations.iter().filter(|(action, _)| is_meant(action));
        let operations: Vec<&str> = operations.map(|(_, operation)| operation.name()).collect();
        if operations.is_empty() {
            return Ok(Err("no operation is one of its actions"));
        }
        let place = match targets {
            None => "path = [\"*\"]".to_owned(),
            Some(wanted) => {
                let all = self.folder.targets.iter().zip(self.targets);
                let meant = all.filter(|(target, _)| wanted.holds(target));
                let meant: Vec<&str> = meant.map(|(_, name)| name.as_str()).collect();
                if meant.is_empty() {
                    return Ok(Err("no target is one of its targets"));
                }
                format!("targets = {}", list(meant))
            }
        };
        let clients = self.clients(callers.as_ref(), draft)?;
        if clients.is_empty() {
            return Ok(Err("nobody is its caller"));
        }
        let mut out = format!(
            "[[rule]]\nname = {}\nclients = {}\nops = {}\n{place}\n",
            text(&draft.name(&rule.name)),
            list(clients.iter().map(String::as_str)),
            list(operations),
        );
        if let Some(windows) = time_windows {
            let windows: Vec<String> = windows.iter().flat_map(TimeWindow::windows).collect();
            if windows.is_empty() {
                return Ok(Err("it is never the time for it"));
            }
            out.push_str(&format!("when = {}\n", list(windows.iter().map(String::as_str))));
        }
        if let Some(ticket) = require_ticket {
            out.push_str(&format!("ticket = {ticket}\n"));
        }
        if let Some(risks) = risk_classes {
            if risks.is_empty() {
                return Ok(Err("no risk is one of its classes"));
            }
            out.push_str(&format!("risk = {}\n", list(risks.iter().map(|risk| risk.as_str()))));
        }
        let decide = rule.decision.word();
        out.push_str(&format!("priority = {priority}\ndecide = {}\n", text(decide)));
        out.push_str(&format!("reason = {}\n", text(&rule.reason)));
        if decide == "approve" {
            out.push_str("approve = { require = \"one_time\", factors = { any = [\"local\"] }, by = [\"approver\"] }\n");
        }
        Ok(Ok(out))
    }

    /// The clients it speaks to.
    fn clients(
        &self,
        callers: Option<&Callers>,
        draft: &mut Draft,
    ) -> Result<Vec<String>, ImportError> {
        let here = &self.settings.here;
        let ids: Vec<String> = match self.who(callers)? {
            Who::Everybody => return Ok(vec!["*".to_owned()]),
            Who::AnyAgent => {
                ["*".to_owned()].into_iter().chain(here.users.keys().cloned()).collect()
            }
            Who::Agents(agents) => agents.into_iter().collect(),
        };
        ids.iter().map(|id| draft.client(id, here)).collect()
    }

    fn who(&self, callers: Option<&Callers>) -> Result<Who, ImportError> {
        let Some(callers) = callers else { return Ok(Who::Everybody) };
        let Callers { agent_ids, roles, groups, delegated_from, require_delegation, .. } = callers;
        if delegated_from.is_some() || *require_delegation == Some(true) {
            return Ok(Who::Agents(BTreeSet::new()));
        }
        let ids = agent_ids.as_ref().map(|ids| ids.iter().cloned().collect());
        let holders = |what: &str,
                       names: &Option<Vec<String>>,
                       known: &BTreeMap<String, BTreeSet<String>>| {
            let Some(names) = names else { return Ok(None) };
            let mut all = BTreeSet::new();
            for name in names {
                let agents = known.get(name).ok_or_else(|| {
                    ImportError(format!("who is in the {what} {name:?}? Say --{what} {name}=AGENT,..; with no agent for nobody"))
                })?;
                all.extend(agents.iter().cloned());
            }
            Ok(Some(all))
        };
        let roles = holders("role", roles, &self.settings.roles)?;
        let groups = holders("group", groups, &self.settings.groups)?;
        let all = [ids, roles, groups].into_iter().flatten();
        let both = all.reduce(|one, other: BTreeSet<String>| &one & &other);
        Ok(both.map_or(Who::AnyAgent, Who::Agents))
    }
}

impl TimeWindow {
    /// The same hours as ours: the last hour is within, and hours over midnight are of both days.
    fn windows(&self) -> Vec<String> {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let (start, end) = (self.start_hour, self.end_hour + 1);
        let spans: &[(u8, u8)] =
            &if start < end { vec![(start, end)] } else { vec![(0, end), (start, 24)] };
        let days = self.days.iter().filter_map(|day| DAYS.get(usize::from(*day)));
        let on = |day: &&'static str| {
            let span = |(start, end): &(u8, u8)| format!("{day} {start:02}:00-{end:02}:00");
            spans.iter().map(span).collect::<Vec<_>>()
        };
        days.flat_map(on).collect()
    }
}

/// A name like a pattern of Python's fnmatch: `*`, `?` and `[..]`.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            let starts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            starts.filter_map(|at| name.get(at..)).any(|name| is_like(rest, name))
        }
        Some(first) => {
            let mut others = name.chars();
            let Some(letter) = others.next() else { return false };
            match (first, class(rest.as_str())) {
                ('?', _) => is_like(rest.as_str(), others.as_str()),
                ('[', Some((class, rest))) => {
                    takes(class, letter) && is_like(rest, others.as_str())
                }
                (first, _) => first == letter && is_like(rest.as_str(), others.as_str()),
            }
        }
    }
}

/// What is within `[..]`, and what follows; a `]` that comes first is one of the letters.
fn class(text: &str) -> Option<(&str, &str)> {
    let from = usize::from(text.starts_with('!'));
    let end = text.get(from..)?.char_indices().skip(1).find(|(_, it)| *it == ']')?.0 + from;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

fn takes(class: &str, letter: char) -> bool {
    let (letters, is_wanted) = class.strip_prefix('!').map_or((class, true), |rest| (rest, false));
    let letters: Vec<char> = letters.chars().collect();
    let mut at = 0;
    let mut found = false;
    while let Some(first) = letters.get(at) {
        match (letters.get(at + 1), letters.get(at + 2)) {
            (Some('-'), Some(last)) => {
                found |= (*first..=*last).contains(&letter);
                at += 3;
            }
            (_, _) => {
                found |= *first == letter;
                at += 1;
            }
        }
    }
    found == is_wanted
}
