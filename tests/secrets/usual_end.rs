//! How long a secret is served of which nobody says.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use crate::support::wait;

/// Seconds until the secret ends, as it is listed; `None` when it never does.
fn ends_in(root: &Root, name: &str) -> Option<i64> {
    let list = root.run(&["--json", "list"]).json();
    let names = list["result"]["names"].as_array().unwrap();
    let found = names.iter().find(|it| it["path"] == name).unwrap_or_else(|| panic!("{list}"));
    let end: jiff::Timestamp = found["expires"].as_str()?.parse().unwrap();
    Some(end.as_second() - jiff::Timestamp::now().as_second())
}

/// Whether it ends in so long, but for the time that a test takes.
fn lasts(root: &Root, name: &str, seconds: i64) -> bool {
    ends_in(root, name).is_some_and(|left| (seconds - 60..=seconds).contains(&left))
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn the_end_of_a_secret_is_that_of_the_flag_then_of_the_variable_then_of_the_file() {
    let root = Root::private();
    root.ward(&["set", "before", "--value", "v"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    root.configure("[secrets]\nttl = \"30d\"\n");
    let root = root.serving();
    root.ward(&["set", "file", "--value", "v"]).succeed();
    root.ward(&["set", "variable", "--value", "v"]).with("WARD_SECRET_TTL", "12h").succeed();
    root.ward(&["set", "flag", "--value", "v", "--ttl", "2"])
        .with("WARD_SECRET_TTL", "12h")
        .succeed();
    root.ward(&["set", "never", "--value", "v", "--ttl", "never"]).succeed();
    assert!(lasts(&root, "file", 30 * DAY), "{:?}", ends_in(&root, "file"));
    assert!(lasts(&root, "variable", 12 * HOUR), "{:?}", ends_in(&root, "variable"));
    assert!(lasts(&root, "flag", 2 * DAY), "{:?}", ends_in(&root, "flag"));
    assert_eq!((ends_in(&root, "never"), ends_in(&root, "before")), (None, None));
    let bad = root.ward(&["set", "bad", "--value", "v"]).with("WARD_SECRET_TTL", "soon").run();
    assert_eq!(bad.status, Some(7), "{bad:?}");
    // What takes the place of a value ends as if it were the first.
    for name in ["never", "flag"] {
        root.ward(&["set", name, "--value", "w", "--replace"]).succeed();
        assert!(lasts(&root, name, 30 * DAY), "{name}: {:?}", ends_in(&root, name));
    }
}

#[test]
fn the_settings_show_what_counts_and_a_reload_takes_it_for_what_is_stored_from_then_on() {
    let root = Root::private().serving();
    let shown = |variable: &str| {
        let said = root.ward(&["--json", "config", "show"]).with("WARD_SECRET_TTL", variable).run();
        let said = said.json();
        let settings = said["result"]["settings"].as_array().unwrap();
        let found = settings.iter().find(|it| it["key"] == "secrets.ttl").unwrap();
        format!("{} {}", found["value"].as_str().unwrap(), found["from"].as_str().unwrap())
    };
    assert_eq!(shown(""), "\"never\" default");
    root.configure("[secrets]\nttl = \"48h\"\n");
    assert_eq!(shown(""), "\"2d\" file");
    assert_eq!(shown("12h"), "\"12h\" environment");
    root.ward(&["set", "before", "--value", "v"]).succeed();
    let reloaded = root.run(&["--json", "policy", "reload"]).json();
    assert_eq!(reloaded["result"]["settings_changed"], serde_json::json!(["secrets.ttl"]));
    root.ward(&["set", "after", "--value", "v"]).succeed();
    assert_eq!(ends_in(&root, "before"), None);
    assert!(lasts(&root, "after", 2 * DAY), "{:?}", ends_in(&root, "after"));
    root.configure("[secrets]\nttl = \"soon\"\n");
    let bad = root.run(&["config", "validate"]);
    assert_eq!(bad.status, Some(7), "{bad:?}");
}

#[test]
fn a_new_file_of_a_mount_ends_as_well_and_what_is_there_keeps_its_end() {
    let Some(stage) = Stage::set() else { return };
    let old = stage.secret("free/old", "v");
    stage.root().configure("[secrets]\nttl = \"30d\"\n");
    stage.root().ward(&["policy", "reload"]).succeed();
    let mut person = Person::of(OWNER);
    person.must(&format!("write({old:?}, 'w')"));
    assert_eq!(ends_in(stage.root(), "free/old"), None, "nothing is shortened");
    let new = stage.path("free/new");
    person.must(&format!("write({new:?}, 'v')"));
    assert!(lasts(stage.root(), "free/new", 30 * DAY), "{:?}", ends_in(stage.root(), "free/new"));
    // An editor's way to save makes a new file.
    person.must(&format!("os.rename({new:?}, {old:?})"));
    assert!(lasts(stage.root(), "free/old", 30 * DAY), "{:?}", ends_in(stage.root(), "free/old"));
}

#[test]
fn a_descriptor_by_which_a_file_is_first_written_ends_with_the_value() {
    let Some(stage) = Stage::set() else { return };
    stage.root().configure("[secrets]\nttl = \"2s\"\n");
    stage.root().ward(&["policy", "reload"]).succeed();
    std::fs::create_dir(stage.path("free")).unwrap();
    let path = stage.path("free/new");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_CREAT | os.O_RDWR)"));
    person.must("os.write(file, b's3cret') and os.fsync(file)");
    assert!(wait::until(|| person.does("os.pread(file, 9, 0)").is_err()), "it never ended");
    assert_eq!(person.fails("os.pread(file, 9, 0)"), "EKEYEXPIRED");
    assert_eq!(person.fails("os.pwrite(file, b'x', 0)"), "EKEYEXPIRED");
    assert_eq!(person.reads(&path), Err("EKEYEXPIRED".to_owned()));
}
