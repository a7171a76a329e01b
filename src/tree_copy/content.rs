//! The content of a file, with its holes where the other side can hold them.

use super::Fidelity;
use rustix::fs::{SeekFrom, ftruncate, seek};
use rustix::io::{Errno, pread, pwrite};
use std::os::fd::BorrowedFd;
use zeroize::Zeroizing;

/// How much is copied at once: what a FUSE request holds at most.
const PIECE: usize = 1 << 20;

/// Copies everything; gives the length.
pub(super) fn copy(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    fidelity: Fidelity,
) -> Result<u64, Errno> {
    // A secret on its way: wiped, and never grown.
    let mut buffer = Zeroizing::new(vec![0; PIECE]);
    let mut position = 0;
    loop {
        if fidelity == Fidelity::Everything {
            match next_data(source, position)? {
                Some(data) => position = data,
                None => break,
            }
        }
        let count = match pread(source, &mut buffer[..], position) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        write(target, buffer.get(..count).unwrap_or_default(), position)?;
        position += u64::try_from(count).unwrap_or(0);
    }
    if fidelity == Fidelity::Everything {
        // The end may lie behind the last byte: a hole is part of the file.
        let end = seek(source, SeekFrom::End(0))?;
        ftruncate(target, end)?;
        position = end;
    }
    Ok(position)
}

/// Where data goes on; `None` behind the last of it.
fn next_data(source: BorrowedFd<'_>, position: u64) -> Result<Option<u64>, Errno> {
    match seek(source, SeekFrom::Data(position)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        // A file system without holes has data everywhere.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(position)),
        Err(errno) => Err(errno),
    }
}

fn write(target: BorrowedFd<'_>, mut bytes: &[u8], mut position: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match pwrite(target, bytes, position) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                position += u64::try_from(count).unwrap_or(0);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
