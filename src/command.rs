//! The words of the command line, from which the help comes.

mod approval;
mod audit;
mod config;
mod help;
mod import;
mod late;
mod pipe;
mod policy;
mod secrets;
mod shown;
mod vault;

pub(crate) use approval::*;
pub(crate) use audit::*;
pub(crate) use config::*;
pub(crate) use help::*;
pub(crate) use import::*;
pub(crate) use late::Late;
pub(crate) use pipe::*;
pub(crate) use policy::*;
pub(crate) use secrets::*;
pub(crate) use shown::*;
pub(crate) use vault::*;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Secrets as files: each open is decided when it happens.
#[derive(Debug, Parser)]
#[command(name = "ward", version, max_term_width = 100)]
#[command(disable_help_subcommand = true, infer_subcommands = true)]
pub(crate) struct Arguments {
    /// The root: the directory with vaults, policy and log. Otherwise `WARD_ROOT`, or
    /// /var/lib/ward for root and ~/.local/state/ward for others
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) root: Option<PathBuf>,
    /// A ward.toml or .gloves.toml that says where the root is, and nothing more
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Act under NAME: as that client of the policy and by its rules alone, or else with NAME in the log.
    /// Otherwise `WARD_AGENT`
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Answer with one JSON object on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The same as --json, or nothing
    #[arg(long, global = true, value_name = "FORM")]
    pub(crate) error_format: Option<ErrorFormat>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How trouble is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ErrorFormat {
    /// For people.
    Text,
    /// As `--json` tells it.
    Json,
}

/// Everything `ward` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a root with a vault, a policy and a log
    Init(InitArguments),
    /// Start, stop or look at the daemon; with --bind, serve clients over TCP on loopback
    Daemon(DaemonArguments),
    /// Store a secret
    Set(SetArguments),
    /// Show a secret
    Get(GetArguments),
    /// List names, or with --pending the requests that wait for an answer
    #[command(visible_alias = "ls")]
    List(ListArguments),
    /// Destroy every version of a secret
    Revoke(SecretArguments),
    /// Show the versions of a secret that can be restored, of a removed one too
    History(SecretArguments),
    /// Make an older version current again, or bring a removed secret back
    Restore(RestoreArguments),
    /// The same commands about secrets, in a group
    #[command(subcommand)]
    Secrets(Late<SecretsCommand>),
    /// Ask a human ahead of an open
    Request(RequestArguments),
    /// Answer a request with yes
    Approve(ApproveArguments),
    /// Answer a request with no
    Deny(DenyArguments),
    /// Set the passphrase with which you answer requests of your own uid, or change it
    ApprovalPassphrase(ApprovalPassphraseArguments),
    /// Look at the requests that wait, as they come, and answer them by a key
    Watch(SigningArguments),
    /// List the requests that wait, answer one, or walk through them
    #[command(subcommand, visible_alias = "req")]
    Requests(Late<RequestsCommand>),
    /// List what approvals gave, or take it back
    #[command(subcommand)]
    Grants(Late<GrantsCommand>),
    /// Print a line for a shell that puts a secret into a variable, without the secret
    Env(EnvArguments),
    /// Show what a client of the policy may do
    #[command(subcommand)]
    Access(Late<AccessCommand>),
    /// Check that the log and every vault are whole; deletes nothing
    Verify,
    /// Import secrets of other programs; says what would come until told --apply
    #[command(subcommand)]
    Import(Late<ImportCommand>),
    /// Make or show the key that `pass init` takes
    #[command(subcommand)]
    Gpg(Late<GpgCommand>),
    /// Ask the policy, without doing anything: exits with 0 allow, 3 deny, 4 approve
    Check(CheckArguments),
    /// Ask the policy about several things at once, without doing them; exits as the worst of them does
    Plan(PlanArguments),
    /// Say why it was decided so, of an entry of the log; or what the code of an error means
    Explain(ExplainArguments),
    /// Run a command as an agent: it and all it starts carry the agent's name
    Run(RunArguments),
    /// Become a command that stands still for its parent before its first instruction
    #[command(hide = true)]
    Held(HeldArguments),
    /// Show the daemon, its mounts, agents, requests, leases and last refusals
    Status(StatusArguments),
    /// Show what the daemon attests about this very process
    Whoami,
    /// Say what of this machine, root and daemon weakens the protection, and what to do
    Doctor,
    /// Make, mount, unmount and look at vaults
    #[command(subcommand)]
    Vault(Late<VaultCommand>),
    /// Show the log, or check that it is whole
    Audit(Box<AuditArguments>),
    /// Check the policy, or show its risks
    #[command(subcommand)]
    Policy(Late<PolicyCommand>),
    /// Show the settings of the root, or look for mistakes in them
    #[command(subcommand)]
    Config(Late<ConfigCommand>),
    /// Show help about a topic or a command
    Help(HelpArguments),
    /// Make pages for man(1), and completions of shells
    #[command(subcommand)]
    Generate(Late<GenerateCommand>),
}

/// Of `ward init`.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Make a system root that USER owns and no agent can reach (run as root)
    #[arg(long = "for", value_name = "USER")]
    pub(crate) owner: Option<String>,
    /// The key of the vault `default`.
    #[command(flatten)]
    pub(crate) slot: SlotArguments,
    /// Set a passphrase, asked for twice, with which you can answer requests of your own uid
    #[arg(long, conflicts_with = "approval_passphrase_file")]
    pub(crate) approval_passphrase: bool,
    /// The same, from FILE, less one final newline
    #[arg(long, value_name = "FILE")]
    pub(crate) approval_passphrase_file: Option<PathBuf>,
}

/// How a new vault is unlocked; by a key file in the root when nothing is said.
#[derive(Debug, Args)]
pub(crate) struct SlotArguments {
    /// What unlocks the vault: a key file in the root, or a passphrase, asked for twice
    #[arg(long, value_name = "SLOT", conflicts_with = "passphrase_file")]
    pub(crate) slot: Option<SlotWord>,
    /// The same as `--slot passphrase`
    #[arg(long, conflicts_with_all = ["slot", "passphrase_file"])]
    pub(crate) passphrase: bool,
    /// Lock the vault with the passphrase in FILE, less one final newline
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// What unlocks a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlotWord {
    /// A key file in the root; nobody is asked.
    Keyfile,
    /// A passphrase.
    Passphrase,
}

/// How a locked vault is unlocked when a command meets one.
#[derive(Clone, Debug, Args)]
pub(crate) struct UnlockArguments {
    /// Unlock a locked vault with the passphrase in FILE, less one final newline; otherwise the
    /// terminal is asked
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Of `ward daemon`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct DaemonArguments {
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) command: Option<DaemonCommand>,
    /// Or where to serve.
    #[command(flatten)]
    pub(crate) sidecar: SidecarArguments,
}

/// Of `ward daemon`.
#[derive(Debug, Subcommand)]
pub(crate) enum DaemonCommand {
    /// Start the daemon of the root; commands do so by themselves
    Start(StartArguments),
    /// End every mount and the daemon
    Stop,
    /// Say whether the daemon runs
    Status,
}

/// Of `ward daemon start`.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// Become the daemon instead of starting one
    #[arg(long)]
    pub(crate) foreground: bool,
    /// Begin a new session and close inherited descriptors first
    #[arg(long, requires = "foreground", hide = true)]
    pub(crate) detached: bool,
}

/// Of `ward set`.
#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// The secret: PATH or VAULT:PATH
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Where the value comes from.
    #[command(flatten)]
    pub(crate) source: ValueSource,
    /// Of how many characters a generated value is, 8 to 4096
    #[arg(long, value_name = "N", default_value_t = 32)]
    #[arg(conflicts_with_all = ["stdin", "value"])]
    pub(crate) length: u32,
    /// Of which characters: letters, digits, - and _ (6 bits each), letters and digits (5.9), 0-9a-f
    /// (4), digits (3.3), or all that ASCII prints without the blank (6.5)
    #[arg(long, value_name = "CHARSET", value_enum, default_value_t)]
    #[arg(conflicts_with_all = ["stdin", "value"])]
    pub(crate) charset: CharsetWord,
    /// How long it is served: whole days, a time such as 12h, or never; otherwise `WARD_SECRET_TTL`, or
    /// as ward.toml of the root says, or never. From then on every open of it fails, until it is
    /// replaced or revoked
    #[arg(long, value_name = "DAYS|TIME|never")]
    pub(crate) ttl: Option<String>,
    /// Take the place of the value that is there, which is kept as an older version
    #[arg(long)]
    pub(crate) replace: bool,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Characters of a generated value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CharsetWord {
    /// Letters, digits, - and _.
    #[default]
    Url,
    /// Letters and digits.
    Alphanumeric,
    /// 0-9 and a-f.
    Hex,
    /// 0-9.
    Digits,
    /// All that ASCII prints, without the blank.
    Printable,
}

/// Where a value comes from: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ValueSource {
    /// Let the daemon make one, of 32 characters unless --length says otherwise; nobody sees it
    #[arg(long)]
    pub(crate) generate: bool,
    /// Read it from stdin, to the last byte
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Take V. Every user can see it in /proc while the command runs: prefer --stdin
    #[arg(long, value_name = "V", allow_hyphen_values = true)]
    pub(crate) value: Option<SecretArgument>,
}

/// A secret among the arguments; never shown, and this copy is wiped.
#[derive(Clone)]
pub(crate) struct SecretArgument(pub(crate) Zeroizing<String>);

/// Of `ward get`.
#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    /// The secret: PATH or VAULT:PATH
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Write the bytes as they are: to a terminal, elsewhere only where [pipe] of ward.toml allows it
    #[arg(long)]
    pub(crate) raw: bool,
    /// What gets it.
    #[command(flatten)]
    pub(crate) pipe: PipeArguments,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward list`.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// The vault; `default` when absent
    #[arg(conflicts_with = "pending")]
    pub(crate) vault: Option<String>,
    /// List the requests that wait for an answer
    #[arg(long, conflicts_with = "long")]
    pub(crate) pending: bool,
    /// Say how many versions are kept and who wrote the last one, too
    #[arg(long, short)]
    pub(crate) long: bool,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of commands about one secret.
#[derive(Debug, Args)]
pub(crate) struct SecretArguments {
    /// The secret: PATH or VAULT:PATH
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The secret: PATH or VAULT:PATH
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Which version, by its number in `ward history`; otherwise the one before the current one, or
    /// of a removed secret the last one
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<u64>,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward request`.
#[derive(Debug, Args)]
pub(crate) struct RequestArguments {
    /// The secret: PATH or VAULT:PATH
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Why, for the human who answers
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// The piece of work it is for
    #[arg(long, value_name = "T")]
    pub(crate) ticket: Option<String>,
    /// Ask to write, too; otherwise only to read
    #[arg(long)]
    pub(crate) write: bool,
}

/// Of `ward status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Ends with 12 when the log takes no records, with 10 when the log or a vault is damaged, else with 0.")]
pub(crate) struct StatusArguments {
    /// Only a secret, PATH or VAULT:PATH: how it stands for you
    #[arg(value_name = "NAME", conflicts_with = "metrics")]
    pub(crate) name: Option<String>,
    /// Print counts, times of the steps of opens and reads, and states, as Prometheus takes them
    #[arg(long)]
    pub(crate) metrics: bool,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The operation, several joined by +
    #[arg(value_name = "OP")]
    pub(crate) operation: String,
    /// What it would be done to: PATH or VAULT:PATH, for vault.* a vault, for agent.run a name
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// With this ticket
    #[arg(long, value_name = "T")]
    pub(crate) ticket: Option<String>,
}

/// Of `ward plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
A plan is TOML. Each step is what `ward check` takes:

[[step]]
op = \"file.read\"
target = \"db/password\"

[[step]]
op = \"vault.mount\"
target = \"work\"
ticket = \"OPS-1\"")]
pub(crate) struct PlanArguments {
    /// A file of steps
    pub(crate) file: PathBuf,
}

/// Of `ward explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The number of an entry, from `ward audit show`; or the code of an error, such as E200
    #[arg(value_name = "SEQ|CODE")]
    pub(crate) subject: String,
}

/// Of `ward run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Rules of the policy with session = \"claude\" are then for this command and whatever it starts,
also what leaves its terminal or its parent. It ends when nothing of it is left, with the exit code
of the command, or 128 and the number of the signal that ended it. Ending `ward run` ends all of it.")]
pub(crate) struct RunArguments {
    /// The agent: a name that the policy lets you take (operation agent.run, the name as its path)
    #[arg(id = "session", long = "agent", value_name = "NAME")]
    pub(crate) agent: String,
    /// Have CMD read a sealed copy of this script, which the policy knows by its hash: FILE must be a
    /// word of CMD, as in `--script a.py -- python3 -I a.py`
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<OsString>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// Of `ward held`.
#[derive(Debug, Args)]
pub(crate) struct HeldArguments {
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

impl FromStr for SecretArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for SecretArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretArgument(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_of_the_command_line_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_secret_among_the_arguments_is_never_shown() {
        let arguments = Arguments::try_parse_from(["ward", "set", "a", "--value", "hunter2"]);
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }
}
