//! Leases: what the kernel keeps goes when they end, and what it kept of writes is not lost.

use crate::support::desk::Desk;
use crate::support::stage::HOLD;
use crate::support::users::OWNER;
use crate::support::wait;

/// Who holds a descriptor whose lease is over gets this.
const ENDED: &str = "ESTALE";
/// A process that touches a page that is not there any more is ended by this signal.
const SIGBUS: i32 = -7;

#[test]
fn a_withdrawn_lease_takes_cached_pages_from_descriptors_and_mappings() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("free", "file");
    let mut owner = desk.person_of(OWNER);
    owner.must(&format!("write({path:?}, 'x' * 100000)"));
    owner.must(&format!("file = os.open({path:?}, os.O_RDWR)"));
    owner.must("memory = mmap.mmap(file, 100000)");
    assert_eq!(
        owner.must("[memory[99999], os.pread(file, 1, 5).decode()]").to_string(),
        r#"[120,"x"]"#
    );
    // Kept by the kernel alone when the lease ends.
    owner.must("os.pwrite(file, b'late', 50000)");
    owner.must("memory[0:5] = b'early'");
    desk.stage().change_rules(HOLD, "# another text is another policy\n");
    let death = owner.must("dies('os.pread(file, 9, 0)')");
    assert_eq!(death[0], ENDED);
    assert_eq!(owner.must("child('memory[0]')"), SIGBUS);
    // A new open is decided anew, and finds what was written before.
    assert_eq!(owner.must(&format!("read({path:?})[50000:50004]")), "late");
    assert_eq!(owner.must(&format!("read({path:?})[0:5]")), "early");
    // What others read of it meanwhile does not come back through the old descriptor.
    assert_eq!(owner.fails("os.pread(file, 9, 0)"), ENDED);
    assert!(wait::until(|| owner.must("child('memory[0]')") == SIGBUS));
}

#[test]
fn a_lease_that_a_human_gave_ends_to_the_moment() {
    let rule = "[[rule]]\nname = \"short\"\nclients = [\"owner\"]\nops = [\"file.read\", \"file.write\"]\n\
                path = [\"short/**\"]\ndecide = \"approve\"\n\
                approve = { require = \"first_use\", by = [\"admin\"], lease = \"1s\" }\n";
    let Some(desk) = Desk::with(rule) else { return };
    let path = desk.free("short", "file");
    let mut root = desk.person();
    root.must(&format!("write({path:?}, 'short')"));
    root.must(&format!("os.chmod({path:?}, 0o666)"));
    let mut owner = desk.person_of(OWNER);
    owner.begin(&format!("file = os.open({path:?}, os.O_RDWR)"));
    let request = desk.stage().held("short/file");
    let begun = wait::seconds();
    assert_eq!(desk.stage().approve(&request).status, Some(0));
    let leased = wait::seconds();
    owner.end().unwrap();
    owner.must("memory = mmap.mmap(file, 5, prot=mmap.PROT_READ)");
    assert_eq!(owner.must("memory[0:5]"), "short");
    let death = owner.must("dies('os.pread(file, 9, 0)')");
    assert_eq!(death[0], ENDED);
    assert_eq!(owner.fails("os.pwrite(file, b'late', 0)"), ENDED);
    assert_eq!(owner.fails("os.ftruncate(file, 0)"), ENDED);
    let died = death[1].as_f64().unwrap();
    assert!(died >= begun + 1.0 && died < leased + 1.5, "died {} s after", died - leased);
    assert!(wait::until(|| owner.must("child('memory[0]')") == SIGBUS));
    assert_eq!(root.must(&format!("read({path:?})")), "short");
}
