//! What a grant of a secret gives, and what it does not.

use crate::support::{NOON, caller, doubts, path, rules, vault};
use ulid::Ulid;
use ward_policy::{
    Acting, AgentName, Basis, Caller, Decision, Denial, FileId, Grade, Moment, Operation,
    OperationSet, Permit, Question, Reading, Rules, SecretGrant, SecretGrantId, SecretPath,
    VaultName,
};

const TEXT: &str = "version = 1\n[ops]\n'file.read' = 'low'\n'file.write' = 'low'\n'file.list' = 'low'\n\
    'secret.grant' = 'low'\n\
    [clients.giver]\nuid = 1\n[clients.denied]\nuid = 2\n[clients.asked]\nuid = 3\n\
    [clients.taker]\nuid = [2, 3, 5]\n[clients.boss]\nuid = 9\nrole = 'approver'\n\
    [[rule]]\nname = 'gives'\nclients = ['giver']\nops = ['secret.grant', 'file.read']\n\
    path = ['*']\ndecide = 'allow'\n\
    [[rule]]\nname = 'never'\nclients = ['denied']\nops = ['file.*']\npath = ['*']\n\
    decide = 'deny'\n\
    [[rule]]\nname = 'asks'\nclients = ['asked']\nops = ['file.read']\npath = ['*']\n\
    decide = 'approve'\napprove = { require = 'first_use', factors = { any = ['local'] } }\n";

struct Subject {
    rules: Rules,
    vault: VaultName,
    path: SecretPath,
}

impl Subject {
    fn new() -> Self {
        Self { rules: rules(TEXT), vault: vault("work"), path: path("a") }
    }

    fn question(&self, operation: Operation, file: u64) -> Question<'_> {
        Question {
            operations: OperationSet::of(operation),
            vault: Some(&self.vault),
            path: Some(&self.path),
            file: Some(FileId(file)),
            ..Question::default()
        }
    }

    fn permit(&self, operation: Operation, file: u64) -> Permit {
        let decision = self.rules.evaluate(&caller(1), &self.question(operation, file), NOON);
        let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
        permit
    }

    fn grant(&self, reading: &Permit) -> Option<SecretGrant> {
        let id = SecretGrantId(Ulid::from(7u128));
        let granting = self.permit(Operation::SecretGrant, 3);
        SecretGrant::begin(id, granting.grant(), &Reading::Rule(reading), "taker".into())
    }

    fn ask(&self, who: &Caller, question: &Question<'_>) -> Decision {
        let grant = self.grant(&self.permit(Operation::FileRead, 3)).unwrap();
        let ends = Moment::from_nanoseconds(100);
        self.rules.evaluate_granted(who, question, NOON, (&grant, ends))
    }
}

#[test]
fn the_client_reads_the_file_and_nobody_else_reads_or_does_anything_else() {
    let it = Subject::new();
    let question = it.question(Operation::FileRead, 3);
    let decision = it.ask(&caller(5), &question);
    let Decision::Permitted(permit) = decision else { panic!("{decision:?}") };
    let grant = SecretGrantId(Ulid::from(7u128));
    let ends = Moment::from_nanoseconds(100);
    assert_eq!(*permit.basis(), Basis::SecretGrant { grant, ends });
    let is_denied =
        |who: &Caller, question| matches!(it.ask(who, &question), Decision::Denied(Denial::NoRule));
    assert!(is_denied(&caller(6), question), "another client");
    assert!(is_denied(&caller(5), it.question(Operation::FileRead, 4)), "another file");
    assert!(is_denied(&caller(5), it.question(Operation::FileWrite, 3)), "another operation");
    let other = vault("other");
    assert!(is_denied(&caller(5), Question { vault: Some(&other), ..question }), "another vault");
    let untrusted = Caller { doubts: doubts(Grade::Untrusted), ..caller(5) };
    assert!(is_denied(&untrusted, question));
}

#[test]
fn a_rule_about_the_client_counts_all_the_same() {
    let it = Subject::new();
    let question = it.question(Operation::FileRead, 3);
    assert!(matches!(it.ask(&caller(2), &question), Decision::Denied(Denial::Rule(_))));
    assert!(matches!(it.ask(&caller(3), &question), Decision::NeedsApproval(_)));
    assert!(it.rules.hides(&caller(2), &question, NOON));
    assert!(!it.rules.hides(&caller(5), &question, NOON));
}

#[test]
fn who_acts_as_the_client_is_restricted_by_its_other_rules_all_the_same() {
    let it = Subject::new();
    let question = it.question(Operation::FileRead, 3);
    let name = AgentName::try_from("taker").unwrap();
    let acting = |uid| Caller { acting: Some(Acting::recalled(name.clone(), true)), ..caller(uid) };
    assert!(matches!(it.ask(&acting(5), &question), Decision::Permitted(_)));
    assert!(matches!(it.ask(&acting(2), &question), Decision::Denied(Denial::Rule(_))));
    assert!(matches!(it.ask(&acting(3), &question), Decision::NeedsApproval(_)));
    assert!(it.rules.hides(&acting(2), &question, NOON));
}

#[test]
fn who_grants_must_be_able_to_read_that_very_file() {
    let it = Subject::new();
    assert!(it.grant(&it.permit(Operation::FileRead, 3)).is_some());
    assert!(it.grant(&it.permit(Operation::FileRead, 4)).is_none(), "another file");
    assert!(it.grant(&it.permit(Operation::SecretGrant, 3)).is_none(), "not reading");
}
