//! From a yes to a lease, and to its end.

use crate::support::{NOON, caller, path, rules, vault};
use std::time::Duration;
use ulid::Ulid;
use ward_policy::{
    ApprovalRequest, Basis, Caller, Decision, Digest, FileId, Lease, LeaseEnd, LeaseId, Moment,
    Narrowing, Operation, OperationSet, Permit, Question, RequestId, ScopeKind, Ticket,
};

const ALLOW: &str = "decide = 'allow'";

fn ask(require: &str) -> String {
    format!(
        "decide = 'approve'\napprove = {{ require = '{require}', factors = {{ any = ['local'] }}, \
         lease = '5m' }}"
    )
}

fn decide(verdict: &str) -> Decision {
    let rules = rules(&format!(
        "version = 1\n[ops]\n'file.read' = 'low'\n[clients.ann]\nuid = 1\n[clients.boss]\nuid = 2\n\
         role = 'approver'\n[[rule]]\nname = 'reads'\nclients = ['ann']\nops = ['file.read']\n\
         path = ['a']\n{verdict}"
    ));
    let (work, a) = (vault("work"), path("a"));
    let ticket = Ticket::try_from("OPS-1").ok();
    let question = Question {
        operations: OperationSet::of(Operation::FileRead),
        vault: Some(&work),
        path: Some(&a),
        file: Some(FileId(3)),
        ticket: ticket.as_ref(),
        ..Question::default()
    };
    rules.evaluate(&caller(1), &question, NOON)
}

fn permit() -> Permit {
    let decision = decide(ALLOW);
    let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
    permit
}

fn request(require: &str) -> ApprovalRequest {
    let decision = decide(&ask(require));
    let Decision::NeedsApproval(request) = decision else { panic!("{decision:?}") };
    request
}

/// A lease of the caller of uid 1 from 100 to 200.
fn lease() -> Lease {
    let holder = caller(1).fingerprint(ScopeKind::Process).unwrap();
    let (begun, ends) = (Moment::from_nanoseconds(100), Moment::from_nanoseconds(200));
    Lease::begin(permit(), LeaseId(Ulid::from(7u128)), holder, begun, ends)
}

fn end_of(lease: &Lease, caller: &Caller, now: u64) -> Option<LeaseEnd> {
    lease.active_for(caller, Moment::from_nanoseconds(now)).err()
}

#[test]
fn a_permit_says_exactly_what_was_asked_and_who_said_yes() {
    let (grant, basis) = permit().spend();
    assert_eq!(basis, Basis::Rule);
    assert_eq!(grant.operations, OperationSet::of(Operation::FileRead));
    assert_eq!(grant.vault, Some(vault("work")));
    assert_eq!(grant.path, Some(path("a")));
    assert_eq!(grant.file, Some(FileId(3)));
    assert_eq!(grant.ticket.as_ref().map(Ticket::as_str), Some("OPS-1"));
    assert_eq!(&*grant.rules, ["reads".into()]);
    assert_eq!(grant.policy, Digest::from_bytes([1; 32]));
}

#[test]
fn an_approval_permits_what_was_asked_for_as_long_as_the_rule_gives() {
    let request_id = RequestId(Ulid::from(9u128));
    for (require, opens) in [("first_use", None), ("one_time", Some(1)), ("always", Some(1))] {
        let request = request(require);
        let asked = request.grant().clone();
        let given = request.obligations().narrowed(&Narrowing::default()).unwrap();
        let permit = request.approve(request_id, given);
        assert_eq!(permit.grant(), &asked, "{require}");
        let Basis::Approval { request, lifetime, uses } = permit.basis() else {
            panic!("{:?}", permit.basis())
        };
        assert_eq!((*request, *uses), (request_id, opens), "{require}");
        assert_eq!(*lifetime, Duration::from_secs(300), "{require}");
    }
}

#[test]
fn a_lease_is_live_from_its_beginning_and_dead_at_the_moment_it_ends() {
    let lease = lease();
    assert_eq!(end_of(&lease, &caller(1), 100), None);
    assert_eq!(end_of(&lease, &caller(1), 199), None);
    assert_eq!(end_of(&lease, &caller(1), 200), Some(LeaseEnd::Expired));
    assert!(lease.is_live(Moment::from_nanoseconds(199)));
    assert!(!lease.is_live(Moment::from_nanoseconds(200)));
}

#[test]
fn a_lease_that_was_withdrawn_stays_so() {
    let lease = lease();
    lease.withdraw();
    assert_eq!(end_of(&lease, &caller(1), 100), Some(LeaseEnd::Withdrawn));
    assert_eq!(end_of(&lease, &caller(1), 300), Some(LeaseEnd::Withdrawn));
    assert!(!lease.is_live(Moment::from_nanoseconds(100)));
}

#[test]
fn a_lease_yields_nothing_to_anybody_but_its_holder() {
    assert_eq!(end_of(&lease(), &caller(2), 150), Some(LeaseEnd::NotHolder));
    let other = Caller { executable: None, ..caller(1) };
    assert_eq!(end_of(&lease(), &other, 150), Some(LeaseEnd::NotHolder));
}

#[test]
fn an_active_lease_is_the_lease_it_was_asked_of() {
    let lease = lease();
    let active = lease.active_for(&caller(1), Moment::from_nanoseconds(150)).unwrap();
    assert_eq!((active.id(), active.grant()), (lease.id(), lease.grant()));
    assert_eq!(lease.basis(), &Basis::Rule);
    assert_eq!((lease.begun().nanoseconds(), lease.ends().nanoseconds()), (100, 200));
    assert!(lease.holder().is(&caller(1)));
}
