//! What rules say of the files that are opened by them.

use crate::support::{NOON, caller, doubts, path, rules, vault};
use ward_policy::{
    Caller, Decision, Denial, Grade, HandleTerms, LeaseEnd, LeaseId, Mapping, Moment, Operation,
    OperationSet, Parent, ProcessId, Question, ScopeKind, Share, UserId,
};

const OPEN: OperationSet = OperationSet::of(Operation::FileRead).with(Operation::FileWrite);

fn decide(rows: &[&str]) -> Decision {
    let head = "version = 1\n[ops]\n'file.*' = 'low'\n[clients.ann]\nuid = 1\n";
    let rows = rows.iter().enumerate().map(|(number, row)| {
        format!(
            "[[rule]]\nname = 'r{number}'\nclients = ['ann']\npath = ['a']\ndecide = 'allow'\n{}\n",
            row.replace("; ", "\n")
        )
    });
    let text: String = [head.to_owned()].into_iter().chain(rows).collect();
    let (work, a) = (vault("work"), path("a"));
    let question =
        Question { operations: OPEN, vault: Some(&work), path: Some(&a), ..Question::default() };
    rules(&text).evaluate(&caller(1), &question, NOON)
}

fn terms(rows: &[&str]) -> HandleTerms {
    let decision = decide(rows);
    let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
    permit.grant().handle
}

#[test]
fn of_several_rules_that_permit_an_open_the_narrowest_counts() {
    let all = "ops = ['file.*']";
    let (exec, children) =
        (&format!("{all}; share = 'exec'"), &format!("{all}; share = 'children'"));
    assert_eq!(terms(&[all]).share, Share::Nobody);
    assert_eq!(terms(&[exec]).share, Share::Exec);
    assert_eq!(terms(&[children]).share, Share::Children);
    assert_eq!(terms(&[children, exec]).share, Share::Exec);
    assert_eq!(terms(&[exec, children, all]).share, Share::Nobody);
    // Each operation has a rule of its own, and a rule that does not win says nothing.
    let (read, write) = ("ops = ['file.read']; share = 'children'", "ops = ['file.write']");
    assert_eq!(terms(&[read, write]).share, Share::Nobody);
    assert_eq!(terms(&[children, &format!("{all}; priority = -1")]).share, Share::Children);
}

#[test]
fn one_rule_that_refuses_mapped_reads_is_enough() {
    let (all, none) = ("ops = ['file.*']", "ops = ['file.*']; mapped = false");
    assert_eq!(terms(&[all]).mapping, Mapping::Allowed);
    assert_eq!(terms(&["ops = ['file.*']; mapped = true", all]).mapping, Mapping::Allowed);
    assert_eq!(terms(&[all, none]).mapping, Mapping::Refused);
}

#[test]
fn where_pages_are_kept_a_rule_that_refuses_mapped_reads_permits_no_reading() {
    let kept = |rows: &[&str]| decide(rows).where_pages_are_kept();
    assert!(matches!(kept(&["ops = ['file.*']"]), Decision::Permitted(_)));
    let refused = kept(&["ops = ['file.*']; mapped = false"]);
    assert!(matches!(refused, Decision::Denied(Denial::PagesAreKept)), "{refused:?}");
}

#[test]
fn a_lease_is_shared_with_the_same_process_and_with_descendants_of_the_same_user_alone() {
    let process = |number| ProcessId { number, start_ticks: 7 };
    let opener = Caller { process: process(10), ..caller(1) };
    let user = |number, parents: &[u32]| Caller {
        process: process(number),
        parents: parents.iter().copied().map(|number| parent(process(number))).collect(),
        ..caller(1)
    };
    let lease = |share: &str| {
        let decision = decide(&[&format!("ops = ['file.*']{share}")]);
        let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
        let holder = opener.fingerprint(ScopeKind::Process).unwrap();
        let (begun, ends) = (Moment::from_nanoseconds(100), Moment::from_nanoseconds(200));
        ward_policy::Lease::begin(permit, LeaseId(7u128.into()), holder, begun, ends)
    };
    let outcome = |share: &str, user: &Caller, now| {
        lease(share).active_through(&opener, user, Moment::from_nanoseconds(now)).err()
    };
    let (same, child, grandchild) = (user(10, &[1]), user(11, &[10, 1]), user(12, &[11, 10, 1]));
    let stranger = user(13, &[1]);
    let later = Caller { process: ProcessId { number: 10, start_ticks: 8 }, ..same.clone() };
    let (exec, children) = ("; share = 'exec'", "; share = 'children'");
    let not_holder = Some(LeaseEnd::NotHolder);
    for user in [&same, &child, &grandchild, &stranger] {
        assert_eq!(outcome("", user, 150), not_holder);
    }
    assert_eq!(outcome(exec, &same, 150), None);
    for user in [&same, &child, &grandchild] {
        assert_eq!(outcome(children, user, 150), None);
        assert_eq!(outcome(children, user, 200), Some(LeaseEnd::Expired));
        let other = Caller { uid: UserId(2), ..user.clone() };
        assert_eq!(outcome(children, &other, 150), not_holder);
        let doubtful = Caller { doubts: doubts(Grade::Untrusted), ..user.clone() };
        assert_eq!(outcome(children, &doubtful, 150), not_holder);
    }
    assert_eq!(outcome(exec, &child, 150), not_holder);
    assert_eq!(outcome(children, &stranger, 150), not_holder);
    assert_eq!(outcome(children, &later, 150), not_holder);
    let withdrawn = lease(children);
    withdrawn.withdraw();
    let end = withdrawn.active_through(&opener, &child, Moment::from_nanoseconds(150)).err();
    assert_eq!(end, Some(LeaseEnd::Withdrawn));
}

fn parent(process: ProcessId) -> Parent {
    Parent { process, uid: None, gid: None, executable: None, doubts: [].into() }
}
