//! A stage: a system root with a policy for persons of several users, served and mounted.

use super::root::Root;
use super::users::{OWNER, STRANGER, can_act_as_others, user};
use super::wait;
use super::ward::Ended;
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use ward_policy::Operation;

/// What every stage begins with: who is who, what each may do, and a secret for each case.
const RULES: &str = r#"
[[rule]]
name = "admin-works"
clients = ["admin"]
ops = ["*"]
path = ["*"]
decide = "allow"

[[rule]]
name = "owner-writes"
clients = ["owner"]
ops = ["file.*"]
path = ["free/**"]
decide = "allow"

[[rule]]
name = "owner-reads"
clients = ["owner"]
ops = ["file.list", "file.read"]
path = ["read/**"]
decide = "allow"

[[rule]]
name = "owner-lists-what-cat-reads"
clients = ["owner"]
ops = ["file.list"]
path = ["cat/**"]
decide = "allow"

[[rule]]
name = "cat-reads"
clients = ["cat"]
ops = ["file.read"]
path = ["cat/**"]
decide = "allow"

[[rule]]
name = "both-read"
clients = ["owner", "stranger"]
ops = ["file.list", "file.read"]
path = ["both/**"]
decide = "allow"

[[rule]]
name = "stranger-lists"
clients = ["stranger"]
ops = ["file.list"]
path = ["read/**"]
decide = "allow"

[[rule]]
name = "ask-first-use"
clients = ["owner", "stranger"]
ops = ["file.list", "file.read"]
path = ["ask/**"]
decide = "approve"
approve = { require = "first_use", by = ["admin", "stranger"] }

[[rule]]
name = "ask-each-time"
clients = ["owner"]
ops = ["file.list", "file.read"]
path = ["once/**"]
decide = "approve"
approve = { require = "one_time", by = ["admin"] }

[[rule]]
name = "persons-ask-and-answer"
clients = ["owner", "stranger"]
ops = ["request.*", "status.show"]
path = ["*"]
decide = "allow"
"#;

/// A system root that is served, and its first vault mounted.
pub(crate) struct Stage {
    root: Root,
    mountpoint: PathBuf,
}

/// Says how long an open waits for a human on this stage.
pub(crate) const HOLD: &str = "10s";

impl Stage {
    /// The stage for most tests; `None`, with a word why, where we cannot act as other users.
    pub(crate) fn set() -> Option<Self> {
        Self::with(HOLD, "")
    }

    /// A stage of another patience, with more rules.
    pub(crate) fn with(hold: &str, rules: &str) -> Option<Self> {
        let stage = Self::served(hold, rules)?;
        stage.mount(&[]);
        Some(stage)
    }

    /// A stage that nobody has mounted yet.
    pub(crate) fn served(hold: &str, rules: &str) -> Option<Self> {
        let stage = Self::still(hold, rules)?;
        stage.root.ward(&["daemon", "start"]).succeed();
        Some(stage)
    }

    /// A stage without a daemon.
    pub(crate) fn still(hold: &str, rules: &str) -> Option<Self> {
        if !can_act_as_others() {
            return None;
        }
        let root = Root::system();
        replace(&root.path().join("policy.toml"), &policy(hold, rules));
        let mountpoint = root.directory().join("mount");
        std::fs::create_dir(&mountpoint).unwrap();
        Some(Self { root, mountpoint })
    }

    /// The root below it.
    pub(crate) const fn root(&self) -> &Root {
        &self.root
    }

    /// Where the vault is mounted.
    pub(crate) fn mountpoint(&self) -> &str {
        self.mountpoint.to_str().unwrap()
    }

    /// The path of a secret, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.mountpoint.join(name).to_str().unwrap().to_owned()
    }

    /// Mounts the vault, for an hour unless `options` say otherwise.
    pub(crate) fn mount(&self, options: &[&str]) {
        let words = [&["vault", "mount", "default", self.mountpoint()], options].concat();
        self.root.ward(&words).succeed();
    }

    /// Ends the mount.
    pub(crate) fn unmount(&self) -> Ended {
        self.root.run(&["vault", "unmount", "default"])
    }

    /// Writes a secret through the mount, with the folders above it; gives its path.
    pub(crate) fn secret(&self, name: &str, value: &str) -> String {
        let path = self.mountpoint.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace(&path, value);
        self.path(name)
    }

    /// What happened, as the log has it on disk, oldest first; without what it says about itself.
    pub(crate) fn log(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        let folder = self.root.path().join("audit");
        ward_audit::read(&folder, &ward_audit::Filter::default(), |shown| {
            let event = shown.entry.event_type.name();
            if event != "checkpoint" && !event.starts_with("segment.") {
                entries.push(serde_json::to_value(shown.entry).unwrap());
            }
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        entries
    }

    /// The entries of one kind about one secret.
    pub(crate) fn log_of(&self, event: &str, path: &str) -> Vec<Value> {
        let is_meant = |entry: &Value| entry["eventType"] == event && entry["path"] == path;
        self.log().into_iter().filter(is_meant).collect()
    }

    /// Requests that wait for an answer, oldest first.
    pub(crate) fn pending(&self) -> Vec<Value> {
        let ended = self.root.run(&["--json", "list", "--pending"]);
        ended.json()["result"]["requests"].as_array().unwrap().clone()
    }

    /// Waits until an open of `secret` is held; gives the id of its request.
    pub(crate) fn held(&self, secret: &str) -> String {
        let mut found = None;
        let is_held = wait::until(|| {
            let pending = self.pending();
            found = pending.into_iter().find(|it| it["path"] == secret && it["is_held"] == true);
            found.is_some()
        });
        assert!(is_held, "no open of {secret} is held");
        found.unwrap()["request"].as_str().unwrap().to_owned()
    }

    /// Waits until somebody asks for this reason; gives the request.
    pub(crate) fn asked(&self, reason: &str) -> Value {
        let mut found = None;
        let is_asked = wait::until(|| {
            found = self.pending().into_iter().find(|it| it["reason"] == reason);
            found.is_some()
        });
        assert!(is_asked, "nobody asks for {reason:?}");
        found.unwrap()
    }

    /// Answers a request with yes, as root.
    pub(crate) fn approve(&self, request: &str) -> Ended {
        self.root.run(&["approve", request])
    }

    /// Replaces the rules and waits until they are in force.
    pub(crate) fn change_rules(&self, hold: &str, rules: &str) {
        let loaded = || {
            let log = self.log();
            log.iter().filter(|entry| entry["eventType"] == "policy.loaded").count()
        };
        let before = loaded();
        replace(&self.root.path().join("policy.toml"), &policy(hold, rules));
        let daemon = i32::try_from(self.root.running().unwrap()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::SIGHUP)
            .unwrap();
        assert!(wait::until(|| loaded() > before), "the policy was not loaded");
    }
}

/// Writes a file anew; what is there stays the same file.
pub(crate) fn replace(path: &Path, text: &str) {
    let mut file = File::create(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    file.write_all(text.as_bytes()).unwrap();
}

/// The policy of a stage.
pub(crate) fn policy(hold: &str, rules: &str) -> String {
    let operations: String =
        Operation::ALL.iter().map(|it| format!("\"{}\" = \"low\"\n", it.name())).collect();
    let (owner, stranger) = (user(OWNER).uid, user(STRANGER).uid);
    format!(
        "version = 1\n[defaults]\nhold = \"{hold}\"\nfactors = {{ any = [\"local\"] }}\n\
         [audit]\nnames = \"clear\"\n[ops]\n{operations}\
         [clients.admin]\nuid = [0]\nrole = \"approver\"\n\
         [clients.owner]\nuid = [{owner}]\nrole = \"approver\"\n\
         [clients.stranger]\nuid = [{stranger}]\nrole = \"approver\"\n\
         [clients.cat]\nuid = [{owner}]\nexe = [\"/usr/bin/cat\"]\n{RULES}{rules}"
    )
}
