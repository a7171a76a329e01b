//! The documents say what the program does: protocol and command line.

use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::path::Path;
use ward_mountd::control::message::{Answer, Command, FailureCode, Outcome, Request};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The variants of an enum, which serde lists when it meets an unknown one.
fn variants<T: DeserializeOwned>(unknown: &str) -> BTreeSet<String> {
    let error = serde_json::from_str::<T>(unknown).err().unwrap().to_string();
    let (_, expected) = error.split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn commands() -> BTreeSet<String> {
    variants::<Command>(r#"{"name":"?"}"#)
}

fn examples() -> Vec<String> {
    let text = document("protocol.md");
    text.split("```json\n").skip(1).map(|it| it.lines().next().unwrap().to_owned()).collect()
}

#[test]
fn every_failure_code_has_an_exit_code_in_the_contract() {
    let contract = document("cli-contract.md");
    let codes = variants::<FailureCode>(r#""?""#);
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        let is_row = |line: &&str| line.starts_with("| ") && line.contains(&format!("`{code}`"));
        assert!(contract.lines().any(|line| is_row(&line)), "{code} has no row");
    }
}

#[test]
fn every_command_has_a_section_and_a_request_in_the_protocol_document() {
    let protocol = document("protocol.md");
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        assert!(protocol.contains(&format!("\n### {command}\n")), "{command} has no section");
        let request = format!(r#"{{"version":1,"command":{{"name":"{command}""#);
        assert!(examples().iter().any(|it| it.starts_with(&request)), "{command} has no example");
    }
}

#[test]
fn every_failure_code_is_in_the_protocol_document() {
    let protocol = document("protocol.md");
    for code in variants::<FailureCode>(r#""?""#) {
        assert!(protocol.contains(&format!("\n| `{code}` |")), "{code}");
    }
}

#[test]
fn every_example_of_the_protocol_document_is_what_both_sides_accept() {
    for example in examples() {
        if example.contains(r#""command""#) {
            let request = serde_json::from_str::<Request>(&example);
            assert!(request.is_ok(), "{example}: {request:?}");
        } else {
            let answer = serde_json::from_str::<Answer<serde_json::Value>>(&example);
            match answer.map(|answer| answer.outcome) {
                Ok(Outcome::Result(_) | Outcome::Error(_)) => {}
                Err(error) => panic!("{example}: {error}"),
            }
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a line for each command")]
fn every_command_of_the_program_is_in_the_contract() {
    let contract = document("cli-contract.md");
    for command in [
        "init",
        "daemon start",
        "daemon stop",
        "daemon status",
        "secrets set",
        "secrets grant",
        "requests list",
        "set",
        "get",
        "list",
        "revoke",
        "history",
        "restore",
        "request",
        "approve",
        "deny",
        "approval-passphrase",
        "watch",
        "requests review",
        "grants list",
        "grants revoke",
        "run",
        "status",
        "whoami",
        "doctor",
        "vault init",
        "vault mount",
        "vault ask-file",
        "vault extend",
        "vault exec",
        "vault unmount",
        "vault list",
        "vault status",
        "vault fsck",
        "vault info",
        "vault compact",
        "vault accept-restore",
        "vault export",
        "vault import",
        "vault key list",
        "vault key add",
        "vault key remove",
        "vault rekey",
        "vault header backup",
        "vault header restore",
        "audit show",
        "audit verify",
        "audit ship",
        "audit rotate-key",
        "audit compromise",
        "env",
        "access paths",
        "verify",
        "config show",
        "config validate",
        "policy check",
        "policy risk",
        "check",
    ] {
        let is_row = |line: &str| {
            let rest = line.strip_prefix(&format!("| `{command}"));
            rest.is_some_and(|rest| rest.starts_with(['`', ' ']))
        };
        assert!(contract.lines().any(is_row), "{command} has no row");
        let mut words: Vec<&str> = command.split(' ').collect();
        words.push("--help");
        crate::support::ward::Ward::new(&words).succeed();
    }
}
