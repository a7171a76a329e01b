//! The policy of a new root.

use crate::support::{NOON, about, caller, doubts, path, rules, vault};
use ward_policy::{
    Approvers, Decision, Denial, Grade, Operation, OperationSet, Question, RootKind, SameUser,
    UserId, default_policy,
};

const KINDS: [RootKind; 2] = [RootKind::Private, RootKind::System];

/// The text with its examples made real: lines that begin with `#` and no space.
fn with_examples(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_owner_may_do_everything_and_nobody_else_anything() {
    for kind in KINDS {
        let rules = rules(&default_policy(UserId(1000), kind));
        for operation in Operation::ALL.iter().copied() {
            let question = about(operation);
            let yes = rules.evaluate(&caller(1000), &question, NOON);
            assert!(matches!(yes, Decision::Permitted(_)), "{operation}: {yes:?}");
            for uid in [0, 1001] {
                let no = rules.evaluate(&caller(uid), &question, NOON);
                assert!(matches!(no, Decision::Denied(Denial::NoRule)), "{operation}: {no:?}");
            }
            assert_eq!(rules.risk(operation), Some(operation.risk()), "{operation}");
        }
        assert_eq!(rules.lint(), []);
    }
}

#[test]
fn only_the_owner_of_a_private_root_answers_himself() {
    let same_user = |kind| rules(&default_policy(UserId(1000), kind)).same_user();
    assert_eq!(same_user(RootKind::Private), SameUser::Allow);
    assert_eq!(same_user(RootKind::System), SameUser::Deny);
}

#[test]
fn the_owner_is_the_approver() {
    let rules = rules(&default_policy(UserId(1000), RootKind::System));
    assert_eq!(rules.approver_clients(&caller(1000)), ["owner"]);
    assert!(!rules.is_approver(&caller(1001)));
}

#[test]
fn nobody_can_answer_the_owner_until_the_second_approver_of_the_example_is_real() {
    let text = default_policy(UserId(1000), RootKind::System);
    let can_answer = |text: &str, asker| {
        let rules = rules(text);
        let others = rules.approvers_besides(UserId(asker), &Approvers::AnyApprover);
        others.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(can_answer(&text, 1000).is_empty());
    assert_eq!(can_answer(&text, 1001), ["owner"]);
    let example = "#[clients.admin]\n#uid = [0]\n#role = \"approver\"";
    assert!(text.contains(example));
    let real = text.replace(example, &example.replace('#', ""));
    assert_eq!(can_answer(&real, 1000), ["admin"]);
    assert_eq!(can_answer(&real, 0), ["owner"]);
    let named = Approvers::Clients(["owner".into()].into_iter().collect());
    assert!(rules(&real).approvers_besides(UserId(1000), &named).is_empty());
}

#[test]
fn an_untrusted_program_of_the_owner_gets_nothing() {
    let rules = rules(&default_policy(UserId(1000), RootKind::Private));
    let traced = ward_policy::Caller { doubts: doubts(Grade::Untrusted), ..caller(1000) };
    for operation in Operation::ALL.iter().copied() {
        let decision = rules.evaluate(&traced, &about(operation), NOON);
        assert!(matches!(decision, Decision::Denied(_)), "{operation}");
    }
}

#[test]
fn the_examples_are_valid_and_do_what_they_say() {
    for kind in KINDS {
        let text = default_policy(UserId(1000), kind);
        let rules = rules(&with_examples(&text));
        assert!(with_examples(&text).contains("\n[targets.production]\n"));
        let deploy = |uid| {
            let program = crate::support::executable("/usr/local/bin/deploy", None);
            ward_policy::Caller { executable: Some(program), ..caller(uid) }
        };
        let work = vault("work");
        let read = |caller: &ward_policy::Caller, name: &str| {
            let path = path(name);
            let question = Question {
                operations: OperationSet::of(Operation::FileRead),
                vault: Some(&work),
                path: Some(&path),
                file: None,
                ..Question::default()
            };
            rules.evaluate(caller, &question, NOON)
        };
        assert!(matches!(read(&deploy(7), "ci/deploy-token"), Decision::Permitted(_)));
        assert!(matches!(read(&deploy(7), "ci/other"), Decision::Denied(Denial::NoRule)));
        assert!(matches!(read(&caller(7), "ci/deploy-token"), Decision::Denied(Denial::NoRule)));
        for uid in [7, 1000] {
            assert!(matches!(read(&deploy(uid), "prod/key"), Decision::NeedsApproval(_)), "{uid}");
            let denied = read(&deploy(uid), "prod/root-ca.key");
            assert!(matches!(denied, Decision::Denied(Denial::Rule(_))), "{denied:?}");
        }
        assert!(matches!(read(&caller(1000), "prod/key"), Decision::Permitted(_)));
    }
}
