//! One decision per file of `tests/decisions`: facts and a question in, an outcome out.
#![expect(clippy::unwrap_used, reason = "a case that cannot be read should stop the test")]

use crate::support;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use ward_policy::{
    Approvers, Caller, Cgroup, Decision, Digest, Executable, Grade, GroupId, LocalTime,
    Obligations, Operation, OperationSet, Parent, ProcessId, Question, ScopeKind, Script, Session,
    Ticket, UserId, Weekday,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// A policy of `tests/policies`, by name.
    policy: Option<String>,
    /// Or a policy of its own.
    text: Option<String>,
    caller: Facts,
    ask: Ask,
    #[serde(default = "noon")]
    time: String,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    uid: u32,
    gid: Option<u32>,
    #[serde(default)]
    groups: Vec<u32>,
    loginuid: Option<u32>,
    exe: Option<String>,
    sha256: Option<String>,
    /// Its SHA-256 is 32 bytes of 3.
    script: Option<String>,
    #[serde(default)]
    cgroup: String,
    tty: Option<String>,
    /// Nearest first.
    #[serde(default)]
    parents: Vec<ParentFacts>,
    #[serde(default = "verified")]
    grade: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParentFacts {
    uid: u32,
    exe: String,
    #[serde(default = "verified")]
    grade: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    operations: Vec<String>,
    vault: Option<String>,
    path: Option<String>,
    ticket: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    decision: String,
    #[serde(default)]
    rules: Vec<String>,
    denial: Option<String>,
    require: Option<String>,
    #[serde(default)]
    factors: Vec<Vec<String>>,
    lease: Option<u64>,
    hold: Option<u64>,
    /// Absent: any approver.
    by: Option<Vec<String>>,
    quorum: Option<u32>,
    scope: Option<String>,
    sensitive: Option<bool>,
}

#[test]
fn every_case_comes_out_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = fs::read_dir(folder.join("decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 30, "the cases are gone");
    for file in files {
        let case: Case = toml::from_str(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let policy = case.policy.as_ref().map(|name| folder.join("policies").join(name));
        let text = policy.map(|policy| fs::read_to_string(policy.with_extension("toml")).unwrap());
        let text = text.or_else(|| case.text.clone()).unwrap();
        assert_eq!(decide(&text, &case), case.expect, "{}", file.display());
    }
}

fn decide(text: &str, case: &Case) -> Expected {
    let vault = case.ask.vault.as_deref().map(support::vault);
    let path = case.ask.path.as_deref().map(support::path);
    let ticket = case.ask.ticket.as_deref().map(|ticket| Ticket::try_from(ticket).unwrap());
    let operations = case.ask.operations.iter().map(|name| Operation::from_name(name).unwrap());
    let question = Question {
        operations: operations.fold(OperationSet::EMPTY, OperationSet::with),
        vault: vault.as_ref(),
        path: path.as_ref(),
        file: None,
        ticket: ticket.as_ref(),
    };
    outcome(support::rules(text).evaluate(&caller(&case.caller), &question, time(&case.time)))
}

fn outcome(decision: Decision) -> Expected {
    let silent = Expected {
        decision: "denied".into(),
        rules: Vec::new(),
        denial: None,
        require: None,
        factors: Vec::new(),
        lease: None,
        hold: None,
        by: None,
        quorum: None,
        scope: None,
        sensitive: None,
    };
    let names = |rules: &[std::sync::Arc<str>]| rules.iter().map(ToString::to_string).collect();
    match decision {
        Decision::Denied(denial) => Expected { denial: Some(denial.to_string()), ..silent },
        Decision::Permitted(permit) => {
            Expected { decision: "permitted".into(), rules: names(&permit.grant().rules), ..silent }
        }
        Decision::NeedsApproval(request) => Expected {
            decision: "needs approval".into(),
            rules: names(&request.grant().rules),
            ..demands(request.obligations(), silent)
        },
    }
}

fn demands(obligations: &Obligations, silent: Expected) -> Expected {
    let scope = match obligations.scope {
        ScopeKind::Process => "process",
        ScopeKind::Session => "session",
        ScopeKind::Program => "program",
    };
    let factors = obligations.factors.iter();
    Expected {
        require: Some(format!("{:?}", obligations.require)),
        factors: factors.map(|any| any.iter().map(|one| one.name().into()).collect()).collect(),
        lease: Some(obligations.lease.as_secs()),
        hold: Some(obligations.hold.as_secs()),
        by: match &obligations.approvers {
            Approvers::AnyApprover => None,
            Approvers::Clients(names) => Some(names.iter().map(ToString::to_string).collect()),
        },
        quorum: Some(obligations.quorum),
        scope: Some(scope.into()),
        sensitive: Some(obligations.is_sensitive),
        ..silent
    }
}

fn caller(facts: &Facts) -> Caller {
    let sha256 = facts.sha256.as_deref().map(|text| Digest::from_hex(text).unwrap());
    let path = facts.exe.as_deref().map(|path| path.as_bytes().into());
    Caller {
        gid: GroupId(facts.gid.unwrap_or(facts.uid)),
        groups: facts.groups.iter().copied().map(GroupId).collect(),
        login_uid: facts.loginuid.map(UserId),
        executable: Some(Executable { path, device: 1, inode: 2, sha256 }.into()),
        script: facts.script.as_deref().map(|path| {
            Arc::new(Script { path: path.as_bytes().into(), sha256: Digest::from_bytes([3; 32]) })
        }),
        session: Some(Session {
            cgroup: Cgroup::new(facts.cgroup.as_bytes()),
            ..support::caller(facts.uid).session.unwrap()
        }),
        terminal: facts.tty.as_deref().map(Into::into),
        parents: facts.parents.iter().map(parent).collect(),
        doubts: support::doubts(Grade::from_name(&facts.grade).unwrap()),
        ..support::caller(facts.uid)
    }
}

fn parent(facts: &ParentFacts) -> Parent {
    Parent {
        process: ProcessId { number: 40, start_ticks: 6 },
        uid: Some(UserId(facts.uid)),
        gid: Some(GroupId(facts.uid)),
        executable: Some(support::executable(&facts.exe, None)),
        doubts: support::doubts(Grade::from_name(&facts.grade).unwrap()),
    }
}

fn time(text: &str) -> LocalTime {
    let (day, clock) = text.split_once(' ').unwrap();
    let (hour, minute) = clock.split_once(':').unwrap();
    let weekday = match day {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        other => panic!("{other} is no day"),
    };
    let minute = hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap();
    LocalTime { weekday, minute }
}

fn noon() -> String {
    "Wed 12:00".into()
}

fn verified() -> String {
    "verified".into()
}
