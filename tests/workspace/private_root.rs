//! A workspace of a private root, mounted for one user by fusermount3.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::users::{OWNER, STRANGER, can_act_as_others, user};
use crate::support::wait;
use std::os::unix::fs::chown;

#[test]
fn a_workspace_of_a_private_root_is_its_owners_and_loses_nothing_at_the_end() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::absent();
    let owner = user(OWNER);
    chown(root.directory(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
    let path = root.directory().join("mount").to_str().unwrap().to_owned();
    let ward = |words: &[&str]| root.ward(words).by(OWNER).succeed();
    ward(&["init"]);
    ward(&["vault", "init", "work", "--kind", "workspace"]);
    ward(&["vault", "mount", "work", &path]);
    let mut person = Person::of(OWNER);
    let shown = format!("[{},{},\"0o700\"]", owner.uid, owner.gid);
    assert_eq!(person.must(&format!("shown({path:?})[:3]")).to_string(), shown);
    person.must(&format!("os.chdir({path:?}); os.mkdir('a'); os.symlink('a', 'b')"));
    person.must("file = os.open('a/file', os.O_RDWR | os.O_CREAT); os.write(file, b'kept')");
    assert_eq!(Person::of(STRANGER).reads(&format!("{path}/a/file")), Err("EACCES".to_owned()));
    ward(&["vault", "unmount", "work"]);
    assert!(["ESTALE", "ENOTCONN"].contains(&person.fails("os.pread(file, 4, 0)").as_str()));
    // Where fusectl is not mounted the connection, and with it the vault, is there until then.
    person.must("os.chdir('/')");
    // It is closed, whether or not the kernel says so (ENOTCONN).
    let _closed = person.does("os.close(file)");
    let mut last = None;
    let is_there = wait::until(|| {
        let ended = root.ward(&["vault", "mount", "work", &path]).by(OWNER).run();
        last.insert(ended).status == Some(0)
    });
    assert!(is_there, "the vault does not open again: {last:?}");
    assert_eq!(person.reads(&format!("{path}/b/file")), Ok("kept".to_owned()));
    ward(&["vault", "unmount", "work"]);
    assert_eq!(root.mounts(), Vec::<String>::new());
}
