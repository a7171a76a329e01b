//! One decision per file of `tests/decisions`: facts and a question in, an outcome out.
#![expect(clippy::unwrap_used, reason = "a case that cannot be read should stop the test")]

use crate::support;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use ward_policy::{
    AgentName, AgentSession, AgentSessionId, Approvers, Caller, Cgroup, Decision, Digest,
    Executable, Grade, GroupId, LocalTime, Obligations, Operation, OperationSet, Parent, ProcessId,
    Question, Rules, ScopeKind, Script, Session, Ticket, UserId, Weekday,
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
    /// The agent of its `ward run` session, and the profile that it is confined to.
    session: Option<String>,
    sandbox: Option<String>,
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
    /// Absent: whether the name is seen, or, of a folder, something can be written below it.
    operations: Option<Vec<String>>,
    vault: Option<String>,
    path: Option<String>,
    folder: Option<String>,
    ticket: Option<String>,
    /// What the daemon derived.
    #[serde(default)]
    secrets: Vec<String>,
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
    /// Absent: not looked at.
    risk: Option<String>,
}

#[test]
fn every_case_comes_out_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = fs::read_dir(folder.join("decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 150, "the cases are gone");
    let mut wrong = String::new();
    for file in files {
        let case: Case = toml::from_str(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let policy = case.policy.as_ref().map(|name| folder.join("policies").join(name));
        let text = policy.map(|policy| fs::read_to_string(policy.with_extension("toml")).unwrap());
        let text = text.or_else(|| case.text.clone()).unwrap();
        let decided = decide(&text, &case);
        if decided != case.expect {
            let file = file.display();
            wrong.push_str(&format!(
                "\n{file}\n  came out {decided:?}\n  not      {:?}\n",
                case.expect
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn decide(text: &str, case: &Case) -> Expected {
    let vault = case.ask.vault.as_deref().map(support::vault);
    let path = case.ask.path.as_deref().map(support::path);
    let ticket = case.ask.ticket.as_deref().map(|ticket| Ticket::try_from(ticket).unwrap());
    let secrets: Vec<_> = case.ask.secrets.iter().map(|secret| support::path(secret)).collect();
    let operations =
        case.ask.operations.iter().flatten().map(|name| Operation::from_name(name).unwrap());
    let question = Question {
        operations: operations.fold(OperationSet::EMPTY, OperationSet::with),
        vault: vault.as_ref(),
        path: path.as_ref(),
        ticket: ticket.as_ref(),
        secrets: &secrets,
        ..Question::default()
    };
    let rules = support::rules(text);
    let (caller, time) = (caller(&case.caller), time(&rules, &case.time));
    let risk = rules.effective_risk(&question).filter(|_| case.expect.risk.is_some());
    let decided = match (&vault, &path, &case.ask.folder) {
        (Some(vault), None, Some(folder)) => {
            let folder = support::path(folder);
            let is_writable = rules.may_write_in(&caller, vault, Some(&folder), time);
            word(if is_writable { "writable" } else { "closed" })
        }
        (Some(vault), Some(path), None) if case.ask.operations.is_none() => {
            let is_visible = rules.is_visible(&caller, vault, path, time);
            word(if is_visible { "visible" } else { "hidden" })
        }
        _ => outcome(rules.evaluate(&caller, &question, time)),
    };
    Expected { risk: risk.map(|risk| risk.to_string()), ..decided }
}

/// An outcome of nothing but a word.
fn word(decision: &str) -> Expected {
    Expected {
        decision: decision.into(),
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
        risk: None,
    }
}

fn outcome(decision: Decision) -> Expected {
    let silent = word("denied");
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
        agent: facts.session.as_deref().map(|name| session(name, facts).into()),
        terminal: facts.tty.as_deref().map(Into::into),
        parents: facts.parents.iter().map(parent).collect(),
        doubts: support::doubts(Grade::from_name(&facts.grade).unwrap()),
        ..support::caller(facts.uid)
    }
}

fn session(name: &str, facts: &Facts) -> AgentSession {
    AgentSession {
        id: AgentSessionId(1_u128.into()),
        name: AgentName::try_from(name).unwrap(),
        first: support::caller(facts.uid).process,
        sandbox: facts.sandbox.as_deref().map(Into::into),
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

/// A minute of the week there, or a moment anywhere.
fn time(rules: &Rules, text: &str) -> LocalTime {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return rules.local_time(moment.as_second());
    }
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
