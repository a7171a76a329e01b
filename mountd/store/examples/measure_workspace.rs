//! Measures a `workspace` vault: `cargo run --release -p ward-store --example measure_workspace -- DIR FILES`
//!
//! Small files, a stream, random pages; then FILES files with one name of 24 bytes and one extent:
//! memory for each, and how long an image stops writers. Run again with the same directory it measures
//! the unlock in a process whose memory is fresh.

#[path = "../tests/support/lease.rs"]
mod lease;

use lease::{NOW as ACTIVE, caller, lease};
use std::error::Error;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use ward_policy::{ActiveLease, FileId, Lease, Operation, SecretPath};
use ward_store::{
    EntryName, Keyfile, NewNode, NewSlot, NewVault, NodeType, SlotSecret, Vault, VaultKind,
    WallTime,
};

type Done = Result<(), Box<dyn Error>>;

const SMALL: u32 = 20_000;
const STREAM: u64 = 1 << 30;
const PAGES: u64 = 100_000;
const NOW: WallTime = WallTime::from_nanoseconds(1);

fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name a new directory")?);
    let files: u32 = arguments.next().ok_or("say how many files")?.parse()?;
    if folder.exists() {
        let secret = SlotSecret::Keyfile(Keyfile::read(&folder.join("key"))?);
        return unlock(&folder.join("many"), &secret, files);
    }
    std::fs::create_dir(&folder)?;
    let keyfile = Keyfile::create(&folder.join("key"))?;
    let secret = SlotSecret::Keyfile(keyfile);
    speed(&Vault::unlock(&make(&folder.join("speed"), &folder)?, &secret)?.0)?;
    many(&make(&folder.join("many"), &folder)?, &secret, files)
}

fn make(directory: &Path, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let keyfile = Keyfile::read(&folder.join("key"))?;
    let settings = NewVault { kind: VaultKind::Workspace, label: String::new() };
    Vault::create(directory, &settings, &NewSlot::Keyfile(&keyfile))?;
    Ok(directory.to_owned())
}

fn speed(vault: &Vault) -> Done {
    let folder = new(vault, vault.root(), "folder", NodeType::Directory)?;
    let mut made = Vec::new();
    timed("create and write 20,000 files of 1 KiB", || {
        for number in 0..SMALL {
            let file = new(vault, folder, &format!("file-{number:06}"), NodeType::File)?;
            vault.write_node(file, 0, &[7; 1024], NOW)?;
            made.push(file);
        }
        Ok(vault.sync().map(drop)?)
    })?;
    timed("read them", || made.iter().try_for_each(|file| read(vault, *file, 0, 1024)))?;
    timed("list them", || {
        let mut count = 0;
        vault.read_entries(folder, 0, &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        if count == SMALL { Ok(()) } else { Err("the listing is short".into()) }
    })?;
    timed("remove them", || {
        for number in 0..SMALL {
            let name = format!("file-{number:06}");
            vault.unlink_entry(folder, &EntryName::try_from(name.as_bytes())?, NOW)?;
        }
        Ok(vault.sync().map(drop)?)
    })?;
    let file = new(vault, vault.root(), "stream", NodeType::File)?;
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|place| place.to_le_bytes()[0]).collect();
    timed("write 1 GiB in order, and sync", || {
        for step in 0..STREAM >> 20 {
            vault.write_node(file, step << 20, &bytes, NOW)?;
        }
        Ok(vault.sync().map(drop)?)
    })?;
    let in_order = || (0..STREAM >> 20).try_for_each(|step| read(vault, file, step << 20, 1 << 20));
    timed("read it in order", in_order)?;
    let random = |number: u64| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24) % (STREAM >> 12);
    timed("overwrite 100,000 random pages of 4 KiB, and sync", || {
        for number in 0..PAGES {
            vault.write_node(file, random(number) << 12, &bytes[..4096], NOW)?;
        }
        Ok(vault.sync().map(drop)?)
    })?;
    timed("read 100,000 random pages of 4 KiB", || {
        (0..PAGES).try_for_each(|number| read(vault, file, random(number + 7) << 12, 4096))
    })?;
    timed("read it in order again", in_order)?;
    timed("compact", || Ok(vault.compact(u64::MAX).map(drop)?))?;
    timed("read it in order after that", in_order)
}

fn many(directory: &Path, secret: &SlotSecret, files: u32) -> Done {
    let (vault, _) = Vault::unlock(directory, secret)?;
    let before = resident()?;
    let mut folder = vault.root();
    timed("make many files", || {
        for number in 0..files {
            if number % 1000 == 0 {
                folder = new(&vault, vault.root(), &format!("f{number}"), NodeType::Directory)?;
            }
            let name = format!("a-name-of-24-by-{number:08}");
            let file = new(&vault, folder, &name, NodeType::File)?;
            vault.write_node(file, 0, b"small", NOW)?;
        }
        Ok(())
    })?;
    say("bytes a file as made", resident()?.saturating_sub(before) / u64::from(files))?;
    let sparse = new(&vault, vault.root(), "sparse", NodeType::File)?;
    let before = resident()?;
    timed("cut a file into 500,000 pieces in random order", || {
        for number in 0..500_000_u64 {
            let place = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            vault.write_node(sparse, place * 64, b"piece", NOW)?;
        }
        Ok(())
    })?;
    say("bytes a piece", resident()?.saturating_sub(before) / 500_000)?;
    // What writers wait for while an image is taken.
    let is_done = AtomicBool::new(false);
    let worst = std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<f64, String> {
            let mut worst = 0.0_f64;
            while !is_done.load(Ordering::Acquire) {
                let start = uptime().map_err(|error| error.to_string())?;
                let set = ward_store::SetAttributes { mode: Some(0o600), ..Default::default() };
                vault.set_attributes(folder, &set, NOW).map_err(|error| error.to_string())?;
                vault.node(folder).ok_or("gone")?;
                worst = worst.max(uptime().map_err(|error| error.to_string())? - start);
            }
            Ok(worst)
        });
        let done = timed("image while writing", || Ok(vault.write_image_if_due().map(drop)?));
        is_done.store(true, Ordering::Release);
        done.map(|()| writer.join())
    })?;
    let worst = worst.map_err(|_| "the writer died")??;
    std::io::stdout().write_all(format!("longest wait of a writer: {worst:.3} s\n").as_bytes())?;
    timed("close", || Ok(vault.close().map(drop)?))
}

fn unlock(directory: &Path, secret: &SlotSecret, files: u32) -> Done {
    let before = resident()?;
    let mut vault = None;
    timed("unlock with image", || {
        vault = Some(Vault::unlock(directory, secret)?.0);
        Ok(())
    })?;
    say("bytes a file from the image", resident()?.saturating_sub(before) / u64::from(files))?;
    drop(vault);
    std::fs::remove_dir_all(directory.join("images"))?;
    timed("unlock without", || Ok(Vault::unlock(directory, secret).map(drop)?))
}

fn new(
    vault: &Vault,
    parent: FileId,
    name: &str,
    node_type: NodeType,
) -> Result<FileId, Box<dyn Error>> {
    let node = NewNode { node_type, mode: 0o644, uid: 1000, gid: 1000, device: 0, target: b"" };
    Ok(vault.make_node(parent, &EntryName::try_from(name.as_bytes())?, node, NOW)?.file)
}

/// Reads by the way of a daemon, with a lease of its own each time.
fn read(vault: &Vault, file: FileId, offset: u64, length: usize) -> Done {
    thread_local! { static LEASES: std::cell::RefCell<Option<(FileId, Lease)>> = const { std::cell::RefCell::new(None) }; }
    LEASES.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(own, _)| *own != file) {
            let path = SecretPath::try_from("a")?;
            let lease = lease(Operation::FileRead, &path, file).ok_or("refused")?;
            *kept = Some((file, lease));
        }
        let (_, lease) = kept.as_ref().ok_or("no lease")?;
        let active: ActiveLease<'_> = lease.active_for(&caller(), ACTIVE)?;
        let plain = vault.read_node(&active, file, offset, length)?;
        if plain.len() == length { Ok(()) } else { Err("a short read".into()) }
    })
}

fn timed(what: &str, run: impl FnOnce() -> Done) -> Done {
    let (start, worked) = (uptime()?, work()?);
    run()?;
    let text =
        format!("{what}: {:.3} s, of the processor {:.3} s\n", uptime()? - start, work()? - worked);
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn say(what: &str, value: u64) -> Done {
    Ok(std::io::stdout().write_all(format!("{what}: {value}\n").as_bytes())?)
}

fn resident() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).ok_or("no statm")?.parse()?;
    Ok(pages * 4096)
}

/// Seconds of work of this process.
fn work() -> Result<f64, Box<dyn Error>> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(std::time::Duration::try_from(now)?.as_secs_f64())
}

/// Seconds since boot.
fn uptime() -> Result<f64, Box<dyn Error>> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Ok(std::time::Duration::try_from(now)?.as_secs_f64())
}
