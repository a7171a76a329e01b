//! `ward run`: a command in a session of its own, all of which carries an agent's name. Of an interpreter
//! the daemon knows the script, too.

use crate::agent_command::{AgentCommand, seal};
use crate::agent_tree::AgentTree;
use crate::client::Client;
use crate::command::RunArguments;
use crate::exit_code::ExitCode;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::path::Path;
use std::process::{Command, Stdio};
use ward_mountd::control::message::{self, AgentBegun, ScriptPinned};

/// Runs it to the end of all that it started.
pub(crate) fn run(arguments: &RunArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    let mut client = match Client::running(settings)? {
        Some(client) => client,
        None => {
            start_apart(&settings.root);
            Client::connect(settings)?
        }
    };
    let mut words = arguments.command.clone();
    let script = arguments.script.as_deref();
    let copy = script.map(|script| seal(script, &mut words)).transpose()?;
    let tree = AgentTree::prepare()?;
    let command = message::Command::AgentRun { agent: arguments.agent.clone() };
    let AgentBegun { .. } = client.ask(command)?;
    // From here on we are within the session, which has a name of its own.
    client.act_as_ourselves();
    // The daemon vouches from here on for whatever we start.
    let process = match AgentCommand::start(&words, script.is_some())? {
        AgentCommand::Ended(code) => return Ok(ExitCode::OfCommand(code)),
        AgentCommand::Held(held) => {
            let pinned = client.ask(message::Command::AgentPin { pid: held.process() });
            match pinned {
                // Without a pin it is an interpreter like any other, unless it must have one.
                Err(trouble) if script.is_some() => {
                    held.end();
                    return Err(trouble);
                }
                Ok(ScriptPinned { .. }) | Err(_) => held.let_go()?,
            }
        }
        AgentCommand::Running(process) => process,
    };
    drop((client, copy));
    tree.look_after(process)
}

/// Has another process start the daemon, so that it is none of the session.
fn start_apart(root: &Path) {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--root").arg(root).args(["daemon", "start"]);
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Who connects next says why there is none.
    drop(silent.status());
}
