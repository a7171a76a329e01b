//! What the allocator of the C library keeps of large blocks.

/// A block of so many bytes is large.
const LARGE: libc::c_int = 4 << 20;

/// Has large blocks come from the kernel, where a page takes memory once it is touched, and go back to
/// it when they are freed.
///
/// glibc keeps large blocks that were freed once, and zeroes them for the next use: the buffers of
/// event loops, 16 MiB each of which little is used, took 150 MiB for ten mounts (measured).
#[expect(unsafe_code, reason = "mallopt(3)")]
pub fn give_large_blocks_back() {
    // SAFETY: changes where later blocks come from, and nothing about those there are. When it fails,
    // all goes on as before.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}
