//! Many readers over many mounts that end under them all the time: no hang, no wrong byte, no read
//! after an end, and every read in the log. `WARD_LOAD_SECONDS` says for how long, 5 unless it does;
//! `scripts/soak` takes ten minutes.

use crate::support::process::child_of;
use crate::support::root::Root;
use crate::support::wait;
use crate::support::ward::WARD;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const VAULTS: usize = 8;
const READERS: usize = 64;
/// How late a read may yield bytes, which began before the end.
const SLACK: f64 = 1.0;

/// A vault, and until when its present mount lasts at most, in milliseconds of the boot clock.
struct Shown {
    name: String,
    place: PathBuf,
    ends: AtomicU64,
}

/// What a reader came to.
#[derive(Default)]
struct Tally {
    read: u64,
    failed: u64,
}

fn now() -> u64 {
    std::time::Duration::from_secs_f64(wait::seconds()).as_millis().try_into().unwrap()
}

fn value(vault: &str) -> String {
    format!("the value of {vault}")
}

fn seconds() -> f64 {
    let wanted = std::env::var_os("WARD_LOAD_SECONDS").and_then(|text| text.into_string().ok());
    wanted.and_then(|text| text.parse().ok()).unwrap_or(5.0)
}

/// Mounts a vault again and again, for a second each time.
fn keep_mounting(root: &Root, shown: &Shown, is_over: &AtomicBool) -> u64 {
    let mut mounts = 0;
    while !is_over.load(Ordering::Relaxed) {
        shown.ends.store(u64::MAX, Ordering::SeqCst);
        let words = ["vault", "mount", &shown.name, shown.place.to_str().unwrap(), "--ttl", "1s"];
        let ended = root.run(&words);
        match ended.status {
            Some(0) => {
                shown.ends.store(now() + 1000, Ordering::SeqCst);
                mounts += 1;
                let table = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
                let place = shown.place.to_str().unwrap();
                assert!(wait::until(|| !table().contains(place)), "{place} did not end");
            }
            // The one before is on its way out.
            Some(6) => {}
            _ => panic!("{ended:?}"),
        }
    }
    mounts
}

/// Reads through one descriptor until it yields nothing any more, and then another.
fn keep_reading(shown: &[Shown], reader: usize, is_over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let mut turn = reader;
    while !is_over.load(Ordering::Relaxed) {
        turn += 1;
        let vault = &shown[turn % VAULTS];
        let Ok(file) = File::open(vault.place.join("token")) else { continue };
        let ends = vault.ends.load(Ordering::SeqCst);
        let expected = value(&vault.name);
        for _ in 0..200 {
            let mut bytes = vec![0; expected.len()];
            let began = now();
            match file.read_at(&mut bytes, 0) {
                Ok(count) => {
                    tally.read += 1;
                    assert_eq!(String::from_utf8_lossy(&bytes[..count]), expected);
                    let late = std::time::Duration::from_millis(began.saturating_sub(ends));
                    assert!(late.as_secs_f64() < SLACK, "a read {late:?} after the end");
                }
                Err(_) => {
                    tally.failed += 1;
                    break;
                }
            }
        }
    }
    tally
}

fn reads_in_the_log(folder: &Path) -> u64 {
    let mut reads = 0;
    ward_audit::read(folder, &ward_audit::Filter::default(), |shown| {
        reads += u64::from(shown.entry.event_type.name() == "file.read");
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    reads
}

#[test]
fn sixty_four_readers_over_eight_mounts_that_end_under_them_get_right_bytes_or_none() {
    let root = Root::private().serving();
    let shown: Vec<Shown> = (0..VAULTS)
        .map(|number| {
            let name = format!("vault{number}");
            root.ward(&["vault", "init", &name]).succeed();
            let secret = format!("{name}:token");
            root.ward(&["set", &secret, "--value", &value(&name)]).succeed();
            let place = root.directory().canonicalize().unwrap().join(format!("mount{number}"));
            std::fs::create_dir(&place).unwrap();
            Shown { name, place, ends: AtomicU64::new(u64::MAX) }
        })
        .collect();
    let is_over = AtomicBool::new(false);
    let (mounts, tallies) = std::thread::scope(|scope| {
        let (root, shown, is_over) = (&root, &shown, &is_over);
        let mounters: Vec<_> = shown
            .iter()
            .map(|shown| scope.spawn(move || keep_mounting(root, shown, is_over)))
            .collect();
        let readers: Vec<_> = (0..READERS)
            .map(|reader| scope.spawn(move || keep_reading(shown, reader, is_over)))
            .collect();
        let end = wait::seconds() + seconds();
        while wait::seconds() < end && !mounters.iter().any(|it| it.is_finished()) {
            std::thread::park_timeout(std::time::Duration::from_millis(50));
        }
        is_over.store(true, Ordering::Relaxed);
        let mounts: u64 = mounters.into_iter().map(|mounter| mounter.join().unwrap()).sum();
        let tallies = readers.into_iter().map(|reader| reader.join().unwrap());
        let sum = |one: Tally, other: Tally| Tally {
            read: one.read + other.read,
            failed: one.failed + other.failed,
        };
        (mounts, tallies.fold(Tally::default(), sum))
    });
    let Tally { read, failed } = tallies;
    root.ward(&["daemon", "stop"]).succeed();
    let logged = reads_in_the_log(&root.path().join("audit"));
    eprintln!("{mounts} mounts, {read} reads, {failed} refused at an end, {logged} in the log");
    assert!(mounts > 8 && read > 1000, "{mounts} mounts, {read} reads");
    // A read that the end met on its way back is in the log and yielded nothing.
    assert!(
        logged >= read && logged - read <= failed,
        "{read} reads, {failed} failed, {logged} logged"
    );
}

#[test]
fn ten_idle_mounts_take_little_memory() {
    let root = Root::private().serving();
    for number in 0..10 {
        let name = format!("vault{number}");
        root.ward(&["vault", "init", &name]).succeed();
        root.ward(&["vault", "mount", &name, &name]).succeed();
    }
    let daemon = root.running().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    let resident = |key: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // Of the program itself only what is its own counts: the file is larger with what a debugger wants.
    let own = resident("RssAnon:") + resident("RssShmem:");
    eprintln!("{own} KiB of its own, {} KiB with the program", resident("VmRSS:"));
    assert!(own < 30 << 10, "{own} KiB");
    (0..10).for_each(|number| {
        root.ward(&["vault", "unmount", &format!("vault{number}")]).succeed();
    });
}

/// Descriptors that tell whether a caller still lives.
fn pidfds(pid: u32) -> usize {
    let listing = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = listing.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link == Path::new("anon_inode:[pidfd]")).count()
}

#[test]
fn those_above_many_callers_are_kept_once() {
    let root = Root::private().serving();
    let monitor = child_of(root.running().unwrap());
    let before = pidfds(monitor);
    // Below three processes, each asker has a parent of its own.
    let script = format!(
        "import os, subprocess\n\
         def below(work):\n\
         \x20   child = os.fork()\n\
         \x20   if child: os.waitpid(child, 0)\n\
         \x20   else: work(); os._exit(0)\n\
         def nest(depth):\n\
         \x20   if depth: below(lambda: nest(depth - 1))\n\
         \x20   else: [below(lambda: subprocess.run([{WARD:?}, 'whoami'])) for _ in range(30)]\n\
         nest(3)\n"
    );
    let mut asking = Command::new("/usr/bin/python3");
    asking.args(["-c", &script]).env_clear().env("WARD_ROOT", root.path());
    assert!(asking.stdout(Stdio::null()).status().unwrap().success());
    let kept = pidfds(monitor).saturating_sub(before);
    assert!((30..80).contains(&kept), "{kept}");
}

#[test]
fn what_is_kept_of_callers_goes_soon_after_they_ended() {
    let root = Root::private().serving();
    let daemon = root.running().unwrap();
    let before = pidfds(daemon);
    let mut most = 0;
    for _ in 0..30 {
        root.ward(&["whoami"]).succeed();
        most = most.max(pidfds(daemon));
    }
    assert!(most > before, "nothing is kept of them at all");
    // That of who asks now is there, too.
    assert!(wait::until(|| pidfds(daemon) <= before), "{most}, then {}", pidfds(daemon));
}
