//! The journal of the machine (systemd-journald, or else syslog) is told of the newest head of the
//! log: whoever cuts the log must reach the journal too, and copies of it. Nobody waits for it.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use ward_audit::HeadNote;

/// Where journald listens.
pub(crate) const OF_SYSTEMD: &str = "/run/systemd/journal/socket";

/// Where syslog listens.
pub(crate) const OF_SYSLOG: &str = "/dev/log";
/// Facility `authpriv`, severity `info` (RFC 3164, 4.1.1).
const PRIORITY: u8 = 10 * 8 + 6;

/// A journal that may be there.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: Option<(UnixDatagram, Form)>,
    /// The size of the head that was told last.
    told: u64,
}

/// How it takes messages.
#[derive(Clone, Copy, Debug)]
enum Form {
    Journal,
    Syslog,
}

impl Journal {
    /// Connects to the journal that listens at `journal`, or else to syslog at `syslog`. Later, a
    /// confined daemon cannot.
    pub(crate) fn open(journal: &Path, syslog: &Path) -> Self {
        let socket = connected(journal).map(|socket| (socket, Form::Journal));
        let socket = socket.or_else(|_| connected(syslog).map(|socket| (socket, Form::Syslog)));
        Self { socket: socket.ok(), told: 0 }
    }

    /// Tells it of the head of the log in `folder`, unless that was done. One that takes nothing now
    /// hears of a newer one later.
    pub(crate) fn tell(&mut self, folder: &Path) {
        let Some((socket, form)) = &self.socket else { return };
        let Some(note) = ward_audit::head(folder).ok().filter(|it| it.head.size > self.told) else {
            return;
        };
        let message = match form {
            Form::Journal => entry(&note),
            Form::Syslog => line(&note),
        };
        if socket.send(&message).is_ok() {
            self.told = note.head.size;
        }
    }
}

fn connected(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A line for syslog: the note, each newline of it as ` | `.
fn line(note: &HeadNote) -> Vec<u8> {
    let text = note.to_string().trim_end().replace('\n', " | ");
    format!("<{PRIORITY}>ward-mountd: {text}").into_bytes()
}

/// An entry of the journal, in the form that <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/> has: a
/// value of several lines has its length before it.
fn entry(note: &HeadNote) -> Vec<u8> {
    let (log, size, text) = (&note.log, note.head.size, note.to_string());
    let plain = format!(
        "PRIORITY=6\nSYSLOG_IDENTIFIER=ward-mountd\nMESSAGE=log {log} has {size} entries\nWARD_HEAD\n"
    );
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes();
    [plain.as_bytes(), &length, text.as_bytes(), b"\n"].concat()
}
