//! What an explanation tells: which rule decides, and what else would have to be true.

use crate::support::{self, NOON};
use ward_policy::{DescribedCaller, DescribedQuestion, Explanation, Heard, LocalTime, Weekday};

const EXAMPLE: &str = include_str!("policies/example.toml");
const CLAUDE: &str = "uid = 1000, exe = \"/usr/bin/claude\", \
    sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"";

#[test]
fn the_rule_that_decides_is_named() {
    let heard = only(explained(CLAUDE, "file.read", "ci/app/env", None, NOON));
    assert_eq!((heard.says.as_str(), heard.rules), ("allow", vec!["ci-env".to_owned()]));
    assert_eq!(heard.nearest, [], "a yes needs nothing else");
}

#[test]
fn a_deny_that_decides_names_what_it_overrules() {
    let explanation = explained(CLAUDE, "file.read", "prod/db/root-ca.key", Some("T-1"), NOON);
    let heard = only(explanation);
    assert_eq!((heard.says.as_str(), heard.rules), ("deny", vec!["root-keys-never".to_owned()]));
    assert_eq!(heard.overruled.len(), 1);
    assert_eq!(heard.overruled[0].rule, "db-read");
    assert_eq!(heard.nearest, [], "no rule of a higher priority could give it");
}

#[test]
fn a_missing_ticket_and_the_wrong_hour_are_what_would_have_to_be_true() {
    let evening = LocalTime { weekday: Weekday::Wednesday, minute: 18 * 60 };
    let heard = only(explained(CLAUDE, "file.read", "prod/db/pg/password", None, evening));
    assert_eq!((heard.says.as_str(), heard.rules.len()), ("deny", 0));
    let nearest = &heard.nearest[0];
    assert_eq!((nearest.rule.as_str(), nearest.says.as_str()), ("db-read", "approve"));
    assert_eq!(told(&heard, "ci-env"), [r#"path is work:prod/db/pg/password, not ["ci/*/env"]"#]);
    assert_eq!(
        told(&heard, "db-read"),
        [r#"when is Wed 18:00, not ["Mon-Fri 08:00-18:00"]"#, "ticket is absent, not given"]
    );
}

#[test]
fn each_fact_that_a_client_lacks_is_named_with_what_it_is_and_what_it_must_be() {
    let other = "uid = 1001, exe = \"/usr/bin/cat\", grade = \"weak\"";
    let heard = only(explained(other, "file.read", "ci/app/env", None, NOON));
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    assert_eq!(
        told(&heard, "ci-env"),
        [
            "clients.claude.uid is 1001, not 1000".to_owned(),
            r#"clients.claude.exe is /usr/bin/cat, not "/usr/bin/claude*""#.to_owned(),
            format!("clients.claude.sha256 is not known; it must be [\"{hash}\"]"),
            r#"clients.claude.grade is weak, not "verified""#.to_owned(),
        ]
    );
}

#[test]
fn of_several_clients_the_nearest_one_is_told() {
    let workflow = "uid = 7, exe = \"/usr/bin/x\", cgroup = \"/system.slice/other.service\"";
    let heard = only(explained(workflow, "file.read", "prod/db/x", Some("T-1"), NOON));
    assert_eq!(
        told(&heard, "db-read"),
        ["clients.agent-workflows.cgroup is /system.slice/other.service, not \
          \"/system.slice/agent-workflows.service\""]
    );
}

fn explained(
    caller: &str,
    operation: &str,
    path: &str,
    ticket: Option<&str>,
    time: LocalTime,
) -> Explanation {
    let caller = DescribedCaller::parse(caller).unwrap().read().unwrap();
    let asked = DescribedQuestion {
        operations: Some(vec![operation.to_owned()]),
        vault: Some("work".to_owned()),
        path: Some(path.to_owned()),
        ticket: ticket.map(str::to_owned),
        ..DescribedQuestion::default()
    };
    let asked = asked.read().unwrap();
    support::rules(EXAMPLE).explain(&caller, &asked.question(), time)
}

fn only(explanation: Explanation) -> Heard {
    let [heard] = <[Heard; 1]>::try_from(explanation.operations).unwrap();
    heard
}

/// What would have to be true for that rule.
fn told(heard: &Heard, rule: &str) -> Vec<String> {
    let near = heard.nearest.iter().find(|near| near.rule == rule).unwrap();
    near.unmet.iter().map(ToString::to_string).collect()
}
