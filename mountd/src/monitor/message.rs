//! What core and monitor say to each other: one JSON object a packet, descriptors beside it.
//!
//! Neither a key nor a value is ever in it.

use nix::sys::socket::{ControlMessage, MsgFlags, recvmsg, sendmsg};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use ward_policy::{
    Doubt, Executable, GroupId, Namespaces, Parent, ProcessId, Script, Session, UserId,
};

/// The longest packet, in bytes.
const LONGEST: usize = 64 << 10;

/// What the core asks the monitor to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Serve another channel, whose end comes along. No answer.
    Serve,
    /// Report on that channel which held callers got a signal. No answer.
    Report,
    /// Who is this thread: [`Facts`], with a pidfd and the image descriptor.
    Attest {
        /// The thread.
        thread: u32,
        /// How much of it is looked at.
        wanted: Wanted,
    },
    /// The processes that there are: their numbers; none when they are too many to look at.
    ListProcesses,
    /// The one process at the other end of a TCP connection of this machine: its number.
    FindPeer {
        /// The end that we have.
        ours: SocketAddr,
        /// The other one.
        theirs: SocketAddr,
        /// The inode of our socket, which tells the connection from one of another network namespace.
        socket: u64,
    },
    /// Watch a held caller for signals. No answer.
    Watch {
        /// The thread that is held.
        thread: u32,
        /// What to report.
        token: u64,
    },
    /// Watch it no more. No answer.
    Unwatch {
        /// The token it was watched under.
        token: u64,
    },
    /// Make a FUSE filesystem for the directory that comes along: [`Prepared`], with the FUSE
    /// descriptor.
    Prepare(Prepare),
    /// Attach it to its directory: `()`.
    Attach {
        /// Its number.
        mount: u64,
    },
    /// Have the kernel write back what it keeps of changes to it: `()`.
    WriteBack {
        /// Its number.
        mount: u64,
    },
    /// Detach it, abort its connection, and remove the directory if we made it: `()`.
    End {
        /// Its number.
        mount: u64,
    },
    /// Open the limit on the wake-up latency of processors: what to hold there, in microseconds,
    /// with the descriptor.
    LimitCpuLatency,
    /// Wait until the machine is about to sleep, true, or is awake again, false. Asking again after
    /// true lets it sleep.
    AwaitSleep,
    /// Start a helper: `()`, with the socket that joins it to the core.
    StartHelper {
        /// Its name, among those that were told before.
        name: String,
    },
    /// Begin an agent session around a process: [`SessionBegun`], with a pidfd of the process.
    BeginSession(BeginSession),
    /// How many processes are in a session beside its first: a number.
    CountSession {
        /// Its id.
        session: String,
    },
    /// Pin the script of a process that stands at its first instruction: the `Script`.
    PinScript(PinScript),
    /// Serve this instance: end mounts that an earlier daemon of it left, remove what its agent
    /// sessions left, and see that mounts of this one end even when the monitor is killed: the paths
    /// of the mounts.
    CleanUp {
        /// The instance.
        instance: String,
    },
}

/// A mount to be made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepare {
    /// The root's instance, so that a later daemon knows the mount as its own.
    pub(crate) instance: String,
    /// The vault's name.
    pub(crate) vault: String,
    /// Who asked; the directory must be theirs.
    pub(crate) owner: u32,
    /// Whether the directory goes when the mount ends.
    pub(crate) made_directory: bool,
    /// What the kernel does with it.
    pub(crate) manner: Manner,
}

/// What the kernel does with a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Manner {
    /// It asks us everything, and runs no program of it.
    AskAll,
    /// It checks modes and owners, and keeps what it can.
    Keep,
    /// The same, and takes no change.
    KeepReadOnly,
}

/// A session to be begun; it ends with its first process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BeginSession {
    /// The session's id.
    pub(crate) session: String,
    /// Its first process.
    pub(crate) first: ProcessId,
}

/// A script to be pinned to the process that is about to run it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PinScript {
    /// The process, an interpreter.
    pub(crate) process: u32,
    /// Who made it stand still, and asks: our own `ward`.
    pub(crate) holder: u32,
}

/// A session was begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionBegun {
    /// How its processes are told from others, in a word.
    pub(crate) kept_by: String,
}

/// A mount that is made and not yet attached.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    /// Its number.
    pub(crate) mount: u64,
    /// Its path, as the kernel tells it.
    pub(crate) path: String,
}

/// How much of a thread is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// Whether its program is read where its hash is not known, which can take a second.
    pub(crate) hash: bool,
    /// Whether the programs of its parents are looked at.
    pub(crate) ancestors: bool,
    /// Whether its namespaces are told, which decide nothing by themselves.
    pub(crate) namespaces: bool,
}

/// What the kernel says of a thread. Facts that could not be read are absent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) process: ProcessId,
    pub(crate) groups: Arc<[GroupId]>,
    pub(crate) login_uid: Option<UserId>,
    pub(crate) executable: Option<Arc<Executable>>,
    /// Whether its program has no hash because nobody has read it yet.
    pub(crate) is_unread: bool,
    pub(crate) script: Option<Arc<Script>>,
    pub(crate) session: Option<Session>,
    /// The id of the agent session.
    pub(crate) agent: Option<String>,
    pub(crate) invocation: Option<Arc<str>>,
    pub(crate) terminal: Option<Arc<str>>,
    pub(crate) namespaces: Option<Namespaces>,
    pub(crate) tracer: Option<u32>,
    pub(crate) parents: Arc<[Parent]>,
    pub(crate) doubts: Arc<[Doubt]>,
    /// Real, effective, saved and filesystem ids.
    pub(crate) uids: Vec<u32>,
    pub(crate) gids: Vec<u32>,
    /// SHA-256 over what `status` says of it: while that stays, so do these facts.
    pub(crate) status: [u8; 32],
}

/// Why the monitor did not do it: a sentence, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct MonitorError {
    /// The class.
    pub(crate) fault: MonitorFault,
    /// What was wrong.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) next: String,
}

/// Classes of the monitor's refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MonitorFault {
    /// The process is gone, or hidden from us.
    NoProcess,
    /// The directory cannot be a mountpoint.
    Mountpoint,
    /// What a process runs cannot be told.
    Script,
    /// The machine cannot do it.
    Machine,
    /// The connection to the monitor failed: the daemon is ending.
    Gone,
}

/// A signal reached a held caller.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Interrupted {
    pub(crate) token: u64,
}

/// Sends one packet.
pub(crate) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    send_part(socket, &serde_json::to_vec(message)?, descriptors)
}

fn send_part(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let rights = if raw.is_empty() { [].as_slice() } else { rights.as_slice() };
    let slices = [IoSlice::new(bytes)];
    loop {
        let flags = MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(socket.as_raw_fd(), &slices, rights, flags, None) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Sends bytes, in as many packets as they take.
pub(crate) fn send_bytes(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    for part in bytes.chunks(LONGEST) {
        send_part(socket, part, &[])?;
    }
    Ok(())
}

/// Receives so many bytes of [`send_bytes`].
pub(crate) fn receive_bytes(socket: BorrowedFd<'_>, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut rest = &mut bytes[..];
    while !rest.is_empty() {
        let most = rest.len().min(LONGEST);
        let (part, _) = rest.split_at_mut(most);
        let Some((got, _)) = receive_into(socket, part)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        rest = rest.split_at_mut(got).1;
    }
    Ok(bytes)
}

/// The next packet; `None` when the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: BorrowedFd<'_>,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    thread_local! {
        // The kernel wants as much as the longest packet each time; most are short.
        static BYTES: RefCell<Vec<u8>> = RefCell::new(vec![0; LONGEST]);
    }
    BYTES.with_borrow_mut(|bytes| {
        let Some((count, descriptors)) = receive_into(socket, bytes)? else {
            return Ok(None);
        };
        let message = serde_json::from_slice(bytes.get(..count).unwrap_or_default())?;
        Ok(Some((message, descriptors)))
    })
}

pub(super) fn receive_into(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    // Room for as many as one message can carry (unix(7)), so that none is left out.
    let mut space = nix::cmsg_space!([RawFd; 253]);
    loop {
        let mut slices = [IoSliceMut::new(bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        return match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Ok(message) if message.bytes == 0 => Ok(None),
            Ok(message) => Ok(Some((message.bytes, crate::descriptor::received(message.cmsgs()?)))),
            Err(nix::errno::Errno::EINTR) => continue,
            Err(nix::errno::Errno::ECONNRESET) => Ok(None),
            Err(errno) => Err(errno.into()),
        };
    }
}

/// The one descriptor that the setuid mount helper sends; its one byte means nothing.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut slices = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
    let received = crate::descriptor::received(message.cmsgs()?).pop();
    received.ok_or_else(|| io::Error::other("the helper sent no descriptor"))
}
