//! A file whose content is replaced whole: whoever reads it sees the old or the new.

use crate::trouble::Trouble;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use ward_mountd::control::message::FailureCode;

/// Replaces what is in `file`, which stays whose it was.
pub(crate) fn replace(file: &Path, text: &str) -> Result<(), Trouble> {
    write(file, text).map_err(|error| {
        Trouble::new(FailureCode::Failed, format!("cannot write {}: {error}", file.display()))
    })
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    let place = std::fs::symlink_metadata(file)?;
    if !place.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = file.with_file_name(name);
    let written = write_beside(&beside, &place, text).and_then(|()| std::fs::rename(&beside, file));
    if let Err(error) = written {
        // It was ours, or was never made.
        let _nothing_left = std::fs::remove_file(&beside);
        return Err(error);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

fn write_beside(beside: &Path, place: &std::fs::Metadata, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut new = File::from(rustix::fs::open(beside, flags, Mode::RUSR | Mode::WUSR)?);
    new.write_all(text.as_bytes())?;
    fchown(&new, Some(place.uid()), Some(place.gid()))?;
    new.set_permissions(PermissionsExt::from_mode(place.mode() & 0o7777))?;
    new.sync_all()
}
