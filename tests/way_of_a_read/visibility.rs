//! Names are as secret as values: who may not list one finds nothing, and sees no gap.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER, user};
use serde_json::json;

#[test]
fn a_name_that_the_caller_may_not_list_is_absent_in_every_way() {
    let Some(stage) = Stage::set() else { return };
    let hidden = stage.secret("free/token", "s3cret");
    let absent = stage.path("free/nothing");
    let mut person = Person::of(STRANGER);
    for path in [&hidden, &absent] {
        for step in [
            format!("os.open({path:?}, os.O_RDONLY)"),
            format!("os.open({path:?}, os.O_WRONLY | os.O_TRUNC)"),
            format!("os.lstat({path:?})"),
            format!("os.truncate({path:?}, 0)"),
            format!("os.unlink({path:?})"),
            format!("os.utime({path:?})"),
            format!("os.chmod({path:?}, 0o600)"),
        ] {
            assert_eq!(person.fails(&step), "ENOENT", "{step}");
        }
    }
    assert_eq!(person.fails(&format!("os.listdir({:?})", stage.path("free"))), "ENOENT");
}

#[test]
fn making_or_removing_a_name_one_may_not_write_fails_alike_whether_it_is_there_or_not() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("both/shown", "a");
    stage.secret("both/hidden/there", "b");
    let mut person = Person::of(STRANGER);
    let hide = "[[rule]]\nname = \"hide\"\nclients = [\"stranger\"]\nops = [\"file.*\"]\n\
                path = [\"both/hid*/**\", \"both/hidden\"]\npriority = 1\ndecide = \"deny\"\n";
    stage.change_rules("1s", hide);
    for name in ["both/hidden", "both/nothing"] {
        let path = stage.path(name);
        assert_eq!(person.fails(&format!("os.lstat({path:?})")), "ENOENT", "{name}");
        for step in [
            format!("os.mkdir({path:?})"),
            format!("os.open({path:?}, os.O_CREAT | os.O_EXCL | os.O_WRONLY)"),
            format!("os.rename({:?}, {path:?})", stage.path("both/shown")),
        ] {
            assert_eq!(person.fails(&step), "EACCES", "{step}");
        }
    }
}

#[test]
fn a_listing_shows_each_caller_what_that_caller_may_see() {
    let Some(stage) = Stage::set() else { return };
    for name in ["free/a", "read/b", "read/c", "both/d", "hidden/e"] {
        stage.secret(name, "x");
    }
    let top = stage.mountpoint();
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    let list = |path: &str| format!("sorted(os.listdir({path:?}))");
    assert_eq!(owner.must(&list(top)), json!(["both", "free", "read"]));
    assert_eq!(stranger.must(&list(top)), json!(["both", "read"]));
    assert_eq!(owner.must(&list(&stage.path("read"))), json!(["b", "c"]));
    // getdents64(2) itself: the positions of entries count what is visible and nothing else.
    stranger
        .must(&format!("folder, entries = os.open({top:?}, 0), ctypes.create_string_buffer(4096)"));
    stranger.must("length, place, positions = call('syscall', 217, folder, entries, 4096), 0, []");
    stranger.must(
        "while place < length: \
         positions.append(struct.unpack_from('Q', entries, place + 8)[0]); \
         place += struct.unpack_from('H', entries, place + 16)[0]",
    );
    assert_eq!(stranger.must("positions"), json!([1, 2, 3, 4]));
}

#[test]
fn inode_numbers_tell_nothing_of_other_names() {
    let Some(stage) = Stage::set() else { return };
    for number in 0..20 {
        stage.secret(&format!("read/{number}"), "x");
    }
    let inodes = format!(
        "[os.stat(os.path.join({0:?}, str(number))).st_ino for number in range(20)]",
        stage.path("read")
    );
    let mut person = Person::of(OWNER);
    let numbers: Vec<u64> = serde_json::from_value(person.must(&inodes)).unwrap();
    assert!(!numbers.is_sorted() && numbers.iter().all(|number| *number > 1 << 20), "{numbers:?}");
    let statistics = person.must(&format!("list(os.statvfs({:?}))[2:8]", stage.mountpoint()));
    assert_eq!(statistics, json!([0, 0, 0, 0, 0, 0]));
}

#[test]
fn a_file_belongs_to_whoever_looks_and_shows_what_that_caller_may_do() {
    let Some(stage) = Stage::set() else { return };
    let (free, read, listed) = (
        stage.secret("free/token", "12345"),
        stage.secret("read/token", "12345"),
        stage.secret("cat/token", "12345"),
    );
    let (uid, gid) = (user(OWNER).uid.as_raw(), user(OWNER).gid.as_raw());
    let mut owner = Person::of(OWNER);
    let shown = |path: &str| format!("shown({path:?})");
    assert_eq!(owner.must(&shown(&free)), json!([uid, gid, "0o600", 5, 1]));
    assert_eq!(owner.must(&shown(&read)), json!([uid, gid, "0o400", 5, 1]));
    // Who may list it and not read it sees no length.
    assert_eq!(owner.must(&shown(&listed)), json!([uid, gid, "0o400", 0, 1]));
    let stranger = Person::of(STRANGER).must(&shown(&read));
    assert_eq!(stranger[0], user(STRANGER).uid.as_raw());
    assert_eq!(stranger[3], 0);
    assert_eq!(owner.must(&shown(&stage.path("free"))), json!([uid, gid, "0o700", 0, 1]));
    assert_eq!(owner.must(&shown(&stage.path("read"))), json!([uid, gid, "0o500", 0, 1]));
}

#[test]
fn access_tells_what_an_open_would_come_to_and_asks_nobody() {
    let Some(stage) = Stage::set() else { return };
    let (read, asked, listed) = (
        stage.secret("read/token", "x"),
        stage.secret("ask/token", "x"),
        stage.secret("cat/token", "x"),
    );
    let mut person = Person::of(OWNER);
    let may = |path: &str, how: &str| format!("os.access({path:?}, os.{how})");
    assert_eq!(person.must(&may(&read, "R_OK")), true);
    assert_eq!(person.must(&may(&read, "W_OK")), false);
    assert_eq!(person.must(&may(&asked, "R_OK")), true);
    assert_eq!(person.must(&may(&listed, "R_OK")), false);
    person.must(&format!("os.stat({asked:?}), os.listdir({:?})", stage.path("ask")));
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn a_folder_is_there_for_a_caller_when_something_in_it_is() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("deep/er/hidden", "x");
    stage.secret("both/under/one/token", "x");
    let mut person = Person::of(STRANGER);
    assert_eq!(person.fails(&format!("os.lstat({:?})", stage.path("deep"))), "ENOENT");
    assert_eq!(person.must(&format!("os.listdir({:?})", stage.path("both/under"))), json!(["one"]));
}
