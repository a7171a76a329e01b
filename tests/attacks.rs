//! Attacks: one file for each row of docs/threats.md that has a number, named by it, and one for each
//! of the other parts. The attacker is an unprivileged user.

mod a02_a_caller_that_waits;
mod a05_an_answer_of_the_asker;
mod a06_a_terminal_that_an_agent_drives;
mod a07_an_answer_used_again;
mod a08_a_program_changed_after_asking;
mod a09_words_that_deceive;
mod a10_an_answer_at_the_deadline;
mod a11_scanners;
mod a12_a_flooded_queue;
mod a13_a_queue_behind_one_question;
mod connections;
mod i01_a_recycled_pid;
mod i02_a_second_thread;
mod i03_a_caller_outside_the_pid_namespace;
mod i04_a_mount_namespace;
mod i05_a_user_namespace;
mod i06_loader_variables;
mod i07_a_tracer;
mod i08_interpreters;
mod i09_forged_names;
mod i10_a_replaced_program;
mod i11_a_time_set_back;
mod i12_a_giant_program;
mod i13_a_container_that_lies;
mod i14_differing_ids;
mod i15_a_descriptor_that_travels;
mod i16_cached_pages;
mod i17_mappings;
mod i18_ways_around_open;
mod i19_the_kernel_as_the_caller;
mod i20_an_agent_name_is_not_an_argument;
mod i21_a_helper_of_the_attacker;
mod m01_a_killed_daemon;
mod m02_a_busy_mount;
mod m06_a_dead_mount;
mod m11_memory_of_the_daemon;
mod m12_huge_offsets;
mod mountpoints;
mod root;
mod sidecar;

use crate::support::gocryptfs::{Gocryptfs, VALUE};
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};
use serde_json::Value;

/// The attempt got nothing and was told nothing but that.
fn is_refused(ended: &Value) {
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
    assert!(ended[2].as_str().unwrap().contains("Permission denied"), "{ended}");
}

/// Who cannot be believed at all does not even find the name.
fn finds_nothing(ended: &Value) {
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
    assert!(ended[2].as_str().unwrap().contains("No such file"), "{ended}");
}

/// Does an attack on a file as people keep it today, where it succeeds: on a mount of gocryptfs, by a
/// process of its owner. The attack gives exit code and standard output of what it ran.
fn succeeds_against_gocryptfs(attack: impl Fn(&mut Person, &str) -> Value) {
    let Some(plain) = Gocryptfs::set() else { return };
    let ended = attack(&mut Person::of(OWNER), &plain.path());
    assert!(ended[1].as_str().unwrap().ends_with(VALUE), "{ended}");
}

/// Joins two persons by a socket, `link`, over which the first hands its `file` to the second.
fn handed(first: &mut Person, second: &mut Person) {
    let name = format!("\\0wardfs-test-{}", first.pid());
    first.must(&format!(
        "server = socket.socket(socket.AF_UNIX); server.bind('{name}'); server.listen()"
    ));
    second.must(&format!("link = socket.socket(socket.AF_UNIX); link.connect('{name}')"));
    first.must("link = server.accept()[0]");
    first.must("socket.send_fds(link, [b'x'], [file])");
    second.must("file = socket.recv_fds(link, 1, 1)[1][0]");
}

/// An owner who has `read/token` open as `file`, and a stranger who was handed it.
fn joined(stage: &Stage) -> (Person, Person) {
    let path = stage.secret("read/token", VALUE);
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    owner.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(owner.must("os.pread(file, 9, 0)"), VALUE);
    handed(&mut owner, &mut stranger);
    (owner, stranger)
}
