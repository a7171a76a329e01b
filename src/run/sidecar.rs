//! `ward daemon --bind`: commands as JSON lines over TCP on loopback, for as long as this runs. We
//! listen; the daemon serves, and looks at each client itself.

use crate::client::{Client, no_root};
use crate::command::SidecarArguments;
use crate::exit_code::ExitCode;
use crate::output::{Report, print, say};
use crate::settings::Settings;
use crate::trouble::Trouble;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use ward_mountd::control::message::{Command, Done, FailureCode, Listening, Passphrase};
use ward_mountd::{Root, check_settings, root::MARK};
use zeroize::Zeroizing;

/// The longest token, in bytes.
const LONGEST: u64 = 4096;

/// That it could be served.
#[derive(Debug, Serialize)]
struct Checked {
    bind: String,
}

/// Serves until the daemon or we end; with `--check` only sees whether it could.
pub(super) fn run(arguments: &SidecarArguments, settings: &Settings) -> Result<ExitCode, Trouble> {
    let bind = arguments.bind.as_deref().unwrap_or_default();
    let address = bind.parse::<SocketAddr>().ok().filter(|it| it.ip().is_loopback());
    let address = address.ok_or_else(|| {
        Trouble::bad_input(format!("{bind:?} is no address of loopback with a port"))
            .next("write it such as 127.0.0.1:7788: nobody else than this machine is served")
    })?;
    let token = arguments.token_file.as_deref().map(read_token).transpose()?;
    check_root(settings)?;
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    let listener = listener.map_err(|error| {
        let is_used = error.kind() == io::ErrorKind::AddrInUse;
        let code = if is_used { FailureCode::Conflict } else { FailureCode::Unsupported };
        Trouble::new(code, format!("cannot listen at {address}: {error}"))
            .next("name another port with --bind, or end what listens there")
    })?;
    if arguments.check {
        return print(settings.form, Report::new(Checked { bind: address.to_string() }, "ok\n"));
    }
    let mut client = Client::connect(settings)?;
    let command = Command::Sidecar { token };
    let Listening { listening } = client.ask_with(command, listener.as_fd())?;
    say(&format!("listening: {listening}\n"))?;
    // Nothing more is said; the end of the connection is the end of the daemon.
    match client.receive_if_any::<Done>()? {
        Some(Done {}) | None => Err(Trouble::unreachable("the daemon has ended")
            .next(format!("start both again: {} daemon --bind {address}", settings.program))),
    }
}

/// The settings of the root must be in order.
fn check_root(settings: &Settings) -> Result<(), Trouble> {
    Root::open(&settings.root).map_err(|error| no_root(&settings.root, &error))?;
    // Who does not own the root cannot read them, and the daemon has.
    let Ok(text) = std::fs::read_to_string(settings.root.join(MARK)) else { return Ok(()) };
    check_settings(&text).map_err(|fault| {
        Trouble::bad_input(format!("ward.toml, {fault}")).next("see ward config validate")
    })
}

/// The token in a file that only we can read, less one final newline.
fn read_token(path: &Path) -> Result<Passphrase, Trouble> {
    let named = path.display();
    let refused = |why: &dyn std::fmt::Display| {
        Trouble::bad_input(format!("cannot take the token from {named}: {why}"))
            .next(format!("make it yours alone: chmod 600 {named}"))
    };
    let file = File::open(path).map_err(|error| refused(&error))?;
    let status = file.metadata().map_err(|error| refused(&error))?;
    let ours = nix::unistd::Uid::effective().as_raw();
    if status.mode() & 0o077 != 0 || ![0, ours].contains(&status.uid()) {
        return Err(refused(&"others can read it"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST + 2).read_to_string(&mut text).map_err(|error| refused(&error))?;
    Ok(Passphrase(text.strip_suffix('\n').unwrap_or(&text).to_owned()))
}
