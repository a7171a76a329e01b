//! A table: rows in the order of their keys, in small leaves that a snapshot shares.
//!
//! A clone copies one pointer for each leaf; who changes a row afterwards copies its leaf. So an
//! image is taken from a clone while writing goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

/// So many rows a leaf has at most.
const FULL: usize = 64;
/// A leaf with fewer rows is joined with its neighbour.
const SPARSE: usize = 16;
/// A leaf grows by so many rows: little is allocated that no row needs.
const STEP: usize = 8;

/// Something with a key of its own.
pub(crate) trait Row: Clone {
    type Key: Copy + Ord;

    fn key(&self) -> Self::Key;
}

/// Rows in the order of their keys.
#[derive(Clone, Debug)]
pub(crate) struct Table<T: Row> {
    /// Each leaf under a key that no row of it is below, and no row of the leaf before reaches.
    leaves: BTreeMap<T::Key, Arc<Vec<T>>>,
    count: usize,
}

impl<T: Row> Default for Table<T> {
    fn default() -> Self {
        Self { leaves: BTreeMap::new(), count: 0 }
    }
}

impl<T: Row> Table<T> {
    /// A table of rows that come in order; `None` when they do not.
    pub(crate) fn from_sorted(rows: impl Iterator<Item = T>) -> Option<Self> {
        let (mut leaves, mut count) = (Vec::new(), 0);
        let mut leaf: Vec<T> = Vec::new();
        let mut last = None;
        for row in rows {
            let key = row.key();
            if last.is_some_and(|last| last >= key) {
                return None;
            }
            last = Some(key);
            count += 1;
            if leaf.is_empty() {
                leaf.reserve_exact(FULL);
            }
            leaf.push(row);
            if leaf.len() == FULL {
                leaves.extend(keyed(std::mem::take(&mut leaf)));
            }
        }
        leaf.shrink_to_fit();
        leaves.extend(keyed(leaf));
        Some(Self { leaves: leaves.into_iter().collect(), count })
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, key: T::Key) -> Option<&T> {
        let (_, leaf) = self.leaves.range(..=key).next_back()?;
        let place = leaf.binary_search_by_key(&key, Row::key).ok()?;
        leaf.get(place)
    }

    pub(crate) fn get_mut(&mut self, key: T::Key) -> Option<&mut T> {
        let (_, leaf) = self.leaves.range_mut(..=key).next_back()?;
        let place = leaf.binary_search_by_key(&key, Row::key).ok()?;
        Arc::make_mut(leaf).get_mut(place)
    }

    /// The last row whose key is not above `key`.
    pub(crate) fn floor(&self, key: T::Key) -> Option<&T> {
        self.leaves.range(..=key).rev().find_map(|(_, leaf)| {
            let behind = leaf.partition_point(|row| row.key() <= key);
            leaf.get(behind.checked_sub(1)?)
        })
    }

    /// The rows from `key` on.
    pub(crate) fn from(&self, key: T::Key) -> impl Iterator<Item = &T> {
        let first = self.leaves.range(..=key).next_back().map_or(key, |(first, _)| *first);
        let leaves = self.leaves.range(first..).map(|(_, leaf)| leaf);
        leaves.flat_map(|leaf| leaf.iter()).skip_while(move |row| row.key() < key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.leaves.values().flat_map(|leaf| leaf.iter())
    }

    /// Puts a row in; gives the one that had its key.
    pub(crate) fn insert(&mut self, row: T) -> Option<T> {
        let key = row.key();
        let Some(leaf) = self.leaf_for(key) else {
            self.leaves.insert(key, Arc::new(vec![row]));
            self.count = 1;
            return None;
        };
        let rows = Arc::make_mut(leaf);
        let place = match rows.binary_search_by_key(&key, Row::key) {
            Ok(place) => return rows.get_mut(place).map(|old| std::mem::replace(old, row)),
            Err(place) => place,
        };
        if rows.len() < FULL {
            put(rows, place, row);
        } else {
            // Rows that come in order leave full leaves behind them.
            let half = if place == FULL { FULL } else { FULL / 2 };
            let mut upper = rows.split_off(half);
            rows.shrink_to_fit();
            match place.checked_sub(half) {
                Some(place) => put(&mut upper, place, row),
                None => put(rows, place, row),
            }
            self.leaves.extend(keyed(upper));
        }
        self.count += 1;
        None
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, key: T::Key) -> Option<T> {
        let (first, leaf) = self.leaves.range_mut(..=key).next_back()?;
        let first = *first;
        let place = leaf.binary_search_by_key(&key, Row::key).ok()?;
        let rows = Arc::make_mut(leaf);
        let row = rows.remove(place);
        self.count -= 1;
        if rows.is_empty() {
            self.leaves.remove(&first);
        } else if rows.len() < SPARSE {
            self.join_next(first);
        }
        Some(row)
    }

    /// The leaf that a key belongs into; the first one is put under it when it is lower.
    fn leaf_for(&mut self, key: T::Key) -> Option<&mut Arc<Vec<T>>> {
        let (first, _) = self.leaves.first_key_value()?;
        let first = *first;
        if key < first
            && let Some(leaf) = self.leaves.remove(&first)
        {
            self.leaves.insert(key, leaf);
        }
        self.leaves.range_mut(..=key).next_back().map(|(_, leaf)| leaf)
    }

    /// Takes the rows of the next leaf into this one when both are sparse together.
    fn join_next(&mut self, first: T::Key) {
        let next = self.leaves.range(first..).nth(1).map(|(next, leaf)| (*next, leaf.len()));
        let own = self.leaves.get(&first).map_or(0, |leaf| leaf.len());
        if let Some((next, count)) = next
            && own + count <= FULL / 2 + SPARSE
            && let Some(upper) = self.leaves.remove(&next)
            && let Some(leaf) = self.leaves.get_mut(&first)
        {
            let rows = Arc::make_mut(leaf);
            rows.reserve_exact(count);
            rows.extend(Arc::unwrap_or_clone(upper));
        }
    }
}

fn keyed<T: Row>(rows: Vec<T>) -> Option<(T::Key, Arc<Vec<T>>)> {
    let first = rows.first()?.key();
    Some((first, Arc::new(rows)))
}

fn put<T>(rows: &mut Vec<T>, place: usize, row: T) {
    if rows.len() == rows.capacity() {
        rows.reserve_exact(STEP);
    }
    rows.insert(place, row);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_oneof};
    use proptest::test_runner::Config;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Pair(u16, u8);

    impl Row for Pair {
        type Key = u16;

        fn key(&self) -> u16 {
            self.0
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u8),
        Remove(u16),
        Run(u16, u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        use proptest::num::{u8, u16};
        prop_oneof![
            4 => (u16::ANY, u8::ANY).prop_map(|(key, value)| Step::Insert(key, value)),
            2 => (0..400_u16, u8::ANY).prop_map(|(key, value)| Step::Insert(key, value)),
            4 => (0..400_u16).prop_map(Step::Remove),
            1 => (0..60_000_u16, 0..300_u16).prop_map(|(from, count)| Step::Run(from, count)),
        ]
    }

    proptest::proptest! {
        #![proptest_config(Config { failure_persistence: None, ..Config::default() })]
        #[test]
        fn a_table_is_an_ordered_map_and_a_clone_keeps_what_it_saw(
            steps in proptest::collection::vec(step(), 1..200),
        ) {
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            let mut kept = (table.clone(), model.clone());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(key, value) => {
                        let old = table.insert(Pair(key, value)).map(|pair| pair.1);
                        assert_eq!(old, model.insert(key, value));
                        table.get_mut(key).unwrap().1 = value;
                    }
                    Step::Remove(key) => {
                        assert_eq!(table.remove(key).map(|pair| pair.1), model.remove(&key));
                    }
                    Step::Run(from, count) => (from..from + count).for_each(|key| {
                        table.insert(Pair(key, 7));
                        model.insert(key, 7);
                    }),
                }
                if number == 100 {
                    kept = (table.clone(), model.clone());
                }
            }
            for (table, model) in [(&table, &model), (&kept.0, &kept.1)] {
                assert_eq!(table.len(), model.len());
                assert!(table.iter().map(|pair| (&pair.0, &pair.1)).eq(model.iter()));
                for key in (0..500).chain([9000, 65_535]) {
                    assert_eq!(table.get(key).map(|pair| &pair.1), model.get(&key));
                    let floor = model.range(..=key).next_back().map(|(key, _)| *key);
                    assert_eq!(table.floor(key).map(Pair::key), floor);
                    let next = model.range(key..).next().map(|(key, _)| *key);
                    assert_eq!(table.from(key).next().map(Pair::key), next);
                }
                let again = Table::from_sorted(table.iter().cloned()).unwrap();
                assert!(again.iter().eq(table.iter()));
            }
        }
    }
}
