//! The words of `ward policy`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Of `ward policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Load FILE, or the policy of the root, and say what is wrong or odd about it
    Check(PolicyCheckArguments),
    /// Decide the cases of FILE.. by a policy; exits with 1 when one comes out otherwise
    Test(PolicyTestArguments),
    /// Say which rule decides, and what else would have to be true for others to
    Explain(PolicyExplainArguments),
    /// Say what differs between two policies: rules, clients, targets, defaults, operations
    Diff(PolicyDiffArguments),
    /// Say what a policy would have decided otherwise of what the log tells
    Replay(PolicyReplayArguments),
    /// Propose the smallest rules that allow what clients were seen to ask for; changes nothing
    Learn(PolicyLearnArguments),
    /// Print the policy that decides as one of another program does
    Import(PolicyImportArguments),
    /// Print a policy to begin with, or what a tool needs in one; or the names of all there are
    Template(PolicyTemplateArguments),
    /// Lay a policy out: one order, one form, and every comment where it was
    Fmt(PolicyFmtArguments),
    /// Have the daemon take the policy of the root as it is in the file now, and say what that changes
    Reload,
    /// Show the risk class of each operation, and what it comes to by the sensitivity of a target
    Risk,
}

/// Of `ward policy test`.
#[derive(Debug, Args)]
#[command(after_help = "\
A file of cases is TOML. What `expect` leaves out is not looked at.

policy = \"policy.toml\"                      # from where this file lies; --policy comes first

[[case]]
name = \"claude reads the environment of CI\"
caller = { uid = 1000, exe = \"/usr/bin/claude\", session = \"claude\", grade = \"verified\" }
ask = { operations = [\"file.read\"], vault = \"default\", path = \"ci/app/env\", ticket = \"OPS-1\" }
time = \"Wed 12:00\"                          # or a moment, as 2026-01-31T12:00:00Z
expect = { decision = \"permitted\", rules = [\"ci-env\"] }

A caller may have gid, groups, loginuid, sha256, script = { path, sha256 }, cgroup, tty and parents.
A decision is permitted, denied or \"needs approval\"; without operations a path is visible or hidden,
and a folder writable or closed. `expect` may also have denial, require, factors, lease, hold, by,
quorum, scope, sensitive and risk.")]
pub(crate) struct PolicyTestArguments {
    /// Files of cases
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The policy, instead of the one a file names
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<PathBuf>,
}

/// Of `ward policy check`.
#[derive(Debug, Args)]
pub(crate) struct PolicyCheckArguments {
    /// The file; the policy in force when absent
    pub(crate) file: Option<PathBuf>,
}

/// Of `ward policy explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
A described caller has the facts of a case of `ward policy test`. It is explained here, by the policy
file of the root or POLICY; a live process by the daemon. `ward explain` is for entries of the log.")]
pub(crate) struct PolicyExplainArguments {
    /// The operation, several joined by +
    #[arg(value_name = "OP")]
    pub(crate) operation: String,
    /// What it would be done to: PATH or VAULT:PATH, for vault.* a vault, for agent.run a name
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// With this ticket
    #[arg(long, value_name = "T")]
    pub(crate) ticket: Option<String>,
    /// Of this process; of this very `ward` when neither is given
    #[arg(long, value_name = "PID", conflicts_with = "caller")]
    pub(crate) pid: Option<u32>,
    /// Of a caller with these facts, in TOML
    #[arg(long, value_name = "FACTS")]
    pub(crate) caller: Option<String>,
    /// By this policy, instead of that of the root
    #[arg(long, value_name = "POLICY", requires = "caller")]
    pub(crate) policy: Option<PathBuf>,
    /// At this time: `Wed 12:00`, which is the default, or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", requires = "caller")]
    pub(crate) time: Option<String>,
}

/// Of `ward policy diff`.
#[derive(Debug, Args)]
pub(crate) struct PolicyDiffArguments {
    /// The older policy
    pub(crate) old: PathBuf,
    /// The newer policy
    pub(crate) new: PathBuf,
}

/// Of `ward policy fmt`.
#[derive(Debug, Args)]
pub(crate) struct PolicyFmtArguments {
    /// The file; that of the root when absent
    pub(crate) file: Option<PathBuf>,
    /// Write nothing: exits with 1 when it is in another form
    #[arg(long)]
    pub(crate) check: bool,
}

/// Of `ward policy replay`.
#[derive(Debug, Args)]
pub(crate) struct PolicyReplayArguments {
    /// The policy to ask
    pub(crate) policy: PathBuf,
    /// Only about what was at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only about what was at or before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

/// Of `ward policy learn`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is let through that the policy refuses, and nothing is applied: read the proposal, add what you
want of it to the policy, try that with `ward policy replay`, and have it taken with `ward policy reload`.")]
pub(crate) struct PolicyLearnArguments {
    /// How far to look back, such as 12h or 1d
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) span: String,
    /// A client of the policy; several when given again
    #[arg(long = "client", value_name = "NAME", required = true)]
    pub(crate) clients: Vec<String>,
    /// Propose rules for what the policy allows already, too
    #[arg(long)]
    pub(crate) all: bool,
    /// The policy that has the clients; that of the root when absent
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<PathBuf>,
}

/// Of `ward policy import`.
#[derive(Debug, Args)]
#[command(after_help = "\
An agent of the other program becomes the session of ward run --agent, unless --user names its uid. Comments
of the policy say where each rule comes from, and what was left out and why.")]
pub(crate) struct PolicyImportArguments {
    /// From where.
    #[command(flatten)]
    pub(crate) from: ImportSource,
    /// The vault that its secrets lie in
    #[arg(long, value_name = "VAULT", default_value = "default")]
    pub(crate) vault: String,
    /// A caller there that is a user here, not an agent; may be given again
    #[arg(long = "user", value_name = "NAME=UID")]
    pub(crate) users: Vec<String>,
    /// Who answers requests; you when absent
    #[arg(long, value_name = "UID")]
    pub(crate) approver: Option<u32>,
    /// The operation that an action of agent-safe is; those named like one, with - for ., need none
    #[arg(long = "action", value_name = "ACTION=OPERATION", conflicts_with = "gloves")]
    pub(crate) actions: Vec<String>,
    /// The agents that hold a role of agent-safe
    #[arg(long = "role", value_name = "ROLE=AGENT,..", conflicts_with = "gloves")]
    pub(crate) roles: Vec<String>,
    /// The agents in a group of agent-safe
    #[arg(long = "group", value_name = "GROUP=AGENT,..", conflicts_with = "gloves")]
    pub(crate) groups: Vec<String>,
}

/// What is imported: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ImportSource {
    /// The ACL of a .gloves.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) gloves: Option<PathBuf>,
    /// A folder of agent-safe, with actions, policies and inventory.yaml
    #[arg(long, value_name = "DIR")]
    pub(crate) agent_safe: Option<PathBuf>,
}

/// Of `ward policy template`.
#[derive(Debug, Args)]
pub(crate) struct PolicyTemplateArguments {
    /// laptop, agent-host or ci; or a tool, such as ssh
    pub(crate) name: Option<String>,
    /// Add what the tool needs to this policy, which keeps all that it has
    #[arg(long, value_name = "FILE", requires = "name")]
    pub(crate) into: Option<PathBuf>,
}
