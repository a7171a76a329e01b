//! Where things are: roots and mountpoints mean the same from everywhere, and only what is asked for is made.

use super::commands::runs;
use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::users;
use crate::support::ward::{Ended, Ward};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_relative_root_and_a_relative_mountpoint_are_the_same_from_every_directory() {
    let root = Root::private();
    let (here, there) = (root.directory(), root.directory().join("there"));
    std::fs::create_dir(&there).unwrap();
    // Nothing but the flag names the root.
    let ward =
        |directory: &Path, words: &[&str]| -> Ended { Ward::new(words).within(directory).run() };
    let mounted = ward(here, &["--root", "root", "vault", "mount", "default", "m"]);
    assert_eq!(mounted.status, Some(0), "{mounted:?}");
    let set = ward(&there, &["--root", "../root", "set", "a", "--value", "hunter2"]);
    assert_eq!(set.status, Some(0), "{set:?}");
    assert_eq!(std::fs::read_to_string(here.join("m/a")).unwrap(), "hunter2");
    let absolute = here.canonicalize().unwrap().join("m");
    for (directory, name) in [(here, "root"), (&there, "../root"), (Path::new("/"), "")] {
        let name = if name.is_empty() { root.path().to_str().unwrap() } else { name };
        let status = ward(directory, &["--root", name, "--json", "vault", "status", "default"]);
        let mount = status.json()["result"]["mount"].clone();
        assert_eq!(mount["path"], absolute.to_str().unwrap(), "{status:?}");
    }
    let again = ward(&there, &["--root", "../root", "vault", "mount", "default", "m"]);
    assert_eq!(again.status, Some(6), "another place is another mount: {again:?}");
    assert!(!there.join("m").exists());
    let ended = ward(&there, &["--root", "../root", "vault", "unmount", "default"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(root.mounts(), Vec::<String>::new());
    assert!(!here.join("m").exists());
}

/// Commands that look at something, or are for no root at all.
const LOOKERS: [&str; 16] = [
    "get",
    "list",
    "history",
    "status",
    "verify",
    "doctor",
    "access paths",
    "explain",
    "help",
    "audit show",
    "audit verify",
    "config show",
    "config validate",
    "policy check",
    "vault list",
    "vault status",
];

#[test]
fn what_only_looks_makes_no_root_and_no_command_changes_the_mode_of_a_folder_that_is_there() {
    let root = Root::absent();
    let home = root.directory().join("home");
    std::fs::create_dir(&home).unwrap();
    let foreign = root.directory().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    replace(&foreign.join("file"), "mine");
    std::fs::set_permissions(&foreign, Permissions::from_mode(0o755)).unwrap();
    let run = |words: &[&str]| {
        let ward = Ward::new(words).within(&home).with("HOME", &home);
        ward.with("WARD_ROOT", home.join("root")).run()
    };
    for (command, words) in runs() {
        let here = foreign.to_str().unwrap();
        let words: Vec<String> = words.split(' ').map(|it| it.replace("{here}", here)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if LOOKERS.contains(&command) {
            run(&words);
            run(&["explain", "E200"]);
            assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0, "{command} made something");
        }
        // These say themselves what they make, and the folder that is there has another name for it.
        if !command.starts_with("generate") && !command.starts_with("gpg") && command != "init" {
            run(&[&["--root", here], &words[..]].concat());
        }
        assert_eq!(mode(&foreign), 0o755, "{command}");
        assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1, "{command}");
    }
    let init = run(&["--root", foreign.to_str().unwrap(), "init"]);
    assert_eq!(init.status, Some(6), "{init:?}");
    assert_eq!((mode(&foreign), std::fs::read_dir(&foreign).unwrap().count()), (0o755, 1));
}

/// What gloves takes without a word, and stumbles over or ignores later.
const CONFIG: &str = r#"version = 2
[paths]
root = "/srv/gloves/prod"
[defaults]
vault_mount_ttl = "30m"
"#;

#[test]
fn validation_tells_each_mistake_and_what_has_no_effect() {
    let root = Root::absent();
    let file = root.directory().join("x.gloves.toml");
    let validate = |text: &str| {
        replace(&file, text);
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        root.run(&["--json", "config", "validate", file.to_str().unwrap()])
    };
    let plain = validate(CONFIG);
    assert_eq!(plain.status, Some(0), "{plain:?}");
    // An alias that no [private_paths] has, also where that table is absent.
    let alias = "[agents.coder]\npaths = [\"runtime_root\"]\noperations = [\"read\"]\n";
    let refused = validate(&format!("{CONFIG}{alias}"));
    assert_eq!(refused.status, Some(7), "{refused:?}");
    assert!(refused.stdout.contains("runtime_root"), "{refused:?}");
    // A time that passes there is one that mounts take here.
    for (time, status) in [("30s", 0), ("soon", 7), ("0s", 7), ("30", 7)] {
        let ended = validate(&CONFIG.replace("30m", time));
        assert_eq!(ended.status, Some(status), "{time}: {ended:?}");
    }
    // Sections that nothing enforces are told.
    let vaults = "[vault.mounts]\nwork = \"/srv/work\"\n\
                  [agents.coder.vault]\nmounts = [\"work\"]\noperations = [\"mount\"]\n";
    let told = validate(&format!("{CONFIG}{vaults}")).json();
    let without: Vec<&str> = told["result"]["without_effect"]
        .as_array()
        .unwrap_or_else(|| panic!("{told}"))
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    assert!(without.contains(&"vault.mounts") && without.contains(&"agents.coder.vault"), "{told}");
    // A file that somebody else can change says for them where secrets go.
    validate(CONFIG);
    std::fs::set_permissions(&file, Permissions::from_mode(0o606)).unwrap();
    let named = ["--config", file.to_str().unwrap(), "status"];
    let refused = root.run(&named);
    assert_eq!(refused.status, Some(7), "{refused:?}");
    assert!(refused.stderr.contains("chmod go-w"), "{refused:?}");
    if users::can_act_as_others() {
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        chown(&file, Some(users::user(users::STRANGER).uid.as_raw()), None).unwrap();
        let refused = root.run(&named);
        assert_eq!(refused.status, Some(7), "{refused:?}");
        assert!(refused.stderr.contains("belongs to"), "{refused:?}");
    }
}
