//! I14: the uid of a request is that of the filesystem, and a process has four and a login.

use super::is_refused;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{self, OWNER, STRANGER, can_act_as_others, user};
use serde_json::Value;

const STRICT: &str = "
[clients.verified]
uid = [OWNER]
grade = \"verified\"

[[rule]]
name = \"verified-reads\"
clients = [\"verified\"]
ops = [\"file.read\"]
path = [\"strict/**\"]
decide = \"allow\"

[[rule]]
name = \"owner-lists\"
clients = [\"owner\"]
ops = [\"file.list\"]
path = [\"strict/**\"]
decide = \"allow\"
";

fn uid(name: &str) -> u32 {
    user(name).uid.as_raw()
}

/// Runs head as a set-user-id program of the owner would run when `real` starts it.
fn lent(real: u32, path: &str) -> Value {
    let mut admin = Person::started_by(&[], None);
    let ids = format!("{real}, {0}, {0}", uid(OWNER));
    admin.must(&format!(
        "run('head', '-c9', {path:?}, \
         preexec_fn=lambda: (os.setgroups([]), os.setgid(65534), os.setresuid({ids})))"
    ))
}

#[test]
fn a_program_started_by_another_user_under_the_owners_rights_is_no_verified_one() {
    let rules = STRICT.replace("OWNER", &uid(OWNER).to_string());
    let Some(stage) = Stage::with("1s", &rules) else { return };
    let path = stage.secret("strict/token", "s3cret");
    assert_eq!(lent(uid(OWNER), &path)[1], "s3cret");
    is_refused(&lent(uid(STRANGER), &path));
    is_refused(&lent(0, &path));
}

#[test]
fn a_server_that_acts_as_another_user_has_that_users_rights_and_no_more() {
    let Some(stage) = Stage::set() else { return };
    let (read, hidden) = (stage.secret("read/token", "s3cret"), stage.secret("hidden/token", "x"));
    let mut server = Person::started_by(&[], None);
    assert_eq!(server.reads(&hidden), Ok("x".to_owned()));
    server.must(&format!("libc.setfsuid({})", uid(OWNER)));
    assert_eq!(server.reads(&read), Ok("s3cret".to_owned()));
    assert_eq!(server.reads(&hidden), Err("ENOENT".to_owned()));
    let last = stage.log_of("file.read", "read/token").pop().unwrap();
    assert_eq!(last["actor"]["uid"], uid(OWNER));
    server.must(&format!("libc.setfsuid({})", uid(STRANGER)));
    assert_eq!(server.reads(&read), Err("EACCES".to_owned()));
}

#[test]
fn a_process_that_gives_up_a_group_is_looked_at_anew() {
    let rules = "[clients.team]\ngroup = [4242]\n[[rule]]\nname = \"team-reads\"\n\
                 clients = [\"team\"]\nops = [\"file.list\", \"file.read\"]\n\
                 path = [\"team/**\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::with("1s", rules) else { return };
    let path = stage.secret("team/token", "s3cret");
    let owner = uid(OWNER);
    let mut person = Person::started_by(&[], None);
    person.must(&format!("os.setgroups([4242]), os.setresuid({owner}, {owner}, 0)"));
    assert_eq!(person.reads(&path), Ok("s3cret".to_owned()));
    person.must(&format!("os.seteuid(0); os.setgroups([]); os.seteuid({owner})"));
    assert_eq!(person.reads(&path), Err("ENOENT".to_owned()));
}

#[test]
fn who_logged_in_stays_with_a_process_that_becomes_another_user() {
    let rules = format!(
        "[clients.guest]\nloginuid = [{}]\n[[rule]]\nname = \"not-for-guests\"\n\
         clients = [\"guest\"]\nops = [\"*\"]\npath = [\"**\"]\npriority = 1\ndecide = \"deny\"\n",
        uid(STRANGER)
    );
    let Some(stage) = Stage::with("1s", &rules) else { return };
    let path = stage.secret("read/token", "s3cret");
    let (mut admin, mut guest) = (Person::started_by(&[], None), Person::started_by(&[], None));
    if guest.does(&format!("write('/proc/self/loginuid', '{}')", uid(STRANGER))).is_err() {
        eprintln!("skipped: the kernel keeps no loginuid");
        return;
    }
    assert_eq!(admin.reads(&path), Ok("s3cret".to_owned()));
    // Root, as by sudo; and the owner, as by su.
    assert_eq!(guest.reads(&path), Err("ENOENT".to_owned()));
    guest.must(&format!("os.setgroups([]), os.setresuid({0}, {0}, {0})", uid(OWNER)));
    assert_eq!(guest.reads(&path), Err("ENOENT".to_owned()));
    assert!(guest.does(&format!("write('/proc/self/loginuid', '{}')", uid(OWNER))).is_err());
    assert_eq!(guest.reads(&path), Err("ENOENT".to_owned()));
}

#[test]
fn a_plain_file_gives_itself_away() {
    if !can_act_as_others() {
        return;
    }
    let folder = users::folder(OWNER);
    let path = folder.path().join("token").to_str().unwrap().to_owned();
    Person::of(OWNER).must(&format!("write({path:?}, 's3cret')"));
    for real in [0, uid(STRANGER)] {
        assert_eq!(lent(real, &path)[1], "s3cret");
    }
}
