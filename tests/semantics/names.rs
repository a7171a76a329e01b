//! Names: made, renamed, removed, and what is no name.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;

fn set() -> Option<(Stage, Person, String)> {
    let stage = Stage::set()?;
    let path = stage.secret("free/token", "s3cret");
    Some((stage, Person::of(OWNER), path))
}

fn create(path: &str) -> String {
    format!("os.open({path:?}, os.O_CREAT | os.O_EXCL | os.O_WRONLY)")
}

#[test]
fn folders_are_made_and_removed_when_empty() {
    let Some((stage, mut person, _)) = set() else { return };
    let folder = stage.path("free/folder");
    person.must(&format!("os.mkdir({folder:?})"));
    assert_eq!(person.fails(&format!("os.mkdir({folder:?})")), "EEXIST");
    person.must(&format!("write({folder:?} + '/inside', 'x')"));
    assert_eq!(person.fails(&format!("os.rmdir({folder:?})")), "ENOTEMPTY");
    assert_eq!(person.fails(&format!("os.unlink({folder:?})")), "EISDIR");
    assert_eq!(person.fails(&format!("os.rmdir({folder:?} + '/inside')")), "ENOTDIR");
    person.must(&format!("os.unlink({folder:?} + '/inside'), os.rmdir({folder:?})"));
    assert_eq!(person.fails(&format!("os.stat({folder:?})")), "ENOENT");
}

#[test]
fn exclusive_creation_and_renaming_keep_what_is_there() {
    let Some((stage, mut person, path)) = set() else { return };
    let other = stage.secret("free/other", "other");
    assert_eq!(person.fails(&create(&path)), "EEXIST");
    let renames = |flags: u32| {
        format!("call('renameat2', -100, {other:?}.encode(), -100, {path:?}.encode(), {flags})")
    };
    assert_eq!(person.fails(&renames(1)), "EEXIST", "RENAME_NOREPLACE");
    assert_eq!(person.fails(&renames(2)), "EPERM", "RENAME_EXCHANGE");
    assert_eq!(person.fails(&renames(4)), "EPERM", "RENAME_WHITEOUT");
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
    person.must(&renames(0));
    assert_eq!(person.reads(&path), Ok("other".to_owned()));
}

#[test]
fn a_rename_takes_the_right_to_write_both_names_and_to_read_the_source() {
    let rules = "[[rule]]\nname = \"write-only\"\nclients = [\"owner\"]\n\
                 ops = [\"file.list\", \"file.write\"]\npath = [\"drop/**\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    let (own, dropped, read) = (
        stage.secret("free/token", "mine"),
        stage.secret("drop/token", "blind"),
        stage.secret("read/token", "shown"),
    );
    let mut person = Person::of(OWNER);
    let rename = |from: &str, to: &str| format!("os.rename({from:?}, {to:?})");
    assert_eq!(person.fails(&rename(&dropped, &stage.path("free/new"))), "EACCES");
    assert_eq!(person.fails(&rename(&own, &read)), "EACCES");
    assert_eq!(person.fails(&rename(&read, &stage.path("free/new"))), "EACCES");
    person.must(&rename(&own, &dropped));
    assert_eq!(person.fails(&format!("read({dropped:?})")), "EACCES");
}

#[test]
fn a_folder_moves_with_what_is_in_it_but_not_into_itself() {
    let Some((stage, mut person, _)) = set() else { return };
    stage.secret("free/folder/inside", "x");
    let (from, to) = (stage.path("free/folder"), stage.path("free/moved"));
    assert_eq!(person.fails(&format!("os.rename({from:?}, {from:?} + '/below')")), "EINVAL");
    person.must(&format!("os.rename({from:?}, {to:?})"));
    assert_eq!(person.reads(&(to + "/inside")), Ok("x".to_owned()));
}

#[test]
fn what_is_no_name_is_refused() {
    let Some((stage, mut person, _)) = set() else { return };
    for (name, errno) in [
        ("free/new\nline", "EINVAL"),
        ("free/tab\t", "EINVAL"),
        ("free/escape\u{1b}[0m", "EINVAL"),
        (".ward/new", "EPERM"),
    ] {
        // As a Python literal: Rust's own escapes differ.
        let path = serde_json::to_string(&stage.path(name)).unwrap();
        for step in [
            format!("os.open({path}, os.O_CREAT | os.O_EXCL | os.O_WRONLY)"),
            format!("os.mkdir({path})"),
            format!("os.rename({:?}, {path})", stage.path("free/token")),
        ] {
            assert_eq!(person.fails(&step), errno, "{step}");
        }
    }
    let long = stage.path(&format!("free/{}", "n".repeat(256)));
    assert_eq!(person.fails(&create(&long)), "ENAMETOOLONG");
    person.must(&create(&stage.path(&format!("free/{}", "n".repeat(255)))));
}

#[test]
fn links_and_other_kinds_of_file_are_refused() {
    let Some((stage, mut person, path)) = set() else { return };
    let new = stage.path("free/new");
    for step in [
        format!("os.link({path:?}, {new:?})"),
        format!("os.symlink('token', {new:?})"),
        format!("os.mkfifo({new:?})"),
        format!("os.mknod({new:?}, 0o600 | 0o140000)"),
    ] {
        assert_eq!(person.fails(&step), "EPERM", "{step}");
    }
    assert_eq!(person.fails(&format!("os.stat({new:?})")), "ENOENT");
}

#[test]
fn owner_and_mode_are_what_is_shown_and_cannot_be_given_away() {
    let Some((stage, mut person, path)) = set() else { return };
    let before = person.must(&format!("shown({path:?})"));
    person.must(&format!("os.chmod({path:?}, 0o644), os.chown({path:?}, os.getuid(), -1)"));
    assert_eq!(person.must(&format!("shown({path:?})")), before);
    assert_eq!(person.fails(&format!("os.chown({path:?}, 12345, -1)")), "EPERM");
    assert_eq!(person.fails(&format!("os.chown({path:?}, -1, 12345)")), "EPERM");
    let read = stage.secret("read/token", "x");
    assert_eq!(person.fails(&format!("os.chmod({read:?}, 0o600)")), "EACCES");
}

#[test]
fn a_time_can_be_set_by_who_may_write() {
    let Some((stage, mut person, path)) = set() else { return };
    person.must(&format!("os.utime({path:?}, (1, 1000000000))"));
    assert_eq!(person.must(&format!("os.stat({path:?}).st_mtime")), 1_000_000_000.0);
    let read = stage.secret("read/token", "x");
    assert_eq!(person.fails(&format!("os.utime({read:?}, (1, 1))")), "EACCES");
}

#[test]
fn extended_attributes_are_refused() {
    let Some((stage, mut person, path)) = set() else { return };
    for step in [
        format!("os.setxattr({path:?}, 'user.x', b'1')"),
        format!("os.getxattr({path:?}, 'user.x')"),
        format!("os.removexattr({path:?}, 'user.x')"),
    ] {
        assert_eq!(person.fails(&step), "ENOTSUP", "{step}");
    }
    drop(stage);
}

#[test]
fn a_removed_secret_can_be_read_on_by_who_has_it_open() {
    let Some((stage, mut person, path)) = set() else { return };
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    person.must(&format!("os.unlink({path:?})"));
    assert_eq!(person.fails(&format!("os.stat({path:?})")), "ENOENT");
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    drop(stage);
}
