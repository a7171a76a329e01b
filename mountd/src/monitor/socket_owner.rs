//! Who holds the other end of a TCP connection of this machine: by its inode, which the kernel tells, then
//! by the descriptors of processes (`proc_pid_fd(5)`).

use super::message::{MonitorError, MonitorFault};
use super::proc::numbers;
use super::tcp_socket::{self, TcpSocket};
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The one process that holds the end `theirs` of the connection whose other end is `ours`, with the inode
/// of its socket.
pub(super) fn owner_of(
    (ours, socket): (SocketAddr, u64),
    theirs: SocketAddr,
) -> Result<u32, MonitorError> {
    // In another network namespace these addresses are another connection, of somebody else.
    let untold = |error| refused(&format!("the kernel does not tell ({error}): modprobe tcp_diag"));
    let find = |local, remote| tcp_socket::find(local, remote).map_err(untold);
    if find(ours, theirs)?.is_none_or(|it| it.inode != socket) {
        return Err(refused("it is not of this network namespace"));
    }
    let TcpSocket { uid, inode } =
        find(theirs, ours)?.ok_or_else(|| refused("nobody of this machine has it"))?;
    let name = format!("socket:[{inode}]");
    let all = numbers().unwrap_or_default().into_iter();
    let mut holders = all.filter_map(|process| Some((process, hold_of(process, &name)?)));
    match (holders.next(), holders.next()) {
        (Some((_, Hold::MayBeInherited)), None) => {
            Err(refused("another program may have left it to this one: it is not close-on-exec"))
        }
        (Some((process, Hold::ItsOwn)), None) => {
            let owner = std::fs::metadata(format!("/proc/{process}")).ok().map(|it| it.uid());
            // One that got it from somebody else's process.
            if owner == Some(uid) { Ok(process) } else { Err(refused("another user made it")) }
        }
        (Some(_), Some(_)) => Err(refused("several processes hold it")),
        (None, _) => Err(refused("no process that can be looked at holds it")),
    }
}

/// How a process holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// By descriptors that no program leaves to the next one.
    ItsOwn,
    /// By one that the program before it may have left, with what that said on it.
    MayBeInherited,
}

/// How the process holds the socket; `None` when it does not.
fn hold_of(process: u32, socket: &str) -> Option<Hold> {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    let is_it = |entry: &DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == socket)
    };
    let mut held = descriptors.filter_map(Result::ok).filter(is_it).peekable();
    held.peek()?;
    let all_close = held.all(|entry| closes_at_exec(process, &entry.file_name()) == Some(true));
    Some(if all_close { Hold::ItsOwn } else { Hold::MayBeInherited })
}

/// Whether exec(2) closes a descriptor of a process (`proc_pid_fdinfo(5)`).
fn closes_at_exec(process: u32, descriptor: &OsStr) -> Option<bool> {
    let place = Path::new("/proc").join(process.to_string()).join("fdinfo").join(descriptor);
    let told = std::fs::read_to_string(place).ok()?;
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
    Some(OFlags::from_bits_retain(flags).contains(OFlags::CLOEXEC))
}

fn refused(why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::NoProcess,
        message: format!("who is at the other end of the connection cannot be told: {why}"),
        next: "connect from one process, which keeps the connection to itself (SOCK_CLOEXEC)"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_process_at_the_other_end_is_found_by_either_family() {
        for (listen, connect) in
            [("127.0.0.1:0", None), ("[::1]:0", None), ("[::]:0", Some("127.0.0.1"))]
        {
            let Ok(listener) = TcpListener::bind(listen) else { continue };
            let mut address = listener.local_addr().unwrap();
            if let Some(ip) = connect {
                address.set_ip(ip.parse().unwrap());
            }
            let _client = TcpStream::connect(address).unwrap();
            let (server, theirs) = listener.accept().unwrap();
            let ours = (server.local_addr().unwrap(), rustix::fs::fstat(&server).unwrap().st_ino);
            assert_eq!(owner_of(ours, theirs).ok(), Some(std::process::id()), "{listen}");
            let of_another_namespace = (ours.0, ours.1 + 1);
            assert!(owner_of(of_another_namespace, theirs).is_err(), "{listen}");
        }
    }

    #[test]
    fn nobody_is_found_for_a_connection_that_is_not_there() {
        let [ours, theirs] = ["127.0.0.1:1", "127.0.0.1:2"].map(|it| it.parse().unwrap());
        assert!(owner_of((ours, 1), theirs).is_err());
    }
}
