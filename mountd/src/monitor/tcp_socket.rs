//! A TCP socket of our network namespace, as the kernel knows it by its two addresses (`sock_diag(7)`).

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

/// `SOCK_DIAG_BY_FAMILY`, of the question and of its answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `AF_INET`.
const INET: u8 = 2;
/// `AF_INET6`.
const INET6: u8 = 10;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The states of a connection that is there, and of one on which one side sends no more
/// (`tcp_states.h`).
const LIVE: [u8; 4] = [1, 4, 5, 8];

/// Whose it is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpSocket {
    pub(super) uid: u32,
    pub(super) inode: u64,
}

/// The socket of the end `local` of the connection from there to `remote`, if it is one of this machine.
pub(super) fn find(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<TcpSocket>> {
    let protocol = SockProtocol::NetlinkSockDiag;
    let flags = SockFlag::SOCK_CLOEXEC;
    let asked = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
    send(asked.as_raw_fd(), &question(local, remote), MsgFlags::empty())?;
    let mut answer = [0; 4096];
    // The kernel has answered before send(2) returns.
    let length = recv(asked.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    let answer = answer.get(..length).unwrap_or_default();
    read(answer, (local.port(), remote.port()))
        .unwrap_or_else(|| Err(io::ErrorKind::InvalidData.into()))
}

/// A `nlmsghdr`, and an `inet_diag_req_v2` (`linux/inet_diag.h`).
fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let (family, source) = bytes_of(local.ip());
    let (_, destination) = bytes_of(remote.ip());
    let body = [
        &[family, TCP, 0, 0][..],
        &u32::MAX.to_ne_bytes(),
        &local.port().to_be_bytes(),
        &remote.port().to_be_bytes(),
        &source,
        &destination,
        // Any interface, any cookie.
        &[0; 4],
        &[0xff; 8],
    ]
    .concat();
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let (number, sender) = (1_u32, 0_u32);
    [
        &length.to_ne_bytes()[..],
        &BY_FAMILY.to_ne_bytes(),
        &REQUEST.to_ne_bytes(),
        &number.to_ne_bytes(),
        &sender.to_ne_bytes(),
        &body,
    ]
    .concat()
}

/// Family, and the four words of an address. One of the older family is looked up as that, also on a
/// socket of both.
fn bytes_of(address: IpAddr) -> (u8, [u8; 16]) {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            let mut bytes = [0; 16];
            for (place, byte) in bytes.iter_mut().zip(it.octets()) {
                *place = byte;
            }
            (INET, bytes)
        }
        IpAddr::V6(it) => (INET6, it.octets()),
    }
}

/// What an `inet_diag_msg` says; `None` when it is none.
fn read(answer: &[u8], ports: (u16, u16)) -> Option<io::Result<Option<TcpSocket>>> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let body = answer.get(16..)?;
    let word = |at: usize| Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?));
    if kind == ERROR {
        let error = io::Error::from_raw_os_error(-i32::from_ne_bytes(word(0)?.to_ne_bytes()));
        let is_none = error.kind() == io::ErrorKind::NotFound;
        return Some(if is_none { Ok(None) } else { Err(error) });
    }
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    // Where there is no connection the kernel finds who listens.
    let is_it = kind == BY_FAMILY && (port(4)?, port(6)?) == ports && LIVE.contains(body.get(1)?);
    let found = TcpSocket { uid: word(64)?, inode: word(68)?.into() };
    Some(Ok(Some(found).filter(|found| is_it && found.inode != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn both_ends_of_a_connection_are_found_and_no_listener_is_taken_for_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, theirs) = listener.accept().unwrap();
        let ours = server.local_addr().unwrap();
        let uid = rustix::process::getuid().as_raw();
        for (local, remote, socket) in [(theirs, ours, &client), (ours, theirs, &server)] {
            let inode = rustix::fs::fstat(socket).unwrap().st_ino;
            assert_eq!(find(local, remote).unwrap(), Some(TcpSocket { uid, inode }));
        }
        let other = SocketAddr::new(theirs.ip(), 1);
        assert_eq!(find(ours, other).unwrap(), None, "its listener is there");
        assert_eq!(find(other, other).unwrap(), None);
    }

    #[test]
    fn an_answer_that_is_none_is_an_error_and_not_nobody() {
        for answer in [&[][..], &[0; 16], &[0; 60], &[20, 0, 0, 0, 20, 0, 0, 0, 0]] {
            assert!(read(answer, (0, 0)).is_none(), "{answer:?}");
        }
    }
}
