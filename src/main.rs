//! The command line `ward`: a thin client of the daemon (docs/cli-contract.md).
#![forbid(unsafe_code)]

mod agent_command;
mod agent_tree;
mod client;
mod command;
mod config_file;
mod daemon_start;
mod error_code;
mod exit_code;
mod help;
mod import;
mod output;
mod passphrase;
mod past;
mod picture;
mod pipe_variables;
mod policy_layout;
mod policy_text;
mod private_mount;
mod progress;
mod replaced;
mod run;
mod secret_reference;
mod settings;
mod signing;
mod templates;
mod tree_copy;
mod trouble;

use clap::FromArgMatches;

fn main() -> std::process::ExitCode {
    let matches = help::command().get_matches();
    let arguments = command::Arguments::from_arg_matches(&matches);
    let mut arguments = arguments.unwrap_or_else(|error| error.exit());
    arguments.agent = help::agent(&matches);
    let form = output::Form::of(&arguments);
    let done = settings::Settings::read(&arguments)
        .and_then(|settings| run::run(arguments.command, &settings));
    let exit = done.unwrap_or_else(|trouble| output::complain(form, &trouble));
    if is_called_gloves() { exit.coarse().into() } else { exit.into() }
}

/// Whether it runs under the name of the program whose scripts know three ends.
fn is_called_gloves() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| std::path::Path::new(&name).ends_with("gloves"))
}
