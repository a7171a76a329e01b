//! `ward audit show` before a person: what comes, as it comes, and a page at a time.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::terminal::Terminal;
use crate::support::users::{OWNER, STRANGER, user};
use crate::support::ward::WARD;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn root() -> Root {
    let root = Root::private();
    root.ward(&["set", "first", "--value", "x"]).succeed();
    root
}

#[test]
fn who_follows_is_shown_what_comes_and_passes_the_filter_until_the_daemon_ends() {
    let root = root();
    let words = ["audit", "show", "--follow", "--event", "secret.set"];
    let mut terminal = Terminal::begin(&root, &words);
    terminal.expect("default:first");
    root.ward(&["set", "second", "--value", "x"]).succeed();
    terminal.expect("default:second");
    root.ward(&["get", "--raw", "second"]).succeed();
    root.ward(&["set", "third", "--value", "x"]).succeed();
    terminal.expect("default:third");
    root.ward(&["daemon", "stop"]).succeed();
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    let rows: Vec<&str> = shown.lines().collect();
    assert_eq!(rows.len(), 3, "each once, and nothing else: {shown}");
    let column = |row: &str| row.find("secret.set").unwrap();
    assert!(rows.iter().all(|row| column(row) == column(rows[0])), "{shown}");
}

#[test]
fn who_follows_as_a_program_gets_an_answer_a_line_without_gap_or_repetition() {
    let root = root();
    let mut command = Command::new(WARD);
    command.args(["--json", "audit", "show", "--follow", "--after", "0", "--limit", "3"]);
    let command = command.env_clear().env("WARD_ROOT", root.path());
    let mut ward = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(ward.stdout.take().unwrap()).lines();
    let mut seqs: Vec<u64> = Vec::new();
    let mut take = |seqs: &mut Vec<u64>| -> usize {
        let answer: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let entries = answer["result"]["entries"].as_array().unwrap().clone();
        let numbers = entries.iter().map(|it| it["entry"]["seq"].as_str().unwrap());
        seqs.extend(numbers.map(|it| it.parse::<u64>().unwrap()));
        entries.len()
    };
    assert_eq!(take(&mut seqs), 3);
    for number in 0..20 {
        root.ward(&["set", &format!("s{number}"), "--value", "x"]).succeed();
        take(&mut seqs);
    }
    let newest = root.run(&["--json", "audit", "show", "--limit", "1"]).json();
    let newest = newest["result"]["entries"][0]["entry"]["seq"].as_str().unwrap().parse().unwrap();
    while seqs.last().is_some_and(|last| *last < newest) {
        take(&mut seqs);
    }
    assert_eq!(seqs, (1..=*seqs.last().unwrap()).collect::<Vec<_>>());
    ward.kill().unwrap();
    ward.wait().unwrap();
}

#[test]
fn who_may_not_see_the_log_cannot_follow_it_and_ctrl_c_ends_who_may() {
    let system = Root::system().serving();
    let ended = system.ward(&["audit", "show", "--follow"]).by(STRANGER).run();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    let root = root();
    // Whoever runs the tests may have had it ignored.
    let script = "exec env --default-signal=INT \"$0\" audit show --follow";
    let mut terminal = Terminal::begin_shell(&root, script);
    terminal.expect("default:first");
    terminal.type_in("\u{3}");
    let (shown, status) = terminal.end();
    assert_ne!(status, Some(0));
    assert!(!shown.contains("ward:"), "{shown}");
}

#[test]
fn a_terminal_has_its_pager_and_nothing_else_has() {
    let root = root();
    for (script, is_paged) in [
        ("PAGER='sed s/^/paged:/' exec \"$0\" audit show", true),
        ("PAGER='sed s/^/paged:/' exec \"$0\" audit show --no-pager", false),
        ("PAGER='sed s/^/paged:/' \"$0\" audit show | cat", false),
        ("PAGER='sed s/^/paged:/' exec \"$0\" --json audit show", false),
        ("TERM=dumb exec \"$0\" audit show", false),
        ("PAGER=/no/such/pager exec \"$0\" audit show", false),
    ] {
        let mut terminal = Terminal::begin_shell(&root, script);
        let (shown, status) = terminal.end();
        assert_eq!(status, Some(0), "{script}: {shown}");
        assert!(shown.contains("secret.set"), "{script}: {shown}");
        assert_eq!(shown.contains("paged:1"), is_paged, "{script}: {shown}");
    }
}

#[test]
fn a_span_has_its_beginning_and_not_its_end() {
    let root = root();
    let shown = |words: &[&str]| -> Vec<Value> {
        let words = [&["--json", "audit", "show", "--event", "secret.set"], words].concat();
        root.run(&words).json()["result"]["entries"].as_array().unwrap().clone()
    };
    let entries = shown(&[]);
    let time = entries[0]["entry"]["ts"].as_str().unwrap();
    assert_eq!(shown(&["--since", time]), entries);
    assert_eq!(shown(&["--until", time]), Vec::<Value>::new());
}

#[test]
fn entries_are_shown_by_the_client_that_the_policy_knows_their_actor_as() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("both/plain", "x");
    Person::of(OWNER).reads(&path).unwrap();
    Person::of(STRANGER).reads(&path).unwrap();
    let shown = |client: &str| -> Vec<Value> {
        let page = stage.root().run(&["--json", "audit", "show", "--client", client]).json();
        page["result"]["entries"].as_array().unwrap().clone()
    };
    let entries = shown("stranger");
    let uid = user(STRANGER).uid.as_raw();
    assert!(!entries.is_empty());
    assert!(entries.iter().all(|shown| shown["entry"]["actor"]["uid"] == uid), "{entries:?}");
    assert!(entries.iter().any(|shown| shown["entry"]["eventType"] == "file.open"));
    let unknown = stage.root().run(&["audit", "show", "--client", "nobody"]);
    assert_eq!(unknown.status, Some(7), "{unknown:?}");
    assert!(unknown.stderr.contains("no client of the policy is named"), "{unknown:?}");
}
