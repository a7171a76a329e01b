//! What a root of gloves has comes here: one that gloves 0.5.11 itself made (`gloves-0.5.11`), by `init`,
//! `secrets set|grant`, `request`, `deny` and `vault init|mount`.

use super::{get, import, names, state_of};
use crate::support::root::Root;
use crate::support::stage::replace;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What it has besides what is left out.
const SECRETS: [&str; 4] =
    ["default:flows/key", "default:svc/http/password", "default:svc/token", "default:vault/work"];
/// An ACL, and what else such a file says.
const CONFIG: &str = r#"version = 1
[paths]
root = "gloves"
[daemon]
bind = "127.0.0.1:7788"
[defaults]
vault_mount_ttl = "45m"
secret_ttl_days = 7
[secrets.acl.main]
refs = ["svc/*"]
operations = ["read", "write", "list"]
[secrets.pipe.commands.curl]
require_url = true
url_prefixes = ["https://api.example.com/v1/"]
"#;

/// Such a root below `folder`, one of whose secrets is over; `None`, with a word why, without the
/// programs that open it.
fn gloves_root(folder: &Path) -> Option<PathBuf> {
    for program in ["/usr/bin/age", "/usr/bin/gocryptfs"] {
        if !Path::new(program).exists() {
            eprintln!("skipped: {program} is not there: apt-get install age gocryptfs");
            return None;
        }
    }
    let captured = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/imports/gloves-0.5.11");
    let root = folder.join("gloves");
    let copied = Command::new("/bin/cp").args(["-r", captured]).arg(&root).status();
    assert!(copied.unwrap().success());
    let about = root.join("meta/svc/over.json");
    let text = std::fs::read_to_string(&about).unwrap();
    let (before, end) = text.split_once("\"expires_at\": \"20").unwrap();
    replace(&about, &format!("{before}\"expires_at\": \"20{}{}", "01", &end[2..]));
    Some(root)
}

/// `ward import gloves` with the programs that it takes.
fn apply(root: &Root, words: &[&str]) -> serde_json::Value {
    let words = [&["--json", "import", "gloves"], words, &["--apply"]].concat();
    let ended =
        root.ward(&words).with("PATH", "/usr/bin:/bin").with("HOME", root.directory()).run();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.json()["result"].clone()
}

#[test]
fn secrets_and_vaults_of_gloves_come_and_its_root_stays_as_it_was() {
    let root = Root::private();
    root.configure("[secrets]\nttl = \"30d\"\n");
    let root = root.serving();
    let Some(source) = gloves_root(root.directory()) else { return };
    let before = state_of(&source);
    let told = import(&root, &["gloves", source.to_str().unwrap()]);
    assert_eq!(names(&told["imported"]), SECRETS, "{told}");
    assert_eq!(names(&told["vaults"]), ["work"], "{told}");
    assert_eq!(names(&told["left_out"]), ["svc/over"], "{told}");
    assert_eq!(get(&root, "svc/token"), None, "nothing is done before it is told to");
    let done = apply(&root, &[source.to_str().unwrap()]);
    assert_eq!(done["imported"], told["imported"], "{done}");
    assert_eq!(done["vaults"], told["vaults"], "{done}");
    for (name, value) in
        [("svc/http/password", "pa55"), ("svc/token", "t0ken"), ("flows/key", "k3y")]
    {
        assert_eq!(get(&root, name), Some(value.to_owned()));
    }
    assert_eq!(get(&root, "svc/over"), None);
    let status = root.run(&["status", "svc/http/password", "--json"]).json();
    assert!(status["result"]["expires"].as_str().unwrap().starts_with("2081-"), "{status}");
    let status = root.run(&["status", "svc/token", "--json"]).json();
    assert!(status["result"]["expires"].is_null(), "it never ended there: {status}");
    let notes = done["notes"].to_string();
    for word in
        [" of flows for prod/db ", "ward secrets grant 'default:svc/token' --to flows", "still in"]
    {
        assert!(notes.contains(word), "{word}: {notes}");
    }
    assert!(!notes.contains("prod/other"), "what was answered is over: {notes}");
    assert_eq!(state_of(&source), before);
}

#[test]
fn what_was_granted_there_is_told_as_one_command_for_the_name_that_it_has_here() {
    let root = Root::private().serving();
    let source = root.directory().join("hostile");
    for folder in ["store", "meta"] {
        std::fs::create_dir_all(source.join(folder)).unwrap();
    }
    replace(&source.join("store/a;b.age"), "sealed");
    replace(&source.join("meta/a;b.json"), r#"{"created_by":"x","recipients":["x","y; id"]}"#);
    let told = import(&root, &["gloves", source.to_str().unwrap(), "--at", "old"]);
    let notes = told["notes"].to_string();
    let command = ": ward secrets grant 'default:old/a;b' --to 'y; id'\"";
    assert!(notes.contains(command), "{notes}");
}

#[test]
fn a_vault_of_gloves_has_here_what_it_had_there_with_its_owner() {
    let root = Root::private().serving();
    let Some(source) = gloves_root(root.directory()) else { return };
    apply(&root, &[source.to_str().unwrap()]);
    let state = root.run(&["--json", "vault", "status", "work"]).json()["result"].clone();
    assert_eq!(
        (&state["kind"], &state["owner"]),
        (&"workspace".into(), &"agent".into()),
        "{state}"
    );
    let shown = root.directory().join("shown");
    root.ward(&["vault", "mount", "work", shown.to_str().unwrap()]).succeed();
    assert_eq!(std::fs::read_to_string(shown.join("newest")).unwrap(), "of the vault\n");
    let mode = shown.join("run.sh").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    root.ward(&["vault", "unmount", "work"]).succeed();
    // A second time the vault is there, and stays.
    let again = apply(&root, &[source.to_str().unwrap(), "--replace"]);
    assert!(names(&again["left_out"]).contains(&"vault work"), "{again}");
}

#[test]
fn a_vault_whose_passphrase_is_wrong_gone_or_cut_is_left_out_and_nothing_is_made() {
    let root = Root::private().serving();
    let Some(source) = gloves_root(root.directory()) else { return };
    let key = source.join("store/vault/work.age");
    let left_out = |root: &Root| {
        let done = apply(root, &[source.to_str().unwrap()]);
        assert!(done["vaults"].is_null(), "{done}");
        let left = done["left_out"].as_array().unwrap().clone();
        let vault = left.iter().find(|it| it["name"] == "vault work").unwrap();
        vault["why"].as_str().unwrap().to_owned()
    };
    std::fs::copy(source.join("store/flows/key.age"), &key).unwrap();
    assert!(left_out(&root).contains("gocryptfs does not open"));
    replace(&key, "age-encryption.org/v1\n");
    assert!(left_out(&root).contains("age does not decrypt it"));
    std::fs::remove_file(&key).unwrap();
    assert!(left_out(&root).contains("its passphrase is not there"));
    let vaults = root.run(&["--json", "vault", "list"]).json();
    assert_eq!(vaults["result"]["vaults"].as_array().unwrap().len(), 1, "{vaults}");
}

#[test]
fn an_acl_comes_as_a_policy_that_loads_and_settings_that_count_when_somebody_puts_them_there() {
    let root = Root::private().serving();
    let Some(source) = gloves_root(root.directory()) else { return };
    let policy_before = std::fs::read_to_string(root.path().join("policy.toml")).unwrap();
    // Above the root, and naming it.
    replace(&root.directory().join(".gloves.toml"), CONFIG);
    let told = import(&root, &["gloves", source.to_str().unwrap(), "--at", "old"]);
    let policy = told["policy"].as_str().unwrap_or_else(|| panic!("{told}"));
    assert!(policy.contains("# from the ACL of main\n"), "{policy}");
    assert!(policy.contains("path = [\"default:old/svc/**\"]"), "{policy}");
    let file = root.directory().join("policy.toml");
    replace(&file, policy);
    root.ward(&["policy", "check", file.to_str().unwrap()]).succeed();
    let settings = told["settings"].as_str().unwrap();
    for line in [
        "[mount]\nttl = \"45m\"",
        "[secrets]\nttl = \"7d\"",
        "bind = \"127.0.0.1:7788\"",
        "[pipe.commands.curl]",
    ] {
        assert!(settings.contains(line), "{line}: {settings}");
    }
    root.configure(settings);
    root.ward(&["config", "validate"]).succeed();
    assert_eq!(
        std::fs::read_to_string(root.path().join("policy.toml")).unwrap(),
        policy_before,
        "no right comes by an import"
    );
    // One that names another root says nothing of this one.
    replace(&root.directory().join(".gloves.toml"), &CONFIG.replace("\"gloves\"", "\"other\""));
    let told = import(&root, &["gloves", source.to_str().unwrap()]);
    assert!(told["policy"].is_null(), "{told}");
    assert!(told["notes"].to_string().contains("--acl"), "{told}");
}

#[test]
fn a_hostile_source_is_told_piece_by_piece_and_the_rest_of_it_comes() {
    let root = Root::private().serving();
    let Some(source) = gloves_root(root.directory()) else { return };
    let store = source.join("store");
    symlink("/etc/passwd", store.join("link.age")).unwrap();
    symlink("/etc", store.join("folder")).unwrap();
    symlink("/etc/shadow", source.join("agents/main/other.key")).unwrap();
    symlink("/etc", source.join("encrypted/etc")).unwrap();
    replace(&store.join("corrupt.age"), "age-encryption.org/v1\nnothing");
    replace(&store.join("two\nlines.age"), "x");
    std::fs::File::create(store.join("huge.age")).unwrap().set_len(64 << 20).unwrap();
    replace(&source.join("pending.json"), "[{");
    std::fs::create_dir(source.join("agents/mean")).unwrap();
    replace(&source.join("agents/mean/age.key"), "AGE-SECRET-KEY-9NONE\n");
    std::fs::create_dir(source.join("encrypted/-bad name")).unwrap();
    replace(&source.join(".gloves.toml"), "version = 1\n[places]\n");
    let done = apply(&root, &[source.to_str().unwrap()]);
    assert_eq!(names(&done["imported"]), SECRETS, "{done}");
    assert_eq!(names(&done["vaults"]), ["work"], "{done}");
    let left_out = names(&done["left_out"]);
    for name in ["link.age", "folder", "huge", "corrupt", "two\nlines", "vault -bad name"] {
        assert!(left_out.contains(&name), "{name}: {left_out:?}");
    }
    assert!(done["notes"].to_string().contains("has no key"), "{done}");
    // What is shown to people drives no terminal.
    let shown = root.run(&["import", "gloves", source.to_str().unwrap(), "--replace"]).stdout;
    assert!(shown.contains("two\\nlines") || shown.contains("two\\x0alines"), "{shown}");
}
