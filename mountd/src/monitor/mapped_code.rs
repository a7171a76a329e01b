//! Code that a process runs besides its program: libraries, and what was put into it.

use super::file_view::Folders;
use super::proc::Proc;
use std::collections::BTreeSet;
use std::io;

/// The first file with code of this process that somebody else than root can change, or that is gone
/// from where it was.
pub(super) fn changeable(proc: &Proc, folders: &mut Folders) -> io::Result<Option<String>> {
    let maps = proc.pieces("maps")?;
    let mut seen = BTreeSet::new();
    for line in maps.split(|byte| *byte == b'\n') {
        let Some((inode, path)) = code_of(line) else { continue };
        if seen.insert((inode, path)) && is_changeable(inode, path, folders) {
            return Ok(Some(String::from_utf8_lossy(path).into_owned()));
        }
    }
    Ok(None)
}

/// The inode and the path of a line of `maps` that is code of a file (proc(5)).
fn code_of(line: &[u8]) -> Option<(u64, &[u8])> {
    // Addresses, rights, offset, device, inode, and after blanks the path.
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let rights = fields.nth(1)?;
    let inode: u64 = std::str::from_utf8(fields.nth(2)?).ok()?.parse().ok()?;
    let path = fields.next()?.trim_ascii_start();
    (rights.get(2) == Some(&b'x') && inode != 0).then_some((inode, path))
}

fn is_changeable(inode: u64, path: &[u8], folders: &mut Folders) -> bool {
    let view = folders.view(path);
    !view.is_ok_and(|view| view.inode == inode && !folders.let_others_change(path, &view))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_may_be_executed_and_is_of_a_file() {
        let line = b"7f0000-7f1000 r-xp 00001000 08:01 1234   /usr/lib/x y.so";
        assert_eq!(code_of(line), Some((1234, b"/usr/lib/x y.so".as_slice())));
        for other in [
            b"7f0000-7f1000 r--p 00001000 08:01 1234   /usr/lib/x.so".as_slice(),
            b"7ffc00-7ffd00 r-xp 00000000 00:00 0                          [vdso]",
            b"7ffc00-7ffd00 r-xp 00000000 00:00 0 ",
            b"",
        ] {
            assert_eq!(code_of(other), None);
        }
    }
}
