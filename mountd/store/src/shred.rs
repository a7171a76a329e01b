//! Shredding: after it no byte of the old ciphertext is in the vault directory.
//!
//! First a durable change names every frame; then they are overwritten and their blocks given back;
//! then a durable change says that it is done. A restart in between repeats the middle.

use crate::buffer::PAGE;
use crate::change::Change;
use crate::changing::ChangeError;
use crate::extent::Region;
use crate::fields::{in_memory, on_disk};
use crate::frame::HEADER;
use crate::secret_tree::SecretTree;
use crate::segment::{Segment, SegmentTable};
use crate::vault::Vault;
use crate::wall_time::WallTime;
use std::collections::BTreeSet;
use std::io;
use ward_policy::FileId;

/// How much is overwritten at once.
const STEP: u64 = 1 << 20;

impl Vault {
    /// Destroys every version of a file, with a name or removed, and its name. Durable when it returns.
    ///
    /// # Errors
    /// There is no such file, the vault takes no changes, or the disk fails; then a restart goes on.
    pub fn shred(&self, file: FileId, now: WallTime) -> Result<(), ChangeError> {
        self.removing(|| self.try_shred(file, now))
    }

    fn try_shred(&self, file: FileId, now: WallTime) -> Result<(), ChangeError> {
        let regions = loop {
            let regions =
                self.read_index().secrets().map_or_else(Vec::new, |tree| tree.regions_of(file));
            let change = Change::Shred { file, regions: regions.clone(), time: now };
            let admission = self.writer.admit(&change)?;
            // A version written meanwhile must be among them.
            let is_all = |tree: &SecretTree| tree.regions_of(file) == regions;
            if self.make(admission, |tree| Ok(is_all(tree).then_some(change)))?.is_some() {
                break regions;
            }
        };
        self.finish_shred(file, &regions)
    }

    /// Destroys a frame whose file went away while it was written.
    pub(crate) fn discard(&self, file: FileId, regions: Vec<Region>) -> Result<(), ChangeError> {
        let change = Change::Discard { file, regions: regions.clone() };
        self.change(change)?;
        self.finish_shred(file, &regions)
    }

    fn finish_shred(&self, file: FileId, regions: &[Region]) -> Result<(), ChangeError> {
        self.writer.sync()?;
        destroy(&self.segments, regions).map_err(ChangeError::Io)?;
        self.change(Change::ShredDone { file })?;
        self.writer.sync()?;
        Ok(())
    }
}

/// Overwrites tags and ciphertext of frames, durably, and gives their whole blocks back.
pub(crate) fn destroy(segments: &SegmentTable, regions: &[Region]) -> io::Result<()> {
    let numbers: BTreeSet<u64> = regions.iter().map(|region| region.segment).collect();
    for number in numbers {
        let Some(segment) = segments.get(number) else {
            // A segment that is gone took its bytes along.
            continue;
        };
        let own = || regions.iter().filter(|region| region.segment == number).map(behind_header);
        own().try_for_each(|region| overwrite(&segment, region))?;
        segment.file.sync()?;
        for Region { position, length, .. } in own() {
            let start = position.next_multiple_of(on_disk(PAGE));
            let end = (position + length) / on_disk(PAGE) * on_disk(PAGE);
            if start < end {
                segment.file.punch(start, end - start)?;
            }
        }
    }
    Ok(())
}

/// Writes zeros over a region.
pub(crate) fn overwrite(segment: &Segment, region: Region) -> io::Result<()> {
    let Region { position, length, .. } = region;
    let zeros = vec![0; in_memory(STEP.min(length))];
    let mut done = 0;
    while done < length {
        let step = (length - done).min(STEP);
        segment.file.write(&zeros[..in_memory(step)], position + done)?;
        done += step;
    }
    Ok(())
}

/// The tags and the ciphertext: a tag alone lets who has the key confirm a guess.
const fn behind_header(region: &Region) -> Region {
    let header = on_disk(HEADER);
    Region {
        segment: region.segment,
        position: region.position + header,
        length: region.length - header,
    }
}
