//! The words of `ward import` and `ward gpg`.

use super::UnlockArguments;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Of `ward import`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Import the secrets and vaults of a root of gloves, with its ACL as a policy to be read
    Gloves(ImportGlovesArguments),
    /// Import the entries of a password store of pass
    Pass(ImportPassArguments),
    /// Import the variables of a file of KEY=value lines
    Dotenv(ImportDotenvArguments),
}

/// Where secrets go, and whether they do.
#[derive(Debug, Args)]
pub(crate) struct IntoArguments {
    /// The vault they go into
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) vault: String,
    /// The folder in it
    #[arg(long, value_name = "PATH")]
    pub(crate) at: Option<String>,
    /// Import, instead of only saying what would be
    #[arg(long)]
    pub(crate) apply: bool,
    /// Take the place of secrets that are there, whose versions are kept
    #[arg(long)]
    pub(crate) replace: bool,
    /// How to unlock.
    #[command(flatten)]
    pub(crate) unlock: UnlockArguments,
}

/// Of `ward import gloves`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing of the source is changed. Values are decrypted by the program age, with the keys that lie in
the root; vaults are shown by gocryptfs, if it is installed, and copied into vaults of their names. The
.gloves.toml comes as lines for policy.toml and ward.toml, which count when you have put them there.
Requests are bound to identities that nothing attests, so they are listed and not taken over.")]
pub(crate) struct ImportGlovesArguments {
    /// The root, which has the folders store and meta
    #[arg(value_name = "ROOT")]
    pub(crate) source: PathBuf,
    /// The .gloves.toml with its ACL; otherwise the one in the root, or above it and naming it
    #[arg(long, value_name = "FILE")]
    pub(crate) acl: Option<PathBuf>,
    /// Where they go.
    #[command(flatten)]
    pub(crate) into: IntoArguments,
}

/// Of `ward import pass`.
#[derive(Debug, Args)]
#[command(after_help = "\
Entries are decrypted by gpg, as you. To have them shown and not copied, see [sources.pass] of
ward.toml: ward config show --template.")]
pub(crate) struct ImportPassArguments {
    /// The password store; otherwise `PASSWORD_STORE_DIR`, or ~/.password-store
    #[arg(value_name = "STORE")]
    pub(crate) source: Option<PathBuf>,
    /// Where they go.
    #[command(flatten)]
    pub(crate) into: IntoArguments,
}

/// Of `ward import dotenv`.
#[derive(Debug, Args)]
pub(crate) struct ImportDotenvArguments {
    /// The file; each variable becomes the secret PATH/KEY
    #[arg(value_name = "FILE")]
    pub(crate) source: PathBuf,
    /// Where they go.
    #[command(flatten)]
    pub(crate) into: IntoArguments,
}

/// Of `ward gpg`.
#[derive(Debug, Subcommand)]
pub(crate) enum GpgCommand {
    /// Make a key for `pass init`, or find the one that was made
    Create(GpgCreateArguments),
    /// Show the fingerprint of that key, which `pass init` takes
    Fingerprint(GpgKeyArguments),
}

/// Whose key, and where.
#[derive(Debug, Args)]
pub(crate) struct GpgKeyArguments {
    /// Whose key it is: a name; otherwise that of --agent, or of your user
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The home of gpg; otherwise yours, as gpg finds it
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
}

/// Of `ward gpg create`.
#[derive(Debug, Args)]
#[command(after_help = "\
The key is what `pass init FINGERPRINT` takes: the store that it opens can be shown as files of a vault,
see [sources.pass] of ward.toml. Nothing else of ward uses it.")]
pub(crate) struct GpgCreateArguments {
    /// Which key.
    #[command(flatten)]
    pub(crate) key: GpgKeyArguments,
    /// Protect the key by nothing but the mode of its files; otherwise gpg asks for a passphrase on
    /// the terminal
    #[arg(long)]
    pub(crate) no_passphrase: bool,
}
