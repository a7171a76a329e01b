//! An agent in plain `sh`, with nothing of ours but the mount.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};

const SCRIPT: &str = "
cat ask/token 2>&1
cat .ward/last-denial
cat > .ward/requests/nightly <<END
path = 'ask/token'
operation = 'file.read'
reason = 'nightly backup'
END
cat .ward/requests/nightly
cat .ward/requests/nightly.wait
cat ask/token
";

#[test]
fn a_shell_is_refused_asks_by_a_file_waits_and_reads() {
    let Some(stage) = Stage::with("1s", "") else { return };
    stage.secret("ask/token", "s3cret");
    let mut agent = Person::of(OWNER);
    agent.must(&format!("os.chdir({:?})", stage.mountpoint()));
    agent.begin(&format!("run('sh', '-c', {SCRIPT:?})"));
    let request = stage.asked("nightly backup");
    assert_eq!(request["asker"]["program"], "/usr/bin/cat", "it was cat that was refused");
    let id = request["request"].as_str().unwrap();
    let ended = stage.root().ward(&["approve", id]).by(STRANGER).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let said = agent.end().unwrap();
    let said = said[1].as_str().unwrap();
    let mut expected = [
        "cat: ask/token: Permission denied",
        "errno       EACCES",
        "path        ask/token",
        "state = \"pending\"",
        "reason = \"nightly backup\"",
        "program = \"/usr/bin/cat\"",
        "state = \"approved\"",
        "s3cret",
    ]
    .into_iter();
    let mut lines = said.lines();
    assert!(expected.all(|wanted| lines.any(|line| line.contains(wanted))), "{said}");
    assert!(said.contains(&format!("request = \"{id}\"")), "{said}");
    assert!(!said.contains("ask-first-use"), "the rule is told");
}

#[test]
fn what_was_refused_by_a_rule_says_only_to_whom_to_turn() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("cat/token", "s3cret");
    let mut owner = Person::of(OWNER);
    owner.must(&format!("os.chdir({:?})", stage.mountpoint()));
    let denial = "open('.ward/last-denial').read()";
    assert_eq!(owner.must(denial), "nothing was refused to you\n");
    assert_eq!(owner.fails("read('cat/token')"), "EACCES");
    let said = owner.must(denial).as_str().unwrap().to_owned();
    let refused = stage.log_of("refused", "cat/token");
    let id = refused.last().unwrap()["request"].as_str().unwrap();
    assert!(said.contains(&format!("id          {id}\n")), "{said}");
    assert!(said.contains("next        give the id to whoever keeps the policy\n"), "{said}");
    assert!(!said.contains("rule"), "{said}");
    // Another session is another one, of the same user too.
    let mut other = Person::of(OWNER);
    other.must(&format!("os.chdir({:?})", stage.mountpoint()));
    other.must("os.setsid() if os.getpid() != os.getsid(0) else None");
    assert_eq!(other.must(denial), "nothing was refused to you\n");
}

#[test]
fn a_no_of_a_human_is_told_in_its_words() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut owner = Person::of(OWNER);
    owner.must(&format!("os.chdir({:?})", stage.mountpoint()));
    owner.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    let deny = ["deny", &request, "--reason", "not on a Saturday"];
    assert_eq!(stage.root().ward(&deny).by(STRANGER).run().status, Some(0));
    assert_eq!(owner.end(), Err("EACCES".to_owned()));
    let told = "a human said no; for a minute the same question is refused without asking; \
                the answer was: not on a Saturday\n";
    for _ in 0..2 {
        let said = owner.must("open('.ward/last-denial').read()");
        assert!(said.as_str().unwrap().ends_with(told), "{said}");
        assert_eq!(owner.fails(&format!("read({path:?})")), "EACCES");
    }
}

#[test]
fn where_a_rule_wants_a_ticket_the_refused_are_told_to_ask_with_one() {
    let rule = r#"
        [[rule]]
        name = "with-ticket"
        clients = ["owner"]
        ops = ["file.read"]
        path = ["read/by-ticket"]
        ticket = true
        priority = 1
        decide = "approve"
        approve = { require = "first_use", by = ["stranger"] }
        [[rule]]
        name = "not-otherwise"
        clients = ["owner"]
        ops = ["file.read"]
        path = ["read/by-ticket"]
        ticket = false
        priority = 1
        decide = "deny"
    "#;
    let Some(stage) = Stage::with("1s", rule) else { return };
    stage.secret("read/by-ticket", "s3cret");
    let mut owner = Person::of(OWNER);
    owner.must(&format!("os.chdir({:?})", stage.mountpoint()));
    assert_eq!(owner.fails("read('read/by-ticket')"), "EACCES");
    let said = owner.must("open('.ward/last-denial').read()");
    assert!(said.as_str().unwrap().contains("request file that has a ticket"), "{said}");
    let document = "path='read/by-ticket'\\noperation='file.read'\\nreason='x'\\nticket='OPS-1'\\n";
    owner.must(&format!("write('.ward/requests/a', \"{document}\")"));
    let request = stage.asked("x");
    assert_eq!(request["ticket"], "OPS-1");
    let id = request["request"].as_str().unwrap();
    assert_eq!(stage.root().ward(&["approve", id]).by(STRANGER).run().status, Some(0));
    assert_eq!(owner.reads("read/by-ticket"), Ok("s3cret".to_owned()));
}
