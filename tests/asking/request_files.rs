//! Request files: who makes and sees them, when they are handed in, and how one waits for the answer.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use serde_json::Value;

const DOCUMENT: &str = "path = 'ask/token'\\noperation = 'file.read'\\nreason = 'a test'\\n";

/// A stage with a secret that takes a human, and a process of the owner in the mount.
fn asker() -> Option<(Stage, Person)> {
    let stage = Stage::set()?;
    stage.secret("ask/token", "s3cret");
    let person = at(&stage, OWNER);
    Some((stage, person))
}

fn at(stage: &Stage, user: &str) -> Person {
    let mut person = Person::of(user);
    person.must(&format!("os.chdir({:?})", stage.mountpoint()));
    person
}

fn text(person: &mut Person, name: &str) -> String {
    let said = person.must(&format!("open('.ward/requests/{name}').read()"));
    said.as_str().unwrap().to_owned()
}

fn id(request: &Value) -> &str {
    request["request"].as_str().unwrap()
}

#[test]
fn a_file_is_handed_in_by_the_close_after_which_it_is_whole_and_once() {
    let Some((stage, mut person)) = asker() else { return };
    person.must("file = os.open('.ward/requests/a', os.O_CREAT | os.O_WRONLY)");
    person.must("os.close(os.dup(file))");
    assert!(text(&mut person, "a").starts_with("state = \"draft\""));
    person.must("os.write(file, b\"path = 'ask/token'\\n\")");
    assert_eq!(person.fails("os.close(os.dup(file))"), "EINVAL");
    let said = text(&mut person, "a");
    assert!(said.contains("state = \"invalid\"\nerror = \"line 1, column 1: missing"), "{said}");
    assert_eq!(stage.pending().len(), 0);
    person.must("os.write(file, b\"operation = 'file.read'\\nreason = 'a test'\\n\")");
    person.must("os.close(os.dup(file))");
    let request = stage.asked("a test");
    assert!(text(&mut person, "a").contains(id(&request)));
    assert_eq!(person.fails("os.write(file, b'more = 1')"), "EACCES");
    person.must("os.close(file)");
    assert_eq!(person.fails("open('.ward/requests/a', 'w')"), "EACCES");
    assert_eq!(stage.pending().len(), 1);
    assert_eq!(stage.log_of("request.made", "ask/token").len(), 1);
}

#[test]
fn an_invalid_file_can_be_written_again_by_its_process() {
    let Some((stage, mut person)) = asker() else { return };
    assert_eq!(person.fails("write('.ward/requests/a', 'path = 7')"), "EINVAL");
    assert!(text(&mut person, "a").contains("line 1, column"));
    person.must(&format!("write('.ward/requests/a', \"{DOCUMENT}\")"));
    stage.asked("a test");
    assert!(text(&mut person, "a").starts_with("state = \"pending\""));
}

#[test]
fn only_the_process_that_made_it_writes_it_and_only_its_session_sees_it() {
    let Some((stage, mut person)) = asker() else { return };
    person.must("file = os.open('.ward/requests/a', os.O_CREAT | os.O_WRONLY)");
    assert_eq!(person.must("os.listdir('.ward/requests')"), serde_json::json!(["a"]));
    assert_eq!(person.must("child(\"os.write(file, b'x')\")"), 0, "a child writes it, too");
    person.must("run('sh', '-c', \"printf '' > .ward/requests/of-another\")");
    assert_eq!(person.fails("open('.ward/requests/of-another', 'w')"), "EACCES");
    for user in [OWNER, STRANGER] {
        let mut other = at(&stage, user);
        assert_eq!(other.must("os.listdir('.ward/requests')"), serde_json::json!([]));
        assert_eq!(other.fails("os.stat('.ward/requests/a')"), "ENOENT");
        assert_eq!(other.fails("open('.ward/requests/a.wait')"), "ENOENT");
        other.must("write('.ward/requests/a', '')");
    }
}

#[test]
fn a_wait_opens_with_the_answer_and_a_poll_wakes() {
    let Some((stage, mut person)) = asker() else { return };
    person.must(&format!("write('.ward/requests/a', \"{DOCUMENT}\")"));
    let request = stage.asked("a test");
    let blocking = "os.open('.ward/requests/a.wait', os.O_RDONLY | os.O_NONBLOCK)";
    assert_eq!(person.fails(blocking), "EAGAIN");
    assert_eq!(person.must("os.listdir('.ward/requests')"), serde_json::json!(["a"]));
    person.must("import select");
    person.must("file = os.open('.ward/requests/a', os.O_RDONLY)");
    person.must("poll = select.poll()");
    person.must("poll.register(file, select.POLLIN)");
    assert_eq!(person.must("len(poll.poll(10000))"), 1, "it was not read yet");
    assert_eq!(person.must("b'pending' in os.pread(file, 4096, 0)"), true);
    assert_eq!(person.must("poll.poll(0)"), serde_json::json!([]));
    person.must(
        "waiter = subprocess.Popen(['cat', '.ward/requests/a.wait'], stdout=subprocess.PIPE)",
    );
    person.begin("[len(poll.poll(30000)), os.pread(file, 4096, 0).decode()]");
    assert_eq!(stage.root().ward(&["approve", id(&request)]).by(STRANGER).run().status, Some(0));
    let woken = person.end().unwrap();
    assert_eq!(woken[0], 1);
    assert!(woken[1].as_str().unwrap().starts_with("state = \"approved\""), "{woken}");
    let said = person.must("waiter.communicate()[0].decode()");
    assert_eq!(said, woken[1]);
    assert_eq!(person.must("open('.ward/requests/a.wait').read()"), said, "at once from now on");
    assert_eq!(person.reads("ask/token"), Ok("s3cret".to_owned()));
}

#[test]
fn a_no_stands_in_the_file_and_a_signal_ends_the_wait() {
    let Some((stage, mut person)) = asker() else { return };
    person.must(&format!("write('.ward/requests/a', \"{DOCUMENT}\")"));
    let request = stage.asked("a test");
    person.must("waiter = subprocess.Popen(['cat', '.ward/requests/a.wait'])");
    let waits = "open(f'/proc/{waiter.pid}/wchan').read() == 'request_wait_answer'";
    assert!(crate::support::wait::until(|| person.must(waits) == true), "it does not wait");
    person.must("waiter.terminate()");
    assert_eq!(person.must("waiter.wait()"), -15);
    person.must(
        "waiter = subprocess.Popen(['cat', '.ward/requests/a.wait'], stdout=subprocess.PIPE)",
    );
    let deny = ["deny", id(&request), "--reason", "not\u{202e} today"];
    assert_eq!(stage.root().ward(&deny).by(STRANGER).run().status, Some(0));
    let said = person.must("waiter.communicate()[0].decode()");
    assert!(said.as_str().unwrap().contains("answer = \"not\u{fffd} today\""), "{said}");
    assert!(said.as_str().unwrap().starts_with("state = \"denied\""), "{said}");
    // The same question by a new file is silent.
    assert_eq!(person.fails(&format!("write('.ward/requests/b', \"{DOCUMENT}\")")), "EACCES");
    assert!(text(&mut person, "b").starts_with("state = \"refused\""));
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn removing_a_file_takes_its_request_back() {
    let Some((stage, mut person)) = asker() else { return };
    person.must(&format!("write('.ward/requests/a', \"{DOCUMENT}\")"));
    stage.asked("a test");
    person.must("os.unlink('.ward/requests/a')");
    assert!(crate::support::wait::until(|| stage.pending().is_empty()));
    assert_eq!(stage.log_of("request.expired", "ask/token").len(), 1);
    assert_eq!(person.must("os.listdir('.ward/requests')"), serde_json::json!([]));
}

#[test]
fn what_needs_no_human_and_what_is_not_there_is_said_at_once() {
    let Some((stage, mut person)) = asker() else { return };
    stage.secret("read/token", "x");
    let other = |path: &str| DOCUMENT.replace("ask/token", path);
    person.must(&format!("write('.ward/requests/a', \"{}\")", other("read/token")));
    assert!(text(&mut person, "a").starts_with("state = \"allowed\""));
    for path in ["read/none", "hidden/token"] {
        let step = format!("write('.ward/requests/b', \"{}\")", other(path));
        assert_eq!(person.fails(&step), "EINVAL");
        let said = text(&mut person, "b");
        assert!(said.contains("no such secret"), "{path}: {said}");
    }
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn status_and_access_tell_each_reader_of_itself() {
    let Some((stage, mut person)) = asker() else { return };
    for name in ["read/token", "cat/token", "free/token", "hidden/token"] {
        stage.secret(name, "x");
    }
    let status = person.must("open('.ward/status').read()").as_str().unwrap().to_owned();
    assert!(status.starts_with("vault       default\nkind        secrets\n"), "{status}");
    assert!(status.contains("\nhandles     0\n"), "{status}");
    person.must("file = open('read/token')");
    let status = person.must("open('.ward/status').read()");
    assert!(status.as_str().unwrap().contains("\nhandles     1\n"), "{status}");
    let access = person.must("open('.ward/access').read()");
    let expected = "READ  WRITE  NAME\nask   no     ask/token\nno    no     cat/token\n\
                    yes   yes    free/token\nyes   no     read/token\n";
    assert_eq!(access, expected);
    let cat = person.must("run('cat', '.ward/access')[1]");
    assert!(cat.as_str().unwrap().contains("yes   no     cat/token"), "{cat}");
    assert_eq!(
        at(&stage, STRANGER).must("open('.ward/status').read()").as_str().unwrap().lines().count(),
        8
    );
}

#[test]
fn the_same_for_another_reason_is_answered_together() {
    let Some((stage, mut person)) = asker() else { return };
    let other = DOCUMENT.replace("a test", "another");
    person.must(&format!("write('.ward/requests/a', \"{DOCUMENT}\")"));
    person.must(&format!("write('.ward/requests/b', \"{other}\")"));
    let request = stage.asked("a test");
    assert_eq!(stage.pending().len(), 2);
    assert_eq!(stage.root().ward(&["approve", id(&request)]).by(STRANGER).run().status, Some(0));
    for name in ["a", "b"] {
        assert!(text(&mut person, name).starts_with("state = \"approved\""), "{name}");
    }
    assert_eq!(stage.pending().len(), 0);
    assert_eq!(stage.log_of("request.approved", "ask/token").len(), 1, "one yes, one answer");
    assert_eq!(stage.log_of("request.expired", "ask/token").len(), 1);
}

#[test]
fn a_no_silences_the_same_for_another_reason() {
    let Some((stage, mut person)) = asker() else { return };
    let other = DOCUMENT.replace("a test", "another");
    person.must(&format!("write('.ward/requests/a', \"{DOCUMENT}\")"));
    person.must(&format!("write('.ward/requests/b', \"{other}\")"));
    let request = stage.asked("another");
    let deny = ["deny", id(&request), "--reason", "no"];
    assert_eq!(stage.root().ward(&deny).by(STRANGER).run().status, Some(0));
    for name in ["a", "b"] {
        let said = text(&mut person, name);
        assert!(
            said.starts_with("state = \"denied\"") && said.contains("answer = \"no\""),
            "{said}"
        );
    }
    assert_eq!(stage.pending().len(), 0);
    assert_eq!(stage.log_of("request.denied", "ask/token").len(), 2);
}

#[test]
fn who_asks_for_less_is_given_no_more_and_never_more_than_the_policy() {
    let Some((stage, mut person)) = asker() else { return };
    let less = format!("{DOCUMENT}uses = 1\\nlease = '1m'\\n");
    person.must(&format!("write('.ward/requests/a', \"{less}\")"));
    let request = stage.asked("a test");
    assert_eq!((&request["uses"], &request["lease_seconds"]), (&1.into(), &60.into()));
    let more = ["approve", id(&request), "--uses", "2"];
    let ended = stage.root().ward(&more).by(STRANGER).run();
    assert_eq!(ended.status, Some(7), "{ended:?}");
    assert_eq!(stage.root().ward(&["approve", id(&request)]).by(STRANGER).run().status, Some(0));
    assert_eq!(person.reads("ask/token"), Ok("s3cret".to_owned()));
    assert_eq!(person.fails("read('ask/token', os.O_NONBLOCK)"), "EAGAIN");
    let long = DOCUMENT.replace("a test", "long") + "lease = '2h'\\n";
    assert_eq!(person.fails(&format!("write('.ward/requests/b', \"{long}\")")), "EINVAL");
    assert!(
        text(&mut person, "b").contains("lasts 600 s at most")
            || text(&mut person, "b").contains("last 600 s at most")
    );
}
