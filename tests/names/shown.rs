//! Lines for shells, what a client may do, files of configuration, and a look at everything.

use crate::support::root::Root;
use crate::support::stage::{Stage, replace};
use crate::support::users::{OWNER, STRANGER};
use std::io::Write;
use std::process::Command;

/// What a shell has in VAR after it evaluated `line`.
fn evaluated(line: &str) -> String {
    let path = std::path::Path::new(crate::support::ward::WARD).parent().unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("{line}\nprintf %s \"$VAR\"")).env_clear();
    shell.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
    String::from_utf8(shell.output().unwrap().stdout).unwrap()
}

#[test]
fn a_line_for_a_shell_never_has_the_value_and_survives_every_name() {
    let root = Root::private();
    let odd = "a b/it's $(id) \"x\" `y`";
    for name in ["plain", odd] {
        root.ward(&["set", name, "--value", "hunter2"]).succeed();
    }
    // The root is in the line: it was named by a variable that the shell need not have.
    let root_path = root.path().to_str().unwrap();
    let line = |name| root.ward(&["--root", root_path, "env", name, "VAR"]).succeed();
    for name in ["plain", odd] {
        let line = line(name);
        assert!(line.starts_with("export VAR=\"$(ward --root "), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
        assert_eq!(evaluated(&line), "hunter2", "{line}");
    }
    let mount = root.directory().join("m o'unt");
    std::fs::create_dir(&mount).unwrap();
    root.ward(&["vault", "mount", "default", mount.to_str().unwrap()]).succeed();
    for name in ["plain", odd] {
        let line = line(name);
        assert!(line.starts_with("export VAR=\"$(cat -- "), "{line}");
        assert_eq!(evaluated(&line), "hunter2", "{line}");
    }
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_line_for_a_shell_is_said_only_where_a_shell_gets_the_value_by_it() {
    let root = Root::guarded();
    root.ward(&["set", "a", "--value", "hunter2"]).succeed();
    let refused = root.run(&["env", "a", "VAR"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(7), ""), "{refused:?}");
    assert!(refused.stderr.contains("through a mount"), "{refused:?}");
    let mount = root.directory().join("mount");
    std::fs::create_dir(&mount).unwrap();
    root.ward(&["vault", "mount", "default", mount.to_str().unwrap()]).succeed();
    let line = root.ward(&["env", "a", "VAR"]).succeed();
    assert_eq!(evaluated(&line), "hunter2", "{line}");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn text_for_a_shell_takes_no_variable_that_is_none_and_no_secret_that_is_not_there() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "hunter2"]).succeed();
    for (variable, status) in [("FOO; rm -rf x", 7), ("PATH", 7), ("LD_PRELOAD", 7), ("FOO", 0)] {
        let ended = root.run(&["env", "a", variable]);
        assert_eq!(ended.status, Some(status), "{ended:?}");
        assert!(status == 0 || ended.stdout.is_empty(), "{ended:?}");
    }
    let absent = root.run(&["env", "b", "FOO"]);
    assert_eq!(absent.status, Some(5), "{absent:?}");
}

#[test]
fn what_a_client_may_do_is_told_to_who_may_check_the_policy_and_of_nobody_but_whom_it_names() {
    let Some(stage) = Stage::served("10s", "") else { return };
    let root = stage.root();
    let told = root.run(&["--json", "access", "paths", "--agent", "cat"]).json();
    let access = &told["result"]["access"][0];
    assert_eq!((&access["rule"], &access["says"]), (&"cat-reads".into(), &"allow".into()));
    assert_eq!(access["operations"], serde_json::json!(["file.read"]));
    assert_eq!(access["paths"], serde_json::json!(["cat/**"]));
    let text = root.run(&["access", "paths", "--agent", "cat"]).stdout;
    assert_eq!(text, "allow  cat-reads  cat/**  file.read\n");
    assert_eq!(root.run(&["access", "paths", "--agent", "nobody"]).status, Some(5));
    let stranger = root.ward(&["access", "paths", "--agent", "cat"]).by(STRANGER).run();
    assert_eq!(stranger.status, Some(3), "{stranger:?}");
    // Whom it is about is not who asks: the name that the caller acts under is said before.
    let asked = ["--agent", "reporter", "access", "paths", "--agent", "owner"];
    assert_eq!(root.run(&asked).status, Some(0));
    let by = stage.log().into_iter().rfind(|it| it["operations"][0] == "policy.check").unwrap();
    assert_eq!(by["actor"]["acting"], "reporter");
}

const CONFIG: &str = r#"version = 1
[paths]
root = "ROOT"
[private_paths]
runtime_root = "ROOT"
[defaults]
agent_id = "agent-main"
vault_mount_ttl = "1h"
[agents.agent-main]
paths = ["runtime_root"]
operations = ["read"]
[secrets.acl.agent-main]
paths = ["shared/*"]
operations = ["read", "list"]
"#;

#[test]
fn a_file_of_configuration_names_the_root_and_its_acl_is_neither_followed_nor_passed_over() {
    let root = Root::absent();
    let file = root.directory().join("prod.gloves.toml");
    let text = CONFIG.replace("ROOT", root.path().to_str().unwrap());
    replace(&file, &text);
    let file = file.to_str().unwrap();
    let ward =
        |words: &[&str]| root.ward(&[&["--config", file], words].concat()).with("WARD_ROOT", "");
    let checked = ward(&["config", "validate"]).succeed();
    assert!(checked.contains("has no mistake") && checked.contains("policy import"), "{checked}");
    assert!(!root.path().exists(), "looking at a file made a root");
    let made = ward(&["init"]).succeed();
    assert!(made.contains("agent-main") && made.contains("policy import"), "{made}");
    ward(&["set", "shared/a", "--value", "v"]).succeed();
    // A file of one's own leaves the policy of the root what it is.
    assert_eq!(ward(&["access", "paths", "--agent", "agent-main"]).run().status, Some(5));
    let policy = ward(&["policy", "import", "--gloves", file]).succeed();
    let before = std::fs::read_to_string(root.path().join("policy.toml")).unwrap();
    let client =
        policy.split("\n\n").find(|part| part.starts_with("[clients.agent-main]")).unwrap();
    replace(&root.path().join("policy.toml"), &format!("{before}\n{client}\n"));
    let checked = ward(&["config", "validate"]).succeed();
    assert!(!checked.contains("policy import"), "{checked}");
    ward(&["daemon", "stop"]).succeed();
}

#[test]
fn a_file_of_configuration_with_a_mistake_is_refused_for_it() {
    let root = Root::absent();
    let file = root.directory().join("x.gloves.toml");
    let text = CONFIG.replace("ROOT", root.path().to_str().unwrap());
    for (right, wrong) in [
        ("vault_mount_ttl = \"1h\"", "vault_mount_ttl = \"soon\""),
        ("paths = [\"runtime_root\"]", "paths = [\"nowhere\"]"),
        ("[private_paths]", "[privat_paths]"),
        ("\"list\"]", "\"lits\"]"),
        ("[paths]\nroot = ", "[paths]\nroom = "),
    ] {
        replace(&file, &text.replacen(right, wrong, 1));
        let ended = root.run(&["--config", file.to_str().unwrap(), "config", "validate"]);
        assert_eq!(ended.status, Some(7), "{wrong}: {ended:?}");
    }
}

#[test]
fn verify_finds_a_damaged_vault_and_destroys_nothing() {
    let root = Root::private();
    root.ward(&["vault", "init", "work"]).succeed();
    for name in ["a", "work:b"] {
        root.ward(&["set", name, "--value", "hunter2hunter2hunter2"]).succeed();
    }
    let whole = root.run(&["verify"]);
    assert_eq!(whole.status, Some(0), "{whole:?}");
    assert!(whole.stdout.contains("default  whole") && whole.stdout.contains("The log is whole"));
    let keys = || {
        let names = std::fs::read_dir(root.path().join("keys")).unwrap();
        let mut names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = keys();
    let segments = root.path().join("vaults/work/segments");
    let segment = std::fs::read_dir(&segments).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last] ^= 1;
    std::fs::File::create(&segment).unwrap().write_all(&bytes).unwrap();
    let damaged = root.run(&["verify"]);
    assert_eq!(damaged.status, Some(10), "{damaged:?}");
    assert!(damaged.stdout.contains("work     damaged"), "{damaged:?}");
    assert_eq!(keys(), before);
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "hunter2hunter2hunter2");
}

#[test]
fn a_stranger_learns_nothing_by_verify() {
    let Some(stage) = Stage::served("10s", "") else { return };
    for user in [OWNER, STRANGER] {
        let ended = stage.root().ward(&["verify"]).by(user).run();
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(3), ""), "{user}: {ended:?}");
    }
}
