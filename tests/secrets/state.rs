//! What is told of a secret: true, of who asks, and complete.

use super::storing::at_once;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn status(stage: &Stage, user: &str, name: &str) -> Value {
    let said = stage.root().ward(&["--json", "status", name]).by(user).succeed();
    serde_json::from_str::<Value>(&said).unwrap()["result"].clone()
}

#[test]
fn a_secret_stands_as_the_own_newest_request_and_lease_of_who_asks_say_and_never_better() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("ask/token", "s3cret");
    stage.secret("read/token", "s3cret");
    let state = |user: &str, name: &str| status(&stage, user, name)["state"].clone();
    assert_eq!(stage.root().ward(&["status", "ask/none"]).by(OWNER).run().status, Some(5));
    assert_eq!(stage.root().ward(&["status", "cat/token"]).by(STRANGER).run().status, Some(5));
    assert_eq!(state(OWNER, "ask/token"), "needs-approval");
    assert_eq!(state(OWNER, "read/token"), "available");
    assert_eq!(state(STRANGER, "read/token"), "not-allowed");
    let ask = || {
        let asked = stage.root().ward(&["--json", "request", "ask/token", "--reason", "backup"]);
        let asked: Value = serde_json::from_str(&asked.by(OWNER).succeed()).unwrap();
        asked["result"]["request"].as_str().unwrap().to_owned()
    };
    let first = ask();
    let told = status(&stage, OWNER, "ask/token");
    assert_eq!(
        (&told["state"], &told["request"]["request"]),
        (&"pending".into(), &first.as_str().into())
    );
    assert_eq!(state(STRANGER, "ask/token"), "needs-approval", "it asked for nothing");
    stage.root().ward(&["approve", &first]).succeed();
    let told = status(&stage, OWNER, "ask/token");
    assert_eq!(told["state"], "approved", "{told}");
    let lease = told["lease"]["lease"].as_str().unwrap().to_owned();
    stage.root().ward(&["grants", "revoke", &lease]).succeed();
    assert_eq!(state(OWNER, "ask/token"), "needs-approval", "what was taken back is no yes");
    let second = ask();
    stage.root().ward(&["deny", &second, "--reason", "not today"]).succeed();
    let told = status(&stage, OWNER, "ask/token");
    assert_eq!(
        (&told["state"], &told["request"]["reason"]),
        (&"denied".into(), &"not today".into())
    );
}

#[test]
fn thirty_reads_at_once_are_all_counted_also_after_the_daemon_was_killed() {
    let root = Root::private().serving();
    root.ward(&["set", "a", "--value", "x", "--ttl", "7"]).succeed();
    let reads = || root.run(&["--json", "status", "a"]).json()["result"].clone();
    assert_eq!(reads()["reads"], 0);
    let ended = at_once(30, |_| root.run(&["get", "a", "--raw"]));
    assert!(ended.iter().all(|ended| ended.stdout == "x"), "{ended:?}");
    let told = reads();
    assert_eq!(told["reads"], 30, "{told}");
    assert_eq!(told["last_read"]["by"]["uid"], told["made_by"]["uid"], "{told}");
    let daemon = root.running().unwrap();
    kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(daemon));
    assert_eq!(reads()["reads"], 30);
    root.ward(&["get", "a", "--raw"]).succeed();
    assert_eq!(reads()["reads"], 31);
    let text = root.ward(&["secrets", "status", "a"]).succeed();
    assert!(text.contains("opened  31 times, last 20"), "{text}");
    assert!(text.contains("state   available") && text.contains("expires 20"), "{text}");
    root.ward(&["revoke", "a"]).succeed();
    root.ward(&["set", "a", "--value", "y"]).succeed();
    assert_eq!(reads()["reads"], 0, "another secret of that name");
}
