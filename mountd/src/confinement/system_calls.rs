//! Seccomp (seccomp(2)): which system calls the core may make.
//!
//! Three filters, of which the strictest answer counts. What nothing here needs and only an attack
//! makes ends the process. What is merely not on the list does not exist (ENOSYS), as on an older
//! kernel, for which libraries have another way; in a debug build it ends the process too, so that
//! no test passes with a call that is missing from the list.

use libc::{
    CLONE_THREAD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, PR_SET_NAME, PROT_EXEC,
};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::collections::BTreeMap;
use std::io;

type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

/// Made with any argument.
const ALLOWED: &[libc::c_long] = &[
    // Descriptors.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    // Files: which ones is Landlock's to say.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_statfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_flock,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_copy_file_range,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_syncfs,
    // Sockets that are there: the listener, its connections, the channels of the monitor.
    libc::SYS_accept4,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_shutdown,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    libc::SYS_memfd_secret,
    libc::SYS_membarrier,
    // Threads and signals.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_restart_syscall,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // What time it is, who we are, what the machine has.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getcwd,
    libc::SYS_uname,
    libc::SYS_sysinfo,
];

/// Older forms that glibc still makes on this machine.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_poll,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// Not on the list even in a debug build: libraries try them and have another way.
const REFUSED: &[libc::c_long] = &[
    // Its flags cannot be seen from here, those of clone(2) can.
    libc::SYS_clone3,
];

/// Programs, processes, sockets, mounts, kernel: nothing here makes them but an attack.
const HOSTILE: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_memfd_create,
];
#[cfg(target_arch = "x86_64")]
const HOSTILE_HERE: &[libc::c_long] =
    &[libc::SYS_fork, libc::SYS_vfork, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const HOSTILE_HERE: &[libc::c_long] = &[];

/// What programs of a helper need of that: to run others, and to talk to them.
const OF_A_HELPER: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_memfd_create,
];

/// Restricts a helper and what it runs: what is hostile elsewhere is not permitted (EPERM).
pub(super) fn restrict_helper() -> io::Result<()> {
    let mut rules = any(HOSTILE);
    rules.retain(|call, _| !OF_A_HELPER.contains(call));
    install(rules, SeccompAction::Allow, SeccompAction::Errno(errno(libc::EPERM)))
}

/// Restricts every thread of this process, for good.
pub(super) fn restrict() -> io::Result<()> {
    let unlisted = if cfg!(debug_assertions) {
        SeccompAction::KillProcess
    } else {
        SeccompAction::Errno(errno(libc::ENOSYS))
    };
    let filters = [
        (hostile()?, SeccompAction::Allow, SeccompAction::KillProcess),
        (any(REFUSED), SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS))),
        // Last, since with it no further filter can be set.
        (allowed()?, unlisted, SeccompAction::Allow),
    ];
    for (rules, otherwise, action) in filters {
        install(rules, otherwise, action)?;
    }
    Ok(())
}

fn install(rules: Rules, otherwise: SeccompAction, action: SeccompAction) -> io::Result<()> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH);
    let filter = architecture
        .and_then(|architecture| SeccompFilter::new(rules, otherwise, action, architecture))
        .and_then(seccompiler::BpfProgram::try_from)
        .map_err(io::Error::other)?;
    seccompiler::apply_filter_all_threads(&filter).map_err(io::Error::other)
}

fn any(calls: &[libc::c_long]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

fn allowed() -> io::Result<Rules> {
    let mut rules = any(ALLOWED);
    rules.extend(any(ALLOWED_HERE));
    rules.extend(any(REFUSED));
    // No memory becomes code.
    rules.insert(libc::SYS_mmap, vec![rule(&[without(2, PROT_EXEC)?])?]);
    rules.insert(libc::SYS_mprotect, vec![rule(&[without(2, PROT_EXEC)?])?]);
    rules.insert(libc::SYS_clone, vec![rule(&[with(0, CLONE_THREAD)?])?]);
    // Names a thread; anything else could make us dumpable again.
    rules.insert(libc::SYS_prctl, vec![rule(&[is(0, PR_SET_NAME)?])?]);
    let commands = [F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC];
    let commands = commands.iter().map(|command| rule(&[is(1, *command)?]));
    rules.insert(libc::SYS_fcntl, commands.collect::<io::Result<_>>()?);
    // A thread asks for the limits of its stack; nobody sets one.
    rules.insert(libc::SYS_prlimit64, vec![rule(&[is(0, 0)?, is_null(2)?])?]);
    // How a process aborts itself.
    let ours = std::process::id().cast_signed();
    rules.insert(libc::SYS_tgkill, vec![rule(&[is(0, ours)?])?]);
    Ok(rules)
}

fn hostile() -> io::Result<Rules> {
    let mut rules = any(HOSTILE);
    rules.extend(any(HOSTILE_HERE));
    // A process of its own.
    rules.insert(libc::SYS_clone, vec![rule(&[without(0, CLONE_THREAD)?])?]);
    Ok(rules)
}

fn rule(conditions: &[SeccompCondition]) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions.to_vec()).map_err(io::Error::other)
}

/// Argument `place` is `value`.
fn is(place: u8, value: libc::c_int) -> io::Result<SeccompCondition> {
    condition(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, bits(value))
}

fn is_null(place: u8) -> io::Result<SeccompCondition> {
    condition(place, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

/// Argument `place` has this flag.
fn with(place: u8, flag: libc::c_int) -> io::Result<SeccompCondition> {
    let flag = bits(flag);
    condition(place, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)
}

/// Argument `place` has not this flag.
fn without(place: u8, flag: libc::c_int) -> io::Result<SeccompCondition> {
    condition(place, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bits(flag)), 0)
}

fn condition(
    place: u8,
    length: SeccompCmpArgLen,
    operation: SeccompCmpOp,
    value: u64,
) -> io::Result<SeccompCondition> {
    SeccompCondition::new(place, length, operation, value).map_err(io::Error::other)
}

const fn bits(value: libc::c_int) -> u64 {
    value.cast_unsigned() as u64
}

const fn errno(errno: libc::c_int) -> u32 {
    errno.cast_unsigned()
}
