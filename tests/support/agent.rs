//! Agents: persons whom `ward run` gives a name.

use super::person::Person;
use super::root::Root;
use super::stage::{HOLD, Stage};
use super::users::OWNER;
use super::ward::WARD;
use serde_json::Value;

/// The owner may start `claude` and `codex`, who read what is theirs, and `asked` after a yes.
pub(crate) const RULES: &str = r#"
[clients.claude]
session = "claude"

[clients.codex]
session = ["codex"]

[[rule]]
name = "owner-starts-agents"
clients = ["owner"]
ops = ["agent.run"]
path = ["claude", "codex"]
decide = "allow"

[[rule]]
name = "owner-asks-for-an-agent"
clients = ["owner"]
ops = ["agent.run"]
path = ["asked"]
decide = "approve"
approve = { require = "one_time", by = ["admin"] }

[[rule]]
name = "claude-reads"
clients = ["claude"]
ops = ["file.list", "file.read"]
path = ["claude/**"]
decide = "allow"

[[rule]]
name = "codex-reads"
clients = ["codex"]
ops = ["file.list", "file.read"]
path = ["codex/**"]
decide = "allow"
"#;

/// A step that has a grandchild read `path`, which has left session and parent: what it read.
pub(crate) fn daemon_reads(path: &str) -> String {
    format!(
        "def daemon_reads():
    ours, theirs = os.pipe()
    middle = os.fork()
    if middle == 0:
        middle = os.getpid()
        os.setsid()
        if os.fork() == 0:
            while os.getppid() == middle:
                pass
            try:
                os.write(theirs, read({path:?}))
            except OSError as error:
                os.write(theirs, errno.errorcode[error.errno].encode())
            os._exit(0)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(theirs)
    with os.fdopen(ours) as said:
        return said.read()
"
    )
}

/// A stage with agents, on which two secrets are.
pub(crate) fn stage() -> Option<(Stage, String, String)> {
    let stage = Stage::with(HOLD, RULES)?;
    let claudes = stage.secret("claude/token", "one");
    let codexs = stage.secret("codex/token", "two");
    Some((stage, claudes, codexs))
}

/// What `ward run` takes to give a command the name.
pub(crate) fn words<'a>(root: &'a Root, name: &'a str) -> [&'a str; 7] {
    [WARD, "--root", root.path().to_str().unwrap(), "run", "--agent", name, "--"]
}

/// A process of the owner that `ward run` started as the agent. Its process number is that of
/// `ward run`.
pub(crate) fn agent(root: &Root, name: &str) -> Person {
    let mut agent = Person::started_by(&words(root, name), Some(OWNER));
    // Once it answers, its session has begun.
    agent.must("0");
    agent
}

/// The sessions that `ward status` lists.
pub(crate) fn sessions(root: &Root) -> Vec<Value> {
    let status = root.run(&["--json", "status"]).json();
    status["result"]["agents"].as_array().unwrap().clone()
}
