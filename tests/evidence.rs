//! Evidence from front ends, and the approval passphrase that is set and changed.

use crate::factors::{allow, reader, stage};
use crate::support::keys::Keys;
use crate::support::root::Root;
use crate::support::screen::Screen;
use crate::support::stage::replace;
use crate::support::terminal::Terminal;
use crate::support::users::OWNER;
use crate::support::wait;
use std::path::Path;

const RULES: &str = r#"
[targets.production]
path = ["prod/**"]
sensitivity = "critical"
[[rule]]
name = "asks"
clients = ["owner"]
ops = ["file.read"]
path = ["prod/**"]
priority = 1
decide = "approve"
approve = { require = "one_time", factors = { any = ["local"] } }
"#;

/// A served private root whose owner must be asked about `prod`, and a file with that word.
fn private_root() -> (Root, String) {
    let root = Root::private();
    let policy = root.path().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    replace(&policy, &(text + RULES));
    let root = root.serving();
    let file = word(&root, "first", "several words of mine");
    (root, file)
}

fn word(root: &Root, name: &str, text: &str) -> String {
    let file = root.directory().join(name);
    replace(&file, text);
    file.to_str().unwrap().to_owned()
}

/// Asks for a secret; gives the id of the request.
fn asked(root: &Root, name: &str) -> String {
    root.ward(&["set", name, "--value", "s3cret"]).succeed();
    let ended = root.run(&["--json", "get", "--raw", name]);
    assert_eq!(ended.status, Some(4), "{ended:?}");
    ended.json()["error"]["request"].as_str().unwrap().to_owned()
}

fn answers(root: &Root, request: &str, file: &str) -> Option<i32> {
    root.run(&["approve", request, "--passphrase-file", file]).status
}

#[test]
fn the_approval_passphrase_is_set_and_then_changed_by_who_knows_it() {
    let (root, first) = private_root();
    let request = asked(&root, "prod/token");
    let set = ["approval-passphrase", "--first", "--new-passphrase-file", &first];
    root.ward(&set).succeed();
    let second = word(&root, "second", "other words");
    let change = |old: &[&str]| {
        let words = [&["approval-passphrase", "--new-passphrase-file", &second], old].concat();
        root.run(&words)
    };
    let ended = change(&["--first"]);
    assert_eq!(ended.status, Some(8), "{ended:?}");
    assert!(ended.stderr.contains("must be given to change it"), "{}", ended.stderr);
    assert_eq!(change(&["--passphrase-file", &second]).status, Some(8));
    assert_eq!(answers(&root, &request, &second), Some(8), "a refused change changed it");
    assert_eq!(change(&["--passphrase-file", &first]).status, Some(0));
    assert_eq!(answers(&root, &request, &first), Some(8), "the old one still counts");
    assert_eq!(answers(&root, &request, &second), Some(0));
    let shown = root.ward(&["--json", "audit", "show", "--event", "command"]).succeed();
    assert_eq!(shown.matches("\"operations\":[\"approval.passphrase\"]").count(), 4, "{shown}");
    let kept = std::fs::read_to_string(root.path().join("approval_passphrase")).unwrap();
    assert!(
        !kept.contains("words")
            && !Path::new(&root.path().join("approval_passphrase.new")).exists()
    );
}

#[test]
fn in_a_system_root_its_owner_sets_no_first_passphrase_and_an_agent_none_at_all() {
    let rules = format!(
        "{}{}",
        crate::support::agent::RULES,
        r#"
        [[rule]]
        name = "everybody-tries"
        clients = ["owner", "claude"]
        ops = ["approval.passphrase"]
        path = ["*"]
        decide = "allow"
    "#
    );
    let Some(stage) = crate::support::stage::Stage::with("1s", &rules) else { return };
    let root = stage.root();
    let file = word(root, "word", "mine");
    let set = ["approval-passphrase", "--first", "--new-passphrase-file", &file];
    let ended = root.ward(&set).by(OWNER).run();
    assert_eq!(ended.status, Some(8), "{ended:?}");
    assert!(ended.stderr.contains("by root"), "{}", ended.stderr);
    root.ward(&set).succeed();
    let mut agent = crate::support::agent::agent(root, "claude");
    let ward = crate::support::ward::WARD;
    let env = format!("env={{'WARD_ROOT': {:?}}}", root.path());
    let words = format!(
        "run({ward:?}, 'approval-passphrase', '--passphrase-file', {file:?}, '--new-passphrase-file', {file:?}, {env})"
    );
    let ended = agent.must(&words);
    assert_eq!(ended[0], 3, "{ended}");
}

#[test]
fn a_review_signs_what_takes_a_signature_and_asks_for_the_passphrase_of_ones_own() {
    let Some((stage, _)) = stage() else { return };
    let keys = Keys::of("root");
    let key = keys.make("plain", "ed25519");
    allow(stage.root(), &[keys.line("admin", "plain")]);
    let (mut person, _) = reader(&stage, "signed/token");
    let mut terminal = Terminal::begin(stage.root(), &["requests", "review", "--key", &key]);
    terminal.expect("secret   default:signed/token");
    terminal.type_in("a\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("1 approved"), "{shown}");
    assert_eq!(person.end().unwrap()[1], "s3cret");
    let kind = &stage.log_of("request.approved", "signed/token")[0]["evidence"]["kind"];
    assert_eq!(kind, "signed");

    let (root, file) = private_root();
    root.ward(&["approval-passphrase", "--first", "--new-passphrase-file", &file]).succeed();
    let request = asked(&root, "prod/token");
    let mut terminal = Terminal::begin(&root, &["requests", "review"]);
    terminal.expect("[a/d/s/q] ");
    terminal.type_in("a\n");
    terminal.expect("Approval passphrase: ");
    terminal.type_in("several words of mine\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(shown.contains("1 approved") && !shown.contains("several"), "{shown}");
    let state = root.run(&["--json", "list", "--pending"]);
    assert!(!state.stdout.contains(&request), "{state:?}");
}

#[test]
fn a_screen_signs_with_a_key_and_takes_the_passphrase_without_showing_it() {
    let Some((stage, _)) = stage() else { return };
    let keys = Keys::of("root");
    let key = keys.make("plain", "ed25519");
    allow(stage.root(), &[keys.line("admin", "plain")]);
    let (mut person, _) = reader(&stage, "signed/token");
    let screen = Screen::begin(stage.root(), &["watch", "--key", &key]);
    screen.expect("default:signed/token");
    screen.press(&["a"]);
    assert_eq!(person.end().unwrap()[1], "s3cret");

    let (root, file) = private_root();
    root.ward(&["approval-passphrase", "--first", "--new-passphrase-file", &file]).succeed();
    asked(&root, "prod/token");
    let screen = Screen::begin(&root, &["watch"]);
    screen.expect("default:prod/token");
    screen.press(&["a"]);
    screen.expect("approval passphrase: _");
    screen.press(&["s", "e", "v", "e", "r", "a", "l", "Space", "w", "o", "r", "d", "s", "Space"]);
    screen.press(&["o", "f", "Space", "m", "i", "n", "e"]);
    let rows = screen.expect("approval passphrase: _");
    assert!(!rows.iter().any(|row| row.contains("several")), "{rows:#?}");
    screen.press(&["Enter"]);
    screen.expect("no request waits");
    let none = || {
        root.run(&["--json", "list", "--pending"]).json()["result"]["requests"]
            == serde_json::json!([])
    };
    assert!(wait::until(none));
}
