//! `ward run`: a command in a session of its own, all of which carries an agent's name.

use crate::agent_tree::AgentTree;
use crate::client::Client;
use crate::command::RunArguments;
use crate::exit_code::ExitCode;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::path::Path;
use std::process::{Command, Stdio};
use ward_mountd::control::message::{self, AgentBegun};

/// Runs it to the end of all that it started.
pub(crate) fn run(arguments: &RunArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    let mut client = match Client::running(&settings.root)? {
        Some(client) => client,
        None => {
            start_apart(&settings.root);
            Client::connect(settings)?
        }
    };
    let tree = AgentTree::prepare()?;
    let command = message::Command::AgentRun { agent: arguments.agent.clone() };
    let AgentBegun { .. } = client.ask(command)?;
    // The daemon vouches from here on for whatever we start.
    drop(client);
    tree.run(&arguments.command)
}

/// Has another process start the daemon, so that it is none of the session.
fn start_apart(root: &Path) {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--root").arg(root).args(["daemon", "start"]);
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Who connects next says why there is none.
    drop(silent.status());
}
