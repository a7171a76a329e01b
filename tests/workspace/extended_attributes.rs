//! Extended attributes, and access control lists, which are some.

use crate::support::desk::Desk;
use crate::support::users::{OWNER, STRANGER, user};

/// Makes the bytes of a list from (tag, permissions, id).
const LIST: &str = "def acl(*entries): return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)";

#[test]
fn extended_attributes_are_kept_of_files_directories_and_links() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("write('file', '')");
    person.must("os.setxattr('file', 'user.one', b'1')");
    person.must("os.setxattr('file', 'user.empty', b'')");
    person.must("os.setxattr('.', 'trusted.top', b't')");
    person.must("os.symlink('file', 'link')");
    person.must("os.setxattr('link', 'security.of_link', b'l', follow_symlinks=False)");
    assert_eq!(person.fails("os.setxattr('file', 'user.one', b'2', os.XATTR_CREATE)"), "EEXIST");
    assert_eq!(person.fails("os.setxattr('file', 'user.two', b'2', os.XATTR_REPLACE)"), "ENODATA");
    assert_eq!(person.fails("os.getxattr('file', 'user.two')"), "ENODATA");
    assert_eq!(person.fails("os.setxattr('file', 'system.other', b'')"), "ENOTSUP");
    person.must("os.setxattr('file', 'user.large', b'x' * 65536)");
    desk.unmount();
    desk.mount(&[]);
    let mut person = desk.person();
    assert_eq!(
        person.must("sorted(os.listxattr('file'))").to_string(),
        r#"["user.empty","user.large","user.one"]"#
    );
    assert_eq!(person.must("os.getxattr('file', 'user.large') == b'x' * 65536"), true);
    assert_eq!(person.must("os.getxattr('.', 'trusted.top')"), "t");
    assert_eq!(person.must("os.getxattr('link', 'security.of_link', follow_symlinks=False)"), "l");
    person.must("os.removexattr('file', 'user.one')");
    assert_eq!(person.fails("os.removexattr('file', 'user.one')"), "ENODATA");
    // A buffer that is too small is told so.
    person.must("buffer = ctypes.create_string_buffer(9)");
    assert_eq!(person.fails("call('getxattr', b'file', b'user.large', buffer, 9)"), "ERANGE");
}

#[test]
fn an_access_control_list_lets_one_more_user_in_and_follows_the_mode() {
    let Some(desk) = Desk::with(
        "[[rule]]\nname = \"all\"\nclients = [\"*\"]\nops = [\"file.*\"]\npath = [\"*\"]\ndecide = \"allow\"\n",
    ) else {
        return;
    };
    let mut root = desk.person();
    root.must(LIST);
    root.must("write('file', 'for the owner')");
    let (owner, mut stranger) = (user(OWNER).uid, desk.person_of(STRANGER));
    let mut friend = desk.person_of(OWNER);
    assert_eq!(friend.fails("read('file')"), "EACCES");
    root.must(&format!(
        "os.setxattr('file', 'system.posix_acl_access', acl((1, 6, 2**32 - 1), (2, 4, {owner}), \
         (4, 0, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)))"
    ));
    assert_eq!(friend.must("read('file')"), "for the owner");
    assert_eq!(stranger.fails("read('file')"), "EACCES");
    assert_eq!(root.must("oct(os.stat('file').st_mode & 0o777)"), "0o640");
    // The group bits of the mode are the mask.
    root.must("os.chmod('file', 0o600)");
    assert_eq!(friend.fails("read('file')"), "EACCES");
    root.must("os.chmod('file', 0o640)");
    assert_eq!(friend.must("read('file')"), "for the owner");
    // A list that says what a mode can say is a mode.
    root.must(
        "os.setxattr('file', 'system.posix_acl_access', acl((1, 6, 2**32 - 1), (4, 4, 2**32 - 1), \
         (32, 4, 2**32 - 1)))",
    );
    assert_eq!(
        root.must("[oct(os.stat('file').st_mode & 0o777), os.listxattr('file')]").to_string(),
        r#"["0o644",[]]"#
    );
}

#[test]
fn a_directory_hands_its_default_list_down() {
    let Some(desk) = Desk::set() else { return };
    let mut root = desk.person();
    root.must(LIST);
    root.must("os.mkdir('shared')");
    root.must(
        "os.setxattr('shared', 'system.posix_acl_default', acl((1, 7, 2**32 - 1), (2, 7, 4242), \
         (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 0, 2**32 - 1)))",
    );
    root.must("os.umask(0o077)");
    root.must("os.close(os.open('shared/file', os.O_CREAT, 0o666))");
    root.must("os.mkdir('shared/below', 0o777)");
    // The list takes the place of the umask.
    assert_eq!(root.must("oct(os.stat('shared/file').st_mode & 0o777)"), "0o660");
    assert_eq!(root.must("oct(os.stat('shared/below').st_mode & 0o777)"), "0o770");
    assert_eq!(
        root.must(
            "os.getxattr('shared/file', 'system.posix_acl_access') == acl((1, 6, 2**32 - 1), \
             (2, 7, 4242), (4, 5, 2**32 - 1), (16, 6, 2**32 - 1), (32, 0, 2**32 - 1))"
        ),
        true
    );
    assert_eq!(
        root.must(
            "os.getxattr('shared/below', 'system.posix_acl_default') \
             == os.getxattr('shared', 'system.posix_acl_default')"
        ),
        true
    );
}
