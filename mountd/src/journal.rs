//! The journal of the machine (systemd-journald) is told of the newest head of the log: whoever cuts
//! the log must reach the journal too, and copies of it. Nobody waits for it.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use ward_audit::HeadNote;

/// Where journald listens.
pub(crate) const OF_SYSTEMD: &str = "/run/systemd/journal/socket";

/// A journal that may be there.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: Option<UnixDatagram>,
    /// The size of the head that was told last.
    told: u64,
}

impl Journal {
    /// Connects to the journal that listens at `path`. Later, a confined daemon cannot.
    pub(crate) fn open(path: &Path) -> Self {
        let connected = || -> io::Result<UnixDatagram> {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Self { socket: connected().ok(), told: 0 }
    }

    /// Tells it of the head of the log in `folder`, unless that was done. One that takes nothing now
    /// hears of a newer one later.
    pub(crate) fn tell(&mut self, folder: &Path) {
        let Some(socket) = &self.socket else { return };
        let Some(note) = ward_audit::head(folder).ok().filter(|it| it.head.size > self.told) else {
            return;
        };
        if socket.send(&message(&note)).is_ok() {
            self.told = note.head.size;
        }
    }
}

/// An entry of the journal, in the form that <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/> has: a
/// value of several lines has its length before it.
fn message(note: &HeadNote) -> Vec<u8> {
    let (log, size, text) = (&note.log, note.head.size, note.to_string());
    let plain = format!(
        "PRIORITY=6\nSYSLOG_IDENTIFIER=ward-mountd\nMESSAGE=log {log} has {size} entries\nWARD_HEAD\n"
    );
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes();
    [plain.as_bytes(), &length, text.as_bytes(), b"\n"].concat()
}
