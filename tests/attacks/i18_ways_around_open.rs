//! I18: ways to a file that are no plain open(2) of its name.

use super::joined;
use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{self, OWNER, STRANGER, user};

/// Makes a handle of a file, and opens it by that: `name_to_handle_at(2)`, `open_by_handle_at(2)`.
const BY_HANDLE: &str = "
def by_handle(path, top):
    handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0), 136)
    call('name_to_handle_at', -100, path.encode(), handle, ctypes.byref(ctypes.c_int()), 0)
    mount = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    return os.read(call('open_by_handle_at', mount, handle, os.O_RDONLY), 9)
";

#[test]
fn a_descriptor_opened_anew_by_its_number_is_decided_anew() {
    let Some(stage) = Stage::set() else { return };
    let (_owner, mut stranger) = joined(&stage);
    assert_eq!(stranger.fails("os.open(f'/proc/self/fd/{file}', os.O_RDONLY)"), "EACCES");
}

#[test]
fn a_descriptor_of_a_path_alone_is_no_right_to_its_content() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_PATH)"));
    assert_eq!(person.fails("os.read(file, 9)"), "EBADF");
    assert_eq!(person.fails("os.open(f'/proc/self/fd/{file}', os.O_RDONLY)"), "EACCES");
    assert_eq!(
        stage.log_of("file.open", "cat/token").iter().filter(|it| it["actor"]["uid"] != 0).count(),
        0
    );
    // cat itself, by the same descriptor, is decided as cat.
    let inherits = "run('cat', f'/proc/self/fd/{file}', pass_fds=[file])";
    assert_eq!(person.must(inherits)[1], "s3cret");
    // A stranger who is handed it stays a stranger.
    let mut stranger = Person::of(STRANGER);
    super::handed(&mut person, &mut stranger);
    assert_eq!(stranger.fails("os.open(f'/proc/self/fd/{file}', os.O_RDONLY)"), "EACCES");
}

#[test]
fn the_open_file_of_another_process_opened_by_its_link_is_decided_anew() {
    let rules = "[clients.tail]\nexe = [\"/usr/bin/tail\"]\n[[rule]]\nname = \"tail-reads\"\n\
                 clients = [\"tail\"]\nops = [\"file.list\", \"file.read\"]\n\
                 path = [\"tail/**\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    let path = stage.secret("tail/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!(
        "it = subprocess.Popen(['tail', '-f', {path:?}], stdout=subprocess.PIPE); \
         os.read(it.stdout.fileno(), 9); folder = f'/proc/{{it.pid}}/fd/'; \
         link = next(folder + n for n in os.listdir(folder) if os.readlink(folder + n) == {path:?})"
    ));
    assert_eq!(person.fails("os.open(link, os.O_RDONLY)"), "EACCES");
    person.must("it.kill(), it.wait()");
}

#[test]
fn a_handle_of_a_file_opens_nothing_that_its_name_does_not() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let open = format!("by_handle({path:?}, {:?})", stage.mountpoint());
    let mut person = Person::of(STRANGER);
    person.must(BY_HANDLE);
    assert!(person.does(&open).is_err());
    // With the capability that it takes.
    let ids =
        [format!("--reuid={}", user(STRANGER).uid), format!("--regid={}", user(STRANGER).gid)];
    let capable = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
    let wrapper = ["setpriv", &ids[0], &ids[1], "--clear-groups", capable[0], capable[1]];
    let mut person = Person::started_by(&wrapper, None);
    person.must(BY_HANDLE);
    let folder = users::folder(STRANGER);
    let plain = folder.path().join("plain");
    person.must(&format!("write({plain:?}, 'plain')"));
    let control = format!("by_handle({plain:?}, {:?})", folder.path());
    assert_eq!(person.must(&control), "plain", "handles do not work at all here");
    assert!(["EACCES", "EOPNOTSUPP", "ESTALE"].contains(&person.fails(&open).as_str()));
}

#[test]
fn a_second_name_cannot_be_made_inside_or_outside() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/token", "s3cret");
    let folder = users::folder(OWNER);
    let outside = folder.path().join("link");
    let mut person = Person::of(OWNER);
    assert_eq!(person.fails(&format!("os.link({path:?}, {:?})", stage.path("free/link"))), "EPERM");
    assert_eq!(person.fails(&format!("os.link({path:?}, {outside:?})")), "EXDEV");
    assert_eq!(
        person.fails(&format!("os.symlink('token', {:?})", stage.path("free/link"))),
        "EPERM"
    );
    // From outside a symlink is a name, and decided as what it names.
    let hidden = stage.secret("cat/token", "s3cret");
    person.must(&format!("os.symlink({hidden:?}, {outside:?})"));
    assert_eq!(person.reads(outside.to_str().unwrap()), Err("EACCES".to_owned()));
}

#[test]
fn the_vault_mounted_a_second_time_elsewhere_is_the_same_vault() {
    let Some(stage) = Stage::set() else { return };
    let (cat, read) = (stage.secret("cat/token", "s3cret"), stage.secret("read/token", "s3cret"));
    let top = stage.mountpoint();
    let mut admin = Person::started_by(&["unshare", "--mount"], None);
    admin.must(&format!("run('mount', '--bind', {top:?}, '/mnt')"));
    admin.must(&format!("os.setgroups([]), os.setresuid({0}, {0}, {0})", user(OWNER).uid));
    let elsewhere = |path: &str| path.replace(top, "/mnt");
    assert_eq!(admin.reads(&elsewhere(&read)), Ok("s3cret".to_owned()));
    assert_eq!(admin.reads(&elsewhere(&cat)), Err("EACCES".to_owned()));
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({:?}, os.O_PATH)", plain.path()));
    assert_eq!(person.must("os.read(os.open(f'/proc/self/fd/{file}', 0), 9)"), "s3cret");
}
