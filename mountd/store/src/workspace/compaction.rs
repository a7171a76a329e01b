//! Compaction of a `workspace` vault: what lives moves in runs, so that it also joins what small
//! writes had cut up.
//!
//! A run is read, sealed anew and mapped in the place of the frames it was read from. Bytes that were
//! written over meanwhile lie in other frames by then, and stay.

use crate::buffer::Buffer;
use crate::changing::ChangeError;
use crate::extent::Extent;
use crate::fields::in_memory;
use crate::vault::Vault;
use crate::workspace::Workspace;
use crate::workspace::node_change::NodeChange;
use crate::workspace::piece::Piece;
use std::collections::BTreeSet;
use ward_policy::FileId;

/// A file and pieces of it.
type Tenant = (FileId, Vec<Piece>);

/// So many nodes are looked at before others get the index.
const STRIDE: usize = if cfg!(test) { 3 } else { 4096 };
/// A file with fewer pieces is not worth a look at all files.
const LEAST_JOINED: usize = if cfg!(test) { 8 } else { 1024 };
/// The most bytes of a run.
const LONGEST_RUN: u64 = 1 << 20;
/// Above so many pieces (64 MiB of memory) the files with the most are joined.
const MOST_PIECES: usize = if cfg!(test) { 200 } else { 2 << 20 };

impl Vault {
    /// Copies everything that lives out of segments.
    pub(crate) fn empty_of_nodes(&self, segments: &[u64]) -> Result<(), ChangeError> {
        let wanted: BTreeSet<u64> = segments.iter().copied().collect();
        let is_wanted = |piece: &Piece| wanted.contains(&piece.segment());
        let mut after = FileId(0);
        while !wanted.is_empty() {
            let stride = {
                let index = self.read_index();
                let workspace = index.workspace().ok_or(ChangeError::WrongKind)?;
                workspace.pieces_behind(after, is_wanted)
            };
            let Some((last, found)) = stride else {
                break;
            };
            after = last;
            found.iter().try_for_each(|(file, pieces)| self.move_runs(*file, pieces))?;
        }
        Ok(())
    }

    /// Joins pieces of the files that have the most, while all have too many.
    pub(crate) fn join_pieces(&self) -> Result<(), ChangeError> {
        let open = self.writer.open_segment();
        let mut done = BTreeSet::new();
        loop {
            let worst = {
                let index = self.read_index();
                let workspace = index.workspace().ok_or(ChangeError::WrongKind)?;
                workspace.most_pieces(&done)
            };
            let Some((file, mut pieces)) = worst else {
                return Ok(());
            };
            done.insert(file);
            // What a torn tail may still move is left alone.
            pieces.retain(|piece| piece.segment() < open);
            let joined: Vec<Piece> =
                runs(&pieces).filter(|run| run.len() > 1).flatten().copied().collect();
            self.move_runs(file, &joined)?;
        }
    }

    /// Seals pieces of a file anew, those that lie next to each other in one frame.
    fn move_runs(&self, file: FileId, pieces: &[Piece]) -> Result<(), ChangeError> {
        for run in runs(pieces) {
            match self.move_run(file, run) {
                // Its file went away, or the bytes, and the segment with them.
                Err(_) if !self.still_holds(file, run) => {}
                done => done?,
            }
        }
        Ok(())
    }

    fn move_run(&self, file: FileId, run: &[Piece]) -> Result<(), ChangeError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            return Ok(());
        };
        let mut plain = Buffer::for_reply(in_memory(last.end() - first.offset));
        for piece in run {
            let range =
                in_memory(piece.offset - first.offset)..in_memory(piece.end() - first.offset);
            if let Some(part) = plain.as_mut_slice().get_mut(range) {
                self.open_piece(piece, part)?;
            }
        }
        let sealed = self.writer.write_content(plain.as_slice())?;
        let extent = Extent { offset: first.offset, ..sealed };
        let from: Vec<_> = run.iter().map(Piece::frame).collect();
        let length = 64 + from.len() * 16;
        self.change_nodes(length, |_| Ok(NodeChange::Relocate { file, extent, from }), |_, _| ())
    }

    fn still_holds(&self, file: FileId, run: &[Piece]) -> bool {
        let index = self.read_index();
        let node = index.workspace().and_then(|workspace| workspace.node(file).ok());
        let extents = node.and_then(|node| node.extents());
        extents.is_some_and(|extents| {
            run.iter().any(|piece| {
                let now = extents.within(&(piece.offset..piece.end()));
                now.iter().any(|other| other.frame() == piece.frame())
            })
        })
    }
}

impl Workspace {
    /// The wanted pieces of the next nodes, and the last of those; `None` behind the last of all.
    fn pieces_behind(
        &self,
        after: FileId,
        is_wanted: impl Fn(&Piece) -> bool,
    ) -> Option<(FileId, Vec<Tenant>)> {
        let mut last = None;
        let mut found = Vec::new();
        for node in self.nodes.from(FileId(after.0 + 1)).take(STRIDE) {
            last = Some(node.file);
            let mut pieces = Vec::new();
            if let Some(extents) = node.extents() {
                extents.for_each(|piece| pieces.extend(Some(*piece).filter(&is_wanted)));
            }
            if !pieces.is_empty() {
                found.push((node.file, pieces));
            }
        }
        last.map(|last| (last, found))
    }

    /// The file with the most pieces but for these, and its pieces; `None` while there are few.
    fn most_pieces(&self, but: &BTreeSet<FileId>) -> Option<Tenant> {
        if self.live.pieces() <= MOST_PIECES {
            return None;
        }
        let count = |extents: &super::extents::Extents| extents.count();
        let cut_up = self.nodes.iter().filter(|node| !but.contains(&node.file));
        let worst = cut_up.max_by_key(|node| node.extents().map_or(0, count))?;
        let extents = worst.extents().filter(|extents| extents.count() >= LEAST_JOINED)?;
        let mut pieces = Vec::new();
        extents.for_each(|piece| pieces.push(*piece));
        Some((worst.file, pieces))
    }
}

/// Cuts pieces into runs of which each lies behind the one before, with a limited length.
fn runs(pieces: &[Piece]) -> impl Iterator<Item = &[Piece]> {
    let mut rest = pieces;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let is_next = |(one, next): &(&Piece, &Piece)| {
            one.end() == next.offset && next.end() - first.offset <= LONGEST_RUN
        };
        let count = 1 + rest.iter().zip(rest.get(1..)?).take_while(is_next).count();
        let (run, behind) = rest.split_at_checked(count)?;
        rest = behind;
        Some(run)
    })
}
