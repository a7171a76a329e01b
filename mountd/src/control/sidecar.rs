//! The sidecar: commands as JSON lines over TCP on loopback, one for each connection, for programs that
//! speak no Unix sockets. Who connects is attested like anybody, by who holds the other end.

mod action;
mod record;
mod settings;

pub(crate) use settings::{SidecarSettings, Token};

use super::connection::Connection;
use super::failure::{bad_input, of_identity};
use super::message::{Failure, Listening, Passphrase};
use super::session::{Control, encoded};
use crate::caller::Asker;
use crate::clock;
use crate::daemon::Daemon;
use crate::start::StartError;
use action::{Asked, Reply};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use ward_audit::{Durability, EventType, Outcome, Record};
use ward_policy::Caller;
use zeroize::Zeroizing;

/// How long a client may take to say what it wants, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request, in bytes.
const LONGEST: usize = 16_384;
/// How many connections are served at once.
const MOST: usize = 64;
/// How often it is looked whether to go on, in milliseconds.
const PERIOD: u16 = 500;
/// How much more than the longest request is taken, so that whoever sends it hears why it is refused.
const DRAINED: usize = 4 << 20;

/// A place where it listens, and what clients must show besides who they are.
#[derive(Debug)]
pub(crate) struct Sidecar {
    listener: TcpListener,
    token: Option<Token>,
}

/// Who is at the other end.
type Known = (Asker, Arc<Caller>);

/// A place among those that are served, given back when this is dropped.
struct Place(Arc<AtomicUsize>);

impl Sidecar {
    /// Listens where the settings say, while that can be done: the daemon makes no socket later.
    pub(crate) fn bind(settings: &SidecarSettings) -> Result<Option<Self>, StartError> {
        let Some(address) = settings.bind else { return Ok(None) };
        let machine = |error: io::Error| StartError::Machine("the address of [sidecar]", error);
        let token = settings.token_file.as_deref().map(Token::read).transpose();
        let token = token.map_err(|error| machine(io::Error::other(error)))?;
        let listener = TcpListener::bind(address.address()).map_err(machine)?;
        listener.set_nonblocking(true).map_err(machine)?;
        Ok(Some(Self { listener, token }))
    }

    /// A listener that a client brought along.
    fn of(listener: OwnedFd, token: Option<&Passphrase>) -> Result<Self, Failure> {
        let next = "send a TCP socket that listens on loopback along with the line";
        let listens = getsockopt(&listener, sockopt::AcceptConn).unwrap_or(false);
        let listener = TcpListener::from(listener);
        let address = listener.local_addr();
        if !listens || !address.is_ok_and(|it| it.ip().is_loopback()) {
            return Err(bad_input("this is no TCP socket that listens on loopback", next));
        }
        let token = token.map(|token| Token::try_from(token.0.as_str())).transpose();
        let token = token.map_err(|error| bad_input(error, "mend the file of the token"))?;
        Ok(Self { listener, token })
    }

    /// Serves until `is_over`; `owner` wakes it up when somebody else than a client wants something.
    pub(crate) fn serve(
        self,
        daemon: &Arc<Daemon>,
        owner: Option<BorrowedFd<'_>>,
        is_over: impl Fn() -> bool,
    ) {
        let (token, served) = (Arc::new(self.token), Arc::new(AtomicUsize::new(0)));
        loop {
            let mut looked = vec![PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            looked.extend(owner.map(|owner| PollFd::new(owner, PollFlags::POLLIN)));
            let _woken = poll(&mut looked, PollTimeout::from(PERIOD));
            let is_wanted = looked.get(1).is_some_and(|it| it.any() == Some(true));
            if is_wanted || is_over() {
                return;
            }
            let Ok((stream, _)) = self.listener.accept() else { continue };
            // Who comes when all places are taken is closed without a word.
            let Some(place) = Place::take(&served) else { continue };
            let (daemon, token) = (Arc::clone(daemon), Arc::clone(&token));
            let work = move || {
                let _place = place;
                // Nobody but the one who asked has to know.
                let _gone_or_slow = serve_one(&daemon, token.as_ref().as_ref(), stream);
            };
            // Without a thread it is closed, too.
            drop(std::thread::Builder::new().name("sidecar".to_owned()).spawn(work));
        }
    }
}

impl Place {
    fn take(served: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(served));
        (served.fetch_add(1, Ordering::AcqRel) < MOST).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Control<'_> {
    /// Serves clients at the listener that came along, until whoever brought it goes; what is to be sent
    /// when it cannot.
    pub(super) fn sidecar(
        mut self,
        token: Option<&Passphrase>,
        connection: &Connection,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let next = "send a TCP socket that listens on loopback along with the line";
        let listener =
            self.descriptor.take().ok_or_else(|| bad_input("no socket came along", next));
        let sidecar = listener.and_then(|listener| Sidecar::of(listener, token)).and_then(|it| {
            // It gives nobody a right that it has not: each client is attested and decided by itself.
            self.record(Record::new(EventType::Command).by(&self.caller).reason("sidecar"))?;
            Ok(it)
        });
        let sidecar = match sidecar {
            Ok(sidecar) => sidecar,
            Err(failure) => return Some(encoded::<()>(Err(failure))),
        };
        let listening = sidecar.listener.local_addr().map(|it| it.to_string()).unwrap_or_default();
        connection.send(&encoded(Ok(Listening { listening })), None).ok()?;
        sidecar.serve(self.daemon, Some(connection.as_fd()), || self.daemon.is_stopping());
        None
    }
}

fn serve_one(daemon: &Arc<Daemon>, token: Option<&Token>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let first = identify(daemon, &stream);
    let reply = match read_line(&mut stream)? {
        Some(line) => answer(daemon, token, &stream, (&line, first)),
        None => Reply::error(&format!("a request has at most {LONGEST} bytes")),
    };
    let line = Zeroizing::new([reply.line().as_slice(), b"\n"].concat());
    stream.write_all(&line)?;
    stream.shutdown(Shutdown::Write)?;
    drain(&mut stream)
}

/// A line without its newline; `None` for one that is too long.
fn read_line(stream: &mut TcpStream) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let until = clock::now().after(PATIENCE);
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST + 4096));
    loop {
        let mut chunk = Zeroizing::new([0; 4096]);
        let count = stream.read(&mut *chunk)?;
        let got = chunk.get(..count).unwrap_or_default();
        let end = got.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(got.get(..end.unwrap_or(count)).unwrap_or_default());
        if line.len() > LONGEST {
            return Ok(None);
        }
        if end.is_some() || count == 0 {
            return Ok(Some(line));
        }
        if clock::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// Takes what still comes: closing before it is read would take the answer back (RFC 9293, 3.10.4).
fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let until = clock::now().after(PATIENCE);
    let (mut chunk, mut left) = ([0; 4096], DRAINED);
    while left > 0 && clock::now() < until {
        match stream.read(&mut chunk)? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

/// The process at the other end, as it is now.
fn identify(daemon: &Daemon, stream: &TcpStream) -> Result<Known, Failure> {
    let ends = (|| Ok::<_, io::Error>((stream.local_addr()?, stream.peer_addr()?)))();
    let (ours, theirs) = ends.map_err(|error| bad_input(error, "connect again"))?;
    let pipeline = &daemon.pipeline;
    let found = pipeline.monitor.find_peer(ours, theirs);
    let process = found.map_err(|error| super::failure::of_monitor(&error))?;
    let known = pipeline.callers.describe_process(process).map_err(|error| of_identity(&error))?;
    let asker = Asker { thread: process, uid: known.uid.0, gid: known.gid.0 };
    let caller = pipeline.callers.identify(asker).map_err(|error| of_identity(&error))?;
    Ok((asker, caller))
}

fn answer(
    daemon: &Arc<Daemon>,
    token: Option<&Token>,
    stream: &TcpStream,
    (line, first): (&[u8], Result<Known, Failure>),
) -> Reply {
    let asked = match Asked::parse(line) {
        Ok(asked) => asked,
        Err(fault) => return Reply::error(&fault),
    };
    let (asker, caller) = match first {
        Ok(known) => known,
        Err(failure) => {
            refuse(daemon, None, &failure.message);
            return Reply::error(&failure.message);
        }
    };
    if token.is_some_and(|token| !token.is(asked.token())) {
        refuse(daemon, Some(&caller), "the sidecar was shown no token, or a wrong one");
        return Reply::error("the token is missing or wrong");
    }
    let connection = stream.as_fd();
    let control =
        Control { daemon, caller: Arc::clone(&caller), asker, descriptor: None, connection };
    let reply = control.act(&asked);
    // Whoever gets it must be who asked.
    let is_same = |now: &Caller| {
        let program =
            |it: &Caller| it.executable.as_deref().map(|it| (it.device, it.inode, it.sha256));
        now.process == caller.process && program(now) == program(&caller)
    };
    match identify(daemon, stream) {
        Ok((_, now)) if is_same(&now) => reply,
        Ok((_, now)) => {
            refuse(
                daemon,
                Some(&now),
                "somebody else than who asked is at the end of the connection",
            );
            Reply::error("the connection has another owner than when it began")
        }
        Err(failure) => Reply::error(&failure.message),
    }
}

/// Records a no that is none of the policy's.
fn refuse(daemon: &Daemon, caller: Option<&Caller>, why: &str) {
    let record = Record::new(EventType::Refused).decision(Outcome::Denied).reason(why);
    let record = caller.map_or(record, |caller| record.by(caller));
    // A log that has stopped serves nobody in any case.
    let _log_has_stopped = daemon.pipeline.log.append(record, Durability::Durable, clock::stamp());
}
