//! Names: hard links, symlinks, rename and its flags, special files, files without a name.

use crate::support::desk::Desk;
use crate::support::users::OWNER;

const RENAME: &str =
    "def rename(old, new, flags): call('renameat2', -100, old.encode(), -100, new.encode(), flags)";

#[test]
fn a_file_with_two_names_is_one_file_until_the_last_name_goes() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("write('one', 'text')");
    person.must("os.link('one', 'two')");
    assert_eq!(person.must("os.stat('one').st_ino == os.stat('two').st_ino"), true);
    assert_eq!(person.must("os.stat('two').st_nlink"), 2);
    person.must("write('two', '!', os.O_APPEND)");
    assert_eq!(person.must("read('one')"), "text!");
    person.must("os.unlink('one')");
    assert_eq!(
        person.must("[os.stat('two').st_nlink, read('two').decode()]").to_string(),
        r#"[1,"text!"]"#
    );
    assert_eq!(person.fails("os.link('.', 'up')"), "EPERM");
    assert_eq!(person.fails("os.link('two', 'two')"), "EEXIST");
}

#[test]
fn links_of_directories_are_counted() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("os.makedirs('a/b')");
    person.must("os.makedirs('a/c')");
    assert_eq!(
        person.must("[os.stat('a').st_nlink, os.stat('a/b').st_nlink]").to_string(),
        "[4,2]"
    );
    person.must("os.rename('a/c', 'a/b/c')");
    assert_eq!(
        person.must("[os.stat('a').st_nlink, os.stat('a/b').st_nlink]").to_string(),
        "[3,3]"
    );
    assert_eq!(person.fails("os.rmdir('a')"), "ENOTEMPTY");
    assert_eq!(person.fails("os.rename('a', 'a/b/c/d')"), "EINVAL");
}

#[test]
fn a_symlink_points_where_it_says_there_or_not() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("os.symlink('nowhere/at all', 'link')");
    assert_eq!(person.must("os.readlink('link')"), "nowhere/at all");
    assert_eq!(person.must("os.lstat('link').st_size"), 14);
    assert_eq!(person.fails("read('link')"), "ENOENT");
    person.must("os.mkdir('nowhere')");
    person.must("write('nowhere/at all', 'found')");
    assert_eq!(person.must("read('link')"), "found");
    person.must("os.symlink('self', 'self')");
    assert_eq!(person.fails("read('self')"), "ELOOP");
    // A target is as long as a path may be.
    person.must("os.symlink('x' * 4095, 'long')");
    assert_eq!(person.must("len(os.readlink('long'))"), 4095);
}

#[test]
fn rename_replaces_keeps_or_exchanges_as_its_flags_say() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must(RENAME);
    person.must("write('one', '1')");
    person.must("write('two', '2')");
    assert_eq!(person.fails("rename('one', 'two', 1)"), "EEXIST");
    person.must("rename('one', 'two', 2)");
    assert_eq!(
        person.must("[read('one').decode(), read('two').decode()]").to_string(),
        r#"["2","1"]"#
    );
    person.must("os.mkdir('folder')");
    person.must("rename('folder', 'one', 2)");
    assert_eq!(
        person.must("[os.path.isdir('one'), read('folder').decode()]").to_string(),
        r#"[true,"2"]"#
    );
    assert_eq!(person.fails("rename('none', 'two', 2)"), "ENOENT");
    person.must("rename('folder', 'three', 1)");
    person.must("rename('three', 'two', 0)");
    assert_eq!(
        person.must("[read('two').decode(), sorted(os.listdir())]").to_string(),
        r#"["2",["one","two"]]"#
    );
    assert_eq!(person.fails("rename('two', 'one', 0)"), "EISDIR");
    assert_eq!(person.fails("rename('one', 'two', 0)"), "ENOTDIR");
}

#[test]
fn a_file_without_a_name_lives_as_long_as_somebody_has_it_open() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("file = os.open('gone', os.O_RDWR | os.O_CREAT)");
    person.must("os.write(file, b'still here')");
    person.must("os.unlink('gone')");
    person.must("os.fsync(file)");
    assert_eq!(person.must("os.fstat(file).st_nlink"), 0);
    person.must("write('gone', 'another')");
    person.must("os.pwrite(file, b'there', 6)");
    assert_eq!(person.must("os.pread(file, 99, 0)"), "still there");
    person.must("os.ftruncate(file, 5)");
    assert_eq!(person.must("os.pread(file, 99, 0)"), "still");
    // Through its descriptor it can be opened again, by its last name.
    assert_eq!(person.must("read(f'/proc/self/fd/{file}')"), "still");
    // The same for one that is replaced, and for a directory.
    person.must("write('new', 'new')");
    person.must("other = os.open('gone', os.O_RDONLY)");
    person.must("os.rename('new', 'gone')");
    assert_eq!(
        person.must("[os.read(other, 9).decode(), read('gone').decode()]").to_string(),
        r#"["another","new"]"#
    );
    person.must("os.mkdir('folder')");
    person.must("os.chdir('folder')");
    person.must("os.rmdir('../folder')");
    assert_eq!(person.must("os.listdir('.')").to_string(), "[]");
    assert_eq!(person.fails("write('file', '')"), "ENOENT");
}

#[test]
fn fifos_sockets_and_devices_have_names() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("os.mkfifo('fifo', 0o640)");
    assert_eq!(person.must("oct(os.stat('fifo').st_mode)"), "0o10640");
    person.must("reader = os.open('fifo', os.O_RDONLY | os.O_NONBLOCK)");
    person.must("write('fifo', 'through', 0)");
    assert_eq!(person.must("os.read(reader, 9)"), "through");
    person.must("server = socket.socket(socket.AF_UNIX); server.bind('socket'); server.listen()");
    person.must("client = socket.socket(socket.AF_UNIX); client.connect('socket')");
    assert_eq!(person.must("oct(os.stat('socket').st_mode >> 12)"), "0o14");
    person.must("os.mknod('null', 0o020666, os.makedev(1, 3))");
    assert_eq!(
        person
            .must("[os.major(os.stat('null').st_rdev), os.minor(os.stat('null').st_rdev)]")
            .to_string(),
        "[1,3]"
    );
    // A device is a name and no more: what is mounted opens none.
    assert_eq!(person.fails("read('null')"), "EACCES");
    person.must("os.mknod('block', 0o060600, os.makedev(259, 70000))");
    assert_eq!(person.must("os.minor(os.stat('block').st_rdev)"), 70000);
}

#[test]
fn any_bytes_are_a_name_and_control_characters_are_told_by_number() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must(r"write(b'a\nb\\c', 'odd')");
    person.must(r"write(b'\xff\xfe', 'no text')");
    person.must("write('x' * 255, 'long')");
    person.must(r"write(b'\x01' * 255, 'long and odd'), os.unlink(b'\x01' * 255)");
    assert_eq!(person.fails("write('x' * 256, '')"), "ENAMETOOLONG");
    assert_eq!(person.must(r"read(b'a\nb\\c')"), "odd");
    assert_eq!(
        person.must(r"sorted(os.listdir(b'.')) == [b'a\nb\\c', b'x' * 255, b'\xff\xfe']"),
        true
    );
    assert_eq!(desk.stage().log_of("file.create", r"a\x0ab\\c").len(), 1);
    assert_eq!(person.fails("write('.ward', '')"), "EISDIR");
}

#[test]
fn a_sticky_directory_keeps_what_others_own() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "roots");
    let mut root = desk.person();
    root.must(&format!("write({path:?}, 'x')"));
    root.must("os.chmod('free', 0o1777)");
    let mut owner = desk.person_of(OWNER);
    assert_eq!(owner.fails(&format!("os.unlink({path:?})")), "EPERM");
    root.must("os.chmod('free', 0o777)");
    owner.must(&format!("os.unlink({path:?})"));
}
