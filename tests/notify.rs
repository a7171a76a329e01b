//! The helper `notify`: a human is told of a request by a program of their own, and nobody waits for
//! it.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER, user};
use crate::support::wait;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

/// A stage whose requests are told to a program of `STRANGER`: a shell script in a folder of theirs.
fn stage(script: &str) -> Option<(Stage, PathBuf)> {
    let stage = Stage::served("10s", "")?;
    let folder = stage.root().directory().join("told");
    std::fs::create_dir(&folder).unwrap();
    let stranger = user(STRANGER);
    chown(&folder, Some(stranger.uid.as_raw()), Some(stranger.gid.as_raw())).unwrap();
    let program = folder.join("program");
    std::fs::File::create(&program).unwrap().write_all(script.as_bytes()).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    stage.root().ward(&["daemon", "stop"]).succeed();
    stage.root().configure(&format!("[notify]\nprogram = {program:?}\nuser = \"{STRANGER}\"\n"));
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    Some((stage, folder))
}

fn failures(stage: &Stage) -> Vec<String> {
    let log = stage.log();
    let failed = log.iter().filter(|entry| entry["eventType"] == "helper.failed");
    failed.map(|entry| entry["reason"].as_str().unwrap_or("sealed").to_owned()).collect()
}

#[test]
fn a_request_is_told_to_the_program_by_its_number_and_without_its_value() {
    let script = "#!/bin/sh\n\
        cd \"${0%/*}\"\n\
        { echo \"$@\"; id; env; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; \
        cat ../root/policy.toml ../root/ward.toml; } > new 2>&1\n\
        mv new told\n";
    let Some((stage, folder)) = stage(script) else { return };
    let path = stage.secret("ask/token", "s3cret-value");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    assert!(
        wait::until(|| folder.join("told").exists()),
        "nobody was told: {:?}",
        failures(&stage)
    );
    let told = std::fs::read_to_string(folder.join("told")).unwrap();
    let first = told.lines().next().unwrap();
    let owner = user(OWNER).uid;
    assert!(first.starts_with(&format!("{request} default uid {owner} asks by /")), "{first}");
    assert!(first.contains("ask/token"), "{first}");
    assert!(!told.contains("s3cret-value"), "{told}");
    let stranger = user(STRANGER);
    let (uid, gid) = (stranger.uid, stranger.gid);
    assert!(told.contains(&format!("uid={uid}({STRANGER}) gid={gid}({STRANGER})")), "{told}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(told.contains(&format!("{set}:\t0000000000000000")), "{told}");
    }
    assert!(told.contains("NoNewPrivs:\t1") && told.contains("Seccomp:\t2"), "{told}");
    assert_eq!(told.matches("Permission denied").count(), 2, "it reads the root: {told}");
    stage.root().ward(&["approve", &request]).succeed();
    assert_eq!(person.end().unwrap(), "s3cret-value");
    assert_eq!(failures(&stage), Vec::<String>::new());
}

#[test]
fn a_program_that_hangs_delays_nothing_and_is_ended_and_recorded() {
    let Some((stage, _folder)) = stage("#!/bin/sh\nexec sleep 600\n") else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    stage.root().ward(&["approve", &request]).succeed();
    assert_eq!(person.end().unwrap(), "s3cret");
    assert_eq!(failures(&stage), Vec::<String>::new(), "it hangs still");
    assert!(wait::until(|| failures(&stage).len() == 1), "it is not ended");
    assert!(failures(&stage)[0].contains("longer than 5 s"), "{:?}", failures(&stage));
}

#[test]
fn a_program_that_fails_or_is_not_there_is_recorded_and_the_next_request_is_told_again() {
    let Some((stage, folder)) = stage("#!/bin/sh\nexit 3\n") else { return };
    for (name, why) in [("ask/a", "exit status: 3"), ("ask/b", "cannot be run")] {
        let path = stage.secret(name, "s3cret");
        let known = failures(&stage).len();
        let mut person = Person::of(OWNER);
        person.begin(&format!("read({path:?})"));
        let request = stage.held(name);
        assert!(wait::until(|| failures(&stage).len() > known));
        assert!(failures(&stage).last().unwrap().contains(why), "{:?}", failures(&stage));
        stage.root().ward(&["deny", &request]).succeed();
        assert_eq!(person.end(), Err("EACCES".to_owned()));
        if folder.join("program").exists() {
            std::fs::remove_file(folder.join("program")).unwrap();
        }
    }
}

#[test]
fn settings_that_are_not_known_or_not_possible_are_refused_with_their_place() {
    let cases = [
        ("[notify]\nuser = \"root\"\n", "[notify] names root"),
        ("[notify]\nuser = \"nobody-has-this-name\"\n", "whom this machine does not know"),
        ("[notify]\nuser = \"nobody\"\nprogram = \"x\"\n", "no absolute path"),
        ("[notify]\nuser = \"nobody\"\ncolour = 1\n", "line 9, column 1: unknown field `colour`"),
        ("[notify]\n", "missing field `user`"),
        ("[other]\n", "line 7, column 2: unknown field `other`"),
    ];
    for (settings, why) in cases {
        let root = Root::private();
        root.configure(settings);
        let ended = root.run(&["daemon", "start"]);
        assert_ne!(ended.status, Some(0), "{settings}");
        assert!(ended.stderr.contains(why), "{settings}: {}", ended.stderr);
    }
}
