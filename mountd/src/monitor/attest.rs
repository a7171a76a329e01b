//! Who is this thread: what `/proc` says of it, and how far it can be believed.
//!
//! Everything is read through one descriptor of `/proc/<tid>`, which never comes to mean another
//! thread (proc(5)).

use super::agent_sessions::AgentSessions;
use super::environment::{Environment, LIBRARIES};
use super::executable::{Looked, Programs};
use super::file_view::Folders;
use super::hashes::Hashing;
use super::line::process;
use super::mapped_code;
use super::message::{Facts, MonitorError, MonitorFault, Wanted};
use super::proc::{Proc, Stat, StatFile, Status, once};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sha2::{Digest as _, Sha256};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use ward_policy::{
    Cgroup, Doubt, Grade, GroupId, Namespaces, Parent, ProcessId, Script, Session, UserId,
};

/// `PIDFD_THREAD` (`pidfd_open(2)`, Linux 6.9): the descriptor of a thread, not of its process.
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(OFlags::EXCL.bits());

/// Where the hierarchy that systemd keeps can be mounted.
const HIERARCHIES: [&str; 3] =
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
/// The length of the id of an invocation, in hex digits.
const INVOCATION: usize = 32;

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

/// Whether this kernel can tell threads apart, as Linux does since 6.9.
pub(crate) fn knows_threads() -> bool {
    let descriptor = pidfd_open(rustix::thread::gettid(), PIDFD_THREAD);
    !matches!(descriptor, Err(rustix::io::Errno::INVAL))
}

/// Attests thread `thread`.
pub(crate) fn attest(
    thread: u32,
    wanted: Wanted,
    programs: &Programs,
    agents: &AgentSessions,
) -> Result<Attested, MonitorError> {
    let proc = Proc::open(thread).map_err(gone)?;
    let number = i32::try_from(thread)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| no_process("no such thread"))?;
    let pidfd = pidfd_open(number, PIDFD_THREAD).map_err(|errno| gone(errno.into()))?;
    let image = proc.open_file("pagemap").map_err(gone)?;
    let status_file = proc.open_file("status").map_err(gone)?;
    let text = String::from_utf8_lossy(&once(&status_file).map_err(gone)?).into_owned();
    let status = Status::parse(&text).ok_or_else(|| no_process("its status cannot be read"))?;
    let other = (status.process != thread).then(|| Proc::open(status.process));
    let other = other.transpose().map_err(gone)?;
    let leader = other.as_ref().unwrap_or(&proc);
    let unread = || no_process("its stat cannot be read");
    let stat_file = StatFile::open(leader).ok_or_else(unread)?;
    let stat = stat_file.read().ok_or_else(unread)?;
    let hashing = if wanted.hash { Hashing::Now } else { Hashing::Known };
    let mut folders = Folders::default();
    let believed = believe(&proc, &status, programs, &mut folders, hashing);
    let process = ProcessId { number: status.process, start_ticks: stat.start_ticks };
    let look = wanted.ancestors.then_some((programs, hashing));
    let parents = programs.lines.above((&stat_file, &stat), look, &mut folders);
    let cgroup_text = proc.bytes("cgroup").unwrap_or_default();
    let session = session(process, &stat, &parents, &cgroup_text);
    let facts = Facts {
        process,
        login_uid: proc.text("loginuid").ok().and_then(|text| login_uid(&text)),
        executable: believed.looked.executable.map(Arc::new),
        is_unread: believed.looked.is_unread,
        script: believed.script.map(Arc::new),
        invocation: invocation(session.as_ref()),
        session,
        agent: agents.of(process, &cgroup_text),
        terminal: stat.terminal_name().map(Into::into),
        namespaces: wanted.namespaces.then(|| namespaces(&proc).ok()).flatten(),
        tracer: Some(status.tracer).filter(|tracer| *tracer != 0),
        parents,
        uids: status.uids.clone(),
        gids: status.gids.clone(),
        groups: status.groups.iter().copied().map(GroupId).collect(),
        doubts: believed.looked.doubts.into(),
        status: identity(text.as_bytes()),
    };
    // Everything above was read of a living thread if it is alive now: its number was not reused.
    if !is_alive(&pidfd) {
        return Err(no_process("it ended while it was looked at"));
    }
    Ok(Attested { facts, thread: pidfd, image, status: status_file })
}

/// What a process runs, and what speaks against it.
pub(super) struct Believed {
    pub(super) looked: Looked,
    pub(super) script: Option<Script>,
}

/// Looks at what a process runs and at everything that speaks against it.
pub(super) fn believe(
    proc: &Proc,
    status: &Status,
    programs: &Programs,
    folders: &mut Folders,
    hashing: Hashing,
) -> Believed {
    let mut looked = programs.look(proc, folders, hashing);
    let doubts = &mut looked.doubts;
    if status.tracer != 0 {
        doubts.push(Doubt::Traced);
    }
    if !is_in_our_user_namespace(proc) {
        doubts.push(Doubt::UserNamespace);
    }
    if status.has_mixed_ids() {
        doubts.push(Doubt::MixedIds);
    }
    let environment = proc.bytes("environ").map(Environment::new);
    match &environment {
        Ok(environment) => doubts.extend(environment.doubts(folders)),
        Err(_) => doubts.push(Doubt::Unreadable),
    }
    let path = looked.executable.as_ref().and_then(|executable| executable.path.as_deref());
    let mut script = None;
    if let (Some(path), Ok(environment)) = (path, &environment)
        && doubts.contains(&Doubt::Interpreter)
    {
        let held = || programs.script(proc, path, folders);
        let held = || (!environment.steers_shells()).then(held).flatten();
        if let Some(known) = programs.pins.of(status.process).or_else(held) {
            doubts.retain(|doubt| *doubt != Doubt::Interpreter);
            if known.is_changeable && !doubts.contains(&Doubt::Changeable) {
                doubts.push(Doubt::Changeable);
            }
            script = Some(known.script);
        }
    }
    // A program that others can change anyway is no easier to bring code into by a variable.
    let by_path = Doubt::PathVariable(LIBRARIES.to_owned());
    if doubts.contains(&by_path)
        && !doubts.contains(&Doubt::Changeable)
        && !matches!(mapped_code::changeable(proc, folders), Ok(None))
    {
        doubts.retain(|doubt| *doubt != by_path);
        doubts.push(Doubt::LoaderVariable(LIBRARIES.to_owned()));
    }
    // The longest look, and no use where something else leaves less.
    if Grade::of(doubts) == Grade::Verified {
        match mapped_code::changeable(proc, folders) {
            Ok(None) => {}
            Ok(Some(path)) => doubts.push(Doubt::MappedCode(path)),
            Err(_) => doubts.push(Doubt::Unreadable),
        }
    }
    Believed { looked, script }
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

/// Whether a process still runs the program that it ran when its `pagemap` was opened (proc(5)): of an
/// image that is gone there is nothing.
pub(crate) fn is_same_program(image: &OwnedFd) -> bool {
    // One entry is 8 bytes, of any address.
    let mut entry = [0; 8];
    rustix::io::pread(image, &mut entry, 0).is_ok_and(|count| count == 8)
}

fn login_uid(text: &str) -> Option<UserId> {
    // 4294967295 is "nobody has logged in".
    text.trim().parse().ok().filter(|uid| *uid != u32::MAX).map(UserId)
}

fn namespaces(proc: &Proc) -> io::Result<Namespaces> {
    let inode = |name| proc.namespace(name);
    Ok(Namespaces { user: inode("user")?, mount: inode("mnt")?, process: inode("pid")? })
}

/// A session is its leader. One whose leader has ended (a detached job, a shell entered from outside
/// the pid namespace) is the eldest of the caller's line that is still in it: a process with a start
/// time, which no later one can be taken for.
fn session(
    caller: ProcessId,
    stat: &Stat,
    parents: &[Parent],
    cgroup_text: &[u8],
) -> Option<Session> {
    // Most often it is the process itself, or one of its line, which was looked at already.
    let mut near = parents.iter().map(|parent| parent.process).chain([caller]);
    let known = near.find(|process| process.number == stat.session);
    let eldest = || super::line::eldest_in_session(stat).unwrap_or(caller);
    let other = || process(stat.session).map_or_else(eldest, |(process, _)| process);
    let leader = known.unwrap_or_else(other);
    (!cgroup_text.is_empty()).then(|| Session { leader, cgroup: cgroup(cgroup_text) })
}

/// The run of a systemd unit, as it writes it on the unit's cgroup (`INVOCATION_ID`, systemd.exec(5)).
fn invocation(session: Option<&Session>) -> Option<Arc<str>> {
    let cgroup = &session?.cgroup;
    cgroup.unit()?;
    let path = std::str::from_utf8(cgroup.as_bytes()).ok()?;
    let told = HIERARCHIES.iter().find_map(|hierarchy| {
        let mut value = [0; INVOCATION];
        let path = format!("{hierarchy}{path}");
        let length = rustix::fs::lgetxattr(path, "trusted.invocation_id", &mut value).ok()?;
        (length == INVOCATION).then_some(value)
    })?;
    std::str::from_utf8(&told).ok().map(Into::into)
}

/// The path in the hierarchy of cgroup v2, or else in the one that systemd keeps (cgroups(7)).
fn cgroup(text: &[u8]) -> Cgroup {
    let lines = || text.split(|byte| *byte == b'\n');
    let unified = lines().find_map(|line| line.strip_prefix(b"0::"));
    let named = || {
        lines().find_map(|line| {
            let at = line.windows(14).position(|window| window == b":name=systemd:")?;
            line.get(at + 14..)
        })
    };
    // On a machine with both, systemd's is the one that says something.
    let told = unified.filter(|path| *path != b"/").or_else(named).or(unified);
    Cgroup::new(told.unwrap_or_default())
}

/// A caller in a user namespace of its own can forge path, inode and hash together.
fn is_in_our_user_namespace(proc: &Proc) -> bool {
    static OURS: OnceLock<Option<u64>> = OnceLock::new();
    let ours = OURS.get_or_init(|| Proc::open(std::process::id()).ok()?.namespace("user").ok());
    ours.is_some() && *ours == proc.namespace("user").ok()
}

pub(super) fn gone(source: io::Error) -> MonitorError {
    no_process(&format!("its /proc entry cannot be read ({source})"))
}

pub(super) fn no_process(why: &str) -> MonitorError {
    MonitorError {
        fault: MonitorFault::NoProcess,
        message: format!("the caller cannot be identified: {why}"),
        next: "ask again from a process that stays, in the daemon's pid namespace".to_owned(),
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wanted = Wanted { hash: true, ancestors: false, namespaces: true };

    #[test]
    fn this_very_thread_is_attested_with_its_program_and_is_alive() {
        let thread = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let attested =
            attest(thread, NOW, &Programs::default(), &AgentSessions::default()).unwrap();
        assert_eq!(attested.facts.process.number, std::process::id());
        let program = attested.facts.executable.unwrap();
        let expected = std::env::current_exe().unwrap();
        assert_eq!(program.path.as_deref().unwrap(), expected.as_os_str().as_encoded_bytes());
        assert!(program.sha256.is_some());
        assert!(is_alive(&attested.thread));
    }

    #[test]
    fn a_thread_that_is_not_there_is_refused() {
        let error =
            attest(u32::MAX - 1, NOW, &Programs::default(), &AgentSessions::default()).unwrap_err();
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
            attest(process, NOW, &Programs::default(), &AgentSessions::default())
                .unwrap()
                .facts
                .session
                .unwrap()
                .leader
                .number
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
        assert_eq!(cgroup(b"4:cpu:/x\n0::/user.slice\n").as_bytes(), b"/user.slice");
        assert_eq!(cgroup(b"1:name=systemd:/a.service\n").as_bytes(), b"/a.service");
        assert_eq!(cgroup(b"").as_bytes(), b"");
    }
}
