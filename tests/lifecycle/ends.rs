//! How mounts ended, and whom that met, is told to who asks later.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn ended(root: &Root, vault: &str) -> String {
    let said = root.ward(&["--json", "vault", "status", vault]).run().json();
    said["result"]["last_end"]["why"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn how_a_mount_ended_is_known_to_the_next_daemon_and_the_one_after_it() {
    let root = Root::private().serving();
    root.ward(&["vault", "mount", "default", "here", "--ttl", "1s"]).succeed();
    assert!(wait::until(|| ended(&root, "default") == "its time was over"));
    root.ward(&["vault", "init", "second"]).succeed();
    root.ward(&["vault", "mount", "second", "there"]).succeed();
    for _ in 0..2 {
        root.ward(&["daemon", "stop"]).succeed();
        root.ward(&["daemon", "start"]).succeed();
        // What is sealed in the log is opened with the vault.
        root.ward(&["list"]).succeed();
        root.ward(&["list", "second"]).succeed();
        assert_eq!(ended(&root, "default"), "its time was over");
        assert_eq!(ended(&root, "second"), "the daemon stopped");
    }
    let refused = root.run(&["vault", "unmount", "default"]);
    assert!(refused.stderr.contains("since its time was over"), "{refused:?}");
    root.ward(&["vault", "mount", "default", "here"]).succeed();
    assert_eq!(ended(&root, "default"), "", "it is mounted");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn of_a_daemon_that_was_killed_the_next_one_says_that_mounts_ended_with_it() {
    let root = Root::private().serving();
    root.ward(&["vault", "mount", "default", "here"]).succeed();
    let daemon = root.running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon) && wait::until(|| root.mounts().is_empty()));
    root.ward(&["daemon", "start"]).succeed();
    assert_eq!(ended(&root, "default"), "the daemon died");
}

#[test]
fn who_ends_a_mount_is_told_whose_files_were_open_in_it() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let said = stage.unmount().stdout;
    let is_named = said.lines().nth(1).is_some_and(|line| {
        line.starts_with("  1 open file by /usr/bin/python3")
            && line.ends_with(&format!("({OWNER}, pid {}), closed by force", person.pid()))
    });
    assert!(said.starts_with("unmounted default\n") && is_named, "{said}");
}
