//! M11: what a program of another user, and of the daemon's own, gets of the daemon's memory; and
//! what the daemon could do to others if an attacker's code ran in it.

use crate::support::person::Person;
use crate::support::process::child_of;
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, can_act_as_others, user};
use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt, chown};

/// `/proc/PID/status` of every thread of a process, by key.
fn threads(process: u32) -> Vec<BTreeMap<String, String>> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let texts = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")));
    let lines = |text: String| {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
    };
    // A thread may end while it is looked at.
    texts.filter_map(Result::ok).map(lines).collect()
}

const NO_CAPABILITY: &str = "0000000000000000";
/// What every attack on the memory of a process tries, as Python.
fn attacks(process: u32) -> Vec<String> {
    let files = ["mem", "environ", "maps", "smaps", "pagemap", "auxv", "stack", "syscall"];
    let mut attacks: Vec<String> =
        files.iter().map(|name| format!("read('/proc/{process}/{name}')")).collect();
    attacks.push(format!("os.open('/proc/{process}/mem', os.O_RDWR)"));
    attacks.push(format!("os.listdir('/proc/{process}/fd')"));
    attacks.push(format!("os.listdir('/proc/{process}/map_files')"));
    attacks.push(format!("os.readlink('/proc/{process}/exe')"));
    // PTRACE_ATTACH and PTRACE_SEIZE.
    attacks.push(format!("call('ptrace', 16, {process}, 0, 0)"));
    attacks.push(format!("call('ptrace', 0x4206, {process}, 0, 0)"));
    let vector = "ctypes.byref((ctypes.c_size_t * 2)(id(0), 8))";
    for name in ["process_vm_readv", "process_vm_writev"] {
        attacks.push(format!("call('{name}', {process}, {vector}, 1, {vector}, 1, 0)"));
    }
    // pidfd_getfd(2) of each standard stream.
    attacks.push(format!("call('syscall', 438, os.pidfd_open({process}), 0, 0)"));
    attacks
}

fn is_closed_to(person: &mut Person, process: u32) {
    for attack in attacks(process) {
        let errno = person.fails(&attack);
        assert!(["EACCES", "EPERM"].contains(&errno.as_str()), "{attack}: {errno}");
    }
}

#[test]
fn a_program_of_another_user_gets_nothing_of_either_process() {
    let Some(stage) = Stage::set() else { return };
    let core = stage.root().running().unwrap();
    let mut person = Person::of(OWNER);
    for process in [core, child_of(core)] {
        is_closed_to(&mut person, process);
        assert_eq!(person.fails(&format!("os.kill({process}, signal.SIGKILL)")), "EPERM");
    }
}

#[test]
fn a_program_of_the_same_user_gets_nothing_of_either_process_of_a_private_root() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::absent();
    let owner = user(OWNER);
    chown(root.directory(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    root.ward(&["init"]).by(OWNER).succeed();
    root.ward(&["set", "token", "--value", "s3cret"]).by(OWNER).succeed();
    let core = root.running().unwrap();
    let mut person = Person::of(OWNER);
    // Any other program of this user, one that was only started as usual, is open to it.
    let plain = person.must("subprocess.Popen(['sleep', '600']).pid");
    assert!(person.must(&format!("read('/proc/{plain}/environ')")).is_string());
    person.must(&format!("os.kill({plain}, signal.SIGKILL)"));
    for process in [core, child_of(core)] {
        is_closed_to(&mut person, process);
    }
    // It can end what is its own; that is no way to a key.
    for thread in threads(core) {
        assert_eq!(thread["CapEff"], NO_CAPABILITY);
        assert_eq!((thread["NoNewPrivs"].as_str(), thread["Seccomp"].as_str()), ("1", "2"));
    }
}

#[test]
fn neither_process_leaves_a_core_dump_and_the_keys_are_not_swapped() {
    let Some(stage) = Stage::set() else { return };
    let core = stage.root().running().unwrap();
    for process in [core, child_of(core)] {
        let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    }
    let threads = threads(core);
    let kibibytes = |key: &str| threads[0][key].split_whitespace().next().unwrap().parse::<u64>();
    assert_eq!(kibibytes("VmSwap"), Ok(0));
    let log = stage.log();
    let start = log.iter().rev().find(|it| it["eventType"] == "daemon.started").unwrap();
    let said = start["reason"].as_str().unwrap();
    // Secret memory is locked in any case, and little.
    assert!(said.contains("keys are in secret memory"), "{said}");
    let locked = kibibytes("VmLck").unwrap();
    // Beyond a limit that nobody here may lift, not all memory can be locked, and the start says so;
    // what is on its way to readers is.
    let limit = std::fs::read_to_string(format!("/proc/{core}/limits")).unwrap();
    let limit = limit.lines().find(|line| line.starts_with("Max locked memory")).unwrap();
    let all = limit.contains("unlimited");
    assert_eq!(all, said.starts_with("memory is locked"), "{limit}: {said}");
    assert_eq!(!all, said.contains("replies are locked"), "{limit}: {said}");
    assert!(locked > if all { 16 << 10 } else { 1 << 10 }, "{locked} kB: {said}");
}

#[test]
fn no_thread_of_the_core_has_a_privilege_or_may_gain_one() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("free/token", "s3cret");
    let core = stage.root().running().unwrap();
    let threads = threads(core);
    assert!(threads.len() > 5, "event loops and keepers run");
    for thread in threads {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(thread[set], NO_CAPABILITY, "{set} of {}", thread["Name"]);
        }
        assert_eq!(thread["NoNewPrivs"], "1", "{}", thread["Name"]);
        assert_eq!(thread["Seccomp"], "2", "{}", thread["Name"]);
    }
}

#[test]
fn the_monitor_keeps_seven_privileges_and_may_gain_none() {
    let Some(stage) = Stage::set() else { return };
    let monitor = child_of(stage.root().running().unwrap());
    // CAP_DAC_OVERRIDE 1, CAP_DAC_READ_SEARCH 2, CAP_KILL 5, CAP_SETGID 6, CAP_SETUID 7,
    // CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21.
    let kept = [1, 2, 5, 6, 7, 19, 21].into_iter().fold(0_u64, |kept, it| kept | 1 << it);
    let kept = format!("{kept:016x}");
    for thread in threads(monitor) {
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(thread[set], kept, "{set} of {}", thread["Name"]);
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(thread[set], NO_CAPABILITY, "{set} of {}", thread["Name"]);
        }
        assert_eq!(thread["NoNewPrivs"], "1", "{}", thread["Name"]);
    }
}

#[test]
fn not_even_root_reads_the_keys_of_the_daemon_through_the_kernel() {
    let Some(stage) = Stage::set() else { return };
    let core = stage.root().running().unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{core}/maps")).unwrap();
    let secret = maps.lines().filter(|line| line.contains("secretmem"));
    let starts: Vec<u64> = secret
        .map(|line| u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap())
        .collect();
    assert!(!starts.is_empty(), "a vault is unlocked");
    let memory = std::fs::File::open(format!("/proc/{core}/mem")).unwrap();
    for start in starts {
        let read = memory.read_at(&mut [0; 32], start);
        assert!(read.is_err(), "{read:?}");
    }
}
