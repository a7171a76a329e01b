//! The whole handoff by plain file I/O, between two users.

use super::{answer, ask, at, becomes, field, handed, inbox, log_of, two_users};
use crate::support::users::{OWNER, STRANGER, user};

#[test]
fn who_may_read_a_file_hands_it_to_who_asks_and_both_sides_are_in_the_log() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    assert_eq!(receiver.fails("read('read/token')"), "EACCES");
    let id = ask(&mut receiver, "a", "");
    assert_eq!(field(&mut receiver, "a", "state"), "pending");
    assert_eq!(inbox(&mut giver), [id.as_str()]);
    let shown = giver.must(&format!("open('.ward/inbox/{id}').read()"));
    let shown = shown.as_str().unwrap();
    assert!(shown.contains("reason = \"for tests\"") && shown.contains("path = \"read/token\""));
    assert!(shown.contains(&format!("uid = \"{}\"", user(STRANGER).uid)), "{shown}");
    receiver.begin("open('.ward/requests/a.wait').read()");
    answer(&mut giver, &id, "approve\n");
    let told = receiver.end().unwrap();
    assert!(told.as_str().unwrap().starts_with("state = \"approved\""), "{told}");
    let file = field(&mut receiver, "a", "file");
    assert_eq!(file, format!(".ward/handoff/{id}/token"));
    assert_eq!(receiver.reads(&file), Ok("s3cret".to_owned()));
    assert_eq!(receiver.must(&format!("run('cat', {file:?})[1]")), "s3cret");
    assert_eq!(receiver.must(&format!("os.stat({file:?}).st_size")), 6);
    assert_eq!(receiver.fails("read('read/token')"), "EACCES", "only the handed file is had");
    assert_eq!(receiver.fails(&format!("open({file:?}, 'w')")), "EACCES");

    let uid = |entries: &[serde_json::Value]| entries[0]["actor"]["uid"].as_u64().unwrap();
    let (ours, theirs) =
        (u64::from(user(OWNER).uid.as_raw()), u64::from(user(STRANGER).uid.as_raw()));
    assert_eq!(uid(&log_of(&stage, "handoff.asked", &id)), theirs);
    let given = log_of(&stage, "handoff.given", &id);
    assert_eq!(uid(&given), ours);
    assert_eq!(given[0]["rules"], serde_json::json!(["owner-hands-out", "owner-reads"]));
    let opened = log_of(&stage, "file.open", &id);
    assert_eq!((uid(&opened), opened.len()), (theirs, 2));
    assert_eq!(stage.root().run(&["audit", "verify"]).status, Some(0));
}

#[test]
fn a_handoff_serves_as_many_opens_as_were_asked_for_or_given() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    let id = ask(&mut receiver, "a", "uses = 5\\n");
    assert_eq!(giver.fails(&format!("write('.ward/inbox/{id}', 'approve --uses 6')")), "EINVAL");
    answer(&mut giver, &id, "approve --uses 2 --for 5m\n");
    let file = stage.path(&format!(".ward/handoff/{id}/token"));
    assert_eq!(receiver.must("file = os.open(os.path.join('.ward/handoff', os.listdir('.ward/handoff')[0], 'token'), 0)"), serde_json::Value::Null);
    assert_eq!(receiver.reads(&file), Ok("s3cret".to_owned()));
    assert_eq!(receiver.reads(&file), Err("ESTALE".to_owned()));
    assert_eq!(receiver.must("os.read(file, 9)"), "s3cret", "what is open stays so");
    assert_eq!(field(&mut receiver, "a", "uses"), "2");
}

#[test]
fn a_handoff_ends_by_its_time_and_with_the_giver_who_takes_it_back() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    let first = ask(&mut receiver, "a", "lease = '1s'\\n");
    let file = handed(&stage, &mut giver, &first);
    becomes(|| receiver.reads(&file).is_err());
    becomes(|| log_of(&stage, "handoff.ended", &first).len() == 1);
    assert_eq!(receiver.must("os.listdir('.ward/handoff')"), serde_json::json!([]));

    let second = ask(&mut receiver, "b", "");
    let file = handed(&stage, &mut giver, &second);
    receiver.must(&format!("file = os.open({file:?}, os.O_RDONLY)"));
    assert_eq!(receiver.must("os.pread(file, 9, 0)"), "s3cret");
    answer(&mut giver, &second, "deny\n");
    assert_eq!(receiver.fails("os.pread(file, 9, 0)"), "ESTALE");
    assert_eq!(receiver.reads(&file), Err("ENOENT".to_owned()));
}

#[test]
fn a_no_goes_back_with_its_reason_and_the_same_question_is_silent() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    let id = ask(&mut receiver, "a", "");
    answer(&mut giver, &id, "deny not\u{202e} today\n");
    assert_eq!(field(&mut receiver, "a", "state"), "denied");
    assert_eq!(field(&mut receiver, "a", "answer"), "not\u{fffd} today");
    let again = super::DOCUMENT;
    assert_eq!(receiver.fails(&format!("write('.ward/requests/b', \"{again}\")")), "EACCES");
    assert_eq!(log_of(&stage, "handoff.denied", &id)[0]["reason"], "not\u{202e} today");
    assert_eq!(inbox(&mut giver), Vec::<String>::new());
}

#[test]
fn what_is_taken_back_or_loses_its_mount_ends() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    let id = ask(&mut receiver, "a", "");
    receiver.must("os.unlink('.ward/requests/a')");
    assert_eq!(inbox(&mut giver), Vec::<String>::new());
    assert_eq!(log_of(&stage, "handoff.ended", &id).len(), 1);
    let id = ask(&mut receiver, "b", "");
    handed(&stage, &mut giver, &id);
    giver.must("os.chdir('/')");
    receiver.must("os.chdir('/')");
    assert_eq!(stage.unmount().status, Some(0));
    assert_eq!(log_of(&stage, "handoff.ended", &id).len(), 1);
    stage.mount(&[]);
    assert_eq!(at(&stage, STRANGER).must("os.listdir('.ward/handoff')"), serde_json::json!([]));
}

#[test]
fn a_rule_that_denies_wins_and_one_that_asks_still_asks() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    stage.secret("read/never", "x");
    stage.secret("ask/token", "asked");
    let never = super::DOCUMENT.replace("read/token", "read/never");
    assert_eq!(receiver.fails(&format!("write('.ward/requests/n', \"{never}\")")), "EACCES");
    // The giver reads it under an approval of its own.
    let root = stage.root();
    giver.begin("read('ask/token')");
    let held = stage.held("ask/token");
    assert_eq!(root.ward(&["approve", &held]).run().status, Some(0));
    assert_eq!(giver.end().unwrap(), "asked");
    let asked = super::DOCUMENT.replace("read/token", "ask/token");
    receiver.must(&format!("write('.ward/requests/a', \"{asked}\")"));
    let id = field(&mut receiver, "a", "request");
    answer(&mut giver, &id, "approve");
    let file = stage.path(&format!(".ward/handoff/{id}/token"));
    receiver.begin(&format!("read({file:?})"));
    let held = stage.held("ask/token");
    assert_eq!(root.ward(&["approve", &held]).run().status, Some(0));
    assert_eq!(receiver.end().unwrap(), "asked");
}
