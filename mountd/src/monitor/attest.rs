//! Who is this thread: what `/proc` says of it, and how far it can be believed.
//!
//! Everything is read through one descriptor of `/proc/<tid>`, which never comes to mean another
//! thread (proc(5)).

use super::executable::{Hashes, Looked};
use super::message::{Facts, GradeFacts, MonitorError, MonitorFault, ProcessFacts, SessionFacts};
use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

/// `PIDFD_THREAD` (`pidfd_open(2)`, Linux 6.9): the descriptor of a thread, not of its process.
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());
/// How many parents are looked at.
const MOST_PARENTS: usize = 16;
/// The longest file of `/proc` that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// An attested thread: the facts, a pidfd of the thread, a descriptor of its program image, which
/// yields nothing any more once the process runs another program (`pagemap`, proc(5)), and one of
/// its `status`, which tells anew at each read.
#[derive(Debug)]
pub(crate) struct Attested {
    pub(crate) facts: Facts,
    pub(crate) thread: OwnedFd,
    pub(crate) image: OwnedFd,
    pub(crate) status: OwnedFd,
}

/// Attests thread `thread`.
pub(crate) fn attest(thread: u32, hashes: &Hashes) -> Result<Attested, MonitorError> {
    let proc = Proc::open(thread).map_err(gone)?;
    let number = i32::try_from(thread)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| no_process("no such thread"))?;
    let pidfd = pidfd_open(number, PIDFD_THREAD).map_err(|errno| gone(errno.into()))?;
    let image = proc.open_file("pagemap").map_err(gone)?;
    let status_file = proc.open_file("status").map_err(gone)?;
    let text = proc.text("status").map_err(gone)?;
    let status = Status::parse(&text).ok_or_else(|| no_process("its status cannot be read"))?;
    let leader = Proc::open(status.process).map_err(gone)?;
    let stat = Stat::parse(&leader.text("stat").map_err(gone)?)
        .ok_or_else(|| no_process("its stat cannot be read"))?;
    let looked = hashes.look(&proc.directory).ok();
    let grade = grade(&proc, &status, looked.as_ref());
    let process = ProcessFacts { number: status.process, start_ticks: stat.start_ticks };
    let facts = Facts {
        process,
        login_uid: proc.text("loginuid").ok().and_then(|text| login_uid(&text)),
        executable: looked.map(|looked| looked.facts),
        session: session(&proc, process, &stat),
        parents: parents(status.parent).into_iter().map(|(facts, _)| facts).collect(),
        groups: status.groups,
        grade,
        status: identity(text.as_bytes()),
    };
    // Everything above was read of a living thread if it is alive now: its number was not reused.
    if !is_alive(&pidfd) {
        return Err(no_process("it ended while it was looked at"));
    }
    Ok(Attested { facts, thread: pidfd, image, status: status_file })
}

/// SHA-256 over the lines of a `status` that say who a thread is: tracer, ids, groups and session
/// (proc(5)).
pub(crate) fn identity(status: &[u8]) -> [u8; 32] {
    const KEYS: [&[u8]; 6] = [b"Tgid:", b"TracerPid:", b"Uid:", b"Gid:", b"Groups:", b"NSsid:"];
    let lines = status.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| KEYS.iter().any(|key| line.starts_with(key)));
    let mut hasher = Sha256::new();
    lines.for_each(|line| hasher.update(line));
    hasher.finalize().into()
}

/// Whether the thread behind a pidfd still runs: a pidfd is readable from its end on.
pub(crate) fn is_alive(pidfd: &OwnedFd) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut descriptors = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready == 0)
}

/// A directory `/proc/<pid or tid>`, opened once.
struct Proc {
    directory: OwnedFd,
}

impl Proc {
    fn open(number: u32) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = format!("/proc/{number}");
        Ok(Self { directory: rustix::fs::open(path, flags, Mode::empty())? })
    }

    fn open_file(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
    }

    fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::from(self.open_file(name)?).take(LONGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// As text; what is no UTF-8 (a process chooses its own name) becomes a replacement mark.
    fn text(&self, name: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(name)?).into_owned())
    }

    fn user_namespace(&self) -> io::Result<(u64, u64)> {
        let flags = rustix::fs::AtFlags::empty();
        let stat = rustix::fs::statat(&self.directory, "ns/user", flags)?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

/// What is needed of `/proc/<tid>/status`.
struct Status {
    process: u32,
    parent: u32,
    tracer: u32,
    uids: Vec<u32>,
    gids: Vec<u32>,
    groups: Vec<u32>,
}

impl Status {
    fn parse(text: &str) -> Option<Self> {
        let numbers = |key: &str| -> Option<Vec<u32>> {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().map(|word| word.parse().ok()).collect()
        };
        Some(Self {
            process: *numbers("Tgid:")?.first()?,
            parent: *numbers("PPid:")?.first()?,
            tracer: *numbers("TracerPid:")?.first()?,
            uids: numbers("Uid:")?,
            gids: numbers("Gid:")?,
            groups: numbers("Groups:")?,
        })
    }
}

/// What is needed of `/proc/<pid>/stat`; the name in it may hold spaces and parentheses.
struct Stat {
    parent: u32,
    session: u32,
    start_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_whitespace();
        // After the name come state (3), parent (4), group (5), session (6) ... start time (22).
        Some(Self {
            parent: fields.nth(1)?.parse().ok()?,
            session: fields.nth(1)?.parse().ok()?,
            start_ticks: fields.nth(15)?.parse().ok()?,
        })
    }
}

fn login_uid(text: &str) -> Option<u32> {
    // 4294967295 is "nobody has logged in".
    text.trim().parse().ok().filter(|uid| *uid != u32::MAX)
}

/// None for 0 (a parent or session outside our pid namespace) and for what has ended.
fn process(number: u32) -> Option<(ProcessFacts, Stat)> {
    let stat = Stat::parse(&Proc::open(number).ok()?.text("stat").ok()?)?;
    Some((ProcessFacts { number, start_ticks: stat.start_ticks }, stat))
}

/// A session is its leader. One whose leader has ended (a detached job, a shell entered from outside
/// the pid namespace) is the eldest of the caller's line that is still in it: a process with a start
/// time, which no later one can be taken for.
fn session(proc: &Proc, caller: ProcessFacts, stat: &Stat) -> Option<SessionFacts> {
    let eldest = || {
        let line = parents(stat.parent).into_iter();
        let line = line.take_while(|(_, parent)| parent.session == stat.session);
        line.last().map_or(caller, |(facts, _)| facts)
    };
    let leader = process(stat.session).map_or_else(eldest, |(facts, _)| facts);
    Some(SessionFacts { leader, cgroup: cgroup(&proc.bytes("cgroup").ok()?)? })
}

/// The path in the hierarchy of cgroup v2, or else in the one that systemd keeps (cgroups(7)).
fn cgroup(text: &[u8]) -> Option<Vec<u8>> {
    let lines = || text.split(|byte| *byte == b'\n');
    let unified = lines().find_map(|line| line.strip_prefix(b"0::"));
    let named = || {
        lines().find_map(|line| {
            let at = line.windows(14).position(|window| window == b":name=systemd:")?;
            line.get(at + 14..)
        })
    };
    Some(unified.or_else(named).unwrap_or_default().to_vec())
}

fn parents(first: u32) -> Vec<(ProcessFacts, Stat)> {
    let next = |(_, stat): &(ProcessFacts, Stat)| process(stat.parent);
    std::iter::successors(process(first), next).take(MOST_PARENTS).collect()
}

fn grade(proc: &Proc, status: &Status, looked: Option<&Looked>) -> GradeFacts {
    let is_traced = status.tracer != 0;
    let is_foreign = !is_in_our_user_namespace(proc);
    let Some(looked) = looked else {
        return GradeFacts::Untrusted;
    };
    if is_traced || is_foreign || looked.facts.path.is_none() {
        return GradeFacts::Untrusted;
    }
    let has_mixed_ids = [&status.uids, &status.gids]
        .into_iter()
        .any(|ids| ids.iter().any(|id| Some(id) != ids.first()));
    if has_mixed_ids || looked.is_changeable || looked.is_interpreter {
        return GradeFacts::Weak;
    }
    GradeFacts::Verified
}

/// A caller in a user namespace of its own can forge path, inode and hash together.
fn is_in_our_user_namespace(proc: &Proc) -> bool {
    let ours = std::fs::metadata("/proc/self/ns/user");
    let ours = ours.map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((ours, proc.user_namespace()), (Ok(ours), Ok(theirs)) if ours == theirs)
}

fn gone(source: io::Error) -> MonitorError {
    no_process(&format!("its /proc entry cannot be read ({source})"))
}

fn no_process(why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::NoProcess,
        message: format!("the caller cannot be identified: {why}"),
        next: "ask again from a process that stays, in the daemon's pid namespace".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_names_itself_to_look_like_fields_is_read_right() {
        let stat = Stat::parse("7 (a) R 9) S 1 7 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9");
        let stat = stat.unwrap();
        assert_eq!((stat.parent, stat.session, stat.start_ticks), (1, 3, 4242));
    }

    #[test]
    fn this_very_thread_is_attested_with_its_program_and_is_alive() {
        let thread = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let attested = attest(thread, &Hashes::default()).unwrap();
        assert_eq!(attested.facts.process.number, std::process::id());
        let program = attested.facts.executable.unwrap();
        let expected = std::env::current_exe().unwrap();
        assert_eq!(program.path.unwrap(), expected.as_os_str().as_encoded_bytes());
        assert!(program.sha256.is_some());
        assert!(is_alive(&attested.thread));
    }

    #[test]
    fn a_thread_that_is_not_there_is_refused() {
        let error = attest(u32::MAX - 1, &Hashes::default()).unwrap_err();
        assert_eq!(error.fault, MonitorFault::NoProcess);
    }

    #[test]
    fn a_session_without_its_leader_is_the_eldest_of_the_line_that_is_in_it() {
        // The leader ends at once; its child says who it is, and who its own child is.
        let script = "(read go; sh -c 'echo $$; read go'; :) <&3 & echo $!";
        let (asked, go) = std::io::pipe().unwrap();
        let (said, says) = std::io::pipe().unwrap();
        let mut leader = std::process::Command::new("setsid")
            .args(["sh", "-c", &format!("exec 3<&0; {script}")])
            .stdin(asked)
            .stdout(says)
            .spawn()
            .unwrap();
        leader.wait().unwrap();
        let mut said = std::io::BufReader::new(said);
        let mut number = || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut said, &mut line).unwrap();
            line.trim().parse::<u32>().unwrap()
        };
        let session_of = |process| {
            attest(process, &Hashes::default()).unwrap().facts.session.unwrap().leader.number
        };
        let mut go = go;
        let child = number();
        assert_eq!(session_of(child), child);
        std::io::Write::write_all(&mut go, b"\n").unwrap();
        let grandchild = number();
        assert_eq!(session_of(grandchild), child);
        std::io::Write::write_all(&mut go, b"\n").unwrap();
    }

    #[test]
    fn the_cgroup_is_that_of_the_unified_hierarchy_or_of_systemd() {
        assert_eq!(cgroup(b"4:cpu:/x\n0::/user.slice\n").unwrap(), b"/user.slice");
        assert_eq!(cgroup(b"1:name=systemd:/a.service\n").unwrap(), b"/a.service");
        assert_eq!(cgroup(b"").unwrap(), b"");
    }
}
