//! The policy a new root begins with: its owner may do everything, nobody else anything.

use crate::{Operation, UserId};

/// For whom a root is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootKind {
    /// One person's own: daemon, root and agents share a uid.
    Private,
    /// Belongs to no agent: the layout that protects.
    System,
}

/// The commented text of `policy.toml` for a new root of `owner`.
pub fn default_policy(owner: UserId, kind: RootKind) -> String {
    let approval = match kind {
        RootKind::Private => PRIVATE_APPROVAL,
        RootKind::System => SYSTEM_APPROVAL,
    };
    let operations: String = Operation::ALL.iter().map(|operation| line_of(*operation)).collect();
    let UserId(uid) = owner;
    format!(
        "{HEAD}{approval}{OPERATIONS}{operations}\n{CLIENTS}[clients.owner]\nuid = [{uid}]\n\
         role = \"approver\"\n{EXAMPLE_CLIENTS}{RULES}"
    )
}

fn line_of(operation: Operation) -> String {
    let risk = operation.risk();
    let key = format!("\"{operation}\"");
    format!("{key:<22} = \"{risk}\"\n")
}

const HEAD: &str = r##"# Who may do what with which secret of this root.
#
# What no rule allows is denied. After a change run `ward policy check`: a file with a mistake
# is refused whole, with line and column, and the running policy stays.
# Lines that begin with # and no space are examples: remove the # to use them.

version = 1

[defaults]
# How long one approval lasts (at most "1h"), and how long an open waits for one (at most "60s").
lease = "10m"
hold = "15s"
# What an answer takes: "local" is the approver's own terminal, "signed" a signature over the
# request, "hardware" a signature with a touch. { all = [..] } takes each of them.
factors = { any = ["local"] }
# For the hours of `when`: "UTC", or a zone such as "Europe/Berlin".
timezone = "UTC"
# Guards. At most so many opens of one client within that time, and after ten denials none for a while;
# what is graded "restricted" or "critical" adds points, takes a human from 30 on, and ends at 75.
#rate = { max = 600, per = "1m", breaker = 10, within = "1m", cooldown = "5m" }
#risk = { window = "1h", escalate = 30, deny = 75 }

[approval]
"##;

const PRIVATE_APPROVAL: &str = r##"# This root is private: you, your agents and the daemon are one user, so your own yes counts.
# It guards against mistakes and leaves a log; it does not stop a hostile program of yours.
same_user = "allow"

"##;

const SYSTEM_APPROVAL: &str = r##"# Who asks cannot answer: a yes comes from another user than the one who asked. What the owner
# himself must be asked about (`ward vault accept-restore`) takes a second approver: see clients.admin.
same_user = "deny"

"##;

const OPERATIONS: &str = r##"[audit]
# "durable": an open succeeds only once its record is on disk. "written" is faster and may lose
# the last records in a power cut.
opens = "durable"
# "sealed": the log shows the names of secrets only with its key. "clear" shows them.
names = "sealed"
# keep = "400d" deletes segments of the log that ended longer ago; without it they are kept for ever.

# Every operation and its risk. One that is not listed here is denied to everybody.
[ops]
"##;

const CLIENTS: &str = r##"# Clients: facts the kernel attests. All facts of a client must hold; a list means any of it.
# Facts: uid, gid, group, loginuid, exe, sha256, script, ancestor, cgroup, unit, container,
# session (the name of an agent, "*" for any), tty; `ward whoami` shows those of whoever asks. `grade` is the
# least grade accepted, and role = "approver" lets a client answer requests.
"##;

const EXAMPLE_CLIENTS: &str = r##"
# A second approver, here root: answers requests and may do nothing else.
#[clients.admin]
#uid = [0]
#role = "approver"

# A program by its path, and surer by its hash too (sha256sum).
#[clients.deploy]
#exe = "/usr/local/bin/deploy"
#grade = "verified"

# An agent, by the name that `ward run --agent claude -- CMD` was allowed to take for CMD and all
# it starts.
#[clients.claude]
#session = "claude"

# Who may start that agent beside the owner.
#[clients.worker]
#uid = [1001]

# A target gives secrets a name; "restricted" and "critical" never take the asker's own yes.
#[targets.production]
#path = ["prod/**"]
#sensitivity = "critical"

"##;

const RULES: &str = r##"# Rules: of those that match, the highest `priority` counts (0 unless given), and in it deny
# wins over approve, and approve over allow. Their order does not matter.
# In `path`, * and ? stay inside one folder, ** crosses folders, and VAULT: names one vault.
# Alone, ["*"] is anything at all.
[[rule]]
name = "owner-works"
clients = ["owner"]
ops = ["*"]
path = ["*"]
decide = "allow"

# Let one program read one secret.
#[[rule]]
#name = "deploy-reads-its-token"
#clients = ["deploy"]
#ops = ["file.list", "file.read"]
#path = ["ci/deploy-token"]
#decide = "allow"

# Let another user start an agent under one name and no other: the name is the path.
#[[rule]]
#name = "worker-starts-claude"
#clients = ["worker"]
#ops = ["agent.run"]
#path = ["claude"]
#decide = "allow"

# Let that agent, whoever started it, read what it needs.
#[[rule]]
#name = "claude-reads-its-token"
#clients = ["claude"]
#ops = ["file.list", "file.read"]
#path = ["claude/*"]
#decide = "allow"

# Let the program read more, but only after a human said yes. The higher priority makes this count
# also when the owner runs it. (`when = ["Mon-Fri 08:00-18:00"]` limits a rule to hours; outside them
# the other rules decide.)
#[[rule]]
#name = "production-asks"
#clients = ["deploy"]
#ops = ["file.read"]
#targets = ["production"]
#priority = 1
#decide = "approve"
#approve = { require = "first_use", lease = "15m", by = ["owner"] }

# Keep some secrets from everybody, the owner included.
#[[rule]]
#name = "root-keys-never"
#clients = ["*"]
#ops = ["file.*"]
#path = ["**/root-ca*"]
#priority = 2
#decide = "deny"
#reason = "root keys never leave the vault"
"##;
