//! What the programs ask the kernel for: modes of new files, syncs before answers, other programs.

use crate::support::root::Root;
use crate::support::ward::{DAEMON, WARD};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Calls that make files, give them modes, write, sync, answer or start programs.
const CALLS: &str = "trace=open,openat,creat,mkdir,mkdirat,mknod,mknodat,chmod,fchmod,fchmodat,bind,umask,\
                     pwrite64,pwritev,pwritev2,write,fsync,fdatasync,sendmsg,sendto,execve";

/// A program that runs under strace(1) with a umask of 0, and what it did so far.
struct Traced {
    process: Child,
    file: PathBuf,
}

impl Traced {
    /// `None`, with a word why, where there is no strace.
    fn begin(root: &Root, name: &str, words: &[&str]) -> Option<Self> {
        if !Path::new("/usr/bin/strace").exists() {
            eprintln!("skipped: /usr/bin/strace is not there: apt-get install strace");
            return None;
        }
        let file = root.directory().join(name);
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            "umask 0; exec \"$@\"",
            "sh",
            "/usr/bin/strace",
            "-f",
            "-y",
            "-s",
            "64",
        ]);
        command.args(["-e", CALLS, "-o"]).arg(&file).args(words).env_clear();
        command.env("WARD_ROOT", root.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        Some(Self { process: command.spawn().unwrap(), file })
    }

    /// The daemon of the root, which serves.
    fn daemon(root: &Root) -> Option<Self> {
        let path = root.path().to_str().unwrap();
        let mut traced = Self::begin(root, "daemon.trace", &[DAEMON, "--root", path])?;
        let mut line = String::new();
        let said = traced.process.stdout.as_mut().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(traced)
    }

    /// Every call once the program has ended, as strace writes it.
    fn end(mut self) -> Vec<String> {
        assert!(self.process.wait().unwrap().success());
        let text = std::fs::read(&self.file).unwrap();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

/// The mode that a call gives a file, and which file; of calls that make or change one.
fn mode_of(line: &str) -> Option<u32> {
    let call = line.split_whitespace().nth(1)?;
    let makes = ["mkdir(", "mkdirat(", "mknod", "creat(", "chmod(", "fchmod(", "fchmodat("];
    if !makes.iter().any(|it| call.starts_with(it)) && !line.contains("O_CREAT") {
        return None;
    }
    let (arguments, _) = line.rsplit_once(')').or_else(|| line.rsplit_once(" <unfinished"))?;
    let mode = arguments.rsplit([',', ' ']).find(|word| word.starts_with('0'))?;
    u32::from_str_radix(mode, 8).ok()
}

#[test]
fn every_file_of_a_root_has_its_final_mode_from_the_first_moment_whatever_the_umask() {
    let root = Root::absent();
    let Some(init) = Traced::begin(&root, "init.trace", &[WARD, "init"]) else { return };
    let made = init.end();
    let Some(daemon) = Traced::daemon(&root) else { return };
    root.ward(&["set", "db/password", "--value", "hunter2"]).succeed();
    root.ward(&["vault", "init", "work", "--kind", "workspace"]).succeed();
    root.ward(&["audit", "rotate-key"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let served = daemon.end();
    let lines: Vec<&String> = made.iter().chain(&served).collect();
    let modes: Vec<(u32, &str)> =
        lines.iter().filter_map(|line| Some((mode_of(line)?, line.as_str()))).collect();
    assert!(modes.len() > 30, "{modes:?}");
    for (mode, line) in &modes {
        assert_eq!(mode & 0o7077, 0, "{line}");
    }
    // Only the socket has no mode to be made with: by the umask it is nobody else's from the start.
    let changed: Vec<&str> =
        modes.iter().map(|(_, line)| *line).filter(|line| line.contains("chmod")).collect();
    assert!(changed.iter().all(|line| line.contains("control.sock")), "{changed:?}");
    let place = |what: &str| lines.iter().position(|line| line.contains(what));
    assert!(place("umask(077)") < place("bind("), "{:?}", place("umask(077)"));
}

#[test]
fn a_set_is_answered_when_it_is_on_the_disk_and_its_record_too() {
    let root = Root::private();
    let Some(daemon) = Traced::daemon(&root) else { return };
    root.ward(&["set", "a", "--value", "hunter2"]).succeed();
    root.ward(&["set", "b", "--value", "hunter2"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let lines = daemon.end();
    let answers: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].contains("sendmsg(") && lines[*at].contains("\\\"versions\\\""))
        .collect();
    assert_eq!(answers.len(), 2, "{lines:#?}");
    for answered in answers {
        for part in ["/vaults/default/segments/", "/audit/"] {
            let last = |call: &str| {
                let is_it = |line: &String| line.contains(call) && line.contains(part);
                lines[..answered].iter().rposition(is_it)
            };
            let (written, synced) = (last("pwrite64("), last("fdatasync("));
            assert!(written.is_some() && written < synced, "{part}: {written:?}, {synced:?}");
        }
    }
}

#[test]
fn nothing_but_the_programs_of_ward_is_run_for_secrets_and_for_mounts_of_root() {
    let root = Root::private();
    let Some(daemon) = Traced::daemon(&root) else { return };
    root.ward(&["set", "a", "--value", "hunter2"]).succeed();
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "hunter2");
    let is_root = nix::unistd::Uid::effective().is_root();
    if is_root {
        root.ward(&["vault", "mount", "default", "here"]).succeed();
        root.ward(&["vault", "unmount", "default"]).succeed();
    }
    root.ward(&["verify"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let lines = daemon.end();
    let run: Vec<&String> = lines.iter().filter(|line| line.contains("execve(")).collect();
    let is_ours = |line: &&String| line.contains("/proc/self/exe") || line.contains(DAEMON);
    assert!(!run.is_empty() && run.iter().all(is_ours), "{run:?}");
}
