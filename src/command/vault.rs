//! The words of `ward vault`.

use super::{SlotArguments, UnlockArguments};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Of `ward vault`.
#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Make a vault
    Init(VaultInitArguments),
    /// Show a vault as files in a directory, for a time
    Mount(MountArguments),
    /// End the mount of a vault
    Unmount(VaultArguments),
    /// List the vaults
    List,
    /// Show the state of a vault
    Status(VaultArguments),
    /// Read all of a vault and name what is not as it was written; needs no daemon
    Fsck(FsckArguments),
}

/// Of `ward vault fsck`.
#[derive(Debug, Args)]
pub(crate) struct FsckArguments {
    /// The vault
    #[arg(value_name = "NAME")]
    pub(crate) vault: String,
    /// Its passphrase, when it has no key file.
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
    /// or /run/ward/NAME for root
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// How long, such as 45m or 1h 30m
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) ttl: String,
    /// Refuse every change through this mount
    #[arg(long)]
    pub(crate) read_only: bool,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}
