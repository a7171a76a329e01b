//! Measures what an image is worth and what compaction costs: `cargo run --release -p ward-store --example measure_unlock -- DIR FILES`

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use ward_policy::SecretName;
use ward_store::{Keyfile, NewSlot, NewVault, SlotSecret, Vault, VaultKind, WallTime};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("name a new directory")?);
    let files: u32 = arguments.next().ok_or("say how many files")?.parse()?;
    std::fs::create_dir(&folder)?;
    let keyfile = Keyfile::create(&folder.join("key"))?;
    let settings = NewVault { kind: VaultKind::Workspace, label: String::new() };
    let directory = folder.join("vault");
    Vault::create(&directory, &settings, &NewSlot::Keyfile(&keyfile))?;
    let secret = SlotSecret::Keyfile(keyfile);
    let (vault, _) = Vault::unlock(&directory, &secret)?;
    let now = WallTime::from_nanoseconds(1);
    let mut folder_of = vault.root();
    for number in 0..files {
        if number % 1000 == 0 {
            let name = format!("folder-{number}");
            folder_of =
                vault.make_directory(vault.root(), &SecretName::try_from(name.as_bytes())?, now)?;
        }
        let name = format!("a-name-of-24-bytes-{number:05}");
        let file = vault.create_file(folder_of, &SecretName::try_from(name.as_bytes())?, now)?;
        vault.write_version(file, b"a small value", now)?;
    }
    report("before close", 0)?;
    // Half of all content is replaced, so that half of what was written is beyond use.
    for round in 0..12 {
        let file = vault.create_file(
            vault.root(),
            &SecretName::try_from(format!("big-{round}").as_bytes())?,
            now,
        )?;
        for _ in 0..24 {
            vault.write_version(file, &vec![7; 1 << 20], now)?;
        }
    }
    vault.sync()?;
    for _ in 0..3 {
        let start = uptime()?;
        let done = vault.compact(u64::MAX)?;
        report(&format!("{done:?}"), uptime()? - start)?;
    }
    let start = uptime()?;
    vault.close()?;
    report("close", uptime()? - start)?;
    for with_image in [true, false] {
        if !with_image {
            std::fs::remove_dir_all(directory.join("images"))?;
        }
        let before = resident()?;
        let start = uptime()?;
        let (vault, _) = Vault::unlock(&directory, &secret)?;
        report(if with_image { "unlock with image" } else { "unlock without" }, uptime()? - start)?;
        let grown = resident()?.saturating_sub(before);
        report("bytes a file", grown / u64::from(files))?;
        drop(vault);
    }
    Ok(())
}

fn report(what: &str, value: u64) -> Result<(), Box<dyn Error>> {
    let text = format!("{what}: {value} (resident {} MB)\n", resident()? >> 20);
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn resident() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).ok_or("no statm")?.parse()?;
    Ok(pages * 4096)
}

/// Milliseconds since boot, in steps of ten.
fn uptime() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/uptime")?;
    let (seconds, hundredths) =
        text.split_once(' ').and_then(|(up, _)| up.split_once('.')).ok_or("no uptime")?;
    Ok(seconds.parse::<u64>()? * 1000 + hundredths.parse::<u64>()? * 10)
}
