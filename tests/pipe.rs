//! Where the bytes of a secret go besides a mount: a terminal, or commands that somebody named.

mod commands;
mod files;
mod output;
mod words;

use crate::support::root::Root;
use serde_json::Value;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

/// The variable that says which commands may get a secret.
const ALLOWLIST: &str = "WARD_GET_PIPE_ALLOWLIST";

/// A root with a secret, whose settings are those of a new root and then `settings`.
fn root(settings: &str) -> Root {
    let root = Root::guarded();
    root.configure(settings);
    root.ward(&["set", "token", "--value", "hunter2"]).succeed();
    root
}

/// Puts a shell script into a folder of programs; gives that folder.
fn program(root: &Root, name: &str, script: &str) -> String {
    let folder = root.directory().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    write!(file, "#!/bin/sh\n{script}\n").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    folder.to_str().unwrap().to_owned()
}

/// Entries of the log of this kind, oldest first.
fn entries(root: &Root, event: &str) -> Vec<Value> {
    let shown = root.run(&["--json", "audit", "show", "--event", event]).json();
    let entries = shown["result"]["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["entry"].clone()).collect()
}
