//! `ward doctor` on a real root: what it finds, how it ends, and that it starts nothing.

use crate::support::agent;
use crate::support::person::Person;
use crate::support::process::{child_of, send};
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::{OWNER, STRANGER, can_act_as_others, user};
use crate::support::wait;
use crate::support::ward::{WARD, Ward};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
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
    for absent in ["layout", "log", "damage", "keys", "landlock", "kernel", "daemon", "agent-uid"] {
        assert!(!findings.contains_key(absent), "{absent}");
    }
    // Its files are for root to look at.
    assert_eq!(findings["ownership-unseen"], "note");
    let findings = self::findings(system.ward(&DOCTOR));
    for absent in [
        "ownership",
        "ownership-unseen",
        "above-root",
        "fuse",
        "fusermount3",
        "signer",
        "signer-compromised",
        "sink",
        "clock-behind",
    ] {
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
    let said = root.ward(&["doctor"]).by(OWNER).run().stdout;
    assert!(said.contains("is not locked: it may lock 0 bytes"), "{said}");
}

/// What the doctor says of `name`, and what to do about it.
fn words(doctor: Ward, name: &str) -> Option<(String, String)> {
    let answer = doctor.run().json();
    let findings = answer["result"]["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["name"] == name)?;
    let text = |key: &str| finding[key].as_str().unwrap().to_owned();
    Some((text("found"), text("next")))
}

#[test]
fn a_key_file_that_others_may_read_is_named_and_the_next_step_mends_it() {
    let root = Root::private();
    let key = root.path().join("keys/default");
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let (found, next) = words(root.ward(&DOCTOR), "ownership").unwrap();
    assert_eq!(found, format!("{}, which has mode 644", key.display()));
    let mended = Command::new("/bin/sh").args(["-c", next.split(';').next().unwrap()]).status();
    assert!(mended.unwrap().success(), "{next}");
    assert_eq!(words(root.ward(&DOCTOR), "ownership"), None);
}

#[test]
fn the_next_step_for_a_root_that_is_open_to_others_leaves_them_the_socket() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system().serving();
    let policy = root.path().join("policy.toml");
    std::fs::set_permissions(&policy, Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(root.path(), Permissions::from_mode(0o733)).unwrap();
    let (found, next) = words(root.ward(&DOCTOR), "ownership").unwrap();
    assert!(found.contains("policy.toml, which has mode 644"), "{found}");
    let mended = Command::new("/bin/sh").args(["-c", next.split(';').next().unwrap()]).status();
    assert!(mended.unwrap().success(), "{next}");
    assert_eq!(words(root.ward(&DOCTOR), "ownership"), None);
    root.ward(&["vault", "list"]).by(OWNER).succeed();
}

#[test]
fn a_daemon_that_does_not_answer_is_told_and_not_waited_for() {
    let root = Root::private().serving();
    let daemon = root.running().unwrap();
    send(daemon, Signal::SIGSTOP);
    let asked = [&["status"][..], &["daemon", "stop"], &["status", "--metrics"], &DOCTOR];
    let ended = std::thread::scope(|scope| {
        let started = asked.map(|words| scope.spawn(|| root.run(words)));
        started.map(|asking| asking.join().unwrap())
    });
    send(daemon, Signal::SIGCONT);
    let expected = format!("the daemon, pid {daemon}, has not answered for 10 s");
    let [others @ .., doctor] = ended;
    for other in others {
        assert_eq!(other.status, Some(9), "{other:?}");
        assert!(other.stderr.contains(&expected), "{other:?}");
    }
    assert!(doctor.stdout.contains(&expected), "{doctor:?}");
}

#[test]
fn a_mount_that_nobody_serves_is_told_and_the_next_daemon_mends_it() {
    let Some(stage) = Stage::set() else { return };
    let place = stage.mountpoint().to_owned();
    let dead = || words(stage.root().ward(&DOCTOR), "dead-mounts");
    let is_named =
        |it: Option<(String, String)>| it.is_some_and(|(found, _)| found.contains(&place));
    assert!(!is_named(dead()));
    let core = stage.root().running().unwrap();
    let monitor = child_of(core);
    let watchman = child_of(monitor);
    [watchman, monitor].into_iter().for_each(|pid| send(pid, Signal::SIGSTOP));
    [core, watchman, monitor].into_iter().for_each(|pid| send(pid, Signal::SIGKILL));
    assert!([core, watchman, monitor].into_iter().all(wait::has_ended));
    // Another test may leave one for a moment, too.
    assert!(dead().is_some());
    stage.root().ward(&["daemon", "start"]).succeed();
    assert!(wait::until(|| !is_named(dead())));
}

#[test]
fn an_agent_that_runs_as_the_user_of_the_daemon_is_named_while_it_runs() {
    let rule = "\n[[rule]]\nname = \"admin-starts-agents\"\nclients = [\"admin\"]\nops = [\"agent.run\"]\n\
                path = [\"claude\", \"codex\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::served(HOLD, &format!("{}{rule}", agent::RULES)) else { return };
    let root = stage.root();
    // One of another user is what is meant.
    let mut safe = agent::agent(root, "codex");
    assert_eq!(words(root.ward(&DOCTOR), "agent-uid"), None);
    let mut daring = Person::started_by(&agent::words(root, "claude"), None);
    daring.must("0");
    let (found, next) = words(root.ward(&DOCTOR), "agent-uid").unwrap();
    assert!(found.starts_with("the agent claude runs as root"), "{found}");
    assert!(found.ends_with(", as the daemon does"), "{found}");
    assert!(next.contains("sudo -u USER ward run --agent NAME"), "{next}");
    assert_eq!(findings(root.ward(&DOCTOR))["agent-uid"], "bad");
    drop(daring);
    assert!(wait::until(|| words(root.ward(&DOCTOR), "agent-uid").is_none()));
    safe.must("0");
}

#[test]
fn fusermount3_that_is_not_set_user_id_is_told_to_those_who_need_it() {
    if !can_act_as_others() || !Path::new("/usr/bin/fusermount3").exists() {
        return;
    }
    let root = Root::private();
    let script = "mount --bind /bin/true /usr/bin/fusermount3; exec setpriv --reuid \"$1\" --clear-groups \
                  \"$2\" --root \"$3\" doctor";
    let output = Command::new("unshare")
        .args(["--mount", "/bin/sh", "-c", script, "sh", OWNER, WARD])
        .arg(root.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("bad   fusermount3: fusermount3 is not set-user-id root"), "{said}");
    assert!(said.contains("next: sudo apt install --reinstall fuse3"), "{said}");
    assert!(!root.run(&["doctor"]).stdout.contains("fusermount3"), "root mounts by itself");
}

#[test]
fn a_sink_that_takes_nothing_is_told_with_how_far_behind_it_is() {
    let Some(stage) = Stage::still(HOLD, "") else { return };
    let root = stage.root();
    root.configure(&format!(
        "[[audit.ship]]\nname = \"archive\"\nuser = \"{STRANGER}\"\nfile = \"/proc/none/log\"\n"
    ));
    root.ward(&["daemon", "start"]).succeed();
    let failing = root.run(&["audit", "ship"]);
    assert_eq!(failing.status, Some(1), "{failing:?}");
    let (found, next) = words(root.ward(&DOCTOR), "sink").unwrap();
    assert!(found.starts_with("the log does not reach archive: "), "{found}");
    assert!(found.contains(" entries behind since 20"), "{found}");
    assert!(next.ends_with("then: ward audit ship"), "{next}");
}

#[test]
fn a_signer_that_was_said_to_be_stolen_is_told_while_it_signs() {
    let root = Root::private().serving();
    root.ward(&["audit", "rotate-key"]).succeed();
    let told = || words(root.ward(&DOCTOR), "signer-compromised");
    assert_eq!(told(), None);
    let status = root.run(&["--json", "status"]).json();
    let kid = status["result"]["log"]["signer"]["kid"].as_str().unwrap().to_owned();
    // The program itself refuses that for the key that signs; a log from elsewhere may say it.
    let place = root.path().join("audit/signers.json");
    let mut signers: Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
    let signer =
        signers["signers"].as_array_mut().unwrap().iter_mut().find(|it| it["kid"] == kid.as_str());
    signer.unwrap()["compromisedFrom"] = "2026-01-01T00:00:00.000000Z".into();
    replace(&place, &signers.to_string());
    let (found, next) = told().unwrap();
    assert!(found.contains(&kid) && next.ends_with("ward audit rotate-key"), "{found}: {next}");
}

#[test]
fn who_may_lock_little_memory_is_told_before_a_daemon_runs() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::private();
    let output = Command::new("prlimit")
        .args(["--memlock=65536:65536", "setpriv", "--reuid", OWNER, "--clear-groups", WARD])
        .args(["--root", root.path().to_str().unwrap(), "doctor"])
        .output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    // It cannot see another's root, and is told so.
    assert!(said.contains("note  ownership-unseen: "), "{said}");
    assert!(!root.run(&["doctor"]).stdout.contains("locked-memory"), "root lifts the limit");
    let own = Root::absent();
    let owner = user(OWNER);
    chown(own.directory(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    own.ward(&["init"]).by(OWNER).succeed();
    let output = Command::new("prlimit")
        .args(["--memlock=65536:65536", "setpriv", "--reuid", OWNER, "--clear-groups", WARD])
        .args(["--root", own.path().to_str().unwrap(), "doctor"])
        .output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(
        said.contains("note  locked-memory: a daemon that you start may lock 64 KiB"),
        "{said}"
    );
}
