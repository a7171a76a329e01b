//! Secrets of other programs come into a vault: told first, done when told, the source untouched.

use crate::support::pass_store::PassStore;
use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::users::{STRANGER, can_act_as_others};
use crate::support::ward::Ended;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// A root as gloves 0.5.11 lays it out (one age identity for each agent, sealed files in `store`, JSON in
/// `meta`), written by `age` itself.
fn gloves_root(folder: &Path) -> Option<PathBuf> {
    if !Path::new("/usr/bin/age").exists() {
        eprintln!("skipped: /usr/bin/age is not there: apt-get install age");
        return None;
    }
    let root = folder.join("gloves");
    for below in ["store/svc/http", "meta/svc/http", "agents/main", "encrypted/work"] {
        std::fs::create_dir_all(root.join(below)).unwrap();
    }
    let made = Command::new("/usr/bin/age-keygen")
        .arg("-o")
        .arg(root.join("agents/main/age.key"))
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let key = std::fs::read_to_string(root.join("agents/main/age.key")).unwrap();
    let public = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    for (name, value, end) in [
        ("svc/token", "t0ken", "null"),
        ("svc/http/password", "pa55", "\"2099-01-01T00:00:00.0Z\""),
        ("svc/over", "old", "\"2001-01-01T00:00:00.0Z\""),
    ] {
        let sealed = root.join("store").join(format!("{name}.age"));
        let mut age = Command::new("/usr/bin/age");
        age.args(["--recipient", public, "--output"]).arg(sealed).stdin(Stdio::piped());
        let mut child = age.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), value.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let meta = format!("{{\"id\":\"{name}\",\"owner\":\"agent\",\"expires_at\":{end}}}");
        replace(&root.join("meta").join(format!("{name}.json")), &meta);
    }
    let request = r#"[{"id":"8d0e","secret_name":"prod/db","requested_by":"flows","status":"pending"},
        {"id":"9e1f","secret_name":"prod/db","requested_by":"flows","status":"denied"}]"#;
    replace(&root.join("pending.json"), request);
    Some(root)
}

#[test]
fn secrets_of_gloves_come_with_a_word_about_all_the_rest() {
    let root = Root::private().serving();
    let Some(source) = gloves_root(root.directory()) else { return };
    let before = state_of(&source);
    let words = ["gloves", source.to_str().unwrap()];
    let told = import(&root, &words);
    let expected = ["default:svc/http/password", "default:svc/token"];
    assert_eq!(names(&told["imported"]), expected, "{told}");
    assert_eq!(names(&told["left_out"]), ["svc/over"]);
    let notes = told["notes"].to_string();
    for word in ["request 8d0e of flows", "vault work", "policy import", "still in"] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    assert!(!notes.contains("9e1f"), "{notes}");
    let words = ["--json", "import", "gloves", source.to_str().unwrap(), "--apply"];
    let done = root.ward(&words).with("PATH", "/usr/bin:/bin").run();
    assert_eq!(names(&done.json()["result"]["imported"]), expected, "{done:?}");
    assert_eq!(get(&root, "svc/http/password"), Some("pa55".to_owned()));
    assert_eq!(get(&root, "svc/over"), None);
    let status = root.run(&["status", "svc/http/password", "--json"]).json();
    let end = status["result"]["expires"].as_str().unwrap_or_default();
    assert!(
        end.starts_with("2098-12-31T23:59:5") || end.starts_with("2099-01-01T00:00:0"),
        "{status}"
    );
    assert_eq!(state_of(&source), before);
}

#[test]
fn a_hostile_source_is_told_piece_by_piece_and_the_rest_of_it_comes() {
    let root = Root::private().serving();
    let Some(source) = gloves_root(root.directory()) else { return };
    let store = source.join("store");
    symlink("/etc/passwd", store.join("link.age")).unwrap();
    symlink("/etc", store.join("folder")).unwrap();
    symlink("/etc/shadow", source.join("agents/main/other.key")).unwrap();
    replace(&store.join("corrupt.age"), "age-encryption.org/v1\nnothing");
    replace(&store.join("two\nlines.age"), "x");
    std::fs::File::create(store.join("huge.age")).unwrap().set_len(64 << 20).unwrap();
    replace(&source.join("pending.json"), "[{");
    std::fs::create_dir(source.join("agents/mean")).unwrap();
    replace(&source.join("agents/mean/age.key"), "AGE-SECRET-KEY-9NONE\n");
    let words = ["--json", "import", "gloves", source.to_str().unwrap(), "--apply"];
    let ended = root.ward(&words).with("PATH", "/usr/bin:/bin").run();
    let done = ended.json()["result"].clone();
    let expected = ["default:svc/http/password", "default:svc/token"];
    assert_eq!(names(&done["imported"]), expected, "{ended:?}");
    let left_out = names(&done["left_out"]);
    for name in ["link.age", "folder", "huge", "corrupt", "two\nlines"] {
        assert!(left_out.contains(&name), "{name}: {left_out:?}");
    }
    // What is shown to people drives no terminal.
    let shown = root.run(&["import", "gloves", source.to_str().unwrap(), "--replace"]).stdout;
    assert!(shown.contains("two\\nlines") || shown.contains("two\\x0alines"), "{shown}");
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
