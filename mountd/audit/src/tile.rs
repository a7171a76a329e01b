//! Tiles: the tree as files that any reader of transparency logs takes (c2sp.org/tlog-tiles).
//!
//! A tile holds 256 hashes of one level in every eight: `tile/0/000` those of the first 256 leaves,
//! `tile/1/000` the roots of the first 256 full tiles below. The last one of a level may be partial.
//! They are made when a segment has ended, and say nothing that the segments do not.

use crate::TreeHash;
use crate::disk::Disk;
use crate::tree::Frontier;
use std::io::{self, Read};

/// The folder that has them.
pub(crate) const FOLDER: &str = "tiles";
/// How many hashes a full tile has.
const WIDTH: u64 = 256;
/// How many levels of the tree one level of tiles spans.
const SPAN: u32 = 8;
const HASH: usize = 32;

/// The tiles of a log, of which those on the right edge are being filled.
pub(crate) struct Tiles<'disk> {
    disk: &'disk dyn Disk,
    /// How many leaves they had.
    before: u64,
    /// How many they have.
    size: u64,
    /// By level, the hashes of the tile that is not full.
    edge: Vec<Vec<TreeHash>>,
}

impl<'disk> Tiles<'disk> {
    /// The tiles of the first `size` leaves, to go on from.
    pub(crate) fn after(disk: &'disk dyn Disk, size: u64) -> io::Result<Self> {
        let mut edge = Vec::new();
        for level in 0.. {
            let hashes = hashes_at(level, size);
            if hashes == 0 {
                break;
            }
            edge.push(read(disk, (level, hashes / WIDTH), hashes % WIDTH)?);
        }
        Ok(Self { disk, before: size, size, edge })
    }

    /// Adds a leaf; writes each tile that it fills.
    pub(crate) fn push(&mut self, leaf: TreeHash) -> io::Result<()> {
        let mut hash = leaf;
        for level in 0.. {
            let place = usize::try_from(level).unwrap_or(usize::MAX);
            if self.edge.len() <= place {
                self.edge.push(Vec::new());
            }
            let Some(tile) = self.edge.get_mut(place) else { break };
            tile.push(hash);
            if tile.len() as u64 != WIDTH {
                break;
            }
            let index = hashes_at(level, self.size) / WIDTH;
            self.disk.replace(&path(level, index, WIDTH), &bytes(tile))?;
            hash = root(tile);
            tile.clear();
        }
        self.size += 1;
        Ok(())
    }

    /// Writes the tiles that are not full, and removes those that they stand for.
    pub(crate) fn finish(self) -> io::Result<()> {
        for (level, tile) in (0..).zip(&self.edge) {
            let [before, now] = [self.before, self.size].map(|size| hashes_at(level, size));
            if !tile.is_empty() {
                self.disk.replace(&path(level, now / WIDTH, now % WIDTH), &bytes(tile))?;
            }
            if before != now && before % WIDTH != 0 {
                // One that stays is in nobody's way.
                let _stays = self.disk.remove(&path(level, before / WIDTH, before % WIDTH));
            }
        }
        Ok(())
    }
}

/// The hash over the leaves from `index << height` on, `1 << height` of them, from the tiles of a
/// tree that has all of those.
pub(crate) fn node(disk: &dyn Disk, size: u64, height: u32, index: u64) -> io::Result<TreeHash> {
    let level = height / SPAN;
    let count = 1_u64 << (height % SPAN);
    let first = index << (height % SPAN);
    let width = (hashes_at(level, size) - first / WIDTH * WIDTH).min(WIDTH);
    let tile = read(disk, (level, first / WIDTH), width)?;
    let [from, to] = [first % WIDTH, first % WIDTH + count]
        .map(|place| usize::try_from(place).unwrap_or(usize::MAX));
    tile.get(from..to).map(root).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// How many hashes a level of the tiles has over a tree of `size` leaves.
const fn hashes_at(level: u32, size: u64) -> u64 {
    match size.checked_shr(level * SPAN) {
        Some(hashes) => hashes,
        None => 0,
    }
}

/// The first `width` hashes of a tile, from the file that has them all or only those.
fn read(disk: &dyn Disk, (level, index): (u32, u64), width: u64) -> io::Result<Vec<TreeHash>> {
    if width == 0 {
        return Ok(Vec::new());
    }
    let mut file = match disk.reader(&path(level, index, WIDTH)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.reader(&path(level, index, width))?
        }
        file => file?,
    };
    let mut hashes = Vec::new();
    for _ in 0..width {
        let mut hash = [0; HASH];
        file.read_exact(&mut hash)?;
        hashes.push(TreeHash::from_bytes(hash));
    }
    Ok(hashes)
}

/// The path of a tile: its number in groups of three digits.
fn path(level: u32, index: u64, width: u64) -> String {
    let mut number = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        number = format!("x{:03}/{number}", rest % 1000);
        rest /= 1000;
    }
    let partial = if width == WIDTH { String::new() } else { format!(".p/{width}") };
    format!("{FOLDER}/tile/{level}/{number}{partial}")
}

fn bytes(tile: &[TreeHash]) -> Vec<u8> {
    tile.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The root over hashes that are a power of two in number.
fn root(hashes: &[TreeHash]) -> TreeHash {
    let mut tree = Frontier::default();
    hashes.iter().for_each(|hash| tree.push(*hash));
    tree.root()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Folder;
    use tlog_tiles::{Tile, TileHashReader, check_record, prove_record, record_hash, tree_hash};

    struct Files<'disk>(&'disk Folder);

    impl tlog_tiles::TileReader for Files<'_> {
        fn height(&self) -> u8 {
            8
        }

        fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
            let read = |tile: &Tile| {
                let path = path(tile.level().into(), tile.level_index(), tile.width().into());
                let mut bytes = Vec::new();
                self.0.reader(&path).unwrap().read_to_end(&mut bytes).unwrap();
                bytes
            };
            Ok(tiles.iter().map(read).collect())
        }

        fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
    }

    fn leaf(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[test]
    fn an_independent_reader_finds_the_root_and_proves_entries_from_our_tiles() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Folder::open(directory.path()).unwrap();
        let mut tree = Frontier::default();
        for end in [1, 255, 256, 257, 700, 66_000, 66_001] {
            let mut tiles = Tiles::after(&disk, tree.size()).unwrap();
            for number in tree.size()..end {
                tiles.push(TreeHash::leaf(&leaf(number))).unwrap();
                tree.push(TreeHash::leaf(&leaf(number)));
            }
            tiles.finish().unwrap();
            let files = Files(&disk);
            let root = tlog_tiles::Hash(*tree.root().as_bytes());
            let reader = TileHashReader::new(end, root, &files);
            assert_eq!(tree_hash(end, &reader).unwrap(), root);
            for number in [0, end / 2, end - 1] {
                let proof = prove_record(end, number, &reader).unwrap();
                check_record(&proof, end, root, number, record_hash(&leaf(number))).unwrap();
            }
        }
        let partial = path(0, 66_000 / WIDTH, 66_000 % WIDTH);
        assert!(disk.reader(&partial).is_err(), "the former partial tile is gone");
    }

    #[test]
    fn a_tile_is_named_as_the_specification_says() {
        assert_eq!(path(0, 0, 256), "tiles/tile/0/000");
        assert_eq!(path(1, 1_234_067, 256), "tiles/tile/1/x001/x234/067");
        assert_eq!(path(0, 67, 12), "tiles/tile/0/067.p/12");
    }
}
