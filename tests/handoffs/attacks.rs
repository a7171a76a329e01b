//! What nobody gets by handoffs: an own answer, a file handed on, one of others, names.

use super::{answer, ask, at, field, handed, inbox, two_users};
use crate::support::users::{OWNER, STRANGER};

#[test]
fn who_asks_cannot_answer_and_who_may_not_give_finds_nothing() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    let id = ask(&mut receiver, "a", "");
    assert_eq!(inbox(&mut receiver), Vec::<String>::new());
    let step = format!("write('.ward/inbox/{id}', 'approve', 0)");
    assert_eq!(receiver.fails(&step), "ENOENT");
    assert_eq!(at(&stage, STRANGER).fails(&step), "ENOENT");
    let answered = stage.root().ward(&["approve", &id]).by(STRANGER).run();
    assert_eq!(answered.status, Some(5), "{answered:?}");
    assert_eq!(giver.fails(&format!("write('.ward/inbox/{id}', 'yes')")), "EINVAL");
    assert_eq!(field(&mut receiver, "a", "state"), "pending");
}

#[test]
fn what_was_handed_out_is_nobody_elses_and_cannot_be_handed_on() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    let id = ask(&mut receiver, "a", "");
    let file = handed(&stage, &mut giver, &id);
    let mut others = [at(&stage, OWNER), at(&stage, STRANGER)];
    for other in &mut others {
        assert_eq!(other.must("os.listdir('.ward/handoff')"), serde_json::json!([]));
        assert_eq!(other.reads(&file), Err("ENOENT".to_owned()));
    }
    assert_eq!(giver.reads(&file), Err("ENOENT".to_owned()));
    // A descriptor that travels yields nothing to a process that has no right of its own.
    receiver.must(&format!("file = os.open({file:?}, os.O_RDONLY)"));
    assert_eq!(receiver.must("child('os.read(file, 1)')"), 42);
    assert_eq!(receiver.must("os.read(file, 9)"), "s3cret");
    // Another session asks whoever may hand it out: the receiver may not.
    let [_, third] = &mut others;
    let second = ask(third, "a", "");
    assert_eq!(inbox(&mut receiver), Vec::<String>::new());
    assert_eq!(receiver.fails(&format!("write('.ward/inbox/{second}', 'approve', 0)")), "ENOENT");
    assert_eq!(inbox(&mut giver).len(), 2, "one to take back, one to answer");
}

#[test]
fn a_giver_gives_nothing_that_it_may_not_read_without_a_new_question() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    stage.secret("ask/token", "x");
    stage.secret("hidden/token", "x");
    for (name, path) in [("a", "ask/token"), ("b", "hidden/token"), ("c", "read/none")] {
        let document = super::DOCUMENT.replace("read/token", path);
        receiver.must(&format!("write('.ward/requests/{name}', \"{document}\")"));
        let id = field(&mut receiver, name, "request");
        // Whether the file is there is not told.
        assert_eq!(field(&mut receiver, name, "state"), "pending", "{path}");
        assert_eq!(giver.fails(&format!("write('.ward/inbox/{id}', 'approve', 0)")), "ENOENT");
    }
    assert_eq!(inbox(&mut giver), Vec::<String>::new());
    let asks_a_human = |it: &serde_json::Value| it["operations"][0] != "handoff.grant";
    assert!(!stage.pending().iter().any(asks_a_human), "a look at the inbox asked somebody");
}

#[test]
fn only_the_trusted_agent_is_asked_and_a_scanner_changes_nothing() {
    let Some((stage, mut giver, mut receiver)) = two_users() else { return };
    let other = ask(&mut receiver, "a", "from = 'admin'\\n");
    assert_eq!(inbox(&mut giver), Vec::<String>::new());
    let asked = ask(&mut receiver, "b", "from = 'owner'\\n");
    assert_ne!(other, asked);
    let before = stage.log().len();
    for scanner in
        ["'grep', '-r', 'x', '.ward/inbox'", "'ls', '-lR', '.ward'", "'find', '.ward', '-ls'"]
    {
        let ended = giver.must(&format!("run({scanner})"));
        assert!(ended[0].as_u64().unwrap() < 2, "{scanner}: {ended}");
    }
    assert_eq!(stage.log().len(), before, "a scanner left a record");
    answer(&mut giver, &asked, "approve");
    assert_eq!(
        receiver.reads(&stage.path(&format!(".ward/handoff/{asked}/token"))),
        Ok("s3cret".to_owned())
    );
    for step in ["os.mkdir('.ward/inbox/x')", "write('.ward/handoff/x', '')"] {
        assert_eq!(giver.fails(step), "EPERM", "{step}");
    }
}
