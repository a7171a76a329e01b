//! Which names a caller sees.

use crate::support::{NOON, caller, doubts, executable, path, rules, vault};
use ward_policy::{Caller, Digest, Grade, LocalTime, Rules, Weekday};

const BASE: &str = "version = 1\n\
    [defaults]\nfactors = { any = ['local'] }\n\
    [ops]\n'file.*' = 'low'\n\
    [clients.ann]\nuid = 1\n\
    [clients.boss]\nuid = 2\nrole = 'approver'\n\
    [clients.pinned]\nuid = 3\n\
    sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'\n\
    [targets.keys]\npath = ['keys/**']\n";

/// A policy of rules given as `name: fields`, where fields are separated by `; `.
fn policy(rows: &[&str]) -> Rules {
    let rule = |(number, fields): (usize, &&str)| {
        format!("[[rule]]\nname = 'r{number}'\n{}\n", fields.replace("; ", "\n"))
    };
    rules(&format!("{BASE}{}", rows.iter().enumerate().map(rule).collect::<String>()))
}

fn sees(rules: &Rules, caller: &Caller, name: &str) -> bool {
    rules.is_visible(caller, &vault("work"), &path(name), NOON)
}

fn writes_in(rules: &Rules, caller: &Caller, folder: &str) -> bool {
    let folder = (!folder.is_empty()).then(|| path(folder));
    rules.may_write_in(caller, &vault("work"), folder.as_ref(), NOON)
}

#[test]
fn a_name_is_seen_by_who_may_list_read_or_write_it() {
    for operation in ["file.list", "file.read", "file.write"] {
        let rules = policy(&[&format!(
            "clients = ['ann']; ops = ['{operation}']; path = ['a/*']; decide = 'allow'"
        )]);
        assert!(sees(&rules, &caller(1), "a/b"), "{operation}");
        assert!(!sees(&rules, &caller(1), "b"), "{operation}");
        assert!(!sees(&rules, &caller(9), "a/b"), "{operation}");
        let untrusted = Caller { doubts: doubts(Grade::Untrusted), ..caller(1) };
        assert!(!sees(&rules, &untrusted, "a/b"), "{operation}");
    }
}

#[test]
fn other_operations_show_no_name() {
    let rules = rules(
        "version = 1\n[ops]\n'*' = 'low'\n[clients.ann]\nuid = 1\n[[rule]]\nname = 'x'\n\
        clients = ['ann']\nops = ['secret.set', 'vault.*']\npath = ['*']\ndecide = 'allow'",
    );
    assert!(!sees(&rules, &caller(1), "a"));
    assert!(!writes_in(&rules, &caller(1), ""));
}

#[test]
fn an_operation_that_is_not_listed_shows_no_name() {
    let rules = rules(
        "version = 1\n[ops]\n'file.list' = 'low'\n[clients.ann]\nuid = 1\n[[rule]]\nname = 'x'\n\
        clients = ['ann']\nops = ['file.read', 'file.write']\npath = ['*']\ndecide = 'allow'",
    );
    assert!(!sees(&rules, &caller(1), "a"));
    assert!(!writes_in(&rules, &caller(1), ""));
}

#[test]
fn what_a_human_a_ticket_or_another_hour_could_permit_is_seen() {
    let ask = "decide = 'approve'; approve = { require = 'always' }";
    for condition in ["", "; ticket = true", "; ticket = false", "; when = ['Sun 01:00-02:00']"] {
        for verdict in [ask, "decide = 'allow'"] {
            let rules = policy(&[&format!(
                "clients = ['ann']; ops = ['file.read']; path = ['a']; {verdict}{condition}"
            )]);
            assert!(sees(&rules, &caller(1), "a"), "{condition} {verdict}");
        }
    }
}

#[test]
fn a_deny_rule_for_listing_hides_a_name_that_may_be_read() {
    let allow = "clients = ['ann']; ops = ['file.*']; path = ['**']; decide = 'allow'";
    let hide = "clients = ['*']; ops = ['file.list']; path = ['hidden/*']; decide = 'deny'";
    let rules = policy(&[allow, hide]);
    assert!(!sees(&rules, &caller(1), "hidden/a"));
    assert!(sees(&rules, &caller(1), "hidden"));
    let higher = policy(&[&format!("{allow}; priority = 1"), hide]);
    assert!(sees(&higher, &caller(1), "hidden/a"), "the higher tier decides about listing");
}

#[test]
fn a_deny_rule_for_reading_hides_what_may_not_be_listed_or_written_either() {
    let allow = "clients = ['ann']; ops = ['file.read']; path = ['**']; decide = 'allow'";
    let deny = "clients = ['*']; ops = ['file.read']; path = ['a']; decide = 'deny'";
    let rules = policy(&[allow, deny]);
    assert!(!sees(&rules, &caller(1), "a"));
    assert!(sees(&rules, &caller(1), "b"));
}

#[test]
fn a_deny_rule_hides_only_in_its_hours() {
    let allow = "clients = ['ann']; ops = ['file.*']; path = ['**']; decide = 'allow'";
    let night = "clients = ['*']; ops = ['file.*']; path = ['*']; decide = 'deny'; \
        when = ['Mon-Sun 22:00-06:00']";
    let rules = policy(&[allow, night]);
    let (work, a) = (vault("work"), path("a"));
    let at = |hour: u16| LocalTime { weekday: Weekday::Monday, minute: hour * 60 };
    assert!(rules.is_visible(&caller(1), &work, &a, at(12)));
    assert!(!rules.is_visible(&caller(1), &work, &a, at(23)));
    assert!(rules.may_write_in(&caller(1), &work, None, at(12)));
    assert!(!rules.may_write_in(&caller(1), &work, None, at(23)));
}

#[test]
fn a_missing_ticket_hides_only_what_it_forbids_to_list() {
    let allow = "clients = ['ann']; ops = ['file.*']; path = ['**']; decide = 'allow'";
    let deny = |operations: &str| {
        format!(
            "clients = ['*']; ops = [{operations}]; path = ['*']; decide = 'deny'; ticket = false"
        )
    };
    let reading = policy(&[allow, &deny("'file.read', 'file.write'")]);
    assert!(sees(&reading, &caller(1), "a") && writes_in(&reading, &caller(1), ""));
    assert!(!sees(&policy(&[allow, &deny("'file.*'")]), &caller(1), "a"));
}

#[test]
fn a_hash_not_yet_computed_counts_as_matching_for_names() {
    let rules = policy(&["clients = ['pinned']; ops = ['file.*']; path = ['a']; decide = 'allow'"]);
    let program = |sha256| Caller { executable: Some(executable("/x", sha256)), ..caller(3) };
    let right = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    assert!(sees(&rules, &program(None), "a"));
    assert!(sees(&rules, &program(Digest::from_hex(right)), "a"));
    assert!(!sees(&rules, &program(Some(Digest::from_bytes([0; 32]))), "a"));
    assert!(!sees(&rules, &Caller { executable: None, ..caller(3) }, "a"));
}

#[test]
fn a_vault_prefix_limits_what_is_seen() {
    let rules =
        policy(&["clients = ['ann']; ops = ['file.*']; path = ['work:a/**']; decide = 'allow'"]);
    assert!(sees(&rules, &caller(1), "a/b"));
    assert!(!rules.is_visible(&caller(1), &vault("home"), &path("a/b"), NOON));
    assert!(writes_in(&rules, &caller(1), ""));
    assert!(!rules.may_write_in(&caller(1), &vault("home"), None, NOON));
}

#[test]
fn a_folder_may_be_written_in_when_a_pattern_reaches_below_it() {
    let write = |pattern: &str| {
        policy(&[&format!(
            "clients = ['ann']; ops = ['file.write']; path = ['{pattern}']; decide = 'allow'"
        )])
    };
    for (pattern, inside, outside) in [
        ("a/b/c", ["", "a", "a/b"].as_slice(), ["a/b/c", "b", "a/x"].as_slice()),
        ("a/*", &["", "a"], &["a/b", "b"]),
        ("a/**", &["", "a", "a/b/c"], &["b"]),
        ("**/x", &["", "a", "a/b", "x"], &[]),
        ("a/**/x/y", &["a", "a/x", "a/b/x", "a/x/x"], &["b"]),
        ("a?/b*/c", &["ab", "ab/b", "ab/bz"], &["a", "abc", "ab/c"]),
    ] {
        for folder in inside {
            assert!(writes_in(&write(pattern), &caller(1), folder), "{pattern} in {folder}");
        }
        for folder in outside {
            assert!(!writes_in(&write(pattern), &caller(1), folder), "{pattern} in {folder}");
        }
    }
}

#[test]
fn a_deny_rule_for_all_of_a_folder_closes_it() {
    let allow = "clients = ['ann']; ops = ['file.write']; path = ['**']; decide = 'allow'";
    let deny = |path: &str| format!("clients = ['*']; ops = ['file.*']; {path}; decide = 'deny'");
    for closing in ["path = ['a/**']", "path = ['**', 'x']", "path = ['*']", "path = ['*/**']"] {
        let rules = policy(&[allow, &deny(closing)]);
        assert!(!writes_in(&rules, &caller(1), "a"), "{closing}");
        assert!(!writes_in(&rules, &caller(1), "a/b"), "{closing}");
    }
    for leaving in ["path = ['a/*']", "path = ['b/**']", "path = ['**/x']", "targets = ['keys']"] {
        let rules = policy(&[allow, &deny(leaving)]);
        assert!(writes_in(&rules, &caller(1), "a"), "{leaving}");
    }
    let higher = policy(&[&format!("{allow}; priority = 1"), &deny("path = ['a/**']")]);
    assert!(writes_in(&higher, &caller(1), "a"));
}

#[test]
fn path_and_targets_together_must_both_reach() {
    let rules = policy(&[
        "clients = ['ann']; ops = ['file.write']; path = ['*/a/*']; targets = ['keys']; decide = 'allow'",
    ]);
    assert!(writes_in(&rules, &caller(1), "keys/a"));
    assert!(!writes_in(&rules, &caller(1), "other/a"));
    assert!(!writes_in(&rules, &caller(1), "keys/b"));
    assert!(sees(&rules, &caller(1), "keys/a/b") && !sees(&rules, &caller(1), "other/a/b"));
}
