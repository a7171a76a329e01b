//! The decisions of random policies against a second evaluator: slow, obvious, written apart.
#![expect(clippy::unwrap_used, reason = "a case that cannot be made should stop the test")]

use crate::support;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::fmt::Write as _;
use ward_policy::{
    Approvers, Caller, Decision, Grade, LocalTime, Operation, OperationSet, Question, Rules,
    Ticket, Weekday,
};

const HEAD: &str = "version = 1\n\
    [ops]\n'file.list' = 'low'\n'file.read' = 'low'\n'file.write' = 'low'\n\
    [clients.ann]\nuid = 1\n\
    [clients.sure]\nuid = [1, 2]\ngrade = 'verified'\n\
    [clients.any]\nuid = 2\ngrade = 'untrusted'\n\
    [clients.boss]\nuid = 8\nrole = 'approver'\n\
    [clients.chief]\nuid = 9\nrole = 'approver'\n";
const OPERATIONS: [Operation; 4] =
    [Operation::FileList, Operation::FileRead, Operation::FileWrite, Operation::SecretSet];
const REQUIRE: [&str; 3] = ["first_use", "one_time", "always"];

/// A rule as this file thinks of one.
#[derive(Clone, Debug)]
struct Row {
    clients: Vec<&'static str>,
    operations: Vec<&'static str>,
    patterns: Vec<String>,
    noon_only: bool,
    ticket: Option<bool>,
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
    grade: Grade,
    operations: Vec<Operation>,
    vault: Option<&'static str>,
    path: Option<String>,
    ticket: bool,
    at_noon: bool,
}

/// What came out, in words that both evaluators have.
#[derive(Debug, PartialEq)]
enum Outcome {
    Denied(String),
    Yes(Vec<String>),
    Ask { rules: Vec<String>, require: usize, minutes: u64, by: Option<Vec<String>>, quorum: u32 },
}

fn text_of(rows: &[Row]) -> String {
    let quoted = |words: &[&str]| format!("['{}']", words.join("', '"));
    let mut text = HEAD.to_owned();
    for (number, row) in rows.iter().enumerate() {
        let patterns: Vec<_> = row.patterns.iter().map(String::as_str).collect();
        writeln!(
            text,
            "[[rule]]\nname = 'r{number}'\nclients = {}\nops = {}\npath = {}\npriority = {}",
            quoted(&row.clients),
            quoted(&row.operations),
            quoted(&patterns),
            row.priority
        )
        .unwrap();
        if row.noon_only {
            text.push_str("when = ['Mon-Sun 11:00-13:00']\n");
        }
        if let Some(ticket) = row.ticket {
            writeln!(text, "ticket = {ticket}").unwrap();
        }
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

/// Meaning 4, by trying everything.
fn glob(pattern: &[&str], path: &[&str]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ["**"] => !path.is_empty(),
        ["**", rest @ ..] => (0..=path.len()).any(|skip| glob(rest, &path[skip..])),
        [first, rest @ ..] => {
            !path.is_empty() && word(first.as_bytes(), path[0].as_bytes()) && glob(rest, &path[1..])
        }
    }
}

fn word(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| word(rest, &text[skip..])),
        [first, rest @ ..] => {
            !text.is_empty() && (*first == b'?' || *first == text[0]) && word(rest, &text[1..])
        }
    }
}

fn pattern_matches(pattern: &str, asked: &Asked) -> bool {
    let names = |pattern: &str, path: &str| {
        let pattern: Vec<_> = pattern.split('/').collect();
        glob(&pattern, &path.split('/').collect::<Vec<_>>())
    };
    let Some(vault) = asked.vault else {
        let path = asked.path.as_deref();
        return !pattern.contains(':') && path.is_some_and(|path| names(pattern, path));
    };
    let (own, rest) = pattern.split_once(':').unwrap_or((vault, pattern));
    own == vault
        && match &asked.path {
            None => rest == "*" || rest == "**",
            Some(path) => names(rest, path),
        }
}

fn client_matches(client: &str, least: Option<Grade>, asked: &Asked) -> bool {
    let (uids, own): (&[u32], Option<Grade>) = match client {
        "*" => return least.is_none_or(|least| asked.grade >= least),
        "ann" => (&[1], None),
        "sure" => (&[1, 2], Some(Grade::Verified)),
        "any" => (&[2], Some(Grade::Untrusted)),
        other => panic!("{other}"),
    };
    uids.contains(&asked.uid) && least.is_none_or(|least| asked.grade >= own.unwrap_or(least))
}

fn matches(row: &Row, operation: Operation, asked: &Asked) -> bool {
    let least = match row.verdict {
        Say::Deny => None,
        Say::Approve { signed: true, .. } => Some(Grade::Verified),
        Say::Approve { .. } | Say::Allow => Some(Grade::Weak),
    };
    let names = |name: &&str| match *name {
        "*" => true,
        "file.*" => operation.name().starts_with("file."),
        exact => exact == operation.name(),
    };
    row.operations.iter().any(names)
        && row.clients.iter().any(|client| client_matches(client, least, asked))
        && (row.patterns == ["*"]
            || row.patterns.iter().any(|pattern| pattern_matches(pattern, asked)))
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
    add_up(&winners)
}

fn add_up(winners: &[(usize, &Row)]) -> Outcome {
    let rules = winners.iter().map(|(number, _)| format!("r{number}")).collect();
    let mut sum: Option<(usize, u64, u32)> = None;
    let mut common: Option<Vec<String>> = None;
    for (_, row) in winners {
        let Say::Approve { require, minutes, by, quorum, .. } = &row.verdict else {
            continue;
        };
        let (most, shortest, largest) = sum.unwrap_or((0, 60, 1));
        sum = Some((most.max(*require), shortest.min(*minutes), largest.max(*quorum)));
        if !by.is_empty() {
            let before = common.unwrap_or_else(|| vec!["boss".to_owned(), "chief".to_owned()]);
            common = Some(before.into_iter().filter(|name| by.contains(&name.as_str())).collect());
        }
    }
    match (sum, common) {
        (None, _) => Outcome::Yes(rules),
        (Some(_), Some(common)) if common.is_empty() => {
            Outcome::Denied("the approve rules that match have no approver in common".into())
        }
        (Some((require, minutes, quorum)), by) => {
            Outcome::Ask { rules, require, minutes, by, quorum }
        }
    }
}

fn caller(asked: &Asked) -> Caller {
    Caller { doubts: support::doubts(asked.grade), ..support::caller(asked.uid) }
}

fn time(asked: &Asked) -> LocalTime {
    LocalTime { weekday: Weekday::Friday, minute: if asked.at_noon { 720 } else { 0 } }
}

fn evaluate(rules: &Rules, asked: &Asked) -> Decision {
    let (vault, path) = (asked.vault.map(support::vault), asked.path.as_deref().map(support::path));
    let ticket = asked.ticket.then(|| Ticket::try_from("T-1").unwrap());
    let question = Question {
        operations: asked.operations.iter().copied().fold(OperationSet::EMPTY, OperationSet::with),
        vault: vault.as_ref(),
        path: path.as_ref(),
        file: None,
        ticket: ticket.as_ref(),
    };
    rules.evaluate(&caller(asked), &question, time(asked))
}

fn outcome(decision: Decision) -> Outcome {
    let names = |names: &[std::sync::Arc<str>]| names.iter().map(ToString::to_string).collect();
    match decision {
        Decision::Denied(denial) => Outcome::Denied(denial.to_string()),
        Decision::Permitted(permit) => Outcome::Yes(names(&permit.grant().rules)),
        Decision::NeedsApproval(request) => Outcome::Ask {
            rules: names(&request.grant().rules),
            require: request.obligations().require as usize,
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
        },
    }
}

fn a_pattern() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "b", "ab", "*", "**", "a*", "?", "*b", "?b*"]);
    let vault = select(vec!["", "", "work:", "home:"]);
    (vault, prop::collection::vec(segment, 1..4))
        .prop_map(|(vault, segments)| format!("{vault}{}", segments.join("/")))
}

fn a_verdict() -> impl Strategy<Value = Say> {
    let approve = (0..3usize, any::<bool>(), 1..60u64, 1..4u32).prop_flat_map(
        |(require, signed, minutes, quorum)| {
            subsequence(vec!["boss", "chief"], 0..=2).prop_map(move |by| Say::Approve {
                require,
                signed,
                minutes,
                by,
                quorum,
            })
        },
    );
    prop_oneof![3 => Just(Say::Allow), 1 => Just(Say::Deny), 3 => approve]
}

fn a_row() -> impl Strategy<Value = Row> {
    (
        prop_oneof![Just(vec!["*"]), subsequence(vec!["ann", "sure", "any"], 1..=3)],
        prop_oneof![
            Just(vec!["*"]),
            Just(vec!["file.*"]),
            subsequence(vec!["file.list", "file.read", "file.write"], 1..=3)
        ],
        prop_oneof![
            1 => Just(vec!["*".to_owned()]),
            4 => prop::collection::vec(a_pattern(), 1..3)
        ],
        prop::bool::weighted(0.2),
        prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)],
        prop_oneof![3 => Just(0), 1 => -1..=1i64],
        a_verdict(),
    )
        .prop_map(|(clients, operations, patterns, noon_only, ticket, priority, verdict)| {
            Row { clients, operations, patterns, noon_only, ticket, priority, verdict }
        })
}

fn a_question() -> impl Strategy<Value = Asked> {
    let segment = select(vec!["a", "b", "ab", "bab", "c"]);
    let path = prop::collection::vec(segment, 1..4).prop_map(|parts| parts.join("/"));
    (
        1..4u32,
        select(vec![Grade::Untrusted, Grade::Weak, Grade::Verified, Grade::Verified]),
        prop_oneof![
            6 => subsequence(OPERATIONS[..3].to_vec(), 1..=2),
            1 => subsequence(OPERATIONS.to_vec(), 1..=4)
        ],
        prop_oneof![
            8 => (select(vec!["work", "home"]), path).prop_map(|(v, path)| (Some(v), Some(path))),
            1 => Just((Some("work"), None)),
            1 => Just((None, None))
        ],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(uid, grade, operations, (vault, path), ticket, at_noon)| Asked {
            uid,
            grade,
            operations,
            vault,
            path,
            ticket,
            at_noon,
        })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_evaluators_come_to_the_same(
        rows in prop::collection::vec(a_row(), 1..8),
        questions in prop::collection::vec(a_question(), 1..8),
    ) {
        let rules = support::rules(&text_of(&rows));
        for asked in questions {
            prop_assert_eq!(outcome(evaluate(&rules, &asked)), expected(&rows, &asked), "{:?}", asked);
        }
    }

    #[test]
    fn what_may_be_done_now_is_visible_and_what_no_rule_gives_is_not(
        rows in prop::collection::vec(a_row(), 1..8),
        asked in a_question(),
    ) {
        let (Some(vault), Some(path)) = (asked.vault, asked.path.as_deref()) else { return Ok(()) };
        let (vault, path) = (support::vault(vault), support::path(path));
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
