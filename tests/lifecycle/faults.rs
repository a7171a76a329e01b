//! What goes wrong elsewhere, and must not here. What is not here has a test where it belongs:
//! `tests/lifecycle/{exec,idle}.rs`, `tests/mounts.rs`, `tests/endurance.rs`, `tests/attacks/`.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                BTreeMap::from([(path.clone(), std::fs::read(&path).unwrap())])
            }
        })
        .collect()
}

#[test]
fn a_busy_vault_keeps_no_later_one_from_its_end() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    let root = stage.root();
    root.ward(&["set", "read/token", "--value", "s3cret"]).succeed();
    root.ward(&["vault", "init", "second"]).succeed();
    stage.mount(&["--ttl", "2s"]);
    let other = root.directory().join("other");
    root.ward(&["vault", "mount", "second", other.to_str().unwrap(), "--ttl", "2s"]).succeed();
    let begun = wait::seconds();
    let mut busy = Person::of(OWNER);
    busy.must(&format!("file = os.open({:?}, os.O_RDONLY)", stage.path("read/token")));
    busy.must("memory = mmap.mmap(file, 6, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)");
    busy.must(&format!("os.chdir({:?})", stage.mountpoint()));
    assert!(wait::until(|| root.mounts().is_empty()), "one is left");
    let took = wait::seconds() - begun;
    assert!(took < 3.0, "the last of them was there for {took} s");
}

#[test]
fn checks_delete_no_key_and_change_no_byte() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let vault = root.path().join("vaults/default");
    let mut segments: Vec<PathBuf> = files(&vault).into_keys().collect();
    segments.retain(|path| path.to_str().unwrap().contains("segments"));
    for segment in segments {
        let mut bytes = std::fs::read(&segment).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::io::Write::write_all(&mut std::fs::File::create(&segment).unwrap(), &bytes).unwrap();
    }
    let all = || {
        let mut bytes = files(&vault);
        // Who has it open writes its process number there.
        bytes.remove(&vault.join("lock"));
        (files(&root.path().join("keys")), bytes)
    };
    let before = all();
    let fsck = root.run(&["vault", "fsck", "default"]);
    assert_ne!(fsck.status, Some(0), "{fsck:?}");
    root.run(&["audit", "verify"]);
    root.run(&["doctor"]);
    assert!(all() == before, "a check changed the vault or its key");
    assert!(!before.0.is_empty());
}

#[test]
fn the_time_of_a_mount_runs_on_while_the_machine_sleeps() {
    let root = Root::private().serving();
    root.ward(&["vault", "mount", "default", "here", "--idle", "10m"]).succeed();
    let daemon = root.running().unwrap();
    let descriptors = std::fs::read_dir(format!("/proc/{daemon}/fdinfo")).unwrap();
    let told = descriptors.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    let clocks: Vec<String> = told
        .filter_map(|text| Some(text.lines().find(|it| it.starts_with("clockid"))?.to_owned()))
        .collect();
    // CLOCK_BOOTTIME is 7 (clock_gettime(2)): it goes on in suspend, and nobody sets it.
    assert!(!clocks.is_empty() && clocks.iter().all(|it| it == "clockid: 7"), "{clocks:?}");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_second_daemon_is_refused_and_names_the_process_of_the_first() {
    let root = Root::private().serving();
    let first = root.running().unwrap();
    let ended = root.run(&["daemon", "start", "--foreground"]);
    assert!(ended.stderr.contains(&format!("as process {first}")), "{ended:?}");
    assert_ne!(ended.status, Some(0));
    assert_eq!(root.running(), Some(first));
}

#[test]
fn a_vault_that_another_daemon_has_open_is_refused_and_names_its_process() {
    let root = Root::private().serving();
    root.ward(&["vault", "mount", "default", "here"]).succeed();
    let other = Root::private();
    std::fs::copy(root.path().join("keys/default"), other.path().join("keys/default")).unwrap();
    let theirs = other.path().join("vaults/default");
    std::fs::rename(&theirs, other.directory().join("its-own")).unwrap();
    std::fs::create_dir(&theirs).unwrap();
    let ours = root.path().join("vaults/default");
    let bound = nix::mount::mount(
        Some(&ours),
        &theirs,
        None::<&str>,
        nix::mount::MsFlags::MS_BIND,
        None::<&str>,
    );
    bound.unwrap();
    let ended = other.run(&["vault", "mount", "default", "there"]);
    other.ward(&["daemon", "stop"]).succeed();
    nix::mount::umount2(&theirs, nix::mount::MntFlags::MNT_DETACH).unwrap();
    assert_eq!(ended.status, Some(6), "{ended:?}");
    let first = root.running().unwrap();
    assert!(ended.stderr.contains(&format!("pid {first}")), "{ended:?}");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_file_that_was_cut_meanwhile_is_not_undone_by_who_had_it_open_before() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "a long value");
    let (mut early, mut late) = (Person::of(OWNER), Person::of(OWNER));
    early.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    assert_eq!(early.must("os.pread(file, 99, 0)"), "a long value");
    late.must(&format!("write({path:?}, 'short')"));
    early.must("os.close(file)");
    assert_eq!(late.reads(&path), Ok("short".to_owned()));
}

#[test]
fn who_may_only_write_reads_nothing_by_opening_for_both() {
    let rule = "\n[[rule]]\nname = \"stranger-writes\"\nclients = [\"stranger\"]\n\
                ops = [\"file.list\", \"file.write\"]\npath = [\"drop/**\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with(HOLD, rule) else { return };
    let path = stage.secret("drop/box", "s3cret");
    let mut stranger = Person::of(STRANGER);
    assert_eq!(stranger.fails(&format!("os.open({path:?}, os.O_RDWR)")), "EACCES");
    stranger.must(&format!("file = os.open({path:?}, os.O_WRONLY)"));
    assert_eq!(stranger.fails("os.pread(file, 9, 0)"), "EBADF");
}

#[test]
fn a_vault_whose_time_is_over_says_so_to_who_comes_late() {
    let root = Root::private().serving();
    root.ward(&["vault", "mount", "default", "here", "--ttl", "1s"]).succeed();
    assert!(wait::until(|| root.mounts().is_empty()));
    assert!(wait::until(|| {
        let ended = root.run(&["vault", "unmount", "default"]);
        assert_eq!(ended.status, Some(5), "{ended:?}");
        ended.stderr.contains("since its time was over")
            && ended.stderr.contains("next: ward vault mount default")
    }));
}

#[test]
fn a_wrong_key_a_wrong_agent_a_busy_vault_and_a_full_folder_each_say_so_at_once() {
    let Some(stage) = Stage::served(HOLD, crate::support::agent::RULES) else { return };
    let root = stage.root();
    for vault in ["sealed", "other", "busy"] {
        root.ward(&["vault", "init", vault]).succeed();
    }
    root.ward(&["daemon", "stop"]).succeed();
    let keys = root.path().join("keys");
    std::fs::copy(keys.join("other"), keys.join("sealed")).unwrap();
    root.ward(&["daemon", "start"]).succeed();
    root.ward(&["vault", "mount", "busy", "first"]).succeed();
    let full = root.directory().join("full");
    std::fs::create_dir(&full).unwrap();
    replace(&full.join("file"), "x");
    let theirs = crate::support::users::folder(OWNER);
    let theirs = theirs.path().to_str().unwrap();
    let mount = |words: &[&str]| root.ward(&[&["vault", "mount"], words].concat());
    let claude = ["other", theirs, "--agent", "claude"];
    let mut reasons = std::collections::BTreeSet::new();
    for (mount, status, code, said) in [
        (mount(&["sealed", "second"]), 8, "[E402]", "key"),
        (mount(&claude).by(OWNER), 3, "[E200]", "refus"),
        (mount(&["busy", "second"]), 6, "[E301]", "first"),
        (mount(&["other", "full"]), 6, "[E301]", "empty"),
    ] {
        let begun = wait::seconds();
        let ended = mount.run();
        let took = wait::seconds() - begun;
        assert_eq!(ended.status, Some(status), "{code}: {ended:?}");
        let (reason, next) = ended.stderr.split_once("\n  next: ").unwrap();
        assert!(reason.ends_with(code) && next.len() > 10, "{code}: {ended:?}");
        assert!(reason.contains(said), "{code}: {ended:?}");
        assert!(reasons.insert(reason.to_owned()), "{code}: {ended:?}");
        assert!(took < 1.0, "{ended:?} took {took} s");
    }
    assert_eq!(root.mounts().len(), 1, "what failed mounted nothing");
    root.ward(&["vault", "unmount", "busy"]).succeed();
}

#[test]
fn every_failure_to_mount_answers_within_a_second_with_its_own_reason_and_what_to_do() {
    let root = Root::private().serving();
    root.ward(&["vault", "init", "mounted"]).succeed();
    root.ward(&["vault", "mount", "mounted", "taken"]).succeed();
    replace(&root.directory().join("passphrase"), "correct horse");
    replace(&root.directory().join("wrong"), "another");
    root.ward(&["vault", "init", "locked", "--passphrase-file", "passphrase"]).succeed();
    let mut reasons = std::collections::BTreeSet::new();
    let cases: [(&[&str], i32); 8] = [
        (&["none", "here"], 5),
        (&["default", "."], 6),
        (&["mounted", "here"], 6),
        (&["default", "taken"], 6),
        (&["default", "no/where"], 7),
        (&["default", "here", "--ttl", "31d"], 7),
        (&["locked", "here"], 8),
        (&["locked", "here", "--passphrase-file", "wrong"], 8),
    ];
    for (words, code) in cases {
        let begun = wait::seconds();
        let ended = root.run(&[&["vault", "mount"], words].concat());
        let took = wait::seconds() - begun;
        assert_eq!(ended.status, Some(code), "{words:?}: {ended:?}");
        let (reason, next) = ended.stderr.split_once("\n  next: ").unwrap();
        assert!(next.len() > 10 && reasons.insert(reason.to_owned()), "{words:?}: {ended:?}");
        // A passphrase takes its time by design.
        let patience = if words.contains(&"wrong") { 10.0 } else { 1.0 };
        assert!(took < patience, "{words:?} took {took} s");
    }
    root.ward(&["vault", "unmount", "mounted"]).succeed();
}
