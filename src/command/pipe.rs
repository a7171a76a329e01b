//! Words about where a secret goes.

use clap::Args;

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
