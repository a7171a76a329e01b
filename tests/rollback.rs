//! An older copy of a vault put back in its place: noticed, refused, and accepted by a human.

use crate::support::root::Root;
use crate::support::session::Session;
use crate::support::stage::{Stage, replace};
use crate::support::users::{self, OWNER};
use crate::support::wait;
use crate::support::ward::Ended;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::Command;

/// Copies a directory as `cp -a` does.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("/bin/cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Puts the older `copy` of a vault in its place.
fn put_back(root: &Root, name: &str, copy_at: &Path) {
    root.ward(&["daemon", "stop"]).succeed();
    let vault = root.path().join("vaults").join(name);
    std::fs::remove_dir_all(&vault).unwrap();
    copy(copy_at, &vault);
}

/// A private root whose vault was copied after `before` and rolled back after `after`.
fn rolled_back(before: &[&[&str]], after: &[&[&str]]) -> Root {
    let root = Root::private();
    let run = |commands: &[&[&str]]| {
        commands.iter().for_each(|words| drop(root.ward(words).succeed()));
        root.ward(&["daemon", "stop"]).succeed();
    };
    run(before);
    let kept = root.directory().join("kept");
    copy(&root.path().join("vaults/default"), &kept);
    run(after);
    put_back(&root, "default", &kept);
    root
}

fn request_of(ended: &Ended) -> String {
    assert_eq!(ended.status, Some(4), "{ended:?}");
    ended.json()["error"]["request"].as_str().unwrap().to_owned()
}

/// Asks, answers as the same person (a private root) and asks again.
fn accept(root: &Root, vault: &str) -> serde_json::Value {
    let session = format!(
        "$0 --json vault accept-restore {vault}; read go; $0 --json vault accept-restore {vault}"
    );
    let mut session = Session::begin_as_us(root, &session);
    let asked: serde_json::Value = serde_json::from_str(&session.line()).unwrap();
    let request = asked["error"]["request"].as_str().unwrap_or_else(|| panic!("{asked}"));
    root.ward(&["approve", request]).succeed();
    session.go();
    let (answer, _) = session.end();
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn an_older_copy_of_a_vault_serves_nobody_until_a_human_accepts_it() {
    let root = rolled_back(
        &[&["set", "a", "--value", "old"], &["set", "gone", "--value", "shredded"]],
        &[
            &["set", "a", "--value", "new", "--replace"],
            &["revoke", "gone"],
            &["set", "b", "--value", "x"],
        ],
    );
    for refused in [&["get", "a", "--raw"][..], &["list"], &["set", "c", "--value", "x"]] {
        let ended = root.run(refused);
        assert_eq!(ended.status, Some(10), "{ended:?}");
        assert!(
            ended.stderr.contains("was rolled back: it stands at branch 0, segment"),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("was seen here at 20"), "{ended:?}");
        assert!(ended.stderr.contains("ward vault accept-restore default"), "{ended:?}");
    }
    root.ward(&["vault", "fsck", "default"]).succeed();
    let log = root.ward(&["audit", "show", "--event", "vault.rolled-back"]).succeed();
    assert_eq!(log.lines().count(), 1, "recorded once: {log}");

    let asked = root.run(&["--json", "vault", "accept-restore", "default"]);
    let message = asked.json()["error"]["message"].as_str().unwrap().to_owned();
    let told = ["revoked gone", "set a, b", "to be shredded again: gone", "was seen here at"];
    for words in told {
        assert!(message.contains(words), "{words}: {message}");
    }
    let shown = root.ward(&["list", "--pending"]).succeed();
    assert!(shown.contains("vault.accept-restore") && shown.contains("stands at"), "{shown}");
    let unanswered = root.run(&["get", "a", "--raw"]);
    assert_eq!(unanswered.status, Some(10), "{unanswered:?}");

    let accepted = accept(&root, "default");
    let result = &accepted["result"];
    assert_eq!(result["set"], serde_json::json!(["a", "b"]), "{accepted}");
    assert_eq!(result["revoked"], serde_json::json!(["gone"]));
    assert_eq!(result["shredded_again"], serde_json::json!(["gone"]));
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "old");
    assert_eq!(root.run(&["get", "gone", "--raw"]).status, Some(5));
    assert_eq!(root.run(&["history", "gone"]).status, Some(5));
    let log = root.ward(&["--json", "audit", "show", "--vault", "default"]).succeed();
    for words in ["vault.accept-restore", "shredded again: it was", "it stands at branch 0"] {
        assert!(log.contains(words), "{words}: {log}");
    }

    // It is the newest state now: the one that was newest before is the older one.
    root.ward(&["daemon", "stop"]).succeed();
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "old");
}

#[test]
fn of_a_restored_workspace_it_is_told_what_it_was_used_for_since_in_counts() {
    let root = Root::private();
    root.ward(&["vault", "init", "work", "--kind", "workspace"]).succeed();
    let place = root.directory().join("mount");
    let mount = || drop(root.ward(&["vault", "mount", "work", place.to_str().unwrap()]).succeed());
    let unmount = || drop(root.ward(&["vault", "unmount", "work"]).succeed());
    mount();
    replace(&place.join("a"), "old");
    unmount();
    root.ward(&["daemon", "stop"]).succeed();
    let kept = root.directory().join("kept");
    copy(&root.path().join("vaults/work"), &kept);

    mount();
    for _ in 0..3 {
        let mut file = std::fs::File::options().append(true).open(place.join("a")).unwrap();
        std::io::Write::write_all(&mut file, b"new").unwrap();
    }
    std::fs::read(place.join("a")).unwrap();
    std::fs::File::create_new(place.join("b")).unwrap();
    std::fs::rename(place.join("b"), place.join("c")).unwrap();
    std::fs::remove_file(place.join("c")).unwrap();
    nix::unistd::truncate(&place.join("a"), 1).unwrap();
    unmount();
    root.ward(&["vault", "key", "add", "work", "--slot", "recovery"]).succeed();
    root.ward(&["vault", "compact", "work"]).succeed();
    put_back(&root, "work", &kept);
    // Nobody uses it for anything but a look.
    mount();
    assert!(std::fs::File::create(place.join("a")).is_err());
    assert_eq!(std::fs::read_to_string(place.join("a")).unwrap(), "old");
    unmount();

    let asked = root.run(&["--json", "vault", "accept-restore", "work"]);
    let message = asked.json()["error"]["message"].as_str().unwrap().to_owned();
    let told = "the log knows to be newer: 1 mount, 3 opens for writing, 1 creation, 1 truncation, \
                1 renaming, 1 removal, 1 compaction, the last at 20";
    assert!(message.contains(told), "{message}");
    assert!(message.contains("; 1 change of key slots"), "{message}");
    let accepted = accept(&root, "work");
    let activity = accepted["result"]["activity"].as_array().unwrap();
    let counted = |it: &serde_json::Value| (it["what"].clone(), it["times"].as_u64().unwrap());
    assert_eq!(activity.iter().map(counted).nth(1), Some(("open for writing".into(), 3)));
    // It takes changes again.
    mount();
    replace(&place.join("a"), "newest");
    unmount();
}

#[test]
fn a_yes_to_one_restored_state_is_no_yes_to_another() {
    let root = rolled_back(
        &[&["set", "a", "--value", "first"]],
        &[&["set", "a", "--value", "second", "--replace"]],
    );
    let other = root.directory().join("other");
    let words = "$0 --json vault accept-restore default; read go; \
                 $0 --json vault accept-restore default";
    let mut session = Session::begin_as_us(&root, words);
    let asked: serde_json::Value = serde_json::from_str(&session.line()).unwrap();
    let request = asked["error"]["request"].as_str().unwrap();
    root.ward(&["approve", request]).succeed();
    // A state of another length, in the place of the one that was approved.
    let first = root.path().join("vaults/default");
    copy(&first, &other);
    let segments = first.join("segments");
    let mut names: Vec<_> =
        std::fs::read_dir(&segments).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() > 1, "{names:?}");
    std::fs::remove_file(names.last().unwrap()).unwrap();
    for image in std::fs::read_dir(first.join("images")).unwrap() {
        std::fs::remove_file(image.unwrap().path()).unwrap();
    }
    session.go();
    let (answer, _) = session.end();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["error"].is_object(), "{answer}");
    assert_ne!(answer["error"]["request"].as_str(), Some(request), "{answer}");
}

#[test]
fn a_vault_whose_pin_is_lost_counts_as_rolled_back_too() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    std::fs::remove_file(root.path().join("pins/default")).unwrap();
    let ended = root.run(&["get", "a", "--raw"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    assert!(ended.stderr.contains("its pin is missing or not genuine"), "{ended:?}");
    accept(&root, "default");
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "x");
}

#[test]
fn a_root_made_before_there_were_pins_gets_them_at_the_next_start() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    let pin = root.path().join("pins/default");
    assert!(pin.exists());
    let fresh = Root::private();
    std::fs::remove_dir(fresh.path().join("pins")).unwrap();
    fresh.ward(&["set", "a", "--value", "x"]).succeed();
    assert!(fresh.path().join("pins/default").exists());
}

#[test]
fn on_a_system_root_who_asks_to_accept_cannot_answer() {
    let Some(stage) = Stage::served("10s", "") else { return };
    let root = stage.root();
    root.ward(&["set", "free/a", "--value", "old"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let kept = root.directory().join("kept");
    copy(&root.path().join("vaults/default"), &kept);
    root.ward(&["set", "free/a", "--value", "new", "--replace"]).succeed();
    put_back(root, "default", &kept);
    let request = request_of(&root.run(&["--json", "vault", "accept-restore", "default"]));
    assert_eq!(root.run(&["approve", &request]).status, Some(3));
    root.ward(&["approve", &request]).by(users::STRANGER).succeed();
}

#[test]
fn on_a_fresh_system_root_the_owner_is_told_how_somebody_can_answer_and_that_works() {
    if !users::can_act_as_others() {
        return;
    }
    let root = Root::system();
    root.ward(&["daemon", "start"]).succeed();
    let by_owner = |words: &[&str]| root.ward(words).by(OWNER).run();
    assert_eq!(by_owner(&["set", "a", "--value", "x"]).status, Some(0));
    assert_eq!(by_owner(&["daemon", "stop"]).status, Some(0));
    std::fs::remove_file(root.path().join("pins/default")).unwrap();
    root.ward(&["daemon", "start"]).succeed();
    let script = "ask() { \"$0\" --json vault accept-restore default; }; \
                  ask; read go; ask; read go; ask";
    let mut owner = Session::begin(&root, OWNER, script);
    let mut asked = || -> serde_json::Value { serde_json::from_str(&owner.line()).unwrap() };
    let next = |answer: &serde_json::Value| answer["error"]["next"].as_str().unwrap().to_owned();

    let alone = asked();
    let told = next(&alone);
    let policy = root.path().join("policy.toml");
    let daemon = format!("kill -HUP {}", root.running().unwrap());
    for words in [policy.to_str().unwrap(), "[clients.admin]", &daemon] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let own = by_owner(&["approve", alone["error"]["request"].as_str().unwrap()]);
    assert_eq!(own.status, Some(3), "{own:?}");
    assert!(own.stderr.contains("see its example [clients.admin]"), "{own:?}");

    // Done as told: the example made real, and the policy taken.
    let text = std::fs::read_to_string(&policy).unwrap();
    let example = text.split("\n\n").find(|part| part.contains("#[clients.admin]")).unwrap();
    let real = example.replace("\n#", "\n");
    replace(&policy, &text.replace(example, &real));
    let loaded = || root.ward(&["audit", "show", "--event", "policy.loaded"]).by(OWNER).succeed();
    let before = loaded().lines().count();
    let daemon = i32::try_from(root.running().unwrap()).unwrap();
    kill(Pid::from_raw(daemon), Signal::SIGHUP).unwrap();
    assert!(wait::until(|| loaded().lines().count() > before), "the policy was not loaded");
    owner.go();
    let mut asked = || -> serde_json::Value { serde_json::from_str(&owner.line()).unwrap() };
    let waits = asked();
    let request = waits["error"]["request"].as_str().unwrap();
    let told = next(&waits);
    assert!(told.contains("have admin (clients of the policy)"), "{told}");
    assert!(told.contains(&format!("ward approve {request}")), "{told}");
    root.ward(&["approve", request]).succeed();
    owner.go();
    let (accepted, _) = owner.end();
    assert!(accepted.contains("\"result\""), "{accepted}");
    assert_eq!(root.ward(&["get", "a", "--raw"]).by(OWNER).succeed(), "x");
    root.ward(&["daemon", "stop"]).by(OWNER).succeed();
}

#[test]
fn after_a_rekey_an_old_header_opens_nothing() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["vault", "header", "backup", "copy"]).succeed();
    root.ward(&["vault", "rekey", "default"]).succeed();
    root.ward(&["vault", "compact", "default"]).succeed();
    let info = root.run(&["--json", "vault", "info", "default"]).json();
    assert_eq!(info["result"]["segments_to_rekey"], 0, "{info}");
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "x");
    let log = root.ward(&["audit", "show", "--path", "a"]).succeed();
    assert!(log.lines().count() > 1, "names from before and after are shown: {log}");
    let refused = root.run(&["vault", "header", "restore", "copy"]);
    assert_eq!(refused.status, Some(7), "{refused:?}");
    root.ward(&["daemon", "stop"]).succeed();
    for header in ["header", "header.2"] {
        let path = root.path().join("vaults/default").join(header);
        std::fs::copy(root.directory().join("copy"), path).unwrap();
    }
    let refused = root.run(&["get", "a", "--raw"]);
    assert_eq!(refused.status, Some(10), "{refused:?}");
}
