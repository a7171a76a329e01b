//! `ward vault ask-file`: asks who may read a file to hand it out, and says what to tell them.

use crate::client::Client;
use crate::command::AskFileArguments;
use crate::output::{Report, escaped, user};
use crate::run::vault_mount::lifetime;
use crate::settings::Settings;
use crate::trouble::Trouble;
use std::fmt::Write as _;
use ward_mountd::control::message::{Command, HandoffRequested};

/// Asks.
pub(crate) fn run(
    arguments: AskFileArguments,
    settings: &Settings,
) -> Result<Report<HandoffRequested>, Trouble> {
    let AskFileArguments { vault, file, reason, trusted_agent, requester, ticket, uses, time } =
        arguments;
    if let Some(requester) = requester.filter(|it| Some(it) != settings.agent.as_ref()) {
        let message = format!("who asks is not {requester}: nobody asks in the name of another");
        return Err(Trouble::bad_input(message).next(format!("say --agent {requester}")));
    }
    let command = Command::VaultAskFile {
        vault,
        path: file,
        reason: reason.clone(),
        from: trusted_agent.clone(),
        ticket,
        uses,
        seconds: time.as_deref().map(lifetime).transpose()?,
    };
    let requested: HandoffRequested = Client::connect(settings)?.ask(command)?;
    let text = words(&requested, &reason, trusted_agent.as_deref(), &settings.program);
    Ok(Report::new(requested, text))
}

/// What to hand to the other agent.
fn words(asked: &HandoffRequested, reason: &str, trusted: Option<&str>, program: &str) -> String {
    let mut text = "Agent handoff request\n".to_owned();
    let mut say = |label: &str, words: &str| {
        // Writing into a string cannot fail.
        let _written = writeln!(text, "{label}: {words}");
    };
    let asker = &asked.asker;
    let agent = asker.acting.as_ref().or(asker.agent.as_ref());
    let agent = agent.map(|agent| format!(", agent {}", escaped(agent)));
    let uid = asker.uid;
    let requester = format!("{} (uid {uid}){}", user(uid), agent.unwrap_or_default());
    say("Vault", &escaped(&asked.vault).to_string());
    say("Requester", &requester);
    if let Some(trusted) = trusted {
        say("Trusted agent", &escaped(trusted).to_string());
    }
    say("Requested file", &escaped(&asked.path).to_string());
    say("Reason", &escaped(reason).to_string());
    let id = escaped(&asked.request);
    say("Request", &format!("{id}, until {}", escaped(&asked.expires)));
    let inbox = escaped(&asked.inbox);
    say("To hand it out", &format!("{program} approve {id}, or write approve into {inbox}"));
    say("To refuse", &format!("{program} deny {id} --reason TEXT, or write deny TEXT into it"));
    say("Then the requester reads", &escaped(&asked.file).to_string());
    text
}
