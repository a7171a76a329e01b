//! What `ward policy check` tells about a policy that loads.

use crate::support::{caller, path, rules, vault as vault_of};

const BASE: &str = "version = 1\n\
    [defaults]\nfactors = { any = ['local'] }\n\
    [ops]\n'file.*' = 'low'\n\
    [clients.ann]\nuid = 1\n\
    [clients.boss]\nuid = 2\nrole = 'approver'\n\
    [targets.keys]\npath = ['keys/**']\n";

/// The findings for rules given as `name, fields`.
fn findings(rows: &[(&str, &str)]) -> Vec<String> {
    let text: String = rows
        .iter()
        .map(|(name, fields)| {
            let approve = if fields.contains("'approve'") && !fields.contains("approve = {") {
                "\napprove = { require = 'always' }"
            } else {
                ""
            };
            format!("[[rule]]\nname = '{name}'\n{}{approve}\n", fields.replace("; ", "\n"))
        })
        .collect();
    rules(&format!("{BASE}{text}")).lint().iter().map(ToString::to_string).collect()
}

const ALL: &str = "clients = ['*']; ops = ['*']; path = ['*']; ";
const ANN: &str = "clients = ['ann']; ops = ['file.read']; path = ['keys/a/*']; ";

fn two(first: &str, second: &str) -> Vec<String> {
    findings(&[("first", first), ("second", second)])
}

#[test]
fn a_rule_behind_a_wider_deny_never_decides() {
    let silenced = ["rule second: never decides, because rule first always does; remove it or \
        raise its `priority`"];
    let allow = &format!("{ANN}decide = 'allow'");
    assert_eq!(two(&format!("{ALL}decide = 'deny'"), allow), silenced);
    let targets =
        "clients = ['ann', 'boss']; ops = ['file.*']; targets = ['keys']; decide = 'deny'";
    assert_eq!(two(targets, allow), silenced);
    assert_eq!(two(&format!("{ANN}decide = 'approve'"), allow), silenced);
}

#[test]
fn a_rule_behind_a_narrower_or_conditional_deny_is_fine() {
    let allow = &format!("{ANN}decide = 'allow'");
    for first in [
        "clients = ['boss']; ops = ['*']; path = ['*']; decide = 'deny'",
        "clients = ['*']; ops = ['file.write']; path = ['*']; decide = 'deny'",
        "clients = ['*']; ops = ['*']; path = ['keys/a/b']; decide = 'deny'",
        "clients = ['*']; ops = ['*']; path = ['work:keys/**']; decide = 'deny'",
        "clients = ['*']; ops = ['*']; path = ['*']; decide = 'deny'; when = ['Sun 08:00-09:00']",
        "clients = ['*']; ops = ['*']; path = ['*']; decide = 'deny'; ticket = false",
        "clients = ['*']; ops = ['*']; path = ['*']; decide = 'deny'; priority = -1; ticket = true",
        "clients = ['*']; ops = ['*']; path = ['*']; decide = 'approve'; \
            approve = { require = 'always', factors = { any = ['signed'] } }",
    ] {
        let findings = two(first, allow);
        assert!(!findings.iter().any(|finding| finding.contains("never")), "{first}: {findings:?}");
    }
}

#[test]
fn a_deny_that_a_higher_tier_overrides_is_told() {
    let deny = &format!("{ALL}decide = 'deny'");
    assert_eq!(
        two(deny, &format!("{ANN}decide = 'allow'; priority = 3")),
        ["rule first: rule second of priority 3 overrides this deny; raise its `priority` if it \
            must hold"]
    );
    let elsewhere = "clients = ['ann']; ops = ['file.read']; path = ['notes/*']; decide = 'allow'; \
        priority = 3";
    let keys = "clients = ['*']; ops = ['*']; path = ['keys/**']; decide = 'deny'";
    assert_eq!(two(keys, elsewhere), [""; 0]);
}

#[test]
fn a_rule_for_operations_that_ops_does_not_list_is_told() {
    let findings = findings(&[
        ("none", "clients = ['ann']; ops = ['vault.*']; path = ['a']; decide = 'allow'"),
        (
            "some",
            "clients = ['ann']; ops = ['file.read', 'secret.set']; path = ['*']; decide = 'allow'",
        ),
        ("star", "clients = ['boss']; ops = ['*']; path = ['*']; decide = 'allow'"),
        ("deny", "clients = ['boss']; ops = ['secret.set']; path = ['*']; decide = 'deny'"),
    ]);
    assert_eq!(
        findings,
        [
            "rule none: never decides, because [ops] lists none of its operations; list them",
            "rule some: permits secret.set, but [ops] does not list it; add it there",
        ]
    );
}

#[test]
fn what_is_said_of_open_files_by_a_rule_that_opens_none_is_told() {
    let rule = |more: &str| {
        findings(&[("rule", &format!("clients = ['ann']; path = ['*']; decide = 'allow'; {more}"))])
    };
    let told =
        ["rule rule: permits no open, so `share` and `mapped` say nothing; remove them, or \
        add file.read"];
    assert_eq!(rule("ops = ['file.list']; share = 'exec'"), told);
    assert_eq!(rule("ops = ['file.list']; mapped = false"), told);
    assert_eq!(rule("ops = ['file.write']; share = 'exec'"), [""; 0]);
    assert_eq!(rule("ops = ['file.list']"), [""; 0]);
}

#[test]
fn a_rule_that_asks_for_what_nothing_has_is_told() {
    let rule = |more: &str| {
        let text = format!(
            "{BASE}labels = {{ env = 'prod' }}\n[sandbox.box]\n[[rule]]\nname = 'r'\nclients = ['ann']\n\
             ops = ['file.read']\npath = ['*']\ndecide = 'allow'\n{more}\n"
        );
        rules(&text).lint().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let label = "rule r: never decides, because no target has the label `env` in a value that \
        `where` asks for; add it to [targets]";
    assert_eq!(rule("where = { env = 'dev' }"), [label]);
    assert_eq!(rule("where = { env = 'pr*' }"), [""; 0]);
    let sandbox = rule("sandbox = 'box'");
    assert!(sandbox[0].starts_with("rule r: never decides, because no session"), "{sandbox:?}");
}

#[test]
fn an_allow_rule_by_wildcards_alone_is_told() {
    let everybody = findings(&[(
        "open",
        "clients = ['*']; ops = ['file.read']; path = ['keys/a']; decide = 'allow'",
    )]);
    assert_eq!(everybody, ["rule open: allows everybody; name its `clients`"]);
    let wide = |client: &str, ops: &str, path: &str, decide: &str| {
        let rule = format!(
            "clients = ['{client}']; ops = ['{ops}']; path = ['{path}']; decide = '{decide}'"
        );
        findings(&[("wide", &rule)])
    };
    let told =
        ["rule wide: allows operations and paths by wildcards alone; name what its clients need"];
    assert_eq!(wide("ann", "file.*", "*", "allow"), told);
    assert_eq!(wide("ann", "*", "*", "allow"), told);
    assert_eq!(wide("ann", "file.*", "keys/*", "allow"), [""; 0]);
    assert_eq!(wide("ann", "file.read", "*", "allow"), [""; 0]);
    assert_eq!(wide("ann", "file.*", "*", "approve"), [""; 0], "a human sees each");
    assert_eq!(wide("boss", "*", "*", "allow"), [""; 0], "an approver may well have everything");
}

#[test]
fn a_target_in_which_no_file_lies_is_told() {
    let rules = rules(&format!("{BASE}[targets.certs]\npath = ['work:**/*.pem']\n"));
    let idle = |names: &[(&str, &str)]| {
        let names = names.iter().map(|(vault, name)| (vault_of(vault), path(name)));
        rules.targets_without(names).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let certs = "target certs: no file lies in it; mend its `path` if one should";
    assert_eq!(idle(&[("home", "keys/a"), ("home", "a.pem")]), [certs]);
    assert_eq!(idle(&[("home", "keys/a"), ("work", "a.pem")]), [""; 0]);
    assert_eq!(idle(&[]).len(), 2);
}

#[test]
fn a_client_that_nobody_alive_is_is_told() {
    let text = "version = 1\n[clients.ann]\nuid = 1\n[clients.bob]\nuid = 2\n\
        [clients.hashed]\nuid = 1\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n\
        [clients.boss]\nuid = 3\nrole = 'approver'\n[clients.bot]\nsession = 'bot'\n";
    let told = |alive: &[ward_policy::Caller]| {
        let found = rules(text).clients_of_nobody(alive);
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let nobody = |client| {
        format!("client {client}: no process that lives shows its facts; mend them if one should")
    };
    assert_eq!(told(&[caller(1)]), [nobody("bob"), nobody("hashed")]);
    let unread = ward_policy::Caller {
        executable: Some(crate::support::executable("/usr/bin/x", None)),
        ..caller(1)
    };
    assert_eq!(told(&[unread]), [nobody("bob")], "a hash that nobody has taken may be the one");
    assert_eq!(told(&[]), [""; 0], "where nobody can be looked at nothing is told");
}
