//! How long an open takes: the part of `scripts/measure open` that must not be a shell.
//!
//! `latency open PATH COUNT` opens, reads and closes PATH; `latency stat PATH COUNT` looks at it;
//! `latency run COUNT PROGRAM ARGUMENT...` runs a program; `latency sync DIRECTORY COUNT` appends
//! 900 bytes to a file and syncs it, which is what one record costs the disk.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement reads the clock and prints what it finds"
)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let bad = |error: std::num::ParseIntError| io::Error::other(error);
    match words.as_slice() {
        ["open", path, count] => report("open+read+close", count.parse().map_err(bad)?, || {
            let mut bytes = [0; 4096];
            File::open(path)?.read(&mut bytes).map(drop)
        }),
        ["stat", path, count] => {
            report("stat", count.parse().map_err(bad)?, || std::fs::metadata(path).map(drop))
        }
        ["run", count, program, rest @ ..] => {
            report("program", count.parse().map_err(bad)?, || {
                let mut command = Command::new(program);
                let status = command.args(rest).stdout(Stdio::null()).status()?;
                if status.success() { Ok(()) } else { Err(io::Error::other("it failed")) }
            })
        }
        ["sync", directory, count] => {
            let mut file = File::create(Path::new(directory).join("latency"))?;
            file.set_len(4 << 20)?;
            file.sync_all()?;
            report("append+fdatasync", count.parse().map_err(bad)?, || {
                file.write_all(&[b'x'; 900])?;
                file.sync_data()
            })
        }
        _ => Err(io::Error::other("usage: see the first lines of examples/latency.rs")),
    }
}

fn report(what: &str, count: usize, mut once: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        once()?;
        taken.push(begun.elapsed());
    }
    taken.sort();
    let at = |share: usize| taken.get(count * share / 100).copied().unwrap_or_default();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{what}: median {:.0} us, p99 {:.0} us ({count} times)",
        micros(at(50)),
        micros(at(99))
    );
    Ok(())
}
