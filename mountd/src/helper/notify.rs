//! `notify`: tells a human that a request waits, by a program of their own.

use super::is_ready;
use super::settings::{Notify, command};
use super::webhook::{self, WEBHOOK};
use crate::clock;
use crate::monitor::Monitor;
use crate::monitor::message::{receive, send};
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use ward_audit::{Durability, EventType, Log, Record};
use ward_policy::{RequestId, VaultName};

/// The name of the helper, and of its table.
pub(crate) const NOTIFY: &str = "notify";
/// How long the program may take, in milliseconds.
const LONGEST: u16 = 5_000;
/// How long the core waits for the helper: a little longer.
const PATIENCE: u16 = 7_000;
/// How many notices may wait; the next ones are dropped, and recorded.
const WAITING: usize = 32;
/// The longest text, in characters.
const LONGEST_TEXT: usize = 400;

/// What a human is told. Never a value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) request: String,
    pub(crate) vault: String,
    /// Who wants what and why, with nothing in it that a terminal obeys.
    pub(crate) text: String,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) failure: Option<String>,
}

/// The core's end. Nobody waits for it.
#[derive(Debug)]
pub(crate) struct Notifier {
    /// One for each helper, so that none waits for another.
    helpers: Vec<(&'static str, Sender<(RequestId, Notice)>)>,
    log: Arc<Log>,
}

impl Notice {
    pub(crate) fn new(request: RequestId, vault: Option<&VaultName>, text: &str) -> Self {
        let harmless = |character: char| if character.is_control() { ' ' } else { character };
        Self {
            request: request.to_string(),
            vault: vault.map(ToString::to_string).unwrap_or_default(),
            text: text.chars().take(LONGEST_TEXT).map(harmless).collect(),
        }
    }
}

impl Notifier {
    /// Starts the threads that hand notices to the helpers that are configured.
    pub(crate) fn start(
        settings: Option<&Notify>,
        monitor: &Arc<Monitor>,
        log: Arc<Log>,
    ) -> io::Result<Self> {
        let mut started = Vec::new();
        for name in settings.into_iter().flat_map(Notify::names) {
            let patience = if name == WEBHOOK { webhook::PATIENCE } else { PATIENCE };
            let (notices, waiting) = bounded(WAITING);
            let (monitor, recorded) = (Arc::clone(monitor), Arc::clone(&log));
            let work = move || hand_on(&waiting, &monitor, &recorded, (name, patience));
            std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
            started.push((name, notices));
        }
        Ok(Self { helpers: started, log })
    }

    /// Has a human told, some time.
    pub(crate) fn tell(&self, request: RequestId, notice: impl Fn() -> Notice) {
        for (name, notices) in &self.helpers {
            if notices.try_send((request, notice())).is_err() {
                record(&self.log, request, (name, "too many notices wait"));
            }
        }
    }
}

fn hand_on(
    waiting: &Receiver<(RequestId, Notice)>,
    monitor: &Monitor,
    log: &Log,
    (name, patience): (&'static str, u16),
) {
    let mut helper: Option<OwnedFd> = None;
    for (request, notice) in waiting {
        let told = match helper.take() {
            Some(helper) => Ok(helper),
            None => monitor.start_helper(name).map_err(|error| error.to_string()),
        }
        .and_then(|socket| Ok((ask(&socket, &notice, patience)?, socket)));
        match told {
            Ok((Told { failure }, socket)) => {
                helper = Some(socket);
                if let Some(failure) = failure {
                    record(log, request, (name, &failure));
                }
            }
            // Dropping the socket ends the helper; the next notice gets another one.
            Err(failure) => record(log, request, (name, &failure)),
        }
    }
}

fn ask(socket: &OwnedFd, notice: &Notice, patience: u16) -> Result<Told, String> {
    send(socket.as_fd(), notice, &[]).map_err(|error| format!("the helper is gone ({error})"))?;
    if !is_ready(socket, patience) {
        return Err("the helper does not answer".to_owned());
    }
    let told = receive::<Told>(socket.as_fd()).ok().flatten();
    told.map(|(told, _)| told).ok_or_else(|| "the helper ended".to_owned())
}

fn record(log: &Log, request: RequestId, (name, failure): (&str, &str)) {
    let reason = format!("{name}: {failure}");
    let record = Record::new(EventType::HelperFailed).request(request).reason(&reason);
    // A log that takes no records refuses every open already.
    let _log_has_stopped = log.append(record, Durability::Written, clock::stamp());
}

/// The helper: runs the program for each notice on standard input, until the core is gone.
pub(super) fn serve(socket: &OwnedFd, program: Option<&PathBuf>) -> io::Result<()> {
    while let Some((notice, _)) = receive::<Notice>(socket.as_fd())? {
        let failure = run(program.cloned(), &notice).err();
        send(socket.as_fd(), &Told { failure }, &[])?;
    }
    Ok(())
}

fn run(program: Option<PathBuf>, notice: &Notice) -> Result<(), String> {
    let mut command = command(program, notice);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("it cannot be run ({error})"))?;
    let number = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let process = number.and_then(|number| pidfd_open(number, PidfdFlags::empty()).ok());
    let process = process.ok_or("it cannot be watched")?;
    let is_over = is_ready(&process, LONGEST);
    if !is_over {
        let _ended_meanwhile = pidfd_send_signal(&process, Signal::KILL);
    }
    let status = child.wait().map_err(|error| format!("it is lost ({error})"))?;
    match (is_over, status.success()) {
        (false, _) => Err("it took longer than 5 s and was ended".to_owned()),
        (true, true) => Ok(()),
        (true, false) => Err(format!("it failed ({status})")),
    }
}
