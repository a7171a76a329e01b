//! The words of `ward config`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Of `ward config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting, its value, and where that comes from; needs no daemon
    Show(ConfigShowArguments),
    /// Look for mistakes in ward.toml of the root, or in FILE; needs no daemon
    Validate(ConfigValidateArguments),
}

/// Of `ward config show`.
#[derive(Debug, Args)]
#[command(after_help = "\
A flag counts more than the environment, that more than ward.toml of the root.")]
pub(crate) struct ConfigShowArguments {
    /// Print every setting with its default, commented, to begin a ward.toml with
    #[arg(long)]
    pub(crate) template: bool,
}

/// Of `ward config validate`.
#[derive(Debug, Args)]
pub(crate) struct ConfigValidateArguments {
    /// A file in place of ward.toml of the root
    pub(crate) file: Option<PathBuf>,
}
