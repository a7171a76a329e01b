//! Memory for plaintext on its way to the kernel, which cannot take it out of memory for keys.
//!
//! JUSTIFICATION: no crate that is kept has memory that is locked piece by piece, placed in its page,
//! and used again; mapping it is four calls.

use std::alloc::{Layout, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const PAGE: usize = 4 << 10;

/// Sizes of places that are kept, and how many of each: together less than the 8 MiB that most
/// systems let a user lock.
const KEPT: [(usize, usize); 3] = [(16 << 10, 32), (192 << 10, 8), ((1 << 20) + (64 << 10), 4)];

/// Places that nobody uses, by size, and how many of that size there are. Guards the lists only.
static PLACES: [Mutex<Places>; 3] = [const { Mutex::new(Places { free: Vec::new(), made: 0 }) }; 3];

/// Whether a buffer was ever handed out that is not locked.
static WAS_PLAIN: AtomicBool = AtomicBool::new(false);

struct Places {
    free: Vec<NonNull<u8>>,
    made: usize,
}

#[expect(unsafe_code, reason = "a list of addresses belongs to no thread")]
// SAFETY: each address in it is nobody's, and is given to one taker.
unsafe impl Send for Places {}

/// Zeros at first, wiped when dropped; never dumped, and never swapped as far as the limit of locked
/// memory (`RLIMIT_MEMLOCK`) lets.
pub struct LockedBuffer {
    place: NonNull<u8>,
    size: usize,
    start: usize,
    length: usize,
    /// Which of the sizes that are kept it has.
    kept: Option<usize>,
}

#[expect(unsafe_code, reason = "it owns its place")]
// SAFETY: nobody else has the place, and bytes belong to no thread.
unsafe impl Send for LockedBuffer {}
#[expect(unsafe_code, reason = "it owns its place")]
// SAFETY: without `&mut` it is only read.
unsafe impl Sync for LockedBuffer {}

/// Whether every buffer so far could be locked; takes one of each size to see.
pub fn buffers_are_locked() -> bool {
    for (size, _) in KEPT {
        drop(LockedBuffer::new(size - PAGE, 0));
    }
    !WAS_PLAIN.load(Ordering::Relaxed)
}

impl LockedBuffer {
    /// `length` zeros, from `in_page` of a page on.
    ///
    /// # Panics
    /// `in_page` is no place in a page.
    pub fn new(length: usize, in_page: usize) -> Self {
        assert!(in_page < PAGE, "a place in a page");
        let size = (length + in_page).next_multiple_of(PAGE).max(PAGE);
        let class = KEPT.iter().position(|(largest, _)| size <= *largest);
        let kept = class.and_then(|class| Some((class, take(class)?)));
        let (place, size, kept) = match kept {
            Some((class, place)) => (place, KEPT[class].0, Some(class)),
            None => {
                let place = map(size);
                if !lock(place, size) {
                    WAS_PLAIN.store(true, Ordering::Relaxed);
                }
                (place, size, None)
            }
        };
        Self { place, size, start: in_page, length, kept }
    }
}

/// A place of a kept size: one that is free, or a new one while there may be more.
fn take(class: usize) -> Option<NonNull<u8>> {
    let (size, most) = KEPT[class];
    let mut places = places(class);
    if let Some(place) = places.free.pop() {
        return Some(place);
    }
    if places.made == most {
        return None;
    }
    let place = map(size);
    if lock(place, size) {
        places.made += 1;
        return Some(place);
    }
    unmap(place, size);
    None
}

fn places(class: usize) -> MutexGuard<'static, Places> {
    PLACES[class].lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(unsafe_code, reason = "mmap(2), madvise(2)")]
fn map(size: usize) -> NonNull<u8> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, wherever the kernel likes.
    let place = unsafe { libc::mmap(null_mut(), size, access, flags, -1, 0) };
    let place = Some(place).filter(|place| *place != libc::MAP_FAILED);
    let Some(place) = place.and_then(|place| NonNull::new(place.cast::<u8>())) else {
        handle_alloc_error(Layout::new::<[u8; PAGE]>());
    };
    // SAFETY: changes how the mapping is kept, not what is in it.
    unsafe { libc::madvise(place.as_ptr().cast(), size, libc::MADV_DONTDUMP) };
    place
}

#[expect(unsafe_code, reason = "mlock(2)")]
fn lock(place: NonNull<u8>, size: usize) -> bool {
    // SAFETY: changes how the mapping is kept, not what is in it.
    unsafe { libc::mlock(place.as_ptr().cast(), size) == 0 }
}

#[expect(unsafe_code, reason = "munmap(2)")]
fn unmap(place: NonNull<u8>, size: usize) {
    // SAFETY: it is a mapping of ours, and nobody has it any more.
    unsafe { libc::munmap(place.as_ptr().cast(), size) };
}

impl Deref for LockedBuffer {
    type Target = [u8];

    #[expect(unsafe_code, reason = "memory of our own")]
    fn deref(&self) -> &[u8] {
        // SAFETY: start and length are within the mapping, which holds initialised bytes.
        unsafe { std::slice::from_raw_parts(self.place.as_ptr().add(self.start), self.length) }
    }
}

impl DerefMut for LockedBuffer {
    #[expect(unsafe_code, reason = "memory of our own")]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and we have it alone.
        unsafe { std::slice::from_raw_parts_mut(self.place.as_ptr().add(self.start), self.length) }
    }
}

impl fmt::Debug for LockedBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LockedBuffer(..)")
    }
}

impl Drop for LockedBuffer {
    fn drop(&mut self) {
        // `zeroize` writes byte by byte, which costs more than a decryption.
        self.fill(0);
        zeroize::optimization_barrier(&**self);
        match self.kept {
            Some(class) => places(class).free.push(self.place),
            None => unmap(self.place, self.size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_holds_zeros_at_its_place_in_a_page_also_when_it_was_used_before() {
        for length in [0, 1, 4096, 14 << 10, 100_000, 1 << 20, 3 << 20] {
            for _ in 0..3 {
                let mut buffer = LockedBuffer::new(length, 2048);
                assert_eq!(buffer.as_ptr().addr() % PAGE, 2048);
                assert!(buffer.len() == length && buffer.iter().all(|byte| *byte == 0));
                buffer.fill(7);
            }
        }
    }

    #[test]
    fn more_buffers_than_are_kept_are_there_all_the_same() {
        let mut many: Vec<LockedBuffer> = (0..100).map(|_| LockedBuffer::new(9000, 2048)).collect();
        for (number, buffer) in (0_u8..).zip(&mut many) {
            buffer.fill(number);
        }
        assert!((0_u8..).zip(&many).all(|(number, buffer)| buffer.iter().all(|it| *it == number)));
        drop(many);
        assert!(places(0).free.len() <= KEPT[0].1);
    }

    #[test]
    fn the_memory_of_a_buffer_is_locked_while_the_limit_lets() {
        let buffer = LockedBuffer::new(9000, 2048);
        let page = buffer.as_ptr().addr() & !(PAGE - 1);
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let of_it = maps.split("VmFlags:").find(|text| {
            text.lines().any(|line| {
                let ends = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
                let ends = ends.and_then(|(from, to)| {
                    let number = |text| usize::from_str_radix(text, 16).ok();
                    Some(number(from)?..number(to)?)
                });
                ends.is_some_and(|ends| ends.contains(&page))
            })
        });
        let locked = of_it.unwrap().lines().find_map(|line| line.strip_prefix("Locked:")).unwrap();
        assert_ne!(locked.trim(), "0 kB");
    }
}
