//! The words of `ward vault`.

use super::{SlotArguments, UnlockArguments};
use clap::{Args, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Of `ward vault`.
#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Make a vault
    Init(VaultInitArguments),
    /// Show a vault as files in a directory, for a time
    Mount(MountArguments),
    /// Have the mount of a vault end later
    Extend(ExtendArguments),
    /// Run a command with a vault mounted: the mount that is there, or one that ends with the command
    Exec(ExecArguments),
    /// End the mount of a vault
    Unmount(VaultArguments),
    /// List the vaults
    List,
    /// Show the state of a vault, or of all
    Status(VaultStatusArguments),
    /// Ask who may read a file to hand it to you: says what to tell them
    AskFile(AskFileArguments),
    /// Read all of a vault and name what is not as it was written; needs no daemon
    Fsck(UnlockedVaultArguments),
    /// Copy everything in a vault that may be read into an empty directory
    Export(ExportArguments),
    /// Copy a directory, or what is in a gocryptfs volume, into a vault
    Import(ImportArguments),
    /// Say that an older copy of a vault was put back on purpose; takes a human's yes
    AcceptRestore(UnlockedVaultArguments),
    /// Show how much a vault holds, and how it is kept
    Info(UnlockedVaultArguments),
    /// Give the room of dead bytes back now
    Compact(UnlockedVaultArguments),
    /// List, add and remove what unlocks a vault
    #[command(subcommand)]
    Key(KeyCommand),
    /// Give the vault a new key: who kept an old header is shut out once all is rewritten
    Rekey(RekeyArguments),
    /// Copy the header with its key slots, or put a copy back
    #[command(subcommand)]
    Header(HeaderCommand),
}

/// Of `ward vault ask-file`.
#[derive(Debug, Args)]
#[command(after_help = "\
Whoever may hand the file out (operation handoff.grant of the policy) and read it answers: by
`ward approve ID`, or by writing approve or deny into .ward/inbox/ID of the mount. Then the file is in
.ward/handoff/ID, for this session alone, until its time is over.")]
pub(crate) struct AskFileArguments {
    /// The vault, which is mounted
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// The file: its path in the vault
    #[arg(long, value_name = "PATH")]
    pub(crate) file: String,
    /// Why, for who answers
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Ask only the agent, or the client of the policy, of that name
    #[arg(long, value_name = "ID")]
    pub(crate) trusted_agent: Option<String>,
    /// Who asks: the name of --agent, which it must be
    #[arg(long, value_name = "ID")]
    pub(crate) requester: Option<String>,
    /// The piece of work it is for
    #[arg(long, value_name = "T")]
    pub(crate) ticket: Option<String>,
    /// To open it N times and no more
    #[arg(long, value_name = "N")]
    pub(crate) uses: Option<u32>,
    /// For how long, such as 5m; otherwise for as long as the policy gives by default
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) time: Option<String>,
}

/// Of `ward vault export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// An empty directory; its last part is made if missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward vault import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// What to copy
    #[arg(value_name = "DIR", required_unless_present = "gocryptfs")]
    pub(crate) directory: Option<PathBuf>,
    /// Copy what is in the gocryptfs volume at DIR instead, by the gocryptfs that is installed
    #[arg(long, value_name = "DIR", conflicts_with = "directory")]
    pub(crate) gocryptfs: Option<PathBuf>,
    /// The passphrase of the volume is in FILE, less one final newline; otherwise the terminal is
    /// asked
    #[arg(long, value_name = "FILE", requires = "gocryptfs")]
    pub(crate) gocryptfs_passphrase_file: Option<PathBuf>,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward vault key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the key slots of a vault
    List(UnlockedVaultArguments),
    /// Add a key slot
    Add(KeyAddArguments),
    /// Remove a key slot; who kept an older header still opens the vault with it
    Remove(KeyRemoveArguments),
}

/// Of `ward vault key add`.
#[derive(Debug, Args)]
pub(crate) struct KeyAddArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// What opens the new slot: a passphrase, a key file in the root, or a code that is shown once
    #[arg(long, value_name = "SLOT")]
    pub(crate) slot: AddedSlotWord,
    /// The new passphrase is in FILE, less one final newline; otherwise the terminal is asked
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// What opens a new slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddedSlotWord {
    /// A passphrase.
    Passphrase,
    /// A key file in the root; nobody is asked.
    Keyfile,
    /// A code to be kept on paper.
    Recovery,
}

/// Of `ward vault key remove`.
#[derive(Debug, Args)]
pub(crate) struct KeyRemoveArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// The slot, by its number in `ward vault key list`
    #[arg(value_name = "SLOT")]
    pub(crate) slot: u32,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward vault rekey`.
#[derive(Debug, Args)]
pub(crate) struct RekeyArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// Take the key slot of this number away; may be given often
    #[arg(long, value_name = "SLOT")]
    pub(crate) remove: Vec<u32>,
    /// The passphrase or recovery code of a key slot is in FILE, less one final newline; may be given
    /// often. The terminal is asked for those that are missing
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Vec<PathBuf>,
}

/// Of `ward vault header`.
#[derive(Debug, Subcommand)]
pub(crate) enum HeaderCommand {
    /// Write a copy of the header to FILE; with it the slots of today open the vault for ever
    Backup(HeaderArguments),
    /// Put the copy in FILE back
    Restore(HeaderRestoreArguments),
}

/// Of `ward vault header backup`.
#[derive(Debug, Args)]
pub(crate) struct HeaderArguments {
    /// The copy
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The vault
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) vault: String,
}

/// Of `ward vault header restore`.
#[derive(Debug, Args)]
pub(crate) struct HeaderRestoreArguments {
    /// Which copy, of which vault.
    #[command(flatten)]
    pub(crate) header: HeaderArguments,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of commands about one vault that has to be unlocked.
#[derive(Debug, Args)]
pub(crate) struct UnlockedVaultArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of commands about one vault.
#[derive(Debug, Args)]
pub(crate) struct VaultArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
}

/// Of `ward vault status`.
#[derive(Debug, Args)]
pub(crate) struct VaultStatusArguments {
    /// The vault; otherwise all, as `ward vault list` shows them
    #[arg(value_name = "NAME")]
    pub(crate) vault: Option<String>,
}

/// Of `ward vault init`.
#[derive(Debug, Args)]
pub(crate) struct VaultInitArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// What it is for
    #[arg(long, value_name = "KIND", default_value = "secrets")]
    pub(crate) kind: KindWord,
    /// Whether an agent may mount it without a human's yes
    #[arg(long, value_name = "OWNER", default_value = "human")]
    pub(crate) owner: OwnerWord,
    /// Its key.
    #[command(flatten)]
    pub(crate) slot: SlotArguments,
}

/// What a vault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindWord {
    /// Secrets: nothing is cached, every read is recorded.
    Secrets,
    /// Bulk files: a whole file system, opens are recorded.
    Workspace,
}

/// Whose a vault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OwnerWord {
    /// Whoever the policy lets mount it needs no human.
    Agent,
    /// Who is no approver needs an approver's yes for each mount.
    Human,
}

/// Of `ward vault mount`.
#[derive(Debug, Args)]
pub(crate) struct MountArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// An empty directory; its last part is made if missing. Otherwise `$XDG_RUNTIME_DIR/ward/NAME`,
    /// ~/.ward/NAME where that is not set, or /run/ward/NAME for root
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// How long, such as 45m or 1h 30m; otherwise `WARD_TTL`, or as ward.toml of the root says, or 1h
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: Option<String>,
    /// End it before, when nobody opened, read or wrote a file in it for so long, such as 15m; `none`
    /// for never. Otherwise `WARD_IDLE`, or as ward.toml of the root says, or never
    #[arg(long, value_name = "TIME")]
    pub(crate) idle: Option<String>,
    /// Refuse every change through this mount
    #[arg(long)]
    pub(crate) read_only: bool,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward vault extend`.
#[derive(Debug, Args)]
pub(crate) struct ExtendArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// How long from now, such as 45m or 1h 30m
    #[arg(long, value_name = "TIME")]
    pub(crate) ttl: String,
}

/// Of `ward vault exec`.
#[derive(Debug, Args)]
#[command(after_help = "\
CMD finds the mount at the path in the variable WARD_MOUNT.")]
pub(crate) struct ExecArguments {
    /// Where and how long.
    #[command(flatten)]
    pub(crate) mount: MountArguments,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}
