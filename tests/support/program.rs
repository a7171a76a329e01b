//! Programs of attackers, in C where no language above it can do what they do.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` to `folder/name`, which anybody can run or load.
pub(crate) fn compiled(folder: &Path, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let (program, file) = (folder.join(name), folder.join(format!("{name}.c")));
    super::stage::replace(&file, source);
    let mut compiler = Command::new("/usr/bin/cc");
    let output = compiler.args(options).arg("-o").arg(&program).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}
