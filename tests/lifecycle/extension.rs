//! A mount ends later when its owner or an approver says so, and never later than it may.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, policy, replace};
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;

#[test]
fn a_mount_that_is_extended_goes_on_and_so_do_files_that_are_open() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    stage.mount(&["--ttl", "2s"]);
    let begun = wait::seconds();
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    let said = stage.root().ward(&["vault", "extend", "default", "--ttl", "1h"]).succeed();
    assert!(said.starts_with("default ends in 1h, at 20"), "{said}");
    assert!(wait::until(|| wait::seconds() > begun + 2.5));
    assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
    assert_eq!(Person::of(OWNER).reads(&path), Ok("s3cret".to_owned()));
    assert_eq!(stage.unmount().status, Some(0));
}

#[test]
fn an_extension_is_never_beyond_what_a_mount_may_last_nor_makes_it_shorter() {
    let root = Root::private().serving();
    let extend = |ttl: &str| root.run(&["vault", "extend", "default", "--ttl", ttl]);
    assert_eq!(extend("1h").status, Some(5), "it is not mounted");
    root.ward(&["vault", "mount", "default", "here", "--ttl", "2h"]).succeed();
    let ended = extend("25h");
    assert_eq!(ended.status, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("longer than it may"), "{ended:?}");
    let ended = extend("1h");
    assert_eq!(ended.status, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("ends later than that already"), "{ended:?}");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn only_the_owner_of_a_mount_and_approvers_extend_it_and_only_where_policy_lets_them() {
    let rule = "\n[[rule]]\nname = \"owner-extends\"\nclients = [\"owner\"]\n\
                ops = [\"vault.extend\"]\npath = [\"*\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::still(HOLD, rule) else { return };
    let root = stage.root();
    // The owner of the root answers nothing here.
    let (with, without) = ("role = \"approver\"\n[clients.stranger]", "[clients.stranger]");
    replace(&root.path().join("policy.toml"), &policy(HOLD, rule).replace(with, without));
    root.ward(&["vault", "init", "work", "--owner", "agent"]).succeed();
    root.ward(&["vault", "mount", "work", stage.mountpoint()]).succeed();
    let extend = ["vault", "extend", "work", "--ttl", "2h"];
    let ended = root.ward(&extend).by(STRANGER).run();
    assert_eq!(ended.status, Some(3), "the policy says nothing of the stranger: {ended:?}");
    let ended = root.ward(&extend).by(OWNER).run();
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("have its owner or an approver extend it"), "{ended:?}");
    root.ward(&extend).succeed();
    root.ward(&["vault", "unmount", "work"]).succeed();
}
