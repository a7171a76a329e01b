//! What an operator sees, in a good and in a bad state.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;

#[test]
fn a_status_shows_who_has_files_open_what_waits_and_what_was_refused() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    stage.mount(&["--idle", "30m"]);
    let path = stage.secret("read/token", "s3cret");
    let (asked, refused) = (stage.secret("ask/token", "x"), stage.secret("cat/token", "x"));
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.reads(&refused), Err("EACCES".to_owned()));
    person.begin(&format!("read({asked:?})"));
    let request = stage.held("ask/token");
    let ended = stage.root().run(&["status"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let pid = person.pid();
    for words in [
        "  1 open file by /usr/bin/python3".to_owned(),
        format!("({OWNER}, pid {pid})"),
        format!("{request} for default:ask/token, "),
        " if unused, 1 open file".to_owned(),
        "file.read default:cat/token for /usr/bin/python3".to_owned(),
    ] {
        assert!(ended.stdout.contains(&words), "{words:?} is not in\n{}", ended.stdout);
    }
    // Who may not know a name is not told of it.
    let told = stage.root().ward(&["--json", "status"]).by(STRANGER).run().json();
    assert_eq!(told["result"]["refusals"], serde_json::json!([]), "{told}");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.end(), Ok("x".into()));
    drop(person);
    assert_eq!(stage.unmount().status, Some(0));
    let said = stage.root().ward(&["status"]).succeed();
    assert!(
        said.contains("ended    default at ") && said.contains("unmount was asked for"),
        "{said}"
    );
}

#[test]
fn a_status_ends_with_what_is_wrong() {
    let root = Root::private().serving();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["status"]).succeed();
    let segment = root.newest_segment();
    std::fs::rename(&segment, root.path().join("segment")).unwrap();
    assert_eq!(root.run(&["get", "a", "--raw"]).status, Some(12));
    // Once the daemon has met it.
    let is_told = || {
        let ended = root.run(&["status"]);
        ended.status == Some(12) && ended.stdout.contains("log      ") && ended.stderr.is_empty()
    };
    assert!(wait::until(is_told), "{:?}", root.run(&["status"]));
    let said = root.run(&["status"]).stdout;
    assert!(!said.contains("healthy"), "{said}");
    let metrics = root.ward(&["status", "--metrics"]).succeed();
    assert!(metrics.contains("\nward_log_takes_records 0\n"), "{metrics}");
}
