//! Places in memory for keys: by size, used again, never given back to the kernel.

use crate::region::{REGION, reserve};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The smallest place, in bytes.
const SMALLEST: usize = 32;

/// The largest, in bytes: a page, to which regions are aligned.
const LARGEST: usize = 4 << 10;

/// What is free. Guards the lists only.
static POOL: Mutex<Pool> = Mutex::new(Pool { free: BTreeMap::new(), rest: None });

struct Pool {
    /// By size, the addresses of places that were used and wiped.
    free: BTreeMap<usize, Vec<NonNull<u8>>>,
    /// What of the newest region nobody has had yet.
    rest: Option<(NonNull<u8>, usize)>,
}

#[expect(unsafe_code, reason = "a list of addresses belongs to no thread")]
// SAFETY: each address in it is nobody's, and is given to one taker.
unsafe impl Send for Pool {}

/// The size of the place for a `T`: a power of two, to which it is aligned as well.
const fn size_of_place<T>() -> usize {
    let size = size_of::<T>().next_power_of_two();
    let size = if size < SMALLEST { SMALLEST } else { size };
    assert!(size <= LARGEST && align_of::<T>() <= size, "a place that no region has");
    size
}

/// A place for a `T`, holding zeros.
pub(crate) fn take<T>() -> NonNull<T> {
    let size = const { size_of_place::<T>() };
    let mut pool = pool();
    let freed = pool.free.get_mut(&size).and_then(Vec::pop);
    freed.unwrap_or_else(|| pool.cut(size)).cast()
}

/// Wipes a place and keeps it for the next.
#[expect(unsafe_code, reason = "the place is raw memory again")]
pub(crate) fn give_back<T>(place: NonNull<T>) {
    let size = const { size_of_place::<T>() };
    let place = place.cast::<u8>();
    // SAFETY: the place has `size` bytes, and its holder is gone.
    let bytes = unsafe { std::slice::from_raw_parts_mut(place.as_ptr(), size) };
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
    pool().free.entry(size).or_default().push(place);
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A place that nobody has had.
    #[expect(unsafe_code, reason = "an address within a region")]
    fn cut(&mut self, size: usize) -> NonNull<u8> {
        loop {
            if let Some((start, left)) = self.rest {
                let skipped = start.align_offset(size);
                if let Some(after) = left.checked_sub(skipped.saturating_add(size)) {
                    // SAFETY: both stay within the region, as was just checked.
                    let place = unsafe { start.add(skipped) };
                    // SAFETY: the same.
                    self.rest = Some((unsafe { place.add(size) }, after));
                    return place;
                }
            }
            self.rest = Some((reserve(), REGION));
        }
    }
}
