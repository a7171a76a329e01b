//! From a yes to hand a file out to what its receiver may open.

use crate::support::{NOON, caller, doubts, path, rules, vault};
use ulid::Ulid;
use ward_policy::{
    Basis, Caller, Decision, Denial, FileId, Grade, Handoff, Moment, Operation, OperationSet,
    Permit, Question, Reading, RequestId, Rules, SecretPath, Share, VaultName,
};

const TEXT: &str = "version = 1\n[ops]\n'file.read' = 'low'\n'handoff.grant' = 'low'\n\
    [clients.giver]\nuid = 1\n[clients.denied]\nuid = 2\n[clients.asked]\nuid = 3\n\
    [clients.boss]\nuid = 9\nrole = 'approver'\n\
    [[rule]]\nname = 'gives'\nclients = ['giver']\nops = ['handoff.grant']\npath = ['*']\n\
    decide = 'allow'\n\
    [[rule]]\nname = 'reads'\nclients = ['giver']\nops = ['file.read']\npath = ['a']\n\
    share = 'children'\ndecide = 'allow'\n\
    [[rule]]\nname = 'never'\nclients = ['denied']\nops = ['file.read']\npath = ['*']\n\
    decide = 'deny'\n\
    [[rule]]\nname = 'asks'\nclients = ['asked']\nops = ['file.read']\npath = ['*']\n\
    decide = 'approve'\napprove = { require = 'first_use', factors = { any = ['local'] } }\n";

struct Subject {
    rules: Rules,
    vault: VaultName,
    path: SecretPath,
}

impl Subject {
    fn of(name: &str) -> Self {
        Self { rules: rules(TEXT), vault: vault("work"), path: path(name) }
    }

    fn question(&self, operation: Operation) -> Question<'_> {
        Question {
            operations: OperationSet::of(operation),
            vault: Some(&self.vault),
            path: Some(&self.path),
            file: Some(FileId(3)),
            ..Question::default()
        }
    }

    fn permit(&self, operation: Operation) -> Permit {
        let decision = self.rules.evaluate(&caller(1), &self.question(operation), NOON);
        let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
        permit
    }

    fn handoff(&self) -> Handoff {
        let reading = self.permit(Operation::FileRead);
        let reading = Reading::Rule(&reading);
        let granting = self.permit(Operation::HandoffGrant);
        let (id, ends) = (RequestId(Ulid::from(7u128)), Moment::from_nanoseconds(100));
        Handoff::begin(&granting, &reading, id, ends).unwrap()
    }

    fn open(&self, receiver: &Caller, handoff: &Handoff) -> Decision {
        let question = self.question(Operation::FileRead);
        self.rules.evaluate_handed(receiver, &question, NOON, handoff)
    }
}

#[test]
fn what_no_rule_speaks_of_is_permitted_by_the_handoff_and_shared_with_nobody() {
    let a = Subject::of("a");
    let handoff = a.handoff();
    let decision = a.open(&caller(5), &handoff);
    let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
    assert_eq!(permit.grant().operations, OperationSet::of(Operation::FileRead));
    assert_eq!(permit.grant().handle.share, Share::Nobody);
    assert_eq!(&*permit.grant().rules, ["gives".into(), "reads".into()]);
    let basis = Basis::Handoff { request: handoff.request(), ends: handoff.ends() };
    assert_eq!(*permit.basis(), basis);
}

#[test]
fn a_rule_about_the_receiver_counts_all_the_same() {
    let a = Subject::of("a");
    let handoff = a.handoff();
    assert!(matches!(a.open(&caller(2), &handoff), Decision::Denied(Denial::Rule(_))));
    assert!(matches!(a.open(&caller(3), &handoff), Decision::NeedsApproval(_)));
    let untrusted = Caller { doubts: doubts(Grade::Untrusted), ..caller(5) };
    assert!(matches!(a.open(&untrusted, &handoff), Decision::Denied(Denial::NoRule)));
}

#[test]
fn a_handoff_permits_nothing_but_reading_its_file() {
    let (a, b) = (Subject::of("a"), Subject::of("b"));
    let handoff = a.handoff();
    assert!(matches!(b.open(&caller(5), &handoff), Decision::Denied(Denial::NoRule)));
    let writing = a.question(Operation::FileWrite);
    let decision = a.rules.evaluate_handed(&caller(5), &writing, NOON, &handoff);
    assert!(matches!(decision, Decision::Denied(_)));
    let (granting, reading) = (b.permit(Operation::HandoffGrant), a.permit(Operation::FileRead));
    let (id, ends) = (handoff.request(), handoff.ends());
    assert!(Handoff::begin(&granting, &Reading::Rule(&reading), id, ends).is_none());
    let granting = a.permit(Operation::HandoffGrant);
    let same = a.permit(Operation::HandoffGrant);
    assert!(
        Handoff::begin(&granting, &Reading::Rule(&same), id, ends).is_none(),
        "who gives must read"
    );
}
