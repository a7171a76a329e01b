//! Copies of released vaults, which tests and fuzzing may change.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Copies the vault and the key of a released format into a folder.
pub(crate) fn copy_released(released: &Path, folder: &Path) -> io::Result<()> {
    copy_tree(released, folder)?;
    // git keeps no mode but the executable bit, and no empty directory.
    fs::set_permissions(folder.join("key"), Permissions::from_mode(0o600))
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
