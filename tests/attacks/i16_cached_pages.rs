//! I16: pages in the kernel's cache, which would be given out without asking.

use super::joined;
use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER, user};
use crate::support::wait;

const PRIVATE: &str = "mmap.mmap(file, 6, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)";

#[test]
fn a_second_reader_of_the_same_file_is_in_the_log_too() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("both/token", "s3cret");
    for person in [OWNER, STRANGER, OWNER] {
        assert_eq!(Person::of(person).reads(&path), Ok("s3cret".to_owned()));
    }
    let readers: Vec<_> = stage
        .log_of("file.read", "both/token")
        .iter()
        .map(|entry| entry["actor"]["uid"].as_u64().unwrap())
        .collect();
    let (owner, stranger) = (user(OWNER).uid.as_raw(), user(STRANGER).uid.as_raw());
    assert_eq!(readers, [owner, stranger, owner].map(u64::from));
}

#[test]
fn the_same_reader_again_is_in_the_log_again() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("read/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    for advice in ["NORMAL", "SEQUENTIAL", "NOREUSE", "WILLNEED"] {
        person.must(&format!("os.posix_fadvise(file, 0, 0, os.POSIX_FADV_{advice})"));
        let before = stage.log_of("file.read", "read/token").len();
        for count in 1..=3 {
            assert_eq!(person.must("os.pread(file, 9, 0)"), "s3cret");
            let reads = stage.log_of("file.read", "read/token").len() - before;
            // To read ahead as advised is a read of its own, whenever the kernel comes to it.
            assert!(reads == count || (advice == "WILLNEED" && reads > count), "{advice}: {reads}");
        }
    }
}

#[test]
fn pages_that_one_caller_mapped_are_not_there_for_another() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("both/token", "s3cret");
    let (mut first, mut second) = (Person::of(OWNER), Person::of(STRANGER));
    for person in [&mut first, &mut second] {
        person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
        person.must(&format!("memory = {PRIVATE}"));
    }
    let reads_of = |person: &Person| {
        let reads = stage.log_of("file.read", "both/token");
        reads.iter().filter(|read| read["actor"]["pid"] == person.pid()).count()
    };
    assert_eq!(first.must("memory[0:6]"), "s3cret");
    // The page is taken back soon after: then a second reader's access is a read of its own.
    let is_read_anew = wait::until(|| {
        second.must(&format!("memory = {PRIVATE}"));
        second.must("memory[0:1]") == "s" && reads_of(&second) > 0
    });
    assert!(is_read_anew && reads_of(&first) > 0);
}

#[test]
fn what_a_reader_sent_on_or_spliced_is_not_there_for_who_holds_its_descriptor() {
    let Some(stage) = Stage::set() else { return };
    let (mut owner, mut stranger) = joined(&stage);
    for person in [&mut owner, &mut stranger] {
        person.must("out, into = os.pipe(); null = os.memfd_create('x')");
    }
    let (splice, send) = ("os.splice(file, into, 9, 0)", "os.sendfile(null, file, 0, 9)");
    for step in [splice, send] {
        assert_eq!(owner.must(step), 6, "{step}");
        let begun = wait::seconds();
        // The kernel may say so by an error or by fewer bytes: none.
        let is_gone = wait::until(|| stranger.does(step).map_or(true, |count| count == 0));
        let took = wait::seconds() - begun;
        eprintln!("{step}: gone after {:.1} ms", took * 1e3);
        assert!(is_gone && took < 0.1, "{step}: the page stayed for {took} s");
        for _ in 0..20 {
            assert_ne!(stranger.does(step), Ok(6.into()), "{step}");
        }
    }
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    let mut person = Person::of(OWNER);
    person.must(&format!("file = os.open({:?}, os.O_RDONLY)", plain.path()));
    // Its server is stopped, and the bytes come all the same: nobody was asked.
    let stopped = format!(
        "(os.pread(file, 9, 0), os.kill({0}, signal.SIGSTOP), os.pread(file, 9, 0), \
         os.kill({0}, signal.SIGCONT))[2]",
        plain.pid()
    );
    assert_eq!(person.must(&stopped), "s3cret");
}
