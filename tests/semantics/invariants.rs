//! The twelve invariants of docs/semantics.md, each once more as a whole.

use crate::support::person::{PYTHON, Person};
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, policy, replace};
use crate::support::users::{OWNER, STRANGER, can_act_as_others, user};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::path::{Path, PathBuf};

fn kill_daemon(stage: &Stage) {
    let core = stage.root().running().unwrap();
    kill(Pid::from_raw(i32::try_from(core).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(core));
    assert!(wait::until(|| stage.root().mounts().is_empty()));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Runs a command that must succeed.
fn run(words: &[&str]) {
    let status = std::process::Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(status.success(), "{words:?}");
}

#[test]
fn invariant_1_fail_closed_a_log_that_takes_no_records_releases_no_bytes() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    stage.root().ward(&["daemon", "stop"]).succeed();
    let audit = stage.root().path().join("audit");
    let (kept, small) = (stage.root().directory().join("kept"), audit.to_str().unwrap());
    std::fs::rename(&audit, &kept).unwrap();
    std::fs::create_dir(&audit).unwrap();
    run(&["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "none", small]);
    run(&["cp", "-a", &format!("{}/.", kept.to_str().unwrap()), small]);
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    let filler = std::fs::File::create(audit.join("filler")).unwrap();
    let is_full = || rustix::io::write(&filler, &[1; 4096]).is_err();
    assert!((0..4096).any(|_| is_full()));
    // Until the room that the log took ahead is used up.
    assert_eq!(person.fails("while True: os.pread(file, 9, 0)"), "EIO");
    for step in ["os.pread(file, 9, 0)", &format!("os.open({path:?}, os.O_RDONLY)")] {
        assert_eq!(person.fails(step), "EIO", "{step}");
    }
    assert_eq!(stage.root().run(&["get", "--raw", "read/token"]).status, Some(12));
    stage.root().ward(&["vault", "unmount", "default"]).run();
    let core = stage.root().running().unwrap();
    kill(Pid::from_raw(i32::try_from(core).unwrap()), Signal::SIGTERM).unwrap();
    assert!(wait::has_ended(core));
    drop(filler);
    run(&["umount", small]);
}

#[test]
fn invariant_1_fail_closed_what_no_rule_speaks_of_is_refused() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("nowhere/token", "s3cret");
    for name in [OWNER, STRANGER] {
        assert_eq!(Person::of(name).reads(&path), Err("ENOENT".to_owned()));
    }
    let ended = stage.root().ward(&["vault", "init", "own"]).by(OWNER).run();
    assert_eq!(ended.status, Some(3));
}

#[test]
fn invariant_2_recorded_before_released_a_killed_daemon_has_the_record_of_every_open() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    for _ in 0..10 {
        assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
    }
    kill_daemon(&stage);
    let opens = stage.log_of("file.open", "read/token");
    let is_ours = |entry: &&serde_json::Value| entry["actor"]["pid"] == person.pid();
    assert_eq!(opens.iter().filter(is_ours).count(), 10);
    stage.root().ward(&["daemon", "start"]).succeed();
    assert_eq!(stage.log_of("file.open", "read/token").len(), opens.len());
}

#[test]
fn invariant_3_nothing_stays_no_value_and_no_name_is_on_disk_in_clear() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system();
    let (value, name) = ("a-value-like-no-other", "a-name-like-no-other");
    root.ward(&["daemon", "start"]).succeed();
    let core = root.running().unwrap();
    root.ward(&["set", name, "--value", value]).by(OWNER).succeed();
    assert_eq!(root.ward(&["get", "--raw", name]).by(OWNER).succeed(), value);
    root.ward(&["get", "--raw", name]).by(STRANGER).run();
    let status = std::fs::read_to_string(format!("/proc/{core}/status")).unwrap();
    let number = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    assert!(number("VmLck:") > 0 && number("VmSwap:") == 0, "{status}");
    root.ward(&["daemon", "stop"]).by(OWNER).succeed();
    assert!(wait::has_ended(core));
    for path in files_below(root.path()) {
        assert!(!holds(&path, value), "the value is in {path:?}");
        assert!(!holds(&path, name), "the name is in {path:?}");
    }
}

#[test]
fn invariant_4_the_end_is_the_end_of_every_descriptor_and_every_mapping_of_a_revoked_secret() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("files = [os.open({path:?}, os.O_RDONLY) for _ in range(20)]"));
    person.must("memory = mmap.mmap(files[0], 6, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)");
    assert_eq!(person.must("memory[0:6]"), "s3cret");
    let begun = wait::seconds();
    stage.root().ward(&["revoke", "read/token"]).succeed();
    for number in 0..20 {
        assert_eq!(person.fails(&format!("os.pread(files[{number}], 9, 0)")), "ESTALE");
    }
    let is_gone = wait::until(|| person.must("child('memory[0:1]')") == -7);
    let took = wait::seconds() - begun;
    assert!(is_gone && took < 1.0, "the mapping lived for {took} s");
}

#[test]
fn invariant_5_an_answer_serves_exactly_the_question_and_not_a_wider_one() {
    let rules = "[[rule]]\nname = \"ask-both\"\nclients = [\"owner\"]\nops = [\"file.*\"]\n\
                 path = [\"wide/**\"]\ndecide = \"approve\"\n\
                 approve = { require = \"first_use\", by = [\"admin\"] }\n";
    let Some(stage) = Stage::with(HOLD, rules) else { return };
    let path = stage.secret("wide/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("wide/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.end(), Ok("s3cret".into()));
    for flags in ["os.O_WRONLY", "os.O_RDWR"] {
        let step = format!("os.open({path:?}, {flags} | os.O_NONBLOCK)");
        assert_eq!(person.fails(&step), "EAGAIN", "{flags}");
    }
    let asked: Vec<_> = stage.pending().iter().map(|it| it["operations"].clone()).collect();
    assert_eq!(
        asked,
        [serde_json::json!(["file.write"]), serde_json::json!(["file.read", "file.write"])]
    );
}

#[test]
fn invariant_6_nobody_waits_behind_a_human_but_the_one_who_asked() {
    let Some(stage) = Stage::set() else { return };
    let read = stage.secret("read/token", "s3cret");
    let mut waiting = Vec::new();
    for number in 0..8 {
        let path = stage.secret(&format!("ask/{number}"), "x");
        let mut person = Person::of(OWNER);
        person.begin(&format!("os.open({path:?}, os.O_RDONLY)"));
        waiting.push(person);
    }
    (0..8).for_each(|number| drop(stage.held(&format!("ask/{number}"))));
    let begun = wait::seconds();
    assert_eq!(Person::of(OWNER).reads(&read), Ok("s3cret".to_owned()));
    assert!(wait::seconds() - begun < 1.0);
    let begun = wait::seconds();
    for person in &mut waiting {
        person.signal(Signal::SIGKILL);
        person.wait_for_its_end();
    }
    assert!(wait::seconds() - begun < 1.0);
}

#[test]
fn invariant_7_names_are_as_secret_as_values_a_new_name_beside_changes_nothing_that_is_seen() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/shown", "x");
    let mut person = Person::of(OWNER);
    let (top, folder) = (stage.mountpoint(), stage.path("read"));
    let look = format!(
        "[sorted(os.listdir({top:?})), shown({folder:?}), shown({top:?}), \
         os.stat({folder:?}).st_mtime, os.stat({top:?}).st_mtime, list(os.statvfs({top:?}))]"
    );
    let before = person.must(&look);
    stage.secret("hidden/deep/token", "x");
    stage.secret("elsewhere", "x");
    assert_eq!(person.must(&look), before);
}

#[test]
fn invariant_8_what_was_fsynced_is_there_after_the_daemon_was_killed() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("free/first", "x");
    let mut person = Person::of(OWNER);
    for number in 0..20 {
        let path = stage.path(&format!("free/{number}"));
        person.must(&format!("file = os.open({path:?}, os.O_CREAT | os.O_WRONLY)"));
        person.must(&format!("os.write(file, b'value {number}'), os.fsync(file)"));
    }
    kill_daemon(&stage);
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    for number in 0..20 {
        let path = stage.path(&format!("free/{number}"));
        assert_eq!(person.reads(&path), Ok(format!("value {number}")));
    }
}

#[test]
fn invariant_9_changed_ciphertext_yields_no_bytes() {
    let Some(stage) = Stage::set() else { return };
    let value = "0123456789".repeat(2000);
    let path = stage.secret("read/token", &value);
    assert_eq!(Person::of(OWNER).reads(&path), Ok(value.clone()));
    stage.root().ward(&["daemon", "stop"]).succeed();
    let segments = files_below(&stage.root().path().join("vaults/default/segments"));
    let largest = segments.iter().max_by_key(|path| std::fs::read(path).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(largest).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2] ^= 1;
    std::fs::File::create(largest).unwrap().write_all(&bytes).unwrap();
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    assert_eq!(Person::of(OWNER).reads(&path), Err("EIO".to_owned()));
}

#[test]
fn invariant_10_the_log_notices_a_changed_and_a_missing_record() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    Person::of(OWNER).reads(&path).unwrap();
    stage.root().ward(&["daemon", "stop"]).succeed();
    let segment = stage.root().newest_segment();
    let text = std::fs::read_to_string(&segment).unwrap();
    let verify = || stage.root().run(&["audit", "verify"]);
    assert_eq!(verify().status, Some(0));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let middle = lines.len() / 2;
    let mut without = lines.clone();
    without.remove(middle);
    let mut exchanged = lines.clone();
    exchanged.swap(middle, middle + 1);
    for damaged in
        [text.replace("owner-reads", "owner-write"), without.concat(), exchanged.concat()]
    {
        assert_ne!(damaged, text);
        replace(&segment, &damaged);
        let ended = verify();
        assert_eq!(ended.status, Some(4), "{ended:?}");
    }
    replace(&segment, &text);
    assert_eq!(verify().status, Some(0));
}

#[test]
fn invariant_11_identity_is_what_the_kernel_attests() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    let program =
        format!("open('/proc/self/comm', 'w').write('ward'); print(open({path:?}).read())");
    person.must(&format!(
        "run('any-name', '-c', {program:?}, executable='/usr/bin/python3', env={{'USER': 'root'}})"
    ));
    let read = stage.log_of("file.read", "read/token").pop().unwrap();
    assert_eq!(read["actor"]["uid"], user(OWNER).uid.as_raw());
    assert!(read["actor"]["exe"].as_str().unwrap().starts_with(PYTHON), "{read}");
    assert_eq!(read["actor"]["grade"], "weak");
    assert_eq!(read["actor"]["exeSha256"].as_str().unwrap().len(), 64);
}

#[test]
fn invariant_12_a_policy_with_a_fault_is_refused_with_its_place_and_the_old_one_stays() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let file = stage.root().path().join("policy.toml");
    let text = policy(HOLD, "[[rule]]\nname = \"x\"\nclients = [\"nobody\"]\n");
    replace(&file, &text);
    let core = stage.root().running().unwrap();
    kill(Pid::from_raw(i32::try_from(core).unwrap()), Signal::SIGHUP).unwrap();
    let refused = || stage.log().into_iter().find(|entry| entry["eventType"] == "policy.refused");
    assert!(wait::until(|| refused().is_some()));
    let reason = refused().unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("line ") && reason.contains("column "), "{reason}");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("s3cret".to_owned()));
    let checked = stage.root().run(&["policy", "check", file.to_str().unwrap()]);
    assert_eq!(checked.status, Some(7));
    assert!(checked.stderr.contains("line "), "{}", checked.stderr);
}
