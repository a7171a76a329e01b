//! Many at once, damage, and answers for programs: section "Robustness" of docs/gloves.md.

use super::commands::{RULES, filled, lay_out, runs};
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::{self, OWNER, STRANGER, can_act_as_others};
use crate::support::wait;
use crate::support::ward::Ended;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[test]
fn of_thirty_requests_at_once_none_is_lost_and_the_log_is_whole() {
    let Some(stage) = Stage::set() else { return };
    let name = |number: usize| format!("ask/{number:02}");
    for number in 0..30 {
        stage.secret(&name(number), "s3cret");
    }
    let made: Vec<Ended> = std::thread::scope(|scope| {
        let ask = |number: usize| {
            let words = ["--json", "request", &name(number), "--reason", "all at once"];
            stage.root().ward(&words).by(OWNER).run()
        };
        let threads: Vec<_> = (0..30).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let ids: BTreeSet<String> = made
        .iter()
        .map(|ended| ended.json()["result"]["request"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 30);
    let pending = || -> Vec<String> {
        let pending = stage.pending();
        pending.iter().map(|it| it["request"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(pending().into_iter().collect::<BTreeSet<_>>(), ids);
    assert_eq!(pending(), pending(), "their order stays");
    let log = stage.log();
    let recorded = log.iter().filter(|entry| entry["eventType"] == "request.made");
    assert_eq!(recorded.count(), 30);
    stage.root().ward(&["audit", "verify"]).succeed();
    let daemon = stage.root().running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon) && wait::until(|| stage.root().mounts().is_empty()));
    assert_eq!(pending().into_iter().collect::<BTreeSet<_>>(), ids, "after a kill as well");
    stage.root().ward(&["audit", "verify"]).succeed();
}

/// The newest segment of the vault `default`, and how much of it is written.
fn segment(root: &Root) -> (PathBuf, usize) {
    let folder = std::fs::read_dir(root.path().join("vaults/default/segments")).unwrap();
    let newest = folder.map(|entry| entry.unwrap().path()).max().unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    (newest, bytes.iter().rposition(|byte| *byte != 0).unwrap())
}

#[test]
fn one_damaged_secret_hides_no_other_and_is_named() {
    let root = Root::private();
    let long = "x".repeat(4096);
    root.ward(&["set", "before", "--value", "one"]).succeed();
    let (_, begins) = segment(&root);
    root.ward(&["set", "damaged", "--value", &long]).succeed();
    let (path, ends) = segment(&root);
    root.ward(&["set", "after", "--value", "two"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[begins + (ends - begins) / 2] ^= 1;
    std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
    let list = root.run(&["--json", "list"]).json();
    assert_eq!(list["result"]["names"].as_array().unwrap().len(), 3, "{list}");
    for (name, value) in [("before", "one"), ("after", "two")] {
        assert_eq!(root.ward(&["get", name, "--raw"]).succeed(), value);
    }
    let damaged = root.run(&["get", "damaged", "--raw"]);
    assert_eq!((damaged.status, damaged.stdout.as_str()), (Some(10), ""), "{damaged:?}");
    root.ward(&["set", "more", "--value", "three"]).succeed();
    let verified = root.run(&["verify"]);
    assert_eq!(verified.status, Some(10), "{verified:?}");
    root.ward(&["daemon", "stop"]).succeed();
    let checked = root.run(&["vault", "fsck", "default"]);
    assert!(checked.status == Some(10) && checked.stdout.contains("damaged"), "{checked:?}");
    root.ward(&["set", "damaged", "--value", "whole", "--replace"]).succeed();
    assert_eq!(root.ward(&["get", "damaged", "--raw"]).succeed(), "whole");
}

#[test]
fn what_a_command_leaves_in_the_mount_neither_keeps_it_nor_changes_how_the_command_ended() {
    let root = Root::private().serving();
    root.ward(&["set", "a", "--value", "hunter2"]).succeed();
    let script = "cd \"$WARD_MOUNT\"; exec 3<a; sleep 60 >/dev/null 2>&1 & echo $!; exit 0";
    let ended = root.run(&["vault", "exec", "default", "here", "--", "/bin/sh", "-c", script]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(root.mounts(), Vec::<String>::new());
    let left: i32 = ended.stdout.trim().parse().unwrap();
    // It lives, in a directory that is no more.
    kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
}

/// Whose stdout is that of another program, or a screen, once they succeed.
const NOT_OURS: [&str; 3] = ["run", "vault exec", "watch"];
/// What cannot succeed here: it takes a terminal, a vault that was rolled back, or a broken log.
const CANNOT: [&str; 6] = [
    "watch",
    "vault ask-file",
    "vault accept-restore",
    "audit compromise",
    "audit accept-break",
    "audit check-proof",
];
/// What looks for no root, and so fails for another reason; the last four for none.
const ROOTLESS: [(&str, &str); 12] = [
    ("init", "init --root {here}"),
    ("gpg create", "gpg create --home {here}/words --no-passphrase"),
    ("gpg fingerprint", "gpg fingerprint --home {here}/none"),
    ("policy diff", "policy diff {here}/none {here}/none"),
    ("policy import", "policy import --gloves {here}/none"),
    ("policy test", "policy test {here}/none"),
    ("policy template", "policy template none"),
    ("generate man", "generate man {here}/words"),
    ("help", "help none"),
    ("doctor", ""),
    ("policy risk", ""),
    ("generate completions", ""),
];

/// That the command answered with one object in its envelope, and said nothing else; gives the object.
fn enveloped(command: &str, ended: &Ended) -> Value {
    assert_eq!(ended.stdout.lines().count(), 1, "{command}: {ended:?}");
    let answer: Value = ended.json();
    assert_eq!(answer["version"], 1, "{command}: {ended:?}");
    let has = |key| answer.get(key).is_some_and(Value::is_object);
    assert!(has("result") != has("error"), "{command}: {ended:?}");
    assert!(ended.stderr.is_empty() || command == "requests review", "{command}: {ended:?}");
    answer
}

#[test]
fn with_json_every_command_answers_one_object_in_the_same_envelope_when_it_succeeds() {
    let root = Root::private();
    let policy = root.path().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    replace(&policy, &(text + RULES));
    lay_out(&root);
    for name in ["db/password", "asked"] {
        root.ward(&["set", name, "--value", "hunter2"]).succeed();
    }
    root.ward(&["set", "db/password", "--value", "hunter3", "--replace"]).succeed();
    root.ward(&["get", "db/password", "--raw"]).succeed();
    let id = |words: &[&str], key: &str| {
        let said = root.run(&[&["--json"], words].concat()).json();
        said["result"][key].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    let opened = root.run(&["--json", "audit", "show", "--event", "file.open"]).json();
    let entry = opened["result"]["entries"][0]["entry"]["seq"].as_str().unwrap().to_owned();
    for (command, words) in runs() {
        if command.starts_with("gpg") && !Path::new("/usr/bin/gpg").exists() {
            continue;
        }
        let mut ids = [String::new(), String::new()];
        if words.contains("{request}") {
            ids[0] = id(&["request", "asked", "--reason", "why"], "request");
        }
        if words.contains("{grant}") {
            ids[1] = id(&["secrets", "grant", "db/password", "--to", "asker"], "grant");
        }
        let words = filled(words, &root, (&ids[0], &ids[1], &entry));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ward = root.ward(&[&["--json"], &words[..]].concat());
        let ended = ward.with("PATH", "/usr/bin:/bin").with("HOME", root.directory()).run();
        if NOT_OURS.contains(&command) && command != "watch" {
            assert_eq!(
                (ended.status, ended.stdout.as_str()),
                (Some(0), ""),
                "{command}: {ended:?}"
            );
            continue;
        }
        let answer = enveloped(command, &ended);
        let is_result = answer.get("result").is_some();
        assert_eq!(is_result, !CANNOT.contains(&command), "{command}: {ended:?}");
    }
}

#[test]
fn with_json_every_command_answers_one_object_in_the_same_envelope_when_it_fails() {
    let root = Root::absent();
    lay_out(&root);
    for (command, words) in runs() {
        let instead = ROOTLESS.iter().find(|(known, _)| *known == command);
        let words = instead.map_or(words, |(_, words)| *words);
        if words.is_empty() || (command.starts_with("gpg") && !Path::new("/usr/bin/gpg").exists()) {
            continue;
        }
        let id = "01M804JK9JJSRHH0FK9HV3K45Z";
        let words = filled(words, &root, (id, id, "1"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ward = root.ward(&[&["--json"], &words[..]].concat());
        let ended = ward.with("PATH", "/usr/bin:/bin").with("HOME", root.directory()).run();
        let answer = enveloped(command, &ended);
        assert!(answer.get("error").is_some() && ended.status != Some(0), "{command}: {ended:?}");
    }
}

#[test]
fn lists_are_in_one_order_however_they_came_about() {
    let root = Root::private().serving();
    for name in ["m", "z/1", "b", "a/2", "z/0", "a/1"] {
        root.ward(&["set", name, "--value", "x"]).succeed();
        root.ward(&["secrets", "grant", name, "--to", "owner"]).succeed();
    }
    for name in ["work", "alpha"] {
        root.ward(&["vault", "init", name]).succeed();
    }
    let listed = |words: &[&str], list: &str, key: &str| -> Vec<String> {
        let said = root.run(&[&["--json"], words].concat()).json();
        let items = said["result"][list].as_array().unwrap_or_else(|| panic!("{said}"));
        items.iter().map(|it| it[key].as_str().unwrap().to_owned()).collect()
    };
    for _ in 0..2 {
        let sorted = ["a/1", "a/2", "b", "m", "z/0", "z/1"];
        assert_eq!(listed(&["list"], "names", "path"), sorted);
        assert_eq!(listed(&["vault", "list"], "vaults", "vault"), ["alpha", "default", "work"]);
        // In the order in which they were given.
        let given = ["m", "z/1", "b", "a/2", "z/0", "a/1"];
        assert_eq!(listed(&["grants", "list"], "secrets", "path"), given);
        // The next daemon takes it all up again.
        root.ward(&["daemon", "stop"]).succeed();
    }
}

/// Processes that descend from this one and wait for somebody to look at how they ended.
fn zombies(of: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| std::fs::read_to_string(task.path().join("children")));
    let numbers: Vec<u32> = children
        .flat_map(|text| {
            let text = text.unwrap_or_default();
            text.split_whitespace().map(|it| it.parse().unwrap()).collect::<Vec<u32>>()
        })
        .collect();
    let is_zombie = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    };
    numbers
        .iter()
        .copied()
        .filter(is_zombie)
        .chain(numbers.iter().flat_map(|it| zombies(*it)))
        .collect()
}

#[test]
fn without_any_other_program_secrets_and_mounts_work_and_no_process_is_left_behind() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::private().serving();
    let ward = |words: &[&str]| root.ward(words).with("PATH", "").succeed();
    ward(&["set", "a", "--value", "hunter2"]);
    assert_eq!(ward(&["get", "a", "--raw"]), "hunter2");
    ward(&["vault", "init", "work", "--kind", "workspace"]);
    for _ in 0..3 {
        ward(&["vault", "mount", "work", "place"]);
        std::fs::File::create(root.directory().join("place/file")).unwrap();
        ward(&["vault", "unmount", "work"]);
    }
    ward(&["vault", "mount", "default", "here"]);
    assert_eq!(std::fs::read_to_string(root.directory().join("here/a")).unwrap(), "hunter2");
    ward(&["vault", "unmount", "default"]);
    let own = ["vault", "exec", "default", "here", "--", "/bin/cat", "here/a"];
    assert_eq!(ward(&own), "hunter2");
    ward(&["revoke", "a"]);
    ward(&["verify"]);
    let daemon = root.running().unwrap();
    assert!(wait::until(|| zombies(daemon).is_empty()), "{:?}", zombies(daemon));
}

#[test]
fn what_a_helper_ran_is_waited_for() {
    let Some(stage) = Stage::still(HOLD, "") else { return };
    let root = stage.root();
    let folder = users::folder(STRANGER);
    let program = folder.path().join("program");
    replace(&program, "#!/bin/sh\n: > \"${0%/*}/told-$1\"\n");
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    root.configure(&format!("[notify]\nprogram = {program:?}\nuser = \"{STRANGER}\"\n"));
    root.ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    for name in ["ask/a", "ask/b", "ask/c"] {
        stage.secret(name, "s3cret");
        root.ward(&["request", name, "--reason", "why"]).by(OWNER).succeed();
    }
    let told = || std::fs::read_dir(folder.path()).unwrap().count() - 1;
    assert!(wait::until(|| told() == 3), "{} of them are told", told());
    let daemon = root.running().unwrap();
    assert!(wait::until(|| zombies(daemon).is_empty()), "{:?}", zombies(daemon));
}
