//! The words of `ward help` and `ward generate`.

use clap::{Args, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Of `ward help`.
#[derive(Debug, Args)]
pub(crate) struct HelpArguments {
    /// A topic, or the words of a command
    #[arg(value_name = "TOPIC|COMMAND")]
    pub(crate) words: Vec<String>,
}

/// Of `ward generate`.
#[derive(Debug, Subcommand)]
pub(crate) enum GenerateCommand {
    /// Write a page for man(1) of each command into DIR
    Man(ManArguments),
    /// Print what a shell needs to complete the words of commands
    Completions(CompletionsArguments),
}

/// Of `ward generate man`.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// A directory, which is made if missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// Of `ward generate completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}
