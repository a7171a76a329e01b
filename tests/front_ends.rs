//! Front ends: several look at one queue, the first answer wins, and the others see it go.

use crate::support::person::Person;
use crate::support::screen::Screen;
use crate::support::stage::Stage;
use crate::support::terminal::Terminal;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;

#[test]
fn a_held_open_shows_up_on_the_screen_and_a_key_answers_it() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let screen = Screen::begin(stage.root(), &["watch"]);
    screen.expect("no request waits");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let rows = screen.expect("waits now");
    assert!(rows[0].starts_with(" wardfs  1 request waits"), "{rows:#?}");
    assert!(rows.iter().any(|row| row == "secret   default:ask/token"), "{rows:#?}");
    assert!(rows.iter().any(|row| row.starts_with("program  /usr/bin/python3")), "{rows:#?}");
    screen.press(&["a"]);
    assert_eq!(person.end(), Ok("s3cret".into()));
    let rows = screen.expect("no request waits");
    assert!(rows.iter().any(|row| row == "approved"), "{rows:#?}");
    screen.press(&["q"]);
    screen.expect("ended with 0");
}

#[test]
fn a_no_with_its_reason_goes_by_keys_and_a_second_front_end_sees_the_request_go() {
    let Some(stage) = Stage::set() else { return };
    let (one, other) = (stage.secret("ask/one", "x"), stage.secret("ask/other", "x"));
    let screen = Screen::begin(stage.root(), &["watch"]);
    let (mut first, mut second) = (Person::of(OWNER), Person::of(OWNER));
    first.begin(&format!("read({one:?})"));
    stage.held("ask/one");
    second.begin(&format!("read({other:?})"));
    let request = stage.held("ask/other");
    screen.expect("2 requests wait");
    screen.press(&["d", "n", "o", "t", "Space", "n", "o", "w"]);
    screen.expect("reason for the no: not now_");
    screen.press(&["Enter"]);
    assert_eq!(first.end(), Err("EACCES".to_owned()));
    screen.expect("1 request waits");
    let denied = stage.log_of("request.denied", "ask/one");
    assert_eq!(denied[0]["reason"], "not now");
    // Somebody else answers.
    assert_eq!(stage.root().ward(&["approve", &request]).by(STRANGER).run().status, Some(0));
    assert_eq!(second.end(), Ok("x".into()));
    screen.expect("no request waits");
}

#[test]
fn a_screen_ends_with_the_daemon_and_leaves_the_terminal_as_it_was() {
    let Some(stage) = Stage::set() else { return };
    let screen = Screen::begin(stage.root(), &["watch"]);
    screen.expect("no request waits");
    stage.root().ward(&["daemon", "stop"]).succeed();
    let rows = screen.expect("ended with 9");
    assert!(
        rows.iter().any(|row| row.contains("see whether it runs with ward daemon status")),
        "{rows:#?}"
    );
}

#[test]
fn without_a_terminal_there_is_no_screen() {
    let Some(stage) = Stage::set() else { return };
    let ended = stage.root().run(&["watch"]);
    assert_eq!(ended.status, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("list --pending --json"), "{ended:?}");
}

#[test]
fn a_review_walks_through_all_and_sums_up() {
    let Some(stage) = Stage::set() else { return };
    let mut persons: Vec<Person> = Vec::new();
    for name in ["ask/a", "ask/b", "ask/c", "ask/d"] {
        let path = stage.secret(name, "s3cret");
        let mut person = Person::of(OWNER);
        person.begin(&format!("read({path:?})"));
        stage.held(name);
        persons.push(person);
    }
    let mut terminal = Terminal::begin(stage.root(), &["requests", "review"]);
    let question = "approve, deny, skip or quit? [a/d/s/q] ";
    for (secret, answer) in [("ask/a", "what?\na\n"), ("ask/b", "d\nnot now\n"), ("ask/c", "s\n")] {
        terminal.expect(&format!("secret   default:{secret}"));
        terminal.type_in(answer);
    }
    terminal.expect("default:ask/d");
    terminal.type_in("q\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.ends_with("1 approved, 1 denied, 1 skipped, 1 left\r\n"), "{shown}");
    assert_eq!(shown.matches(question).count(), 5, "{shown}");
    assert_eq!(persons[0].end(), Ok("s3cret".into()));
    assert_eq!(persons[1].end(), Err("EACCES".to_owned()));
    assert_eq!(stage.log_of("request.denied", "ask/b")[0]["reason"], "not now");
    assert_eq!(stage.pending().len(), 2);
    let ended = stage.root().run(&["--json", "requests", "review"]);
    assert_eq!(ended.status, Some(0), "at the end of stdin it is over");
}

#[test]
fn a_grant_is_listed_and_taken_back_and_its_open_file_yields_nothing_any_more() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let request = stage.held("ask/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    person.end().unwrap();
    assert_eq!(person.must("os.pread(file, 6, 0).decode()"), "s3cret");
    let listed = stage.root().run(&["--json", "grants", "list"]).json();
    let grants = listed["result"]["grants"].as_array().unwrap();
    assert_eq!((grants.len(), &grants[0]["path"]), (1, &"ask/token".into()));
    let id = grants[0]["lease"].as_str().unwrap();
    let text = stage.root().run(&["grants", "list"]).stdout;
    assert!(text.starts_with(&format!("{id}  default:ask/token  file.read  for ")), "{text}");
    let begun = wait::seconds();
    stage.root().ward(&["grants", "revoke", id]).succeed();
    assert_eq!(person.fails("os.pread(file, 6, 0)"), "ESTALE");
    assert!(wait::seconds() - begun < 1.0);
    assert_eq!(stage.root().run(&["grants", "list"]).stdout, "no grant lives\n");
    assert_eq!(stage.root().run(&["grants", "revoke", id]).status, Some(5), "it is gone");
    assert_eq!(stage.log_of("lease.ended", "ask/token")[0]["lease"], id);
}

#[test]
fn a_grant_is_taken_back_by_an_approver_or_its_holder_and_by_nobody_else() {
    let rules = r#"
        [[rule]]
        name = "not-the-stranger"
        clients = ["stranger"]
        ops = ["request.deny"]
        path = ["**"]
        priority = 9
        decide = "deny"
    "#;
    let Some(stage) = Stage::with("10s", rules) else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(stage.approve(&stage.held("ask/token")).status, Some(0));
    person.end().unwrap();
    let listed = stage.root().run(&["--json", "grants", "list"]).json();
    let id = listed["result"]["grants"][0]["lease"].as_str().unwrap().to_owned();
    let by = |user| stage.root().ward(&["grants", "revoke", &id]).by(user).run().status;
    assert_eq!(by(STRANGER), Some(3));
    assert_eq!(person.must("os.pread(file, 6, 0).decode()"), "s3cret");
    assert_eq!(by(OWNER), Some(0));
    assert_eq!(person.fails("os.pread(file, 6, 0)"), "ESTALE");
}

#[test]
fn what_ended_unanswered_or_was_dropped_waits_for_the_approver_after_a_restart_too() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("os.chdir({:?})", stage.mountpoint()));
    let document =
        |reason: &str| format!("path='ask/token'\\noperation='file.read'\\nreason='{reason}'\\n");
    // The first gives way to those that come after it; one is taken back, which nobody missed.
    for number in 0..32 {
        let reason = document(&number.to_string());
        person.must(&format!("write('.ward/requests/{number}', \"{reason}\")"));
    }
    person.must("os.unlink('.ward/requests/31')");
    let missed = || {
        let listed = stage.root().run(&["--json", "list", "--pending"]).json();
        listed["result"]["missed"].as_array().cloned().unwrap_or_default()
    };
    let mut other = Person::of(OWNER);
    other.must(&format!("os.chdir({:?})", stage.mountpoint()));
    for reason in ["more", "yet more"] {
        other.must(&format!("write('.ward/requests/{}', \"{}\")", reason.len(), document(reason)));
    }
    assert!(wait::until(|| missed().len() == 1), "{:?}", missed());
    let told = missed();
    assert_eq!((&told[0]["reason"], &told[0]["path"]), (&"0".into(), &"ask/token".into()));
    let text = stage.root().run(&["list", "--pending"]).stdout;
    assert!(text.contains("missed, within a day:\n") && text.contains(": 0\n"), "{text}");
    stage.root().ward(&["daemon", "stop"]).succeed();
    stage.root().ward(&["daemon", "start"]).succeed();
    assert_eq!(missed(), told);
    let screen = Screen::begin(stage.root(), &["watch"]);
    screen.expect("1 missed");
}
