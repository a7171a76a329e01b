//! `ward doctor` on a real root: what it finds, how it ends, and that it starts nothing.

use crate::support::root::Root;
use crate::support::users::{OWNER, can_act_as_others, user};
use crate::support::ward::{WARD, Ward};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::chown;
use std::process::Command;

const DOCTOR: [&str; 2] = ["--json", "doctor"];

/// The grade of each finding, and whether the exit code fits them.
fn findings(doctor: Ward) -> BTreeMap<String, String> {
    let ended = doctor.run();
    let answer = ended.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings: BTreeMap<String, String> = answer["result"]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            assert!(!text(&finding["means"]).is_empty() && !text(&finding["next"]).is_empty());
            (text(&finding["name"]), text(&finding["grade"]))
        })
        .collect();
    let is_bad = findings.values().any(|grade| grade == "bad");
    assert_eq!(ended.status, Some(i32::from(is_bad)), "{findings:?}");
    findings
}

#[test]
fn the_doctor_starts_no_daemon_and_says_what_it_cannot_know() {
    let root = Root::private();
    assert_eq!(findings(root.ward(&DOCTOR))["daemon"], "note");
    assert_eq!(root.running(), None);
    let said = root.run(&["doctor"]).stdout;
    assert!(said.contains("note  daemon: no daemon runs for this root\n      means: "), "{said}");
}

#[test]
fn a_private_root_is_a_finding_and_a_system_root_is_none() {
    if !can_act_as_others() {
        return;
    }
    let private = Root::private().serving();
    assert_eq!(findings(private.ward(&DOCTOR))["layout"], "note");
    let system = Root::system().serving();
    let findings = findings(system.ward(&DOCTOR).by(OWNER));
    for absent in ["layout", "log", "damage", "keys", "landlock", "kernel", "daemon"] {
        assert!(!findings.contains_key(absent), "{absent}");
    }
}

#[test]
fn a_daemon_that_may_lock_no_memory_is_a_finding() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::absent();
    let owner = user(OWNER);
    chown(root.directory(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    root.ward(&["init"]).by(OWNER).succeed();
    let status = Command::new("prlimit")
        .args(["--memlock=0:0", "setpriv", "--reuid", OWNER, "--regid", OWNER, "--clear-groups"])
        .args([WARD, "--root", root.path().to_str().unwrap(), "daemon", "start"])
        .status();
    assert!(status.unwrap().success());
    let findings = findings(root.ward(&DOCTOR).by(OWNER));
    assert_eq!(findings["memory"], "bad");
    assert_eq!(findings["keys"], "bad");
}
