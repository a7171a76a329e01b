//! Content: holes, allocation, copies, appending, shared mappings.

use crate::support::desk::Desk;

#[test]
fn holes_are_zeros_that_can_be_found_and_take_no_room() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("file = os.open('sparse', os.O_RDWR | os.O_CREAT)");
    person.must("os.pwrite(file, b'x' * 4096, 1 << 20)");
    person.must("os.ftruncate(file, 1 << 30)");
    // What was written is still with the kernel, and counts all the same.
    assert_eq!(person.must("os.lseek(file, 0, os.SEEK_DATA)"), 1 << 20);
    assert_eq!(person.must("os.lseek(file, 0, os.SEEK_HOLE)"), 0);
    assert_eq!(person.must("os.lseek(file, 1 << 20, os.SEEK_HOLE)"), (1 << 20) + 4096);
    assert_eq!(person.fails("os.lseek(file, 2 << 20, os.SEEK_DATA)"), "ENXIO");
    assert_eq!(person.fails("os.lseek(file, 1 << 30, os.SEEK_HOLE)"), "ENXIO");
    assert_eq!(person.must("os.pread(file, 8, 1 << 29) == bytes(8)"), true);
    person.must("os.close(file)");
    assert_eq!(
        person.must("[os.stat('sparse').st_size, os.stat('sparse').st_blocks * 512]").to_string(),
        "[1073741824,4096]"
    );
    person.must("file = os.open('sparse', os.O_RDONLY)");
    assert_eq!(person.must("os.lseek(file, 0, os.SEEK_DATA)"), 1 << 20);
}

#[test]
fn fallocate_extends_punches_and_zeroes() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("def fallocate(mode, offset, length): call('fallocate', file, mode, ctypes.c_long(offset), ctypes.c_long(length))");
    person.must("file = os.open('file', os.O_RDWR | os.O_CREAT)");
    person.must("fallocate(0, 0, 10000)");
    assert_eq!(person.must("os.fstat(file).st_size"), 10000);
    person.must("fallocate(1, 0, 20000)");
    assert_eq!(person.must("os.fstat(file).st_size"), 10000);
    person.must("os.pwrite(file, b'x' * 10000, 0)");
    person.must("fallocate(3, 100, 200)");
    assert_eq!(person.must("os.pread(file, 400, 0) == b'x' * 100 + bytes(200) + b'x' * 100"), true);
    person.must("fallocate(0x10, 9000, 2000)");
    assert_eq!(
        person
            .must("[os.fstat(file).st_size, os.pread(file, 3000, 8999) == b'x' + bytes(2000)]")
            .to_string(),
        "[11000,true]"
    );
    person.must("fallocate(0x11, 0, 50)");
    assert_eq!(person.must("os.pread(file, 51, 0) == bytes(50) + b'x'"), true);
    assert_eq!(person.fails("fallocate(8, 0, 4096)"), "ENOTSUP");
    assert_eq!(person.fails("fallocate(0, 0, 0)"), "EINVAL");
}

#[test]
fn a_range_is_copied_without_leaving_the_vault() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("source = os.open('source', os.O_RDWR | os.O_CREAT)");
    person.must("target = os.open('target', os.O_RDWR | os.O_CREAT)");
    person.must("text = os.urandom(300000)");
    person.must("os.write(source, text)");
    assert_eq!(person.must("os.copy_file_range(source, target, 300000, 0, 7)"), 300_000);
    assert_eq!(person.must("os.pread(target, 400000, 0) == bytes(7) + text"), true);
    assert_eq!(person.must("os.copy_file_range(source, target, 999, 299999, 0)"), 1);
    assert_eq!(person.must("os.fstat(target).st_size"), 300_007);
    person.must("reader = os.open('target', os.O_RDONLY)");
    assert_eq!(person.fails("os.copy_file_range(source, reader, 1, 0, 0)"), "EBADF");
}

#[test]
fn appends_of_several_writers_all_stay_whole() {
    let Some(desk) = Desk::set() else { return };
    let lines = 400;
    let mut writers: Vec<_> = (0..4).map(|_| desk.person()).collect();
    for (number, writer) in writers.iter_mut().enumerate() {
        writer.must("file = os.open('lines', os.O_WRONLY | os.O_CREAT | os.O_APPEND)");
        writer
            .begin(&format!("[os.write(file, b'{number}' * 63 + b'\\n') for _ in range({lines})]"));
    }
    for writer in &mut writers {
        writer.end().unwrap();
    }
    let text = std::fs::read_to_string(desk.path("lines")).unwrap();
    for number in ["0", "1", "2", "3"] {
        let line = number.repeat(63);
        assert_eq!(text.lines().filter(|other| *other == line).count(), lines);
    }
    assert_eq!(text.len(), 4 * 64 * lines);
}

#[test]
fn what_one_process_writes_into_a_shared_mapping_another_reads() {
    let Some(desk) = Desk::set() else { return };
    let (mut writer, mut reader) = (desk.person(), desk.person());
    writer.must("file = os.open('shared', os.O_RDWR | os.O_CREAT)");
    writer.must("os.ftruncate(file, 8192)");
    writer.must("memory = mmap.mmap(file, 8192)");
    reader.must("file = os.open('shared', os.O_RDWR)");
    reader.must("memory = mmap.mmap(file, 8192)");
    writer.must("memory[4090:4100] = b'0123456789'");
    assert_eq!(reader.must("memory[4090:4100]"), "0123456789");
    assert_eq!(reader.must("os.pread(file, 10, 4090)"), "0123456789");
    reader.must("os.pwrite(file, b'ABC', 4095)");
    assert_eq!(writer.must("memory[4090:4100]"), "01234ABC89");
    writer.must("memory.flush()");
    writer.must("memory.close()");
    writer.must("os.close(file)");
    desk.unmount();
    desk.mount(&[]);
    assert_eq!(&std::fs::read(desk.path("shared")).unwrap()[4090..4100], b"01234ABC89");
}

#[test]
fn a_file_is_cut_lengthened_and_emptied() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("write('file', 'x' * 10000)");
    person.must("os.truncate('file', 5000)");
    person.must("os.truncate('file', 6000)");
    assert_eq!(person.fails("os.truncate('file', (1 << 62) + 1)"), "EFBIG");
    assert_eq!(person.must("read('file') == b'x' * 5000 + bytes(1000)"), true);
    person.must("file = os.open('file', os.O_RDWR)");
    person.must("write('file', 'new')");
    assert_eq!(person.must("os.pread(file, 99, 0)"), "new");
    person.must("os.close(os.open('file', os.O_RDONLY | os.O_TRUNC))");
    assert_eq!(person.must("os.fstat(file).st_size"), 0);
}

#[test]
fn a_writer_reads_nothing_it_did_not_open_for_reading() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("write('file', 'a' * 10000)");
    desk.unmount();
    desk.mount(&[]);
    let mut person = desk.person();
    person.must("file = os.open('file', os.O_WRONLY)");
    // The kernel reads the page around a small write.
    person.must("os.pwrite(file, b'b', 5000)");
    assert_eq!(person.fails("os.pread(file, 1, 0)"), "EBADF");
    person.must("os.close(file)");
    assert_eq!(person.must("read('file') == b'a' * 5000 + b'b' + b'a' * 4999"), true);
}

#[test]
fn locks_are_the_kernels() {
    let Some(desk) = Desk::set() else { return };
    let (mut one, mut other) = (desk.person(), desk.person());
    for person in [&mut one, &mut other] {
        person.must("file = os.open('locked', os.O_RDWR | os.O_CREAT)");
    }
    one.must("fcntl.flock(file, fcntl.LOCK_EX)");
    assert_eq!(other.fails("fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)"), "EAGAIN");
    one.must("fcntl.flock(file, fcntl.LOCK_UN)");
    one.must("fcntl.lockf(file, fcntl.LOCK_EX, 10, 0)");
    assert_eq!(other.fails("fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)"), "EAGAIN");
    other.must("fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)");
    one.must("os.close(file)");
    other.must("fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)");
}
