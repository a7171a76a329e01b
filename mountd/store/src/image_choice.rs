//! Which image a replay starts from: the newest that is whole and fits the log, else none.

use crate::durable::Disk;
use crate::finding::{Fault, Finding};
use crate::image::{Image, ImageUse, Shelf};
use crate::image_file::{self, ImageFile};
use crate::replay::{Plan, Replay, replay};
use crate::segment::number_of;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Where the images of a vault are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Images<'vault> {
    pub(crate) disk: &'vault dyn Disk,
    pub(crate) directory: &'vault Path,
}

/// Reads the log behind the newest image that fits it.
pub(crate) fn replay_newest(plan: &Plan<'_>, images: &Images<'_>) -> io::Result<(Replay, Shelf)> {
    let numbers = image_file::numbers(images.disk, images.directory)?;
    let newest = numbers.last().copied().unwrap_or(0);
    let mut shelf = Shelf { newest, size: 0, used: ImageUse::None, retired: Default::default() };
    for number in numbers.iter().rev() {
        let Some((image, size)) = read(plan, images, *number)? else {
            continue;
        };
        let retired = image.index.ledger.retired_before(image.standing.segment);
        if let Some(replay) = replay(plan, Some(image))? {
            let is_newest = *number == shelf.newest;
            if is_newest {
                shelf.retired[0] = retired;
            }
            shelf.used = if is_newest { ImageUse::Newest } else { ImageUse::Older };
            shelf.size = size;
            return Ok((replay, shelf));
        }
    }
    match replay(plan, None)? {
        Some(replay) => Ok((replay, shelf)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Reads everything: the log from its start where that is possible, and every image.
pub(crate) fn replay_everything(plan: &Plan<'_>, images: &Images<'_>) -> io::Result<Replay> {
    let names = plan.disk.names(plan.directory)?;
    let segments: BTreeSet<u64> =
        names.iter().filter_map(|name| number_of(name.to_str()?)).collect();
    let is_complete = (1..).zip(&segments).all(|(number, segment)| number == *segment);
    let whole = if is_complete { replay(plan, None)? } else { None };
    let mut replay = match whole {
        Some(replay) => replay,
        None => replay_newest(plan, images)?.0,
    };
    for number in image_file::numbers(images.disk, images.directory)? {
        if read(plan, images, number)?.is_none() {
            let fault = Fault::Image;
            replay.findings.push(Finding { fault, segment: None, position: None, path: None });
        }
    }
    Ok(replay)
}

fn read(plan: &Plan<'_>, images: &Images<'_>, number: u64) -> io::Result<Option<(Image, u64)>> {
    let image = ImageFile { vault: plan.vault, number, kind: plan.kind };
    image_file::read(images.disk, images.directory, (image, plan.keys))
}
