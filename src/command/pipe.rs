//! Words about where a secret goes: to commands, and to clients over TCP.

use clap::Args;
use std::path::PathBuf;

/// Of `ward daemon --bind`.
#[derive(Debug, Args)]
pub(crate) struct SidecarArguments {
    /// Serve commands as JSON lines over TCP until this is ended: an address of loopback, such as
    /// 127.0.0.1:7788
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<String>,
    /// Only see whether it could be served there
    #[arg(long, requires = "bind")]
    pub(crate) check: bool,
    /// Clients must show the token in FILE, which only you can read
    #[arg(long, value_name = "FILE", requires = "bind")]
    pub(crate) token_file: Option<PathBuf>,
}

/// A command that gets the secret; at most one.
#[derive(Debug, Args)]
#[group(multiple = false, conflicts_with = "raw")]
pub(crate) struct PipeArguments {
    /// Start the program CMD with the secret on its standard input
    #[arg(long, value_name = "CMD")]
    pub(crate) pipe_to: Option<String>,
    /// Run this command line, no shell, with {secret} in its words replaced. Every user can see it in
    /// /proc while it runs: prefer the others
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) pipe_to_args: Option<String>,
    /// Run this command line, no shell, with {file} in its words replaced by the path of the secret in a
    /// mount, which ends with it. The policy decides whether the program may read it
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) pipe_to_file: Option<String>,
}

/// The same, of which one was given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PipeArgument<'a> {
    /// A program.
    Stdin(&'a str),
    /// A template with the secret.
    Arguments(&'a str),
    /// A template with its path.
    File(&'a str),
}

impl PipeArguments {
    /// The one that was given.
    pub(crate) fn given(&self) -> Option<PipeArgument<'_>> {
        let Self { pipe_to, pipe_to_args, pipe_to_file } = self;
        let stdin = pipe_to.as_deref().map(PipeArgument::Stdin);
        let arguments = || pipe_to_args.as_deref().map(PipeArgument::Arguments);
        stdin.or_else(arguments).or_else(|| pipe_to_file.as_deref().map(PipeArgument::File))
    }
}
