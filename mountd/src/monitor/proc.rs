//! A directory `/proc/<pid or tid>`, opened once, and the texts in it.

use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// The longest text that is read, in bytes. The kernel lets arguments and variables have 2 MiB
/// together at most unless the stack limit was raised; what is longer counts as unreadable.
const LONGEST: u64 = 4 << 20;

/// How many processes are listed at most.
const MOST: usize = 4096;

/// So long are most texts, in bytes: they are read at once.
const USUAL: usize = 4 << 10;

/// A directory of `/proc`: it never comes to mean another process (proc(5)).
#[derive(Debug)]
pub(super) struct Proc {
    directory: OwnedFd,
}

/// The numbers of all processes; none when they are more than somebody would look at one by one.
pub(super) fn numbers() -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(if numbers.len() > MOST { Vec::new() } else { numbers })
}

impl Proc {
    pub(super) fn open(number: u32) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = format!("/proc/{number}");
        Ok(Self { directory: rustix::fs::open(path, flags, Mode::empty())? })
    }

    pub(super) fn open_file(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// What a link of it leads to, as a place only: nobody is asked for it.
    pub(super) fn open_place(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(openat(&self.directory, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// A text that the kernel makes as one piece: all but `maps`.
    pub(super) fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        once(&self.open_file(name)?)
    }

    /// A text that the kernel gives piece by piece.
    pub(super) fn pieces(&self, name: &str) -> io::Result<Vec<u8>> {
        whole(&self.open_file(name)?, Vec::with_capacity(4 * USUAL))
    }

    /// As text; what is no UTF-8 (a process chooses its own name) becomes a replacement mark.
    pub(super) fn text(&self, name: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(name)?).into_owned())
    }

    /// The text of a link.
    pub(super) fn link(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.directory, name, Vec::new())?.into_bytes())
    }

    /// The inode of a namespace.
    pub(super) fn namespace(&self, name: &str) -> io::Result<u64> {
        let flags = rustix::fs::AtFlags::empty();
        Ok(rustix::fs::statat(&self.directory, format!("ns/{name}"), flags)?.st_ino)
    }
}

/// What an open text says now: the kernel gives all that fits, so less is all.
pub(super) fn once(file: &OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; USUAL];
    let count = rustix::io::pread(file, &mut bytes, 0)?;
    if count < USUAL {
        bytes.truncate(count);
        return Ok(bytes);
    }
    whole(file, bytes)
}

/// All of a text, in place of what was read of it.
fn whole(file: &OwnedFd, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    bytes.clear();
    let file = File::from(file.try_clone()?);
    file.take(LONGEST).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length < LONGEST) {
        Ok(bytes)
    } else {
        Err(io::Error::other("it is too long"))
    }
}

/// What is needed of `status`.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) process: u32,
    pub(super) tracer: u32,
    /// Real, effective, saved and filesystem uid.
    pub(super) uids: Vec<u32>,
    /// Real, effective, saved and filesystem gid.
    pub(super) gids: Vec<u32>,
    pub(super) groups: Vec<u32>,
}

impl Status {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers = |key: &str| -> Option<Vec<u32>> {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().map(|word| word.parse().ok()).collect()
        };
        Some(Self {
            process: *numbers("Tgid:")?.first()?,
            tracer: *numbers("TracerPid:")?.first()?,
            uids: numbers("Uid:")?,
            gids: numbers("Gid:")?,
            groups: numbers("Groups:")?,
        })
    }

    /// Whether one of its ids is not like the others.
    pub(super) fn has_mixed_ids(&self) -> bool {
        let differ = |ids: &Vec<u32>| ids.iter().any(|id| Some(id) != ids.first());
        differ(&self.uids) || differ(&self.gids)
    }
}

/// What is needed of `stat`; the name in it may hold spaces and parentheses.
#[derive(Debug)]
pub(super) struct Stat {
    /// `t`: it stands still for who traces it.
    pub(super) state: char,
    pub(super) parent: u32,
    pub(super) session: u32,
    /// The device number of the controlling terminal, 0 for none.
    pub(super) terminal: u32,
    pub(super) start_ticks: u64,
}

impl Stat {
    pub(super) fn of(proc: &Proc) -> Option<Self> {
        StatFile::open(proc)?.read()
    }

    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace();
        let state = fields.next()?.chars().next()?;
        // After the name come state (3), parent (4), group (5), session (6), terminal (7) ... start
        // time (22). The terminal is printed as a signed number.
        Some(Self {
            state,
            parent: fields.next()?.parse().ok()?,
            session: fields.nth(1)?.parse().ok()?,
            terminal: fields.next()?.parse::<i32>().ok()?.cast_unsigned(),
            start_ticks: fields.nth(14)?.parse().ok()?,
        })
    }

    /// The name of the controlling terminal, as below `/dev` (Linux' devices.txt).
    pub(super) fn terminal_name(&self) -> Option<String> {
        let (major, minor) =
            (self.terminal >> 8 & 0xfff, self.terminal & 0xff | self.terminal >> 12 & 0xfff00);
        match major {
            0 => None,
            4 if minor < 64 => Some(format!("tty{minor}")),
            4 => Some(format!("ttyS{}", minor - 64)),
            136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor)),
            _ => Some(format!("{major}:{minor}")),
        }
    }
}

/// A `stat` kept open: it tells anew at each read.
#[derive(Debug)]
pub(super) struct StatFile(OwnedFd);

impl StatFile {
    pub(super) fn open(proc: &Proc) -> Option<Self> {
        proc.open_file("stat").ok().map(Self)
    }

    pub(super) fn read(&self) -> Option<Stat> {
        // A line of 52 numbers and a name of at most 64 bytes.
        let mut line = [0; 2048];
        let count = rustix::io::pread(&self.0, &mut line, 0).ok()?;
        Stat::parse(&String::from_utf8_lossy(line.get(..count)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_names_itself_to_look_like_fields_is_read_right() {
        let stat =
            Stat::parse("7 (a) R 9) S 1 7 3 34819 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9");
        let stat = stat.unwrap();
        assert_eq!((stat.parent, stat.session, stat.start_ticks), (1, 3, 4242));
        assert_eq!(stat.terminal_name().as_deref(), Some("pts/3"));
    }

    #[test]
    fn a_terminal_has_the_name_below_dev() {
        let name = |terminal| {
            Stat { state: 'R', parent: 1, session: 1, terminal, start_ticks: 1 }.terminal_name()
        };
        assert_eq!(name(0), None);
        assert_eq!(name(0x0401).as_deref(), Some("tty1"));
        assert_eq!(name(0x0440).as_deref(), Some("ttyS0"));
        assert_eq!(name(0x8900).as_deref(), Some("pts/256"));
    }
}
