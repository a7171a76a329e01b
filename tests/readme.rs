//! The README: its console blocks are run as an ordinary user would, and must show what they show.

use crate::support::users::{self, STRANGER};
use crate::support::ward::WARD;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A command of a console block, and the lines that must follow it.
#[derive(Debug, Default)]
struct Step {
    command: String,
    expected: Vec<String>,
}

#[test]
fn the_first_five_minutes_of_the_readme_go_as_it_says() {
    if !users::can_act_as_others() {
        return;
    }
    let user = users::user(STRANGER);
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    nix::unistd::chown(home.path(), Some(user.uid), Some(user.gid)).unwrap();
    let steps = steps(include_str!("../README.md"));
    assert!(steps.len() >= 8, "{steps:?}");
    for step in steps {
        let shown = run(&step.command, home.path(), &user);
        let is_same = shown.len() == step.expected.len()
            && shown.iter().zip(&step.expected).all(|(line, pattern)| matches(line, pattern));
        assert!(is_same, "{}\nshows {shown:#?}\nnot   {:#?}", step.command, step.expected);
    }
}

#[test]
fn the_policy_of_the_readme_loads() {
    let readme = include_str!("../README.md");
    let policy = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let rules = ward_policy::Rules::load(policy.unwrap(), ward_policy::Digest::from_bytes([0; 32]));
    assert!(rules.unwrap().lint().is_empty());
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in readme.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(command) => {
                    steps.push(Step { command: command.to_owned(), ..Step::default() });
                }
                None => steps.last_mut().unwrap().expected.push(line.to_owned()),
            }
        }
    }
    steps
}

fn run(command: &str, home: &Path, user: &nix::unistd::User) -> Vec<String> {
    let programs = Path::new(WARD).parent().unwrap();
    let output = Command::new("/bin/sh")
        .args(["-c", &format!("{command} 2>&1")])
        .env_clear()
        .env("HOME", home)
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .current_dir(home)
        .uid(user.uid.as_raw())
        .gid(user.gid.as_raw())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Whether `line` is `pattern`, in which `[..]` stands for any text.
fn matches(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let Some(rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut rest = rest;
    let mut last = None;
    for part in parts {
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    rest.is_empty() || last.is_some_and(str::is_empty)
}
