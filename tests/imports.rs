//! Secrets of other programs come into a vault: told first, done when told, the source untouched.

mod gloves;

use crate::support::pass_store::PassStore;

use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::users::{STRANGER, can_act_as_others};
use crate::support::ward::Ended;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

fn get(root: &Root, name: &str) -> Option<String> {
    let ended = root.run(&["--json", "get", name, "--raw"]);
    let value = ended.json()["result"]["value"].as_str().map(str::to_owned)?;
    Some(String::from_utf8(STANDARD.decode(value).unwrap()).unwrap())
}

fn import(root: &Root, words: &[&str]) -> Value {
    let ended = root.run(&[&["--json", "import"], words].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.json()["result"].clone()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().or_else(|| it["name"].as_str()).unwrap())
        .collect()
}

/// Every file below a folder with its sum and times, as one text.
fn state_of(folder: &Path) -> String {
    let script = "find . -printf '%p %y %m %s %T@ %l\\n' | sort; find . -type f | sort | xargs -d '\\n' sha256sum";
    let output = Command::new("sh").args(["-c", script]).current_dir(folder).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn variables_of_a_file_are_told_first_and_imported_when_told() {
    let root = Root::private().serving();
    let file = root.directory().join("env");
    replace(&file, "A=one\nexport B='two words'\n2C=x\n");
    let file = file.to_str().unwrap();
    let told = import(&root, &["dotenv", file, "--at", "app"]);
    assert_eq!(told["applied"], false);
    assert_eq!(names(&told["imported"]), ["default:app/A", "default:app/B"]);
    assert_eq!(names(&told["left_out"]), ["line 3"]);
    assert_eq!(get(&root, "app/A"), None);
    let done = import(&root, &["dotenv", file, "--at", "app", "--apply"]);
    assert_eq!(done["imported"], told["imported"]);
    assert_eq!(get(&root, "app/B"), Some("two words".to_owned()));
    // What is there stays, unless it is to be replaced; then its versions are kept.
    replace(Path::new(file), "A=other\n");
    let again = import(&root, &["dotenv", file, "--at", "app", "--apply"]);
    assert_eq!(names(&again["left_out"]), ["A"]);
    assert_eq!(get(&root, "app/A"), Some("one".to_owned()));
    import(&root, &["dotenv", file, "--at", "app", "--apply", "--replace"]);
    assert_eq!(get(&root, "app/A"), Some("other".to_owned()));
    let history = root.run(&["--json", "history", "app/A"]).json();
    assert_eq!(history["result"]["versions"].as_array().unwrap().len(), 2);
}

#[test]
fn of_a_pipe_that_brings_too_much_nothing_is_imported() {
    let root = Root::private().serving();
    let text = |length: usize| format!("A=one\n#{}\nB=two\n", "x".repeat(length));
    let words = ["--json", "import", "dotenv", "/dev/stdin", "--apply"];
    let refused = root.ward(&words).given(text(4 << 20).as_bytes()).run();
    assert_eq!(refused.status, Some(7), "{refused:?}");
    assert_eq!(get(&root, "A"), None, "a part is as good as none");
    let done = root.ward(&words).given(text(1).as_bytes()).run().json();
    assert_eq!(names(&done["result"]["imported"]), ["default:A", "default:B"]);
}

#[test]
fn entries_of_pass_are_copied_and_the_store_stays_as_it_was() {
    if !can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("prod/db", "s3cret");
    store.insert("web", "other");
    symlink("/etc/passwd", store.store().join("link.gpg")).unwrap();
    replace(&store.store().join("bad.gpg"), "no encrypted file");
    let before = state_of(&store.store());
    let root = Root::private().serving();
    let folder = store.store();
    let words = ["--json", "import", "pass", folder.to_str().unwrap(), "--apply"];
    let ended =
        root.ward(&words).with("GNUPGHOME", store.at("gnupg")).with("PATH", "/usr/bin:/bin").run();
    let done = ended.json()["result"].clone();
    assert_eq!(names(&done["imported"]), ["default:prod/db", "default:web"], "{ended:?}");
    assert_eq!(names(&done["left_out"]), ["link.gpg", "bad"], "{ended:?}");
    assert_eq!(get(&root, "prod/db"), Some("s3cret".to_owned()));
    assert_eq!(state_of(&store.store()), before);
}

#[test]
fn without_a_path_the_store_is_the_one_that_pass_takes() {
    let root = Root::private().serving();
    let home = root.directory().join("home");
    let stores = [(".password-store", "of-home"), ("elsewhere", "of-variable")];
    for (folder, entry) in stores {
        let store = home.join(folder);
        std::fs::create_dir_all(&store).unwrap();
        replace(&store.join(".gpg-id"), "ann@example.org\n");
        replace(&store.join(format!("{entry}.gpg")), "sealed");
    }
    let told = |variable: &Path| {
        let import = root.ward(&["--json", "import", "pass"]).with("HOME", &home);
        import.with("PASSWORD_STORE_DIR", variable).run()
    };
    let found = |ended: Ended| ended.json()["result"]["imported"][0].clone();
    assert_eq!(found(told(Path::new(""))), "default:of-home");
    assert_eq!(found(told(&home.join("elsewhere"))), "default:of-variable");
    let none = told(&home.join("nowhere"));
    assert_eq!(none.status, Some(7), "{none:?}");
    let message = none.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("nowhere is no store of pass"), "{message}");
}

#[test]
fn a_key_for_pass_is_made_once_in_a_home_of_any_length_and_leaves_no_agent() {
    if !Path::new("/usr/bin/gpg").exists() {
        eprintln!("skipped: /usr/bin/gpg is not there: apt-get install gnupg");
        return;
    }
    let root = Root::absent();
    let home = root.directory().join("a-folder-with-a-long-name".repeat(6)).join("gnupg");
    let home = home.to_str().unwrap();
    let gpg = |words: &[&str]| {
        let words = [&["--json", "gpg"], words, &["human-ops", "--home", home]].concat();
        root.ward(&words).with("PATH", "/usr/bin:/bin").with("HOME", root.directory()).run()
    };
    assert_eq!(gpg(&["fingerprint"]).status, Some(5));
    let refused = gpg(&["create"]);
    assert_eq!(refused.status, Some(7), "{refused:?}");
    let made = gpg(&["create", "--no-passphrase"]);
    assert_eq!(made.status, Some(0), "{made:?}");
    let made = made.json()["result"].clone();
    assert_eq!((&made["agent"], &made["created"]), (&"human-ops".into(), &true.into()));
    assert_eq!(made["fingerprint"].as_str().unwrap().len(), 40);
    let again = gpg(&["create", "--no-passphrase"]).json()["result"].clone();
    assert_eq!((&again["fingerprint"], &again["created"]), (&made["fingerprint"], &false.into()));
    assert_eq!(gpg(&["fingerprint"]).json()["result"]["fingerprint"], made["fingerprint"]);
    let is_ended = crate::support::wait::until(|| !Path::new(home).join("S.gpg-agent").exists());
    assert!(is_ended, "a gpg-agent was left");
}
