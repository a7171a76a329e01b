//! Measures steps that only this crate can reach; for `cargo bench`, not for the daemon.

use crate::caller::{Asker, Callers};
use crate::clock;
use crate::cpu_latency::CpuLatency;
use crate::monitor::{Monitor, Started};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A program that does nothing, for as long as it is let.
const PROGRAM: &str = "/usr/bin/sleep";
/// The size of a large program, in MiB.
const LARGE: u64 = 100;

/// Prints how long it takes to identify a known process, an unknown one whose program is known, with
/// and without its ancestors, and one whose program of 100 MB nobody has read.
///
/// # Errors
/// A process cannot be started, or not identified.
pub fn identity() -> io::Result<()> {
    // The monitor ends with its first channel.
    let Started { monitor, first: _first, reports: _reports, .. } =
        Monitor::start(&crate::helper::Helpers::default())?;
    // As the daemon does while requests come.
    let cpu_latency = Arc::new(CpuLatency::new(monitor.limit_cpu_latency().ok()));
    cpu_latency.start()?;
    let callers = Callers::new(Arc::new(monitor), Arc::default());
    let running = Running::of(Path::new(PROGRAM))?;
    callers.identify(running.asker()).map_err(io::Error::other)?;
    let known =
        (0..20_000).map(|_| timed(&callers, &cpu_latency, &running)).collect::<io::Result<_>>()?;
    say("a known process", known)?;
    for (what, ancestors) in
        [("an unknown process, program known", false), ("the same, with its ancestors", true)]
    {
        callers.look_at_ancestors(ancestors);
        let one = |_| timed(&callers, &cpu_latency, &Running::of(Path::new(PROGRAM))?);
        say(what, (0..300).map(one).collect::<io::Result<_>>()?)?;
    }
    let folder = std::env::temp_dir().join(format!("wardfs-measure-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let measured = large(&callers, &cpu_latency, &folder);
    std::fs::remove_dir_all(&folder)?;
    say("a program of 100 MB that nobody has read", measured?)
}

fn large(callers: &Callers, cpu_latency: &CpuLatency, folder: &Path) -> io::Result<Vec<Duration>> {
    let one = |number: u32| {
        let path = folder.join(number.to_string());
        std::fs::copy(PROGRAM, &path)?;
        let mut file = File::options().append(true).open(&path)?;
        // No hole: the pages of a program that was just written, or run before, are in memory.
        let piece = vec![number.to_le_bytes()[0]; 1 << 20];
        (0..LARGE).try_for_each(|_| file.write_all(&piece))?;
        file.set_permissions(Permissions::from_mode(0o755))?;
        drop(file);
        timed(callers, cpu_latency, &Running::of(&path)?)
    };
    (0..5).map(one).collect()
}

fn timed(callers: &Callers, cpu_latency: &CpuLatency, running: &Running) -> io::Result<Duration> {
    cpu_latency.keep_low();
    let began = clock::now();
    callers.identify(running.asker()).map_err(io::Error::other)?;
    Ok(Duration::from_nanos(clock::now().nanoseconds() - began.nanoseconds()))
}

fn say(what: &str, mut times: Vec<Duration>) -> io::Result<()> {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let (median, most) = (at(50), at(99));
    writeln!(io::stdout(), "{what:<42} median {median:>9.1?}  p99 {most:>9.1?}  of {}", times.len())
}

/// A process that waits.
struct Running(Child);

impl Running {
    fn of(program: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        let running = Self(command.arg("600").stdin(Stdio::null()).spawn()?);
        let stat = format!("/proc/{}/stat", running.0.id());
        // Until it waits: what it does to start would be measured, too.
        while !std::fs::read_to_string(&stat)?.contains(") S ") {
            std::thread::yield_now();
        }
        Ok(running)
    }

    fn asker(&self) -> Asker {
        Asker { thread: self.0.id(), uid: 0, gid: 0 }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}
