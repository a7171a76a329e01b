//! The extents of a file: which bytes of it lie in which frames, exact to the byte.
//!
//! What no piece holds is a hole. Most files have one piece, which needs no memory of its own; a
//! large file that is overwritten everywhere has hundreds of thousands in a table.

use crate::workspace::live::Live;
use crate::workspace::piece::{FrameAt, Piece};
use crate::workspace::table::Table;
use std::ops::Range;

/// With more pieces than this a file gets a table.
const FEW: usize = 32;

/// Pieces in the order of their offsets; none overlaps another.
#[derive(Clone, Debug)]
pub(crate) enum Extents {
    One(Piece),
    Few(Vec<Piece>),
    Many(Box<Many>),
}

#[derive(Clone, Debug)]
pub(crate) struct Many {
    pieces: Table<Piece>,
    bytes: u64,
}

impl Extents {
    pub(crate) const fn none() -> Self {
        Self::Few(Vec::new())
    }

    /// Extents of pieces that come in order; `None` when they overlap.
    pub(crate) fn from_sorted(pieces: Vec<Piece>) -> Option<Self> {
        let overlaps = |pair: &[Piece]| matches!(pair, [one, next] if one.end() > next.offset);
        if pieces.windows(2).any(overlaps) {
            return None;
        }
        match pieces.as_slice() {
            [one] => Some(Self::One(*one)),
            few if few.len() <= FEW => Some(Self::Few(pieces)),
            many => {
                let bytes = many.iter().map(|piece| u64::from(piece.length)).sum();
                let pieces = Table::from_sorted(many.iter().copied())?;
                Some(Self::Many(Box::new(Many { pieces, bytes })))
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(pieces) => pieces.len(),
            Self::Many(many) => many.pieces.len(),
        }
    }

    /// Bytes that are no hole.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::One(piece) => u64::from(piece.length),
            Self::Few(pieces) => pieces.iter().map(|piece| u64::from(piece.length)).sum(),
            Self::Many(many) => many.bytes,
        }
    }

    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Piece)) {
        match self {
            Self::One(piece) => visit(piece),
            Self::Few(pieces) => pieces.iter().for_each(visit),
            Self::Many(many) => many.pieces.iter().for_each(&mut visit),
        }
    }

    /// The first piece that ends behind `offset`.
    pub(crate) fn next(&self, offset: u64) -> Option<Piece> {
        match self {
            Self::One(piece) => Some(*piece).filter(|piece| piece.end() > offset),
            Self::Few(pieces) => pieces.get(first_behind(pieces, offset)).copied(),
            Self::Many(many) => {
                let before = many.pieces.floor(offset).filter(|piece| piece.end() > offset);
                before.or_else(|| many.pieces.from(offset).next()).copied()
            }
        }
    }

    /// The parts of pieces inside `range`, in order.
    pub(crate) fn within(&self, range: &Range<u64>) -> Vec<Piece> {
        let mut found = self.overlapping(range);
        for piece in &mut found {
            if let Some(part) = piece.within(range) {
                *piece = part;
            }
        }
        found
    }

    /// Makes a hole of `range`.
    pub(crate) fn cut(&mut self, range: &Range<u64>, live: &mut Live) {
        for piece in self.overlapping(range) {
            live.subtract(&piece);
            self.remove(piece.offset);
            for side in [piece.offset..range.start, range.end..piece.end()] {
                if let Some(part) = piece.within(&side) {
                    self.put(part, live);
                }
            }
        }
    }

    /// Points the bytes of `fresh` that lie in the frames `from` to it instead; others stay.
    pub(crate) fn relocate(&mut self, fresh: &Piece, from: &[FrameAt], live: &mut Live) {
        let range = fresh.offset..fresh.end();
        let mut runs: Vec<Range<u64>> = Vec::new();
        for piece in self.within(&range).iter().filter(|piece| from.contains(&piece.frame())) {
            match runs.last_mut() {
                Some(run) if run.end == piece.offset => run.end = piece.end(),
                Some(_) | None => runs.push(piece.offset..piece.end()),
            }
        }
        for run in runs {
            self.cut(&run, live);
            if let Some(part) = fresh.within(&run) {
                self.put(part, live);
            }
        }
    }

    /// Adds a piece where there is a hole.
    pub(crate) fn put(&mut self, piece: Piece, live: &mut Live) {
        live.add(&piece);
        self.add(piece);
    }

    fn add(&mut self, piece: Piece) {
        match self {
            Self::One(one) => {
                let pair = if one.offset < piece.offset { [*one, piece] } else { [piece, *one] };
                *self = Self::Few(pair.into());
            }
            Self::Few(pieces) if pieces.is_empty() => *self = Self::One(piece),
            Self::Few(pieces) => {
                let place = first_behind(pieces, piece.offset);
                if pieces.len() == pieces.capacity() {
                    pieces.reserve_exact(1 + pieces.len() / 8);
                }
                pieces.insert(place, piece);
                if pieces.len() > FEW
                    && let Some(many) = Self::from_sorted(std::mem::take(pieces))
                {
                    *self = many;
                }
            }
            Self::Many(many) => {
                many.bytes += u64::from(piece.length);
                many.pieces.insert(piece);
            }
        }
    }

    /// Pieces of which a byte is in `range`.
    fn overlapping(&self, range: &Range<u64>) -> Vec<Piece> {
        let is_inside = |piece: &&Piece| piece.offset < range.end;
        match self {
            _ if range.start >= range.end => Vec::new(),
            Self::One(piece) => {
                let overlaps = piece.offset < range.end && range.start < piece.end();
                if overlaps { vec![*piece] } else { Vec::new() }
            }
            Self::Few(pieces) => {
                let first = first_behind(pieces, range.start);
                pieces.iter().skip(first).take_while(is_inside).copied().collect()
            }
            Self::Many(many) => {
                let before = many.pieces.floor(range.start);
                let before =
                    before.filter(|piece| piece.offset < range.start && range.start < piece.end());
                let from = many.pieces.from(range.start).take_while(is_inside);
                before.into_iter().chain(from).copied().collect()
            }
        }
    }

    fn remove(&mut self, offset: u64) {
        match self {
            Self::One(_) => *self = Self::none(),
            Self::Few(pieces) => pieces.retain(|piece| piece.offset != offset),
            Self::Many(many) => {
                let gone = many.pieces.remove(offset);
                many.bytes -= gone.map_or(0, |piece| u64::from(piece.length));
                if many.pieces.len() == 0 {
                    *self = Self::none();
                }
            }
        }
    }
}

fn first_behind(pieces: &[Piece], offset: u64) -> usize {
    pieces.partition_point(|piece| piece.end() <= offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extent::Extent;
    use crate::frame::DataShape;
    use crate::kind::VaultKind;
    use proptest::prelude::{Strategy, prop_oneof};
    use proptest::test_runner::Config;

    const LONGEST: u64 = 3000;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, u64),
        Punch(u64, u64),
        /// Copies a range elsewhere, as the compactor does, of the frames that it saw some steps ago.
        Relocate(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let range = || (0..LONGEST, prop_oneof![3 => 1..60_u64, 1 => 1..1500_u64]);
        prop_oneof![
            8 => range().prop_map(|(start, length)| Step::Write(start, length)),
            2 => range().prop_map(|(start, length)| Step::Punch(start, length)),
            1 => range().prop_map(|(start, length)| Step::Relocate(start, length)),
        ]
    }

    /// A frame of its own for each step.
    fn piece(number: u64, offset: u64, length: u64) -> Piece {
        let shape = DataShape::of_value(VaultKind::Workspace, length).unwrap();
        let (segment, position) = (1 + number % 5, number * 64);
        Piece::of(&Extent { offset, length, segment, position, sequence: number, shape }).unwrap()
    }

    /// Which byte of which frame a byte of the file is.
    type Bytes = Vec<Option<(FrameAt, u64)>>;

    fn seen(extents: &Extents) -> Bytes {
        let mut bytes = vec![None; usize::try_from(LONGEST * 2).unwrap()];
        let mut last = 0;
        extents.for_each(|piece| {
            assert!(piece.length != 0 && piece.offset >= last, "in order, none empty");
            last = piece.end();
            let (_, range) = piece.in_frame().unwrap();
            for (place, byte) in (piece.offset..piece.end()).zip(range) {
                bytes[usize::try_from(place).unwrap()] = Some((piece.frame(), byte));
            }
        });
        bytes
    }

    fn range_of(
        bytes: &mut Bytes,
        start: u64,
        length: u64,
    ) -> impl Iterator<Item = &mut Option<(FrameAt, u64)>> {
        let start = usize::try_from(start).unwrap();
        bytes[start..start + usize::try_from(length).unwrap()].iter_mut()
    }

    proptest::proptest! {
        #![proptest_config(Config { failure_persistence: None, ..Config::default() })]
        #[test]
        fn extents_shadow_exactly_the_bytes_that_are_written_over(
            steps in proptest::collection::vec(step(), 1..160),
        ) {
            let (mut extents, mut live) = (Extents::none(), Live::default());
            let mut model = seen(&extents);
            let mut older: Vec<FrameAt> = Vec::new();
            for (number, step) in (1..).zip(steps) {
                match step {
                    Step::Write(start, length) => {
                        let piece = piece(number, start, length);
                        extents.cut(&(start..start + length), &mut live);
                        extents.put(piece, &mut live);
                        for (byte, at) in (0..).zip(range_of(&mut model, start, length)) {
                            *at = Some((piece.frame(), byte));
                        }
                    }
                    Step::Punch(start, length) => {
                        extents.cut(&(start..start + length), &mut live);
                        range_of(&mut model, start, length).for_each(|at| *at = None);
                    }
                    Step::Relocate(start, length) => {
                        let fresh = piece(number, start, length);
                        extents.relocate(&fresh, &older, &mut live);
                        for (byte, at) in (0..).zip(range_of(&mut model, start, length)) {
                            if at.is_some_and(|(frame, _)| older.contains(&frame)) {
                                *at = Some((fresh.frame(), byte));
                            }
                        }
                    }
                }
                if number % 20 == 0 {
                    older.clear();
                    extents.for_each(|piece| older.push(piece.frame()));
                }
                assert!(seen(&extents) == model, "after {number}");
            }
            let held = model.iter().flatten().count();
            assert_eq!(usize::try_from(extents.bytes()).unwrap(), held);
            let mut counted = Live::default();
            let mut pieces = Vec::new();
            extents.for_each(|piece| {
                counted.add(piece);
                pieces.push(*piece);
            });
            assert_eq!(live, counted);
            assert_eq!(seen(&Extents::from_sorted(pieces.clone()).unwrap()), model);
            for start in (0..LONGEST).step_by(97) {
                let next = pieces.iter().find(|piece| piece.end() > start).copied();
                assert_eq!(extents.next(start), next);
                let parts = extents.within(&(start..start + 130));
                let expected = pieces.iter().filter_map(|piece| piece.within(&(start..start + 130)));
                assert!(parts.into_iter().eq(expected));
            }
        }
    }
}
