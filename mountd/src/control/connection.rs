//! A connection: lines over a Unix socket, each with at most one descriptor.
//!
//! Knows nothing of commands. Used by both sides.

use super::message::LONGEST_LINE;
use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    UnixCredentials, connect, recvmsg, sendmsg, socket,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use zeroize::Zeroizing;

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    received: Zeroizing<Vec<u8>>,
    descriptor: Option<OwnedFd>,
    sender: Option<Sender>,
}

/// Who sent a line, as the kernel knows it (`SCM_CREDENTIALS`, unix(7)); all zero where nobody
/// asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The process.
    pub process: u32,
    /// Its uid.
    pub uid: u32,
    /// Its gid.
    pub gid: u32,
}

/// A line without its newline, and the descriptor that came with it. The bytes are wiped when
/// dropped: they may hold a secret.
pub struct Line {
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The descriptor.
    pub descriptor: Option<OwnedFd>,
    /// Who sent it: one process for all lines of a connection.
    pub sender: Sender,
}

/// Why no line could be received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// More than [`LONGEST_LINE`] bytes without a newline.
    #[error("a line of over {LONGEST_LINE} bytes; the connection is closed")]
    TooLong,
    /// The other side ended in the middle of a line.
    #[error("the other side closed the connection in the middle of a line")]
    Cut,
    /// A connection belongs to the process that sent its first line.
    #[error("a second process sends on this connection; it is closed")]
    Mixed,
    /// The socket failed.
    #[error("cannot receive")]
    Socket(#[from] io::Error),
}

impl Connection {
    /// Connects to the socket `name` in the directory `root`; the length of its path is no matter.
    ///
    /// # Errors
    /// As `connect(2)`: no socket, nobody listening, no permission.
    pub fn connect(root: BorrowedFd<'_>, name: &str) -> io::Result<Self> {
        let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        let path = format!("/proc/self/fd/{}/{name}", root.as_raw_fd());
        connect(socket.as_raw_fd(), &UnixAddr::new(path.as_str())?)?;
        Ok(Self::over(socket))
    }

    /// A connection over a connected stream socket.
    pub fn over(socket: OwnedFd) -> Self {
        Self { socket, received: Zeroizing::new(Vec::new()), descriptor: None, sender: None }
    }

    /// Sends one line; `line` has no newline in it. `descriptor` goes with its first byte.
    ///
    /// # Errors
    /// As `sendmsg(2)`.
    pub fn send(&self, line: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let whole = Zeroizing::new([line, b"\n"].concat());
        let mut rest = whole.as_slice();
        let raw: Option<[RawFd; 1]> = descriptor.map(|descriptor| [descriptor.as_raw_fd()]);
        let mut rights: Vec<ControlMessage<'_>> =
            raw.iter().map(|raw| ControlMessage::ScmRights(raw)).collect();
        while !rest.is_empty() {
            let sent = sendmsg::<()>(
                self.socket.as_raw_fd(),
                &[IoSlice::new(rest)],
                &rights,
                MsgFlags::MSG_NOSIGNAL,
                None,
            );
            match sent {
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    rights.clear();
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// The next line; `None` when the other side has ended between two lines.
    ///
    /// # Errors
    /// See [`ReceiveError`]. After one, the connection is of no more use.
    pub fn receive(&mut self) -> Result<Option<Line>, ReceiveError> {
        loop {
            let end = self.received.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.filter(|end| *end <= LONGEST_LINE) {
                let rest = Zeroizing::new(self.received.split_off(end + 1));
                let mut bytes = std::mem::replace(&mut self.received, rest);
                bytes.truncate(end);
                let sender = self.sender.unwrap_or_default();
                return Ok(Some(Line { bytes, descriptor: self.descriptor.take(), sender }));
            }
            if self.received.len() > LONGEST_LINE {
                return Err(ReceiveError::TooLong);
            }
            match self.fill()? {
                0 if self.received.is_empty() => return Ok(None),
                0 => return Err(ReceiveError::Cut),
                _ => {}
            }
        }
    }

    fn fill(&mut self) -> Result<usize, ReceiveError> {
        let mut chunk = Zeroizing::new(vec![0; 64 << 10]);
        // Room for as many as one message can carry (unix(7)), so that none is installed and lost.
        let mut space = cmsg_space!([RawFd; 253], UnixCredentials);
        let (count, mut descriptors, sender) = loop {
            let mut slices = [IoSliceMut::new(&mut chunk)];
            let message = recvmsg::<()>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut space),
                MsgFlags::MSG_CMSG_CLOEXEC,
            );
            match message {
                Ok(message) => {
                    let descriptors =
                        crate::descriptor::received(message.cmsgs().map_err(io_error)?);
                    let sender = sender_among(message.cmsgs().map_err(io_error)?);
                    break (message.bytes, descriptors, sender);
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(io_error(errno).into()),
            }
        };
        if count > 0 && self.sender.is_some_and(|known| Some(known) != sender) {
            return Err(ReceiveError::Mixed);
        }
        self.sender = self.sender.or(sender);
        if let Some(descriptor) = descriptors.pop() {
            self.descriptor = Some(descriptor);
        }
        self.received.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Line({} bytes)", self.bytes.len())
    }
}

fn sender_among(mut messages: impl Iterator<Item = ControlMessageOwned>) -> Option<Sender> {
    messages.find_map(|message| {
        let ControlMessageOwned::ScmCredentials(sender) = message else { return None };
        let process = u32::try_from(sender.pid()).unwrap_or(0);
        Some(Sender { process, uid: sender.uid(), gid: sender.gid() })
    })
}

fn io_error(errno: nix::errno::Errno) -> io::Error {
    errno.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::socketpair;

    fn pair() -> (Connection, Connection) {
        let (left, right) =
            socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
                .unwrap();
        (Connection::over(left), Connection::over(right))
    }

    #[test]
    fn lines_arrive_one_by_one_with_their_descriptor() {
        let (left, mut right) = pair();
        left.send(b"one", Some(left.as_fd())).unwrap();
        left.send(b"two", None).unwrap();
        drop(left);
        let first = right.receive().unwrap().unwrap();
        assert_eq!(first.bytes.as_slice(), b"one");
        assert!(first.descriptor.is_some());
        let second = right.receive().unwrap().unwrap();
        assert_eq!(second.bytes.as_slice(), b"two");
        assert!(second.descriptor.is_none());
    }

    #[test]
    fn the_end_between_lines_is_an_end_and_within_one_an_error() {
        let (left, mut right) = pair();
        drop(left);
        assert!(right.receive().unwrap().is_none());
        let (left, mut right) = pair();
        nix::unistd::write(&left.socket, b"half").unwrap();
        drop(left);
        assert!(matches!(right.receive(), Err(ReceiveError::Cut)));
    }

    #[test]
    fn a_line_over_one_mebibyte_is_refused() {
        let (left, mut right) = pair();
        let writer = std::thread::spawn(move || left.send(&vec![b'a'; LONGEST_LINE + 2], None));
        assert!(matches!(right.receive(), Err(ReceiveError::TooLong)));
        drop(right);
        let _ended = writer.join().unwrap();
    }
}
