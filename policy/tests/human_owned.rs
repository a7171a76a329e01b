//! What belongs to a human takes a yes, whatever rules allow.

use crate::support::{NOON, caller, path, rules, vault};
use std::time::Duration;
use ulid::Ulid;
use ward_policy::{
    Approvers, Decision, Denial, FileId, HumanFolder, HumanOwned, Moment, Operation, OperationSet,
    Question, Rules, SecretGrant, SecretGrantId,
};

const TEXT: &str = "version = 1\n[defaults]\nlease = '4m'\n[ops]\n'file.read' = 'low'\n\
    'file.write' = 'low'\n\
    [clients.agent]\nuid = 1\n[clients.boss]\nuid = 9\nrole = 'approver'\n\
    [[rule]]\nname = 'asks'\nclients = ['agent']\nops = ['file.read']\npath = ['pass/slow']\n\
    decide = 'approve'\npriority = 1\n\
    approve = { require = 'one_time', factors = { any = ['local'] }, lease = '1m' }\n\
    [[rule]]\nname = 'reads'\nclients = ['agent']\nops = ['file.read', 'file.write']\n\
    path = ['*', '**']\ndecide = 'allow'\n";

fn owned(text: &str) -> Rules {
    let (vault, folder) = (vault("default"), path("pass"));
    let folder = HumanFolder { name: "sources.pass".into(), vault, folder };
    rules(text).with_human_owned(HumanOwned::new(vec![folder]))
}

fn read(rules: &Rules, in_vault: &str, name: &str, uid: u32) -> Decision {
    let (vault, path) = (vault(in_vault), path(name));
    let question = Question {
        operations: OperationSet::of(Operation::FileRead),
        vault: Some(&vault),
        path: Some(&path),
        ..Question::default()
    };
    rules.evaluate(&caller(uid), &question, NOON)
}

fn asked(decision: Decision) -> (Vec<String>, Duration) {
    let Decision::NeedsApproval(request) = decision else { panic!("{decision:?}") };
    let obligations = request.obligations();
    assert_eq!(obligations.approvers, Approvers::AnyApprover);
    (request.grant().rules.iter().map(ToString::to_string).collect(), obligations.lease)
}

#[test]
fn what_rules_allow_of_a_human_takes_a_yes_with_the_lease_of_the_defaults() {
    let rules = owned(TEXT);
    let (names, lease) = asked(read(&rules, "default", "pass/prod/db", 1));
    assert_eq!((names, lease.as_secs()), (vec!["reads".into(), "sources.pass".into()], 240));
}

#[test]
fn an_approve_rule_of_the_policy_says_itself_what_the_yes_takes() {
    let (names, lease) = asked(read(&owned(TEXT), "default", "pass/slow", 1));
    assert_eq!((names, lease.as_secs()), (vec!["asks".into()], 60));
}

#[test]
fn only_what_lies_in_the_folder_of_that_vault_belongs_to_a_human() {
    for (vault, path) in [("default", "passage"), ("default", "x/pass/a"), ("work", "pass/a")] {
        assert!(matches!(read(&owned(TEXT), vault, path, 1), Decision::Permitted(_)), "{path}");
    }
}

#[test]
fn who_has_no_rule_is_denied_and_nobody_is_asked() {
    let decision = read(&owned(TEXT), "default", "pass/a", 5);
    assert!(matches!(decision, Decision::Denied(Denial::NoRule)), "{decision:?}");
}

#[test]
fn where_nobody_may_answer_what_belongs_to_a_human_is_refused() {
    let without = TEXT.replace("[clients.boss]\nuid = 9\nrole = 'approver'\n", "");
    let start = without.find("[[rule]]\nname = 'asks'").unwrap_or_default();
    let end = without.find("[[rule]]\nname = 'reads'").unwrap_or_default();
    let without = [&without[..start], &without[end..]].concat();
    let decision = read(&owned(&without), "default", "pass/a", 1);
    assert!(matches!(decision, Decision::Denied(Denial::NoApprover)), "{decision:?}");
}

#[test]
fn a_grant_gives_nobody_what_belongs_to_a_human() {
    let (vault, path) = (vault("default"), path("pass/a"));
    let question = Question {
        operations: OperationSet::of(Operation::FileRead),
        vault: Some(&vault),
        path: Some(&path),
        file: Some(FileId(3)),
        ..Question::default()
    };
    let id = SecretGrantId(Ulid::from(7_u128));
    let granted = SecretGrant::recalled(id, vault.clone(), FileId(3), "boss".into());
    let granted = (&granted, Moment::from_nanoseconds(100));
    let decision = owned(TEXT).evaluate_granted(&caller(9), &question, NOON, granted);
    assert!(matches!(decision, Decision::Denied(Denial::NoRule)), "{decision:?}");
    let decision = rules(TEXT).evaluate_granted(&caller(9), &question, NOON, granted);
    assert!(matches!(decision, Decision::Permitted(_)), "{decision:?}");
}

#[test]
fn an_explanation_names_what_the_file_comes_from() {
    let (vault, path) = (vault("default"), path("pass/a"));
    let question = Question {
        operations: OperationSet::of(Operation::FileRead),
        vault: Some(&vault),
        path: Some(&path),
        ..Question::default()
    };
    let explanation = owned(TEXT).explain(&caller(1), &question, NOON);
    let heard = &explanation.operations[0];
    assert_eq!(heard.says, "approve");
    assert_eq!(heard.rules, ["reads", "sources.pass"]);
}
