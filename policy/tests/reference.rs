//! The decisions of random policies against a second evaluator: slow, obvious, written apart.
#![expect(clippy::unwrap_used, reason = "a case that cannot be made should stop the test")]

mod pattern;
mod random;

use crate::support;
use pattern::{names, patterns_match};
use proptest::prelude::*;
use std::fmt::Write as _;
use ward_policy::{
    AgentName, AgentSession, AgentSessionId, Approvers, Caller, Decision, Grade, GroupId,
    LocalTime, Operation, OperationSet, Question, Rules, Ticket, UserId, Weekday,
};

const HEAD: &str = "version = 1\n\
    [ops]\n'file.list' = 'low'\n'file.read' = 'medium'\n'file.write' = 'high'\n\
    [clients.ann]\nuid = 1\n\
    [clients.sure]\nuid = [1, 2]\ngrade = 'verified'\n\
    [clients.any]\nuid = 2\ngrade = 'untrusted'\n\
    [clients.staff]\ngroup = 7\n\
    [clients.team]\ngid = [2, 7]\nloginuid = [1, 2]\n\
    [clients.tool]\nexe = ['/usr/bin/claude', '/opt/tool']\n\
    [clients.tools]\nexe = '/usr/**'\n\
    [clients.agent]\nsession = 'bot'\n\
    [clients.boss]\nuid = 8\nrole = 'approver'\n\
    [clients.chief]\nuid = 9\nrole = 'approver'\n\
    [sandbox.box]\n[sandbox.cell]\n";

/// A target: name, patterns, sensitivity, `env`, `team`.
type Target = (&'static str, &'static [&'static str], usize, Word, Word);
type Word = Option<&'static str>;

/// The targets of every policy.
const TARGETS: [Target; 5] = [
    ("wide", &["*"], 0, None, None),
    ("tree", &["a/**", "b"], 3, Some("prod"), Some("red")),
    ("tail", &["**/b", "work:ab"], 2, Some("prod/eu"), None),
    ("some", &["a/*", "home:*"], 1, Some("dev"), Some("blue")),
    ("rare", &["c/*b/**", "**/bab*"], 2, None, Some("red")),
];
/// Effective risk by risk of the operation and sensitivity.
const EFFECTIVE: [[usize; 4]; 4] = [[0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 3], [2, 3, 3, 3]];
const GRADES: [&str; 4] = ["public", "internal", "restricted", "critical"];
const RISKS: [&str; 4] = ["low", "medium", "high", "critical"];
const REQUIRE: [&str; 3] = ["first_use", "one_time", "always"];

/// A rule as this file thinks of one.
#[derive(Clone, Debug)]
struct Row {
    clients: Vec<&'static str>,
    operations: Vec<&'static str>,
    /// None of them: it has a `where`.
    patterns: Vec<String>,
    targets: Vec<usize>,
    /// `where`: name and values.
    labels: Vec<(&'static str, Vec<&'static str>)>,
    risks: Vec<usize>,
    sandboxes: Vec<&'static str>,
    secrets: Vec<String>,
    noon_only: bool,
    ticket: Option<bool>,
    grade: Option<Grade>,
    priority: i64,
    verdict: Say,
}

#[derive(Clone, Debug, PartialEq)]
enum Say {
    Allow,
    Deny,
    Approve { require: usize, signed: bool, minutes: u64, by: Vec<&'static str>, quorum: u32 },
}

#[derive(Clone, Debug)]
struct Asked {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    login: Option<u32>,
    program: Option<&'static str>,
    /// An agent's name, and what it is confined to.
    agent: Option<(&'static str, Option<&'static str>)>,
    grade: Grade,
    operations: Vec<Operation>,
    vault: Option<&'static str>,
    path: Option<String>,
    secrets: Vec<String>,
    ticket: bool,
    at_noon: bool,
}

/// What came out, in words that both evaluators have.
#[derive(Debug, PartialEq)]
enum Outcome {
    Denied(String),
    Yes(Vec<String>),
    Ask {
        rules: Vec<String>,
        require: usize,
        signed: Vec<bool>,
        minutes: u64,
        by: Option<Vec<String>>,
        quorum: u32,
        is_sensitive: bool,
    },
}

fn quoted<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    format!("['{}']", words.join("', '"))
}

fn text_of(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for (name, patterns, grade, env, team) in TARGETS {
        writeln!(text, "[targets.{name}]\npath = {}", quoted(patterns)).unwrap();
        writeln!(text, "sensitivity = '{}'", GRADES[grade]).unwrap();
        for (label, value) in [("env", env), ("team", team)] {
            if let Some(value) = value {
                writeln!(text, "labels.{label} = '{value}'").unwrap();
            }
        }
    }
    for (number, row) in rows.iter().enumerate() {
        writeln!(text, "[[rule]]\nname = 'r{number}'\npriority = {}", row.priority).unwrap();
        writeln!(text, "clients = {}\nops = {}", quoted(&row.clients), quoted(&row.operations))
            .unwrap();
        conditions_of(row, &mut text);
        match &row.verdict {
            Say::Allow => text.push_str("decide = 'allow'\n"),
            Say::Deny => text.push_str("decide = 'deny'\n"),
            Say::Approve { require, signed, minutes, by, quorum } => {
                let require = REQUIRE[*require];
                let factor = if *signed { "signed" } else { "local" };
                let by =
                    if by.is_empty() { String::new() } else { format!("by = {},", quoted(by)) };
                writeln!(
                    text,
                    "decide = 'approve'\napprove = {{ require = '{require}', {by} quorum = {quorum}, \
                     factors = {{ any = ['{factor}'] }}, lease = '{minutes}m' }}"
                )
                .unwrap();
            }
        }
    }
    text
}

fn conditions_of(row: &Row, text: &mut String) {
    let targets: Vec<_> = row.targets.iter().map(|number| TARGETS[*number].0).collect();
    let risks: Vec<_> = row.risks.iter().map(|number| RISKS[*number]).collect();
    let mut list = |key: &str, words: String, count: usize| {
        if count > 0 {
            writeln!(text, "{key} = {words}").unwrap();
        }
    };
    list("path", quoted(&row.patterns), row.patterns.len());
    list("targets", quoted(&targets), targets.len());
    list("risk", quoted(&risks), risks.len());
    list("sandbox", quoted(&row.sandboxes), row.sandboxes.len());
    list("secrets", quoted(&row.secrets), row.secrets.len());
    for (name, values) in &row.labels {
        list(&format!("where.{name}"), quoted(values), values.len());
    }
    if row.noon_only {
        text.push_str("when = ['Mon-Sun 11:00-13:00']\n");
    }
    if let Some(ticket) = row.ticket {
        writeln!(text, "ticket = {ticket}").unwrap();
    }
    if let Some(grade) = row.grade {
        writeln!(text, "grade = '{}'", grade.name()).unwrap();
    }
}

/// The targets that what is asked lies in.
fn targets_of(asked: &Asked) -> Vec<usize> {
    let is_in =
        |number: &usize| patterns_match(TARGETS[*number].1, asked.vault, asked.path.as_deref());
    (0..TARGETS.len()).filter(is_in).collect()
}

fn sensitivity(asked: &Asked) -> usize {
    targets_of(asked).into_iter().map(|number| TARGETS[number].2).max().unwrap_or(1)
}

fn client_matches(client: &str, least: Option<Grade>, asked: &Asked) -> bool {
    let under = |folder: &str| asked.program.is_some_and(|program| program.starts_with(folder));
    let (is_one, own) = match client {
        "*" => (true, None),
        "ann" => (asked.uid == 1, None),
        "sure" => (asked.uid == 1 || asked.uid == 2, Some(Grade::Verified)),
        "any" => (asked.uid == 2, Some(Grade::Untrusted)),
        "staff" => (asked.gid == 7 || asked.groups.contains(&7), None),
        "team" => (
            (asked.gid == 2 || asked.gid == 7)
                && (asked.login == Some(1) || asked.login == Some(2)),
            None,
        ),
        "tool" => {
            let own = ["/usr/bin/claude", "/opt/tool"];
            (asked.program.is_some_and(|program| own.contains(&program)), None)
        }
        "tools" => (under("/usr/"), None),
        "agent" => (asked.agent.is_some_and(|(name, _)| name == "bot"), None),
        other => panic!("{other}"),
    };
    is_one && least.is_none_or(|least| asked.grade >= own.unwrap_or(least))
}

fn labels_match(row: &Row, asked: &Asked) -> bool {
    let values_of = |label: &str| -> Vec<&'static str> {
        let of = |(_, _, _, env, team): (_, _, _, Option<_>, Option<_>)| {
            if label == "env" { env } else { team }
        };
        targets_of(asked).into_iter().filter_map(|number| of(TARGETS[number])).collect()
    };
    row.labels.iter().all(|(label, wanted)| {
        let values = values_of(label);
        let is_wanted = |value: &&str| wanted.iter().any(|pattern| names(pattern, value));
        match row.verdict {
            Say::Deny => values.iter().any(is_wanted),
            Say::Allow | Say::Approve { .. } => !values.is_empty() && values.iter().all(is_wanted),
        }
    })
}

fn matches(row: &Row, operation: Operation, asked: &Asked) -> bool {
    let least = match row.verdict {
        Say::Deny => None,
        Say::Approve { signed: true, .. } => Some(Grade::Verified),
        Say::Approve { .. } | Say::Allow => Some(Grade::Weak),
    };
    let is_named = |name: &&str| match *name {
        "*" => true,
        "file.*" => operation.name().starts_with("file."),
        exact => exact == operation.name(),
    };
    let path = asked.path.as_deref();
    let risky = [Operation::FileList, Operation::FileRead, Operation::FileWrite];
    // What [ops] does not list has its own class, here high.
    let own_risk = risky.iter().position(|each| *each == operation).unwrap_or(2);
    let risk = EFFECTIVE[own_risk][sensitivity(asked)];
    let sandbox = asked.agent.and_then(|(_, sandbox)| sandbox);
    let its_own = asked.vault.and(asked.path.as_ref()).map_or(&[][..], std::slice::from_ref);
    let named = if asked.secrets.is_empty() { its_own } else { &asked.secrets };
    row.operations.iter().any(is_named)
        && row.clients.iter().any(|client| client_matches(client, least, asked))
        && row.grade.is_none_or(|least| asked.grade >= least)
        && (row.patterns.is_empty() || patterns_match(&row.patterns, asked.vault, path))
        && (row.targets.is_empty()
            || row.targets.iter().any(|number| targets_of(asked).contains(number)))
        && labels_match(row, asked)
        && (row.risks.is_empty() || row.risks.contains(&risk))
        && (row.sandboxes.is_empty() || sandbox.is_some_and(|own| row.sandboxes.contains(&own)))
        && (row.secrets.is_empty()
            || !named.is_empty()
                && named
                    .iter()
                    .all(|secret| patterns_match(&row.secrets, asked.vault, Some(secret))))
        && (!row.noon_only || asked.at_noon)
        && row.ticket.is_none_or(|ticket| ticket == asked.ticket)
}

fn expected(rows: &[Row], asked: &Asked) -> Outcome {
    let mut winners = Vec::new();
    let mut operations = asked.operations.clone();
    operations.sort();
    for operation in operations {
        if operation == Operation::SecretSet {
            return Outcome::Denied("[ops] does not list the operation".into());
        }
        let matching: Vec<_> =
            rows.iter().enumerate().filter(|(_, row)| matches(row, operation, asked)).collect();
        let Some(top) = matching.iter().map(|(_, row)| row.priority).max() else {
            return Outcome::Denied("no rule allows it".into());
        };
        let tier: Vec<_> = matching.into_iter().filter(|(_, row)| row.priority == top).collect();
        if let Some((number, _)) = tier.iter().find(|(_, row)| row.verdict == Say::Deny) {
            return Outcome::Denied(format!("rule r{number} denies it"));
        }
        let asks: Vec<_> =
            tier.iter().copied().filter(|(_, row)| row.verdict != Say::Allow).collect();
        winners.extend(if asks.is_empty() { tier } else { asks });
    }
    winners.sort_by_key(|(number, _)| *number);
    winners.dedup_by_key(|(number, _)| *number);
    add_up(&winners, sensitivity(asked) >= 2)
}

fn add_up(winners: &[(usize, &Row)], is_sensitive: bool) -> Outcome {
    let rules = winners.iter().map(|(number, _)| format!("r{number}")).collect();
    let mut sum: Option<(usize, u64, u32)> = None;
    let mut factors = Vec::new();
    let mut common: Option<Vec<String>> = None;
    for (_, row) in winners {
        let Say::Approve { require, minutes, by, quorum, signed } = &row.verdict else {
            continue;
        };
        let (most, shortest, largest) = sum.unwrap_or((0, 60, 1));
        sum = Some((most.max(*require), shortest.min(*minutes), largest.max(*quorum)));
        factors.push(*signed);
        if !by.is_empty() {
            let before = common.unwrap_or_else(|| vec!["boss".to_owned(), "chief".to_owned()]);
            common = Some(before.into_iter().filter(|name| by.contains(&name.as_str())).collect());
        }
    }
    factors.sort_unstable();
    factors.dedup();
    match (sum, common) {
        (None, _) => Outcome::Yes(rules),
        (Some(_), Some(common)) if common.is_empty() => {
            Outcome::Denied("the approve rules that match have no approver in common".into())
        }
        (Some((require, minutes, quorum)), by) => {
            Outcome::Ask { rules, require, signed: factors, minutes, by, quorum, is_sensitive }
        }
    }
}

fn caller(asked: &Asked) -> Caller {
    let known = support::caller(asked.uid);
    let session = |(name, sandbox): (&str, Option<&str>)| AgentSession {
        id: AgentSessionId(1_u128.into()),
        name: AgentName::try_from(name).unwrap(),
        first: known.process,
        sandbox: sandbox.map(Into::into),
    };
    Caller {
        gid: GroupId(asked.gid),
        groups: asked.groups.iter().copied().map(GroupId).collect(),
        login_uid: asked.login.map(UserId),
        executable: asked.program.map(|program| support::executable(program, None)),
        agent: asked.agent.map(|agent| session(agent).into()),
        doubts: support::doubts(asked.grade),
        ..known
    }
}

fn time(asked: &Asked) -> LocalTime {
    LocalTime { weekday: Weekday::Friday, minute: if asked.at_noon { 720 } else { 0 } }
}

fn evaluate(rules: &Rules, asked: &Asked) -> Decision {
    with_question(asked, |question| rules.evaluate(&caller(asked), question, time(asked)))
}

fn with_question<T>(asked: &Asked, ask: impl FnOnce(&Question<'_>) -> T) -> T {
    let (vault, path) = (asked.vault.map(support::vault), asked.path.as_deref().map(support::path));
    let ticket = asked.ticket.then(|| Ticket::try_from("T-1").unwrap());
    let secrets: Vec<_> = asked.secrets.iter().map(|secret| support::path(secret)).collect();
    let question = Question {
        operations: asked.operations.iter().copied().fold(OperationSet::EMPTY, OperationSet::with),
        vault: vault.as_ref(),
        path: path.as_ref(),
        ticket: ticket.as_ref(),
        secrets: &secrets,
        ..Question::default()
    };
    ask(&question)
}

fn outcome(decision: Decision) -> Outcome {
    let names = |names: &[std::sync::Arc<str>]| names.iter().map(ToString::to_string).collect();
    match decision {
        Decision::Denied(denial) => Outcome::Denied(denial.to_string()),
        Decision::Permitted(permit) => Outcome::Yes(names(&permit.grant().rules)),
        Decision::NeedsApproval(request) => Outcome::Ask {
            rules: names(&request.grant().rules),
            require: request.obligations().require as usize,
            signed: request
                .obligations()
                .factors
                .iter()
                .map(|any| any.contains(ward_policy::Factor::Signed))
                .collect(),
            minutes: request.obligations().lease.as_secs() / 60,
            by: match &request.obligations().approvers {
                Approvers::AnyApprover => None,
                Approvers::Clients(clients) => {
                    let mut clients: Vec<String> = names(clients);
                    clients.sort();
                    Some(clients)
                }
            },
            quorum: request.obligations().quorum,
            is_sensitive: request.obligations().is_sensitive,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_evaluators_come_to_the_same(
        rows in prop::collection::vec(random::a_row(), 1..12),
        questions in prop::collection::vec(random::a_question(), 1..12),
    ) {
        let rules = support::rules(&text_of(&rows));
        for asked in questions {
            prop_assert_eq!(outcome(evaluate(&rules, &asked)), expected(&rows, &asked), "{:?}", asked);
        }
    }

    #[test]
    fn an_explanation_says_what_is_decided_and_of_each_other_rule_what_is_not_so(
        rows in prop::collection::vec(random::a_row(), 1..12),
        asked in random::a_question(),
    ) {
        let rules = support::rules(&text_of(&rows));
        let explained = |question: &Question<'_>| rules.explain(&caller(&asked), question, time(&asked));
        let explanation = with_question(&asked, explained);
        let says: Vec<&str> = explanation.operations.iter().map(|heard| &*heard.says).collect();
        let decided = if says.contains(&"deny") {
            "denied"
        } else if says.contains(&"approve") {
            "needs approval"
        } else {
            "permitted"
        };
        // Approve rules without a common approver come to a no.
        let has_no_approver = explanation.outcome.denial.as_deref().is_some_and(|it| it.contains("approver"));
        prop_assert!(has_no_approver || explanation.outcome.decision == decided, "{:?}", explanation);
        for heard in &explanation.operations {
            let operation = Operation::from_name(&heard.operation).unwrap();
            let matching = rows.iter().enumerate().filter(|(_, row)| matches(row, operation, &asked));
            let mut matching: Vec<String> = matching.map(|(place, _)| format!("r{place}")).collect();
            let overruled = heard.overruled.iter().map(|rule| rule.rule.clone());
            let mut told: Vec<String> = heard.rules.iter().cloned().chain(overruled).collect();
            matching.sort();
            told.sort();
            told.retain(|rule| !rule.starts_with("clients."));
            prop_assert_eq!(matching, told);
            for near in &heard.nearest {
                prop_assert!(!near.unmet.is_empty(), "{:?}", near);
            }
        }
    }

    #[test]
    fn what_may_be_done_now_is_visible_and_what_no_rule_gives_is_not(
        rows in prop::collection::vec(random::a_row(), 1..8),
        asked in random::a_question(),
    ) {
        let (Some(vault), Some(path)) = (asked.vault, asked.path.as_deref()) else { return Ok(()) };
        let (vault, path) = (support::vault(vault), support::path(path));
        let asked = Asked { secrets: Vec::new(), ..asked };
        let rules = support::rules(&text_of(&rows));
        let decide = |operation, ticket| {
            evaluate(&rules, &Asked { operations: vec![operation], ticket, ..asked.clone() })
        };
        let is_no = |decision: &Decision| matches!(decision, Decision::Denied(_));
        let files = [Operation::FileList, Operation::FileRead, Operation::FileWrite];
        let is_given = files
            .iter()
            .any(|operation| !is_no(&decide(*operation, false)) || !is_no(&decide(*operation, true)));
        let denies = |operation| {
            let bare = Asked { ticket: false, ..asked.clone() };
            rows.iter().any(|row| row.verdict == Say::Deny && matches(row, operation, &bare))
        };
        let visible = rules.is_visible(&caller(&asked), &vault, &path, time(&asked));
        if is_given && !denies(Operation::FileList) {
            prop_assert!(visible);
        }
        let speaks = |row: &Row, operation: &Operation| {
            let ever = Asked { at_noon: true, ticket: row.ticket.unwrap_or(false), ..asked.clone() };
            row.verdict != Say::Deny && matches(row, *operation, &ever)
        };
        if !rows.iter().any(|row| files.iter().any(|operation| speaks(row, operation))) {
            prop_assert!(!visible);
        }
        if !is_no(&decide(Operation::FileWrite, asked.ticket)) {
            let parts: Vec<_> = path.to_string().split('/').map(str::to_owned).collect();
            for depth in 0..parts.len() {
                let folder = (depth > 0).then(|| support::path(&parts[..depth].join("/")));
                let may = rules.may_write_in(&caller(&asked), &vault, folder.as_ref(), time(&asked));
                prop_assert!(may || denies(Operation::FileWrite), "{:?}", folder);
            }
        }
    }
}
