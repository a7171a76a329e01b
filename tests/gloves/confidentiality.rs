//! What stays of a file that was read: section "Confidentiality of the mount" of docs/gloves.md.

use crate::support::person::Person;
use crate::support::stage::{Stage, replace};
use crate::support::users::OWNER;

/// Defines a function: how many pages of the open `file` the kernel keeps (mincore(2)).
const RESIDENT: &str = "def resident(file, length):
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    place = libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_PRIVATE, file, 0)
    pages = ctypes.create_string_buffer(-(-length // mmap.PAGESIZE))
    if libc.mincore(place, length, pages) != 0:
        raise OSError(ctypes.get_errno(), 'mincore')
    return sum(page & 1 for page in pages.raw[:-(-length // mmap.PAGESIZE)])
";
const LENGTH: usize = 4 << 20;

#[test]
fn of_a_file_that_is_read_no_page_is_kept_while_it_is_open() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/large", &"x".repeat(LENGTH));
    let plain = stage.root().directory().join("plain");
    replace(&plain, &"x".repeat(LENGTH));
    let mut person = Person::of(OWNER);
    person.must(RESIDENT);
    let mut kept = |path: &str| {
        person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
        person.must(&format!(
            "sum(len(os.pread(file, 65536, at)) for at in range(0, {LENGTH}, 65536))"
        ));
        person.must(&format!("resident(file, {LENGTH})")).as_u64().unwrap()
    };
    assert_eq!(kept(plain.to_str().unwrap()), 1024, "of an ordinary file all are");
    assert_eq!(kept(&path), 0);
}
