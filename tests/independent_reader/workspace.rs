//! Workspaces, as the reader sees them: every node under each of its names, and all that is known of it.

use super::{Reader, SIZES, files_in, flip_vault, repository, text, value, write};
use crate::support::desk::{Desk, VAULT};
use crate::support::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, RenameFlags, SeekFrom, Timespec, Timestamps,
    XattrFlags, fallocate, lgetxattr, llistxattr, lremovexattr, lsetxattr, makedev, mknodat,
    renameat_with, seek, utimensat,
};
use serde_json::{Map, Value, json};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes as the reader tells them: what is no UTF-8 as `\xNN`.
fn told(bytes: &[u8]) -> String {
    let chunk = |chunk: std::str::Utf8Chunk<'_>| {
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        std::iter::once(chunk.valid().to_owned()).chain(invalid).collect::<String>()
    };
    bytes.utf8_chunks().map(chunk).collect()
}

/// Everything below a mountpoint, as the reader tells it.
fn shown(top: &Path) -> Value {
    let (mut all, mut found, mut files) = (Map::new(), vec![top.to_owned()], Vec::new());
    while let Some(path) = found.pop() {
        let mut node = attributes(&path);
        let file_type = fs::symlink_metadata(&path).unwrap().file_type();
        if file_type.is_dir() {
            found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if file_type.is_symlink() {
            node["target"] = told(fs::read_link(&path).unwrap().as_os_str().as_bytes()).into();
        } else if file_type.is_file() {
            node["data"] = ranges(&File::open(&path).unwrap());
            files.push(path.clone());
        }
        all.insert(name_of(top, &path), node);
    }
    // One line for each, in their order; a `\` before it when the name has to be escaped.
    let output = Command::new("/usr/bin/sha256sum").arg("--").args(&files).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    for (path, line) in files.iter().zip(lines.lines()) {
        let digest = line.trim_start_matches('\\').split(' ').next().unwrap();
        all[&name_of(top, path)]["sha256"] = digest.into();
    }
    Value::Object(all)
}

fn name_of(top: &Path, path: &Path) -> String {
    told(path.strip_prefix(top).unwrap().as_os_str().as_bytes())
}

fn attributes(path: &Path) -> Value {
    let status = fs::symlink_metadata(path).unwrap();
    let kind = status.file_type();
    let is = [
        kind.is_file(),
        kind.is_dir(),
        kind.is_symlink(),
        kind.is_fifo(),
        kind.is_socket(),
        kind.is_char_device(),
        kind.is_block_device(),
    ];
    let number = is.iter().position(|is| *is).unwrap() + 1;
    let time = |seconds: i64, nanoseconds: i64| seconds * 1_000_000_000 + nanoseconds;
    // As Linux packs a device number into 32 bits.
    let (major, minor) = (rustix::fs::major(status.rdev()), rustix::fs::minor(status.rdev()));
    let xattrs: Map<String, Value> = xattrs_of(path).into_iter().collect();
    json!({
        "number": status.ino(),
        "type": number,
        "mode": status.mode() & 0o7777,
        "owner": status.uid(),
        "group": status.gid(),
        "links": status.nlink(),
        "device": minor & 0xff | major << 8 | (minor & !0xff) << 12,
        "size": if kind.is_dir() { 0 } else { status.size() },
        "accessed": time(status.atime(), status.atime_nsec()),
        "modified": time(status.mtime(), status.mtime_nsec()),
        "changed": time(status.ctime(), status.ctime_nsec()),
        "xattrs": xattrs,
    })
}

fn xattrs_of(path: &Path) -> Vec<(String, Value)> {
    let mut names = vec![0; 65_536];
    let length = llistxattr(path, &mut names).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 65_536];
        let length = lgetxattr(path, OsStr::from_bytes(name), &mut value).unwrap();
        let hex: String = value[..length].iter().map(|byte| format!("{byte:02x}")).collect();
        (told(name), hex.into())
    };
    names.map(value).collect()
}

/// Where a file is no hole: begins and ends.
fn ranges(file: &File) -> Value {
    let (mut ranges, mut at) = (Vec::new(), 0);
    while let Ok(begin) = seek(file, SeekFrom::Data(at)) {
        at = seek(file, SeekFrom::Hole(begin)).unwrap();
        ranges.push(json!([begin, at]));
    }
    ranges.into()
}

/// A workspace, and the reader beside it.
struct Observed {
    desk: Desk,
    reader: Reader,
}

impl Observed {
    fn place(&self) -> PathBuf {
        PathBuf::from(self.desk.stage().mountpoint())
    }

    fn ward(&self, words: &[&str]) {
        self.desk.stage().root().ward(words).succeed();
    }

    fn read(&self) -> Value {
        let root = self.desk.stage().root().path();
        let (vault, key) = (root.join("vaults").join(VAULT), root.join("keys").join(VAULT));
        let mut nodes = self.reader.ask(&["files", text(&vault), "--keyfile", text(&key)]);
        // No call of a mount tells it.
        for node in nodes.as_object_mut().unwrap().values_mut() {
            assert!(node.as_object_mut().unwrap().remove("created").is_some());
        }
        nodes
    }

    /// Ends the mount and the daemon, and mounts again; the reader must agree before and after.
    fn agrees(&self, when: &str) -> usize {
        self.desk.unmount();
        self.ward(&["daemon", "stop"]);
        self.agrees_at_rest(when)
    }

    /// The same after a death of the daemon at any moment.
    fn agrees_after_a_kill(&self, when: &str) -> usize {
        let daemon = self.desk.stage().root().running().unwrap();
        kill(Pid::from_raw(i32::try_from(daemon).unwrap()), Signal::SIGKILL).unwrap();
        assert!(wait::has_ended(daemon));
        assert!(wait::until(|| self.desk.stage().root().mounts().is_empty()));
        self.agrees_at_rest(when)
    }

    fn agrees_at_rest(&self, when: &str) -> usize {
        let read = self.read();
        self.ward(&["daemon", "start"]);
        self.desk.mount(&[]);
        let shown = shown(&self.place());
        same(&read, &shown, when);
        let nodes = shown.as_object().unwrap();
        let is_joined = |node: &&Value| node["links"] != 1 && node["type"] != 2;
        assert!(nodes.values().filter(is_joined).count() > 2, "{when}: hard links");
        nodes.len()
    }
}

/// Compares node by node: the whole of two trees is too much to look at.
fn same(read: &Value, shown: &Value, when: &str) {
    let (read, shown) = (read.as_object().unwrap(), shown.as_object().unwrap());
    assert!(read.keys().eq(shown.keys()), "{when}: {:?} {:?}", read.keys(), shown.keys());
    for (path, node) in shown {
        assert_eq!(&read[path], node, "{when}: {path:?}");
    }
}

/// Nodes of all types under names of all sorts, and their attributes.
fn make_nodes(top: &Path) {
    for size in SIZES {
        write(&top.join(format!("size/{size}")), &value(size));
    }
    let names = [&b"a \\ back"[..], b"new\nline", b"\xff\xfe", "Gr\u{fc}\u{df}e".as_bytes()];
    for name in names.map(OsStr::from_bytes) {
        write(&top.join("names").join(name), &value(name.len()));
    }
    write(&top.join("names").join("x".repeat(255)), b"");
    fs::create_dir_all(top.join("one/two/three")).unwrap();
    symlink("size/1", top.join("link")).unwrap();
    symlink("x/".repeat(2047), top.join("far link")).unwrap();
    symlink(OsStr::from_bytes(b"\x80"), top.join("odd link")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap());
    for (name, kind, device) in [
        ("fifo", FileType::Fifo, 0),
        ("character", FileType::CharacterDevice, makedev(5, 0x12345)),
        ("block", FileType::BlockDevice, makedev(8, 1)),
    ] {
        mknodat(CWD, top.join(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    }
    for (name, length) in [("user.none", 0), ("user.some", 300), ("user.much", 60_000)] {
        let (path, value) = (top.join("size/1"), value(length));
        lsetxattr(&path, name, &value, XattrFlags::empty()).unwrap();
        lsetxattr(top.join("one"), name, &value[..length / 2], XattrFlags::empty()).unwrap();
    }
    lsetxattr(top.join("one"), "user.some", b"again", XattrFlags::REPLACE).unwrap();
    lremovexattr(top.join("one"), "user.none").unwrap();
    fs::set_permissions(top.join("one"), Permissions::from_mode(0o3775)).unwrap();
    fs::set_permissions(top.join("size/63"), Permissions::from_mode(0o4711)).unwrap();
    chown(top.join("size/64"), Some(4_000_000_000), Some(77)).unwrap();
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    for (name, accessed, modified) in [
        ("size/511", time(-3, 999_999_999), time(9_000_000_000, 1)),
        ("link", time(0, 0), time(1, 123_456_789)),
        ("one/two", time(2, 2), time(3, 3)),
    ] {
        let times = Timestamps { last_access: accessed, last_modification: modified };
        utimensat(CWD, top.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// Files that are written over, cut, lengthened, punched and copied, each in a place of its own.
fn make_content(folder: &Path, round: u64) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join("ranges");
    write(&path, &value(700_000));
    let file = File::options().read(true).write(true).open(&path).unwrap();
    for place in 0..40_u64 {
        let (offset, length) = ((place * 7919 + round) * 331 % 650_000, 1 + place * 997 % 40_000);
        file.write_all_at(&value(usize::try_from(length).unwrap()), offset).unwrap();
        if place % 7 == 0 {
            if place == 14 {
                file.sync_data().unwrap();
            }
            let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&file, punch, offset / 3, length * 2).unwrap();
        }
    }
    fallocate(&file, FallocateFlags::ZERO_RANGE, 5000, 9000).unwrap();
    file.set_len(600_001).unwrap();
    file.set_len(800_000).unwrap();
    let sparse = File::create(folder.join("sparse")).unwrap();
    sparse.write_all_at(&value(70_000), 2_000_003).unwrap();
    sparse.set_len(4_000_000).unwrap();
    let empty = File::create(folder.join("room")).unwrap();
    fallocate(&empty, FallocateFlags::empty(), 0, 100_000).unwrap();
    let copy = File::create(folder.join("copy")).unwrap();
    let (mut from, mut to) = (1234, 5);
    rustix::fs::copy_file_range(&file, Some(&mut from), &copy, Some(&mut to), 500_000).unwrap();
    let short = folder.join("short");
    for length in [9000, 100, 5000] {
        // Opened anew each time, and emptied.
        write(&short, &value(length));
    }
    File::options().write(true).open(&short).unwrap().set_len(77).unwrap();
}

/// Names that are linked, replaced, exchanged and removed.
fn make_names(top: &Path, round: u64) {
    let folder = top.join(format!("names of {round}"));
    let at = |name: &str| folder.join(name);
    for name in ["a", "b", "c", "full/inner", "other/inner"] {
        write(&at(name), name.as_bytes());
    }
    fs::create_dir_all(at("empty")).unwrap();
    fs::hard_link(at("a"), top.join(format!("linked {round}"))).unwrap();
    fs::hard_link(at("a"), at("full/linked")).unwrap();
    fs::hard_link(at("b"), at("b2")).unwrap();
    fs::rename(at("b"), at("b2")).unwrap();
    fs::remove_file(at("a")).unwrap();
    fs::rename(at("c"), at("full/inner")).unwrap();
    fs::rename(at("full"), at("empty")).unwrap();
    renameat_with(CWD, at("other"), CWD, at("empty/inner"), RenameFlags::EXCHANGE).unwrap();
    fs::create_dir(at("gone")).unwrap();
    fs::remove_dir(at("gone")).unwrap();
    if round > 0 {
        let before = top.join(format!("names of {}", round - 1));
        fs::rename(&before, at("before")).unwrap();
        let set = top.join(format!("linked {}", round - 1));
        renameat_with(CWD, set, CWD, at("b2"), RenameFlags::EXCHANGE).unwrap();
    }
}

#[test]
fn a_reader_that_knows_only_the_documents_sees_a_workspace_as_its_mount_shows_it() {
    let Some(desk) = Desk::set() else { return };
    let observed = Observed { desk, reader: Reader::ready() };
    let top = observed.place();
    let live = |round: u64| {
        make_content(&top.join("content"), round);
        make_content(&top.join(format!("content of {round}")), round);
        make_names(&top, round);
    };
    make_nodes(&top);
    live(0);
    assert!(observed.agrees("after a clean end") > 50);
    live(1);
    let held = File::create(top.join("held")).unwrap();
    held.write_all_at(&value(100_000), 0).unwrap();
    fs::remove_file(top.join("held")).unwrap();
    held.sync_all().unwrap();
    write(&top.join("not synced"), &value(50_000));
    observed.agrees_after_a_kill("after a kill, with a file that has no name");
    observed.ward(&["vault", "rekey", VAULT]);
    live(2);
    observed.agrees("under two keys");
    observed.ward(&["vault", "compact", VAULT]);
    // Nothing is removed yet: the log from its beginning says the same as the image.
    observed.agrees_after_a_kill("after one compaction");
    for round in 3..5 {
        observed.ward(&["vault", "compact", VAULT]);
        live(round);
        fs::remove_dir_all(top.join(format!("content of {}", round - 3))).unwrap();
    }
    observed.agrees_after_a_kill("after compactions and a kill");
    for _ in 0..3 {
        observed.ward(&["vault", "compact", VAULT]);
    }
    let segments =
        || fs::read_dir(observed.desk.stage().root().path().join("vaults/work/segments"));
    let has_first = segments().unwrap().any(|it| it.unwrap().file_name() == "0000000001");
    assert!(!has_first, "the log alone would still do");
    assert!(observed.agrees("under one key, from an image") > 50);
    observed.desk.unmount();
}

#[test]
fn a_reader_that_knows_only_the_documents_opens_a_released_workspace() {
    let reader = Reader::ready();
    let released = repository().join("mountd/store/tests/released/v1-workspace");
    let (vault, key) = (released.join("vault"), released.join("key"));
    let nodes = reader.ask(&["files", text(&vault), "--keyfile", text(&key)]);
    let names: Vec<&String> = nodes.as_object().unwrap().keys().collect();
    let expected = [
        "",
        "device",
        "fifo",
        "link",
        "other",
        "second\nname",
        "socket",
        "source",
        "source/long",
        "source/renamed",
    ];
    assert_eq!(names, expected);
    let long = &nodes["source/long"];
    assert_eq!(long, &nodes["second\nname"]);
    assert_eq!(long["data"], json!([[0, 30_000], [35_000, 70_000], [80_000, 80_013]]));
    assert_eq!(long["xattrs"], json!({ "user.kind": "676f6c64656e" }));
    assert_eq!((&long["mode"], &long["links"]), (&0o4755.into(), &2.into()));
    let times = ["accessed", "modified", "changed", "created"].map(|time| &long[time]);
    assert_eq!(times, [99, 9, 15, 2].map(Value::from).each_ref());
    assert_eq!(nodes["link"]["target"], "source/long");
    assert_eq!(nodes["device"]["device"], 0x801);
}

#[test]
fn a_reader_that_knows_only_the_documents_notices_a_flipped_bit_anywhere_in_a_workspace() {
    let released = repository().join("mountd/store/tests/released/v1-workspace");
    let copy = tempfile::tempdir().unwrap();
    for folder in ["", "segments", "images"] {
        let (from, to) = (released.join("vault").join(folder), copy.path().join(folder));
        fs::create_dir_all(&to).unwrap();
        for file in files_in(&from) {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    flip_vault(&Reader::ready(), copy.path(), &released.join("key"));
}
