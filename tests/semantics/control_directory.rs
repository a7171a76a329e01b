//! The control directory `.ward` at the top of every mount, and the files in it.

use crate::support::desk::Desk;
use crate::support::person::{PYTHON, Person};
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER, user};
use serde_json::json;

/// What holds on mounts of both kinds: in front of a mount at `top`, as a process of the owner.
fn found_by_name_and_never_listed(person: &mut Person, top: &str) {
    person.must(&format!("os.chdir({top:?})"));
    let listed = [
        "'.ward' in os.listdir('.')",
        "'.ward' in run('ls', '-a')[1]",
        "'.ward' in run('find', '.')[1]",
        "'.ward' in run('tar', '-cf', '-', '--ignore-failed-read', '.')[1]",
    ];
    for step in listed {
        assert_eq!(person.must(step), false, "{step}");
    }
    let entries =
        json!(["access", "handoff", "inbox", "last-denial", "requests", "status", "whoami"]);
    assert_eq!(person.must("os.listdir('.ward')"), entries);
    let uid = user(OWNER).uid.as_raw();
    let gid = user(OWNER).gid.as_raw();
    assert_eq!(person.must("shown('.ward')"), json!([uid, gid, "0o555", 0, 1]));
    assert_eq!(person.must("shown('.ward/whoami')"), json!([uid, gid, "0o444", 0, 1]));
    assert_eq!(person.must("os.access('.ward/whoami', os.R_OK)"), true);
    assert_eq!(person.must("os.access('.ward/whoami', os.W_OK)"), false);
    assert_eq!(person.fails("os.stat('.ward/other')"), "ENOENT");
}

/// A line of `whoami`, up to the end of a fact.
fn fact(name: &str, fact: &dyn std::fmt::Display) -> String {
    format!("{name:<11} {fact}")
}

/// What a process of `user` is told of itself, by Python and by other programs.
fn tells_each_caller_of_itself(person: &mut Person, name: &str) {
    let uid = fact("uid", &user(name).uid) + "\n";
    let own = person.must("open('.ward/whoami').read()");
    let own = own.as_str().unwrap();
    assert!(own.contains(&uid) && own.contains(&fact("exe", &PYTHON)), "{own}");
    assert!(own.contains(&fact("process", &person.pid())), "{own}");
    assert_eq!(person.must("open('.ward/whoami').read()"), own, "again the same");
    let commands = [
        ("run('cat', '.ward/whoami')", "/usr/bin/cat"),
        ("run('dd', 'if=.ward/whoami', 'bs=7', 'status=none')", "/usr/bin/dd"),
        ("run('sh', '-c', 'exec cat < .ward/whoami')", "/usr/bin/cat"),
        ("run('sh', '-c', 'exec 3< .ward/whoami; head -c 999 <&3; :')", "/usr/bin/head"),
    ];
    for (step, program) in commands {
        let said = person.must(step)[1].as_str().unwrap().to_owned();
        assert!(said.contains(&uid) && said.contains(&(fact("exe", &program) + "\n")), "{said}");
        assert!(!said.contains(PYTHON), "{said}");
    }
}

/// Nothing in it or of its name is made, moved, removed or changed.
fn cannot_be_changed(person: &mut Person, file: &str) {
    for step in [
        "os.mkdir('.ward/new')",
        "os.symlink('x', '.ward/new')",
        "os.mkfifo('.ward/new')",
        "os.unlink('.ward/whoami')",
        "os.rmdir('.ward')",
        "os.rename('.ward/whoami', '.ward/other')",
        "os.rename('.ward', 'other')",
        "os.rename('.ward/whoami', 'other')",
        "os.rename('folder', '.ward')",
        "os.link('.ward/whoami', 'other')",
        "os.chmod('.ward/whoami', 0o666)",
        "os.utime('.ward', (1, 1))",
        "write('.ward/new', '')",
        &format!("os.rename({file:?}, '.ward/new')"),
    ] {
        assert_eq!(person.fails(step), "EPERM", "{step}");
    }
    for (step, errno) in [
        ("os.mkdir('.ward')", "EEXIST"),
        ("write('.ward', '')", "EISDIR"),
        ("os.unlink('.ward')", "EISDIR"),
        (&format!("os.rename({file:?}, '.ward')"), "EISDIR"),
        ("write('.ward/whoami', 'x', 0)", "EACCES"),
        ("write('.ward/whoami', 'x')", "EACCES"),
    ] {
        assert_eq!(person.fails(step), errno, "{step}");
    }
}

#[test]
fn the_control_directory_is_found_by_name_and_never_listed() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    found_by_name_and_never_listed(&mut Person::of(OWNER), stage.mountpoint());
    let Some(desk) = Desk::set() else { return };
    found_by_name_and_never_listed(&mut Person::of(OWNER), desk.stage().mountpoint());
}

#[test]
fn whoami_tells_each_caller_of_itself_whoever_opened_it() {
    let Some(stage) = Stage::set() else { return };
    let Some(desk) = Desk::set() else { return };
    for top in [stage.mountpoint(), desk.stage().mountpoint()] {
        let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
        for person in [&mut owner, &mut stranger] {
            person.must(&format!("os.chdir({top:?})"));
        }
        for _ in 0..2 {
            tells_each_caller_of_itself(&mut owner, OWNER);
            tells_each_caller_of_itself(&mut stranger, STRANGER);
        }
        // The same open file in a child, which is another process.
        owner.must("file = os.open('.ward/whoami', os.O_RDONLY)");
        owner.must("said = os.pread(file, 999, 0)");
        let own = "f'process     {os.getpid()},'.encode() in os.pread(file, 999, 0)";
        assert_eq!(owner.must(own), true);
        assert_eq!(owner.must(&format!("child(\"os._exit(7 if {own} else 8)\")")), 7);
        assert_eq!(owner.must("os.pread(file, 999, 0) == said"), true);
    }
}

#[test]
fn looking_at_whoami_asks_nobody_and_leaves_no_record() {
    let Some(stage) = Stage::set() else { return };
    let mut stranger = Person::of(STRANGER);
    stranger.must(&format!("os.chdir({:?})", stage.mountpoint()));
    let before = stage.log().len();
    tells_each_caller_of_itself(&mut stranger, STRANGER);
    stranger.must("os.listdir('.ward')");
    assert_eq!(stage.log().len(), before);
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn nothing_of_the_control_directory_can_be_made_moved_or_removed() {
    let Some(stage) = Stage::set() else { return };
    let mut owner = Person::of(OWNER);
    stage.secret("free/token", "x");
    stage.secret("folder/token", "x");
    owner.must(&format!("os.chdir({:?})", stage.mountpoint()));
    // Root, whom modes do not stop, in both kinds of vault.
    let mut root = Person::started_by(&[], None);
    root.must(&format!("os.chdir({:?})", stage.mountpoint()));
    cannot_be_changed(&mut root, "free/token");
    assert_eq!(owner.fails("write('.ward/new', '')"), "EPERM");
    let Some(desk) = Desk::set() else { return };
    let mut root = desk.person();
    root.must("os.mkdir('folder')");
    root.must("write('file', 'x')");
    cannot_be_changed(&mut root, "file");
    let mut owner = desk.person_of(OWNER);
    assert_eq!(owner.fails("write('.ward/new', '')"), "EACCES", "by its mode");
}

#[test]
fn whoami_cannot_be_mapped_and_ends_with_its_mount() {
    let Some(stage) = Stage::set() else { return };
    let mut owner = Person::of(OWNER);
    owner.must(&format!("file = os.open({:?}, os.O_RDONLY)", stage.path(".ward/whoami")));
    owner.must("libc.mmap.restype = ctypes.c_void_p");
    owner.must("memory = libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE, file, 0)");
    assert_eq!(owner.must("child('ctypes.string_at(memory, 6)')"), -7, "SIGBUS is expected");
    assert_eq!(owner.must("os.pread(file, 7, 0)"), "process");
    assert_eq!(stage.unmount().status, Some(0));
    let errno = owner.fails("os.pread(file, 3, 0)");
    assert!(["ESTALE", "ENOTCONN", "ECONNABORTED"].contains(&errno.as_str()), "{errno}");
}
