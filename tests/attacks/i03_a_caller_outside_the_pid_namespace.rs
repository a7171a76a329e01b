//! I3: a caller that has no number in the daemon's pid namespace.

use crate::support::house::House;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};

#[test]
fn who_has_no_number_in_the_namespace_of_the_daemon_is_nobody() {
    let Some(mut house) = House::with("") else { return };
    let path = house.secret("free/token", "s3cret");
    let (mut inner, mut outer) = (house.person(OWNER), house.visitor(OWNER));
    assert_eq!(inner.reads(&path), Ok("s3cret".to_owned()));
    let folder = house.stage().mountpoint();
    for step in [
        format!("read({path:?})"),
        format!("write({path:?}, 'x')"),
        format!("os.lstat({path:?})"),
        format!("os.listdir({folder:?})"),
        format!("os.unlink({path:?})"),
    ] {
        assert!(["EACCES", "ENOENT"].contains(&outer.fails(&step).as_str()), "{step}");
    }
    assert_eq!(inner.reads(&path), Ok("s3cret".to_owned()));
}

#[test]
fn a_descriptor_passed_out_of_the_namespace_yields_nothing() {
    let Some(mut house) = House::with("") else { return };
    let path = house.secret("free/token", "s3cret");
    let (mut inner, mut outer) = (house.person(OWNER), house.visitor(OWNER));
    inner.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    assert_eq!(inner.must("os.pread(file, 9, 0)"), "s3cret");
    super::handed(&mut inner, &mut outer);
    assert_eq!(outer.fails("os.pread(file, 9, 0)"), "EACCES");
    assert_eq!(outer.fails("os.pwrite(file, b'x', 0)"), "EACCES");
    assert_eq!(inner.must("os.pread(file, 9, 0)"), "s3cret");
}

#[test]
fn root_outside_of_the_namespace_has_no_word_on_the_socket() {
    let Some(house) = House::with("") else { return };
    let ended = house.stage().root().run(&["list"]);
    assert_ne!(ended.status, Some(0), "{ended:?}");
    assert!(house.first() > 1);
}

#[test]
fn a_caller_of_an_inner_pid_namespace_is_known_by_its_number_here() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let (uid, gid) = (user(OWNER).uid, user(OWNER).gid);
    let mut person = Person::started_by(&["unshare", "--pid", "--fork", "--kill-child"], None);
    person.must(&format!("os.setgroups([]), os.setresgid({gid}, {gid}, {gid})"));
    person.must(&format!("os.setresuid({uid}, {uid}, {uid})"));
    assert_eq!(person.must("os.getpid()"), 1);
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
    let read = stage.log_of("file.read", "read/token").pop().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", person.pid());
    let number = std::fs::read_to_string(children).unwrap();
    assert_eq!(read["actor"]["pid"].to_string(), number.trim());
}
