//! Deciding takes no memory: an open waits for no allocator, and none of its callers can make it.

use crate::support::{NOON, caller, path, rules, vault};
use allocation_counter::measure;
use ward_policy::{Decision, Operation, OperationSet, Question, Rules, Ticket};

const OPEN: OperationSet = OperationSet::of(Operation::FileRead).with(Operation::FileWrite);

/// A thousand rules of every kind of pattern and demand, and a few that decide.
fn many() -> Rules {
    let mut text = "version = 1\n[defaults]\nfactors = { any = ['local'] }\n\
        timezone = 'Europe/Berlin'\n[ops]\n'*' = 'medium'\n[clients.ann]\nuid = 1\n\
        exe = '/usr/bin/**'\n[clients.boss]\nuid = 2\nrole = 'approver'\n\
        [targets.keys]\npath = ['keys/**']\nsensitivity = 'critical'\nlabels = { env = 'prod' }\n"
        .to_owned();
    let rule = |name: &str, ops: &str, place: &str, rest: &str| {
        format!(
            "[[rule]]\nname = '{name}'\nclients = ['ann']\nops = [{ops}]\n{place}\n{}\n",
            rest.replace("; ", "\n")
        )
    };
    let ask = "decide = 'approve'; approve = { require = 'first_use', by = ['boss'] }";
    for number in 0..250 {
        for (kind, pattern) in ["x/N/**", "**/N-*", "*/N/?", "**"].into_iter().enumerate() {
            let place = format!("path = ['{}']", pattern.replace('N', &format!("n{number}")));
            let more =
                if kind == 3 { "ticket = true; decide = 'deny'; priority = -1" } else { ask };
            text += &rule(&format!("r{number}-{kind}"), "'file.read'", &place, more);
        }
    }
    let always = "when = ['Mon-Sun 00:00-24:00']; risk = ['medium']; decide = 'allow'";
    text += &rule("read", "'file.read'", "path = ['a/*/c']", always);
    text += &rule("write", "'file.write'", "path = ['a/**']", "decide = 'allow'");
    text += &rule("asks", "'file.*'", "where = { env = 'prod' }", ask);
    text += &rule("asks-too", "'file.*'", "targets = ['keys']", ask);
    text += &rule("never", "'file.*'", "path = ['**/root*']", "decide = 'deny'; priority = 1");
    rules(&text)
}

/// How often memory was taken for a decision, and what it was.
fn count(rules: &Rules, name: &str, ticket: Option<&Ticket>) -> (u64, Decision) {
    let (work, name, ann) = (vault("work"), path(name), caller(1));
    let question = Question {
        operations: OPEN,
        vault: Some(&work),
        path: Some(&name),
        ticket,
        ..Question::default()
    };
    let mut decision = None;
    let memory = measure(|| decision = Some(rules.evaluate(&ann, &question, NOON)));
    (memory.count_total, decision.unwrap())
}

#[test]
fn a_yes_takes_no_memory() {
    let (taken, decision) = count(&many(), "a/b/c", None);
    let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
    assert_eq!(permit.grant().rules.len(), 2);
    assert_eq!(taken, 0);
}

#[test]
fn a_no_takes_no_memory() {
    let (taken, decision) = count(&many(), "a/b/root", None);
    assert!(matches!(decision, Decision::Denied(_)), "{decision:?}");
    assert_eq!(taken, 0);
    let ticket = Ticket::try_from("OPS-1").unwrap();
    let (taken, decision) = count(&many(), "z/z", Some(&ticket));
    assert!(matches!(decision, Decision::Denied(_)), "{decision:?}");
    assert_eq!(taken, 0);
}

#[test]
fn a_question_for_a_human_takes_no_memory() {
    let (taken, decision) = count(&many(), "keys/x", None);
    let Decision::NeedsApproval(request) = decision else { panic!("{decision:?}") };
    assert_eq!(request.grant().rules.len(), 2);
    assert!(request.obligations().is_sensitive);
    assert_eq!(taken, 0);
}

#[test]
fn seeing_a_name_and_the_hour_take_no_memory() {
    let (rules, work, ann) = (many(), vault("work"), caller(1));
    let names = ["a/b/c", "x/n7/b", "z/n8-1", "z/z"].map(path);
    let memory = measure(|| {
        for name in &names {
            std::hint::black_box(rules.is_visible(&ann, &work, name, NOON));
        }
        std::hint::black_box(rules.local_time(1_768_433_400));
    });
    assert_eq!(memory.count_total, 0);
}
