//! Memory for keys: never swapped, never dumped, and where the kernel has `memfd_secret(2)` out of
//! reach even of the kernel's own ways into the memory of a process.
//!
//! Such memory cannot be given to the kernel for its own use of pages: a reply to FUSE straight from
//! it fails (EFAULT, measured). So plaintext for replies has memory of another sort, a [`LockedBuffer`].

mod allocator;
mod buffer;
mod pool;
mod region;

pub use allocator::give_large_blocks_back;
pub use buffer::{LockedBuffer, buffers_are_locked};
pub use region::{Guard, guard};

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A value that owns no other memory, in memory for keys; wiped when dropped.
pub struct SecretBox<T> {
    place: NonNull<T>,
}

impl<T> SecretBox<T> {
    /// Makes the value of `make` there, and wipes what making it left on the stack.
    pub fn make(make: impl FnOnce() -> T) -> Self {
        let secret = fill(make);
        wipe_stack();
        secret
    }
}

/// Apart, so that [`wipe_stack`] runs over the very same stack.
#[inline(never)]
#[expect(unsafe_code, reason = "the place is not initialised before")]
fn fill<T>(make: impl FnOnce() -> T) -> SecretBox<T> {
    let place: NonNull<T> = pool::take();
    // SAFETY: the place is ours alone, as large as a `T` and aligned for it.
    unsafe { place.write(make()) };
    SecretBox { place }
}

/// How much of the stack below is wiped, in bytes: more than making a key takes.
const STACK: usize = 8 << 10;

/// Wipes what calls before left on the stack.
#[inline(never)]
pub fn wipe_stack() {
    let mut stack = [0_u8; STACK];
    zeroize::Zeroize::zeroize(stack.as_mut_slice());
    std::hint::black_box(&mut stack);
}

impl<T: Default> Default for SecretBox<T> {
    fn default() -> Self {
        Self::make(T::default)
    }
}

impl<T> Deref for SecretBox<T> {
    type Target = T;

    #[expect(unsafe_code, reason = "it is memory of our own")]
    fn deref(&self) -> &T {
        // SAFETY: it was initialised in `fill`, and is given back in `drop` only.
        unsafe { self.place.as_ref() }
    }
}

impl<T> DerefMut for SecretBox<T> {
    #[expect(unsafe_code, reason = "it is memory of our own")]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and we have it alone.
        unsafe { self.place.as_mut() }
    }
}

impl<T> Drop for SecretBox<T> {
    #[expect(unsafe_code, reason = "it is memory of our own")]
    fn drop(&mut self) {
        // SAFETY: nobody has it after us.
        unsafe { self.place.drop_in_place() };
        pool::give_back(self.place);
    }
}

impl<T> fmt::Debug for SecretBox<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretBox(..)")
    }
}

#[expect(unsafe_code, reason = "a pointer of its own says nothing of threads")]
// SAFETY: it owns its value as a `Box` does.
unsafe impl<T: Send> Send for SecretBox<T> {}
#[expect(unsafe_code, reason = "a pointer of its own says nothing of threads")]
// SAFETY: it gives out its value as a `Box` does.
unsafe impl<T: Sync> Sync for SecretBox<T> {}

#[cfg(test)]
mod tests;
