//! `ward watch`: the requests that wait, as they come, and their answers by a key.

mod queue;
mod screen;

use crate::client::Client;
use crate::command::SigningArguments;
use crate::exit_code::ExitCode;
use crate::output::{count, is_terminal};
use crate::run::evidence;
use crate::settings::Settings;
use crate::signing;
use crate::trouble::Trouble;
use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::time::{ClockId, clock_gettime};
use queue::{Answer, Queue, Yes};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io;
use std::path::Path;
use std::time::Duration;
use ward_mountd::control::message::{
    Approved, Command, Done, FailureCode, Passphrase, Pending, YesEvidence, YesTerms,
};

/// How often the countdowns are drawn anew.
const PERIOD: Duration = Duration::from_millis(250);

/// Something to act on.
enum Happened {
    /// What waits has changed.
    Queue(Pending),
    /// The daemon is gone, or says that we may not know.
    Over(Trouble),
    /// A key, or another size of the terminal.
    Terminal(Event),
    /// The terminal is gone.
    Gone(io::Error),
}

/// Shows them until somebody quits.
pub(crate) fn run(arguments: &SigningArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    if !is_terminal() {
        let message = "stdout is no terminal, and ward watch is a screen to look at";
        return Err(Trouble::bad_input(message).next("for programs: ward list --pending --json"));
    }
    let (tell, happened) = unbounded();
    let mut client = Client::connect(settings)?;
    let first: Pending = client.ask(Command::Watch {})?;
    let mut queue = Queue::new(settings.root.display().to_string(), settings.program.clone());
    queue.update(first, since_boot());
    follow(client, tell.clone());
    let mut terminal = ratatui::try_init().map_err(|error| no_terminal(&error))?;
    listen(tell);
    let key = arguments.key.as_deref();
    let ended = answer_keys(&mut terminal, &happened, &mut queue, (settings, key));
    ratatui::restore();
    ended.map(|()| ExitCode::Done)
}

/// Until somebody quits, or the daemon goes.
fn answer_keys(
    terminal: &mut DefaultTerminal,
    happened: &Receiver<Happened>,
    queue: &mut Queue,
    (settings, key_file): (&Settings, Option<&Path>),
) -> Result<(), Trouble> {
    loop {
        let drawn = terminal.draw(|frame| screen::draw(frame, queue, since_boot()));
        drawn.map_err(|error| no_terminal(&error))?;
        match happened.recv_timeout(PERIOD) {
            Ok(Happened::Queue(pending)) => queue.update(pending, since_boot()),
            Ok(Happened::Over(trouble)) => return Err(trouble),
            Ok(Happened::Gone(error)) => return Err(no_terminal(&error)),
            Ok(Happened::Terminal(Event::Key(key))) if key.kind == KeyEventKind::Press => {
                match queue.press(key, since_boot()) {
                    Some(Answer::Quit) => return Ok(()),
                    Some(answer) => queue.say(give(answer, settings, key_file)),
                    None => {}
                }
            }
            // Another size is drawn in the next round.
            Ok(Happened::Terminal(_)) | Err(_) => {}
        }
    }
}

/// Gives an answer over a connection of its own; what came of it, in a line.
fn give(answer: Answer, settings: &Settings, key_file: Option<&Path>) -> String {
    let client = Client::connect(settings);
    let said = client.and_then(|mut client| match answer {
        Answer::Quit => Ok(String::new()),
        Answer::Approve(request, yes) => {
            let evidence = match yes {
                Yes::Plain => None,
                Yes::Passphrase(typed) => {
                    Some(YesEvidence::Passphrase(Passphrase(typed.to_string())))
                }
                Yes::Signed => {
                    let wanted = evidence::binding(&mut client, &request)?;
                    Some(YesEvidence::Signature(signing::sign_silently(&wanted, key_file)?))
                }
            };
            let command = Command::Approve { request, terms: YesTerms::default(), evidence };
            match client.ask(command)? {
                Approved { missing: 0 } => Ok("approved".to_owned()),
                Approved { missing } => Ok(format!("it takes {}", count(missing, "more approver"))),
            }
        }
        Answer::Deny(request, reason) => {
            let Done {} = client.ask(Command::Deny { request, reason })?;
            Ok("denied".to_owned())
        }
    });
    said.unwrap_or_else(|trouble| trouble.failure.message)
}

/// Tells of each change of the queue, on a thread of its own.
fn follow(mut client: Client, tell: Sender<Happened>) {
    std::thread::spawn(move || {
        loop {
            let happened = match client.receive() {
                Ok(pending) => Happened::Queue(pending),
                Err(trouble) => Happened::Over(trouble),
            };
            let is_over = matches!(happened, Happened::Over(_));
            if tell.send(happened).is_err() || is_over {
                return;
            }
        }
    });
}

/// Tells of each key, on a thread of its own.
fn listen(tell: Sender<Happened>) {
    std::thread::spawn(move || {
        loop {
            let happened = event::read().map_or_else(Happened::Gone, Happened::Terminal);
            let is_over = matches!(happened, Happened::Gone(_));
            if tell.send(happened).is_err() || is_over {
                return;
            }
        }
    });
}

/// The time since boot, sleep included: countdowns go by it.
fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

fn no_terminal(error: &io::Error) -> Trouble {
    Trouble::new(FailureCode::Failed, format!("cannot use the terminal: {error}"))
}
