//! The program by another name.

use crate::support::root::Root;
use crate::support::ward::WARD;
use std::process::{Command, Output, Stdio};

/// A run by that name.
fn called(root: &Root, name: &str, arguments: &[&str]) -> Output {
    let link = root.directory().join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(WARD, &link).unwrap();
    }
    let mut command = Command::new("/usr/bin/setsid");
    command.arg("--wait").arg(link).args(arguments).env_clear().env("WARD_ROOT", root.path());
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn called_gloves_it_ends_with_0_1_2_or_as_the_command_it_ran_did() {
    let root = Root::private();
    let run = ["run", "--agent", "a", "--", "/bin/sh", "-c", "exit 7"];
    let cases: [(&[&str], i32, i32); 7] = [
        (&["list"], 0, 0),
        (&["get", "a", "--raw"], 5, 1),
        (&["get", "../a", "--raw"], 7, 1),
        (&["check", "file.eat", "a"], 7, 1),
        (&["frobnicate"], 2, 2),
        (&[], 2, 2),
        (&run, 7, 7),
    ];
    for (arguments, number, coarse) in cases {
        let ward = called(&root, "ward", arguments);
        let gloves = called(&root, "gloves", arguments);
        assert_eq!(ward.status.code(), Some(number), "{arguments:?}");
        assert_eq!(gloves.status.code(), Some(coarse), "{arguments:?}");
        assert_eq!(ward.stdout, gloves.stdout, "{arguments:?}");
    }
    let told = called(&root, "gloves", &["get", "a", "--raw", "--json"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("not-found"));
}
