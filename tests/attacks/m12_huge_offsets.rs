//! M12: huge offsets and giant files, which must cost the daemon no memory.

use crate::support::desk::Desk;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;

/// The most that the daemon may ever have grown by under one of these attacks, in KiB: one draft of the
/// greatest value with a copy or two on its way to the disk.
const GROWTH: u64 = 96 << 10;

/// The most memory that the daemon has ever used, in KiB (`VmHWM`, proc(5)).
fn peak(stage: &Stage) -> u64 {
    let core = stage.root().running().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{core}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn has_grown_by_little(stage: &Stage, before: u64) {
    let grown = peak(stage) - before;
    eprintln!("the daemon grew by {} MiB", grown >> 10);
    assert!(grown < GROWTH, "{grown} KiB");
}

#[test]
fn a_value_over_16_mebibytes_is_refused_and_the_old_one_stays() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "0123456789");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_WRONLY)"));
    assert_eq!(person.fails("os.pwrite(file, b'x', 16 << 20)"), "EFBIG");
    assert_eq!(person.fails("os.pwrite(file, b'x', 1 << 62)"), "EFBIG");
    assert_eq!(person.fails("os.ftruncate(file, (16 << 20) + 1)"), "EFBIG");
    person.must("os.close(file)");
    assert_eq!(person.reads(&path), Ok("0123456789".to_owned()));
    person.must(&format!("os.truncate({path:?}, 16 << 20)"));
    assert_eq!(person.must(&format!("os.stat({path:?}).st_size")), 16 << 20);
}

#[test]
fn offsets_beyond_all_reason_are_answered_and_cost_no_memory() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "0123456789");
    let before = peak(&stage);
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    for shift in [24, 31, 32, 40, 61, 62] {
        assert_eq!(person.must(&format!("os.pread(file, 1 << 20, 1 << {shift})")), "");
        assert_eq!(person.fails(&format!("os.pwrite(file, b'x', 1 << {shift})")), "EFBIG");
        assert_eq!(person.fails(&format!("os.ftruncate(file, (1 << {shift}) + 1)")), "EFBIG");
        assert_eq!(person.fails(&format!("os.truncate({path:?}, (1 << {shift}) + 1)")), "EFBIG");
        assert!(person.does(&format!("os.posix_fallocate(file, 1 << {shift}, 9)")).is_err());
        person.must(&format!("os.lseek(file, 1 << {shift}, os.SEEK_SET)"));
        assert_eq!(person.must("os.read(file, 9)"), "");
        assert_eq!(person.fails("os.write(file, b'x')"), "EFBIG");
    }
    let last = (1_u64 << 63) - 1;
    assert_eq!(person.must(&format!("os.pread(file, 9, {last} - 9)")), "");
    assert_eq!(person.fails(&format!("os.pwrite(file, b'x', {last} - 1)")), "EFBIG");
    assert_eq!(person.must("os.pread(file, 99, 0)"), "0123456789");
    person.must("os.close(file)");
    has_grown_by_little(&stage, before);
}

#[test]
fn many_files_open_for_writing_take_no_more_memory_together_than_their_limit() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "x").replace("token", "new");
    let before = peak(&stage);
    let mut person = Person::of(OWNER);
    person.must("opened = []");
    let lengthen = format!(
        "[(opened.append(os.open({path:?} + str(number), os.O_CREAT | os.O_RDWR)), \
         os.ftruncate(opened[-1], 16 << 20)) for number in range(100)]"
    );
    assert_eq!(person.fails(&lengthen), "ENOSPC");
    assert_eq!(person.must("len(opened)"), 17);
    let grown = peak(&stage) - before;
    eprintln!("the daemon grew by {} MiB", grown >> 10);
    assert!(grown < (256 << 10) + GROWTH, "{grown} KiB");
    // With one of them closed there is room for another.
    person.must("os.ftruncate(opened[0], 0), os.close(opened.pop(0))");
    person.must("os.ftruncate(opened[-1], 16 << 20)");
    // Nothing is left to be made a version of.
    person.must("[os.ftruncate(file, 0) for file in opened] and None");
}

#[test]
fn a_giant_file_of_a_workspace_is_a_number_and_costs_no_memory() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "giant");
    let before = peak(desk.stage());
    let mut person = desk.person_of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDWR | os.O_CREAT)"));
    person.must("os.ftruncate(file, 1 << 62)");
    assert_eq!(person.must("os.fstat(file).st_size"), 1_u64 << 62);
    for shift in [32, 40, 61] {
        person.must(&format!("os.pwrite(file, b'x', 1 << {shift})"));
        assert_eq!(person.must(&format!("os.pread(file, 3, (1 << {shift}) - 1)")), "\0x\0");
        assert_eq!(
            person.must(&format!("len(os.pread(file, 1 << 20, 3 << {}))", shift - 1)),
            1 << 20
        );
    }
    assert_eq!(person.fails("os.ftruncate(file, (1 << 62) + 1)"), "EFBIG");
    person.must("os.fsync(file)");
    // The kernel takes a write, and learns when it hands it over that there is no such place.
    person.must("os.pwrite(file, b'x', 1 << 62)");
    assert_eq!(person.fails("os.fsync(file)"), "EFBIG");
    person.must("os.close(file)");
    assert!(person.must(&format!("os.stat({path:?}).st_blocks")).as_u64().unwrap() < 1 << 12);
    person.must(&format!("os.unlink({path:?})"));
    has_grown_by_little(desk.stage(), before);
}
