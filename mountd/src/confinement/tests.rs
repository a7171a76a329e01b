//! A process that confines itself and then tries what it must not, or what it must go on doing.

use super::confine_core;
use crate::root::Root;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// What a process says that is confined.
const CONFINED: &str = "confined";
/// What ends the process: the number of SIGSYS.
const BAD_SYSTEM_CALL: i32 = 31;

/// Runs the attempt `name` in a process of its own, confined to `root`.
fn attempt(name: &str, root: &Path) -> ExitStatus {
    attempt_after(name, root, || ())
}

/// The same, which begins when `work` was done beside the confined process.
fn attempt_after(name: &str, root: &Path, work: impl FnOnce()) -> ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "confinement::tests::one_attempt", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut order = child.stdin.take().unwrap();
    order.write_all(format!("{name}\n{}\n", root.display()).as_bytes()).unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.ends_with(CONFINED)));
    work();
    drop(order);
    said.for_each(drop);
    child.wait().unwrap()
}

/// Not a test of its own: what the others start. It succeeds when the attempt does.
#[test]
#[ignore = "is started by the other tests, which say what to try"]
fn one_attempt() {
    let mut order = std::io::stdin().lines();
    let mut next = || order.next().unwrap().unwrap();
    let (name, root) = (next(), next());
    let root = Root::open(Path::new(&root)).unwrap();
    let parent = nix::unistd::getppid();
    let _confinement = confine_core(&root).unwrap();
    writeln!(std::io::stdout(), "{CONFINED}").unwrap();
    assert!(order.next().is_none());
    assert!(tries(&name, &root, parent), "{name} failed");
}

fn tries(name: &str, root: &Root, parent: nix::unistd::Pid) -> bool {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};
    let none = SockFlag::empty();
    match name {
        "work" => {
            works(root);
            true
        }
        "meminfo" => File::open("/proc/meminfo").is_ok(),
        "boot id" => crate::clock::boot_id().is_ok(),
        "fuse" => !is_refused(File::open("/proc/sys/fs/fuse/max_request_timeout")),
        "execve" => Command::new("/bin/true").status().is_ok(),
        "socket" => socket(AddressFamily::Unix, SockType::Stream, none, None).is_ok(),
        "internet" => std::net::TcpStream::connect("127.0.0.1:1").is_ok(),
        "socketpair" => socketpair(AddressFamily::Unix, SockType::Datagram, None, none).is_ok(),
        "mount" => {
            let (flags, none) = (nix::mount::MsFlags::empty(), None::<&str>);
            nix::mount::mount(none, root.path(), Some("tmpfs"), flags, none).is_ok()
        }
        "pidfd" => {
            let parent = rustix::process::Pid::from_raw(parent.as_raw()).unwrap();
            rustix::process::pidfd_open(parent, rustix::process::PidfdFlags::empty()).is_ok()
        }
        "setns" => {
            let standard = rustix::stdio::stdin();
            rustix::thread::move_into_link_name_space(standard, None).is_ok()
        }
        "setuid" => nix::unistd::setuid(nix::unistd::getuid()).is_ok(),
        "kill" => nix::sys::signal::kill(parent, None).is_ok(),
        "dumpable" => nix::sys::prctl::set_dumpable(true).is_ok(),
        "passwd" => File::open("/etc/passwd").is_ok(),
        "above" => File::open(root.join("../outside")).is_ok(),
        "write above" => File::create(root.join("../made")).is_ok(),
        "program of another" => std::fs::read_link(format!("/proc/{parent}/exe")).is_ok(),
        "own environment" => File::open("/proc/self/environ").is_ok(),
        _ => false,
    }
}

/// Not every kernel has every file.
fn is_refused<T>(opened: std::io::Result<T>) -> bool {
    opened.is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound)
}

/// Some of all that the core does.
fn works(root: &Root) {
    let file = root.join("folder/file");
    std::fs::create_dir(root.join("folder")).unwrap();
    let mut made = File::options().create_new(true).read(true).write(true).open(&file).unwrap();
    made.write_all(&[7; 100_000]).unwrap();
    made.sync_data().unwrap();
    made.sync_all().unwrap();
    made.set_len(10).unwrap();
    std::fs::rename(&file, root.join("moved")).unwrap();
    std::fs::remove_dir(root.join("folder")).unwrap();
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    std::fs::remove_file(root.join("moved")).unwrap();
    assert!(std::fs::read_to_string("/proc/meminfo").unwrap().contains("MemAvailable"));
    crate::clock::boot_id().unwrap();
    crate::clock::new_id().unwrap();
    let (heard, said) = crossbeam_channel::bounded(1);
    let thread = std::thread::Builder::new().name("named".to_owned()).spawn(move || {
        let large = vec![1_u8; 32 << 20];
        heard.send(large.len()).unwrap();
    });
    assert_eq!(said.recv().unwrap(), 32 << 20);
    thread.unwrap().join().unwrap();
    // A panic ends its thread and no more.
    assert!(std::thread::spawn(|| panic!("meant")).join().is_err());
}

fn root() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    drop(File::create(directory.path().join("outside")).unwrap());
    (directory, root)
}

#[test]
fn a_confined_core_goes_on_working_in_its_root() {
    let (_directory, root) = root();
    let ended = attempt("work", &root);
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_core_reads_what_it_may_also_after_the_kernel_forgot_it() {
    let (_directory, root) = root();
    // What was looked at since is kept at the first time.
    let forget = || {
        for _ in 0..3 {
            File::create("/proc/sys/vm/drop_caches").unwrap().write_all(b"2").unwrap();
        }
    };
    for name in ["meminfo", "boot id", "fuse"] {
        let ended = attempt_after(name, &root, forget);
        assert!(ended.success(), "{name}: {ended}");
    }
}

#[test]
fn a_core_that_starts_a_program_makes_a_socket_or_mounts_ends_on_the_spot() {
    let (_directory, root) = root();
    let hostile =
        ["execve", "socket", "internet", "socketpair", "mount", "pidfd", "setns", "setuid"];
    for name in hostile {
        assert_eq!(attempt(name, &root).signal(), Some(BAD_SYSTEM_CALL), "{name}");
    }
}

#[test]
fn a_core_that_opens_what_is_not_in_its_root_is_refused() {
    let (_directory, root) = root();
    let refused = ["passwd", "above", "write above", "program of another", "own environment"];
    for name in refused {
        let ended = attempt(name, &root);
        assert_eq!((ended.success(), ended.signal()), (false, None), "{name}: {ended}");
    }
}

#[test]
fn a_core_can_send_no_signal_and_cannot_make_itself_readable_again() {
    let (_directory, root) = root();
    for name in ["kill", "dumpable"] {
        assert!(!attempt(name, &root).success(), "{name}");
    }
}
