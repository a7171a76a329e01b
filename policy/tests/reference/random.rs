//! Random policies and questions.

use super::{Asked, Row, Say, TARGETS};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use ward_policy::{Grade, Operation};

const OPERATIONS: [Operation; 4] =
    [Operation::FileList, Operation::FileRead, Operation::FileWrite, Operation::SecretSet];

fn a_pattern() -> impl Strategy<Value = String> {
    let segment = select(vec!["a", "b", "ab", "*", "**", "a*", "?", "*b", "?b*", "b*b", "*a?"]);
    let vault = select(vec!["", "", "", "work:", "home:"]);
    (vault, prop::collection::vec(segment, 1..4))
        .prop_map(|(vault, segments)| format!("{vault}{}", segments.join("/")))
}

fn some_patterns() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        1 => Just(vec!["*".to_owned()]),
        4 => prop::collection::vec(a_pattern(), 1..3)
    ]
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

fn some_labels() -> impl Strategy<Value = Vec<(&'static str, Vec<&'static str>)>> {
    let env = subsequence(vec!["prod", "prod/*", "d*", "**"], 0..=2);
    let team = subsequence(vec!["red", "b?ue", "green"], 0..=2);
    (env, team).prop_map(|(env, team)| {
        [("env", env), ("team", team)].into_iter().filter(|(_, it)| !it.is_empty()).collect()
    })
}

/// What a rule demands beyond who, what and where; mostly nothing.
type More = (Vec<usize>, Vec<&'static str>, Vec<String>, bool, Option<bool>, Option<Grade>);

fn some_conditions() -> impl Strategy<Value = More> {
    (
        prop_oneof![5 => Just(Vec::new()), 1 => subsequence(vec![0, 1, 2, 3], 1..4)],
        prop_oneof![9 => Just(Vec::new()), 1 => subsequence(vec!["box", "cell"], 1..=2)],
        prop_oneof![9 => Just(Vec::new()), 1 => some_patterns()],
        prop::bool::weighted(0.2),
        prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)],
        prop_oneof![5 => Just(None), 1 => select(vec![Grade::Weak, Grade::Verified]).prop_map(Some)],
    )
}

/// Where a rule applies: patterns, targets, labels, at least one of them.
type Where = (Vec<String>, Vec<usize>, Vec<(&'static str, Vec<&'static str>)>);

fn a_place() -> impl Strategy<Value = Where> {
    let targets = || subsequence((0..TARGETS.len()).collect::<Vec<_>>(), 1..3);
    prop_oneof![
        6 => some_patterns().prop_map(|patterns| (patterns, Vec::new(), Vec::new())),
        2 => targets().prop_map(|targets| (Vec::new(), targets, Vec::new())),
        1 => (some_patterns(), targets()).prop_map(|(patterns, targets)| (patterns, targets, Vec::new())),
        2 => (some_labels(), some_patterns()).prop_map(|(labels, patterns)| {
            let patterns = if labels.is_empty() { patterns } else { Vec::new() };
            (patterns, Vec::new(), labels)
        }),
        1 => (some_patterns(), some_labels())
            .prop_map(|(patterns, labels)| (patterns, Vec::new(), labels)),
    ]
}

pub(super) fn a_row() -> impl Strategy<Value = Row> {
    let clients = vec!["ann", "sure", "any", "staff", "team", "tool", "tools", "agent"];
    (
        prop_oneof![1 => Just(vec!["*"]), 2 => subsequence(clients, 1..=3)],
        prop_oneof![
            Just(vec!["*"]),
            Just(vec!["file.*"]),
            subsequence(vec!["file.list", "file.read", "file.write"], 1..=3)
        ],
        a_place(),
        some_conditions(),
        prop_oneof![3 => Just(0), 1 => -1..=1i64],
        a_verdict(),
    )
        .prop_map(|(clients, operations, place, more, priority, verdict)| {
            let (patterns, targets, labels) = place;
            let (risks, sandboxes, secrets, noon_only, ticket, grade) = more;
            // A deny rule speaks to every grade.
            let grade = grade.filter(|_| verdict != Say::Deny);
            Row {
                clients,
                operations,
                patterns,
                targets,
                labels,
                risks,
                sandboxes,
                secrets,
                noon_only,
                ticket,
                grade,
                priority,
                verdict,
            }
        })
}

type Who = (u32, u32, Vec<u32>, Option<u32>, Option<&'static str>);

fn somebody() -> impl Strategy<Value = Who> {
    (
        1..4u32,
        select(vec![1, 2, 7]),
        select(vec![vec![], vec![3], vec![4, 7]]),
        select(vec![None, Some(1), Some(3)]),
        select(vec![Some("/usr/bin/claude"), Some("/opt/tool"), Some("/usr/bin/cat"), None]),
    )
}

pub(super) fn a_question() -> impl Strategy<Value = Asked> {
    let segment = select(vec!["a", "b", "ab", "bab", "c"]);
    let path = prop::collection::vec(segment, 1..4).prop_map(|parts| parts.join("/"));
    let secret = select(vec!["a", "ab", "b/a", "c"]).prop_map(str::to_owned);
    (
        somebody(),
        select(vec![
            None,
            None,
            Some(("bot", None)),
            Some(("bot", Some("box"))),
            Some(("x", Some("cell"))),
        ]),
        select(vec![Grade::Untrusted, Grade::Weak, Grade::Verified, Grade::Verified]),
        prop_oneof![
            6 => subsequence(OPERATIONS[..3].to_vec(), 1..=2),
            1 => subsequence(OPERATIONS.to_vec(), 1..=4)
        ],
        prop_oneof![
            8 => (select(vec!["work", "home"]), path.clone())
                .prop_map(|(vault, path)| (Some(vault), Some(path))),
            1 => Just((Some("work"), None)),
            1 => path.prop_map(|path| (None, Some(path))),
            1 => Just((None, None))
        ],
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(secret, 1..3)],
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(who, agent, grade, operations, (vault, path), secrets, ticket, at_noon)| {
                let (uid, gid, groups, login, program) = who;
                Asked {
                    uid,
                    gid,
                    groups,
                    login,
                    program,
                    agent,
                    grade,
                    operations,
                    vault,
                    path,
                    secrets,
                    ticket,
                    at_noon,
                }
            },
        )
}
