//! `ward whoami`: everything that is known of a process, to the process itself.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, user};
use crate::support::ward::WARD;
use nix::unistd::chown;
use serde_json::Value;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

/// A library that every program may load, and that does nothing when it is.
const HARMLESS: &str = "/lib/x86_64-linux-gnu/libm.so.6";

fn whoami(stage: &Stage, variables: &[(&str, &str)]) -> Value {
    let mut ward = stage.root().ward(&["--json", "whoami"]).by(OWNER);
    for (name, value) in variables {
        ward = ward.with(name, *value);
    }
    ward.run().json()["result"].clone()
}

#[test]
fn a_process_learns_who_it_is_without_any_permission() {
    let Some(stage) = Stage::set() else { return };
    let told = whoami(&stage, &[]);
    let owner = user(OWNER);
    assert_eq!(told["uid"], owner.uid.as_raw());
    assert_eq!(told["clients"], serde_json::json!(["owner"]));
    assert!(told["exe"].as_str().unwrap().ends_with("/ward"));
    assert_eq!(told["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(told["parents"][0]["pid"], std::process::id());
    let has_doubts = !told["doubts"].as_array().unwrap().is_empty();
    assert_eq!(told["grade"] != "verified", has_doubts);
    let text = stage.root().ward(&["whoami"]).by(OWNER).succeed();
    for word in ["process ", "sha256 ", "grade ", "clients     owner", "started by "] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn a_program_of_a_user_is_known_where_nobody_else_looked_since_the_machine_started() {
    let Some(stage) = Stage::set() else { return };
    let owner = user(OWNER);
    let folder = stage.root().directory().join("bin");
    let program = folder.join("ward");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(WARD, &program).unwrap();
    for place in [&program, &folder] {
        chown(place, Some(owner.uid), Some(owner.gid)).unwrap();
        std::fs::set_permissions(place, Permissions::from_mode(0o755)).unwrap();
        std::fs::File::open(place).unwrap().sync_all().unwrap();
    }
    // As after a start: whether they have ACLs is not in the kernel's cache, and their owner needs none.
    let mut caches = std::fs::File::create("/proc/sys/vm/drop_caches").unwrap();
    caches.write_all(b"2").unwrap();
    let (program, root) = (program.to_str().unwrap(), stage.root().path().to_str().unwrap());
    let step = format!("run({program:?}, '--root', {root:?}, '--json', 'whoami')[1]");
    let told = Person::of(OWNER).must(&step);
    let told: Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
    assert_eq!(told["result"]["exe"], program, "{told}");
    assert_eq!(told["result"]["clients"], serde_json::json!(["owner"]));
}

#[test]
fn each_doubt_is_told_by_name_and_lowers_the_grade() {
    let Some(stage) = Stage::set() else { return };
    let told = |name, value, grade| {
        let told = whoami(&stage, &[(name, value)]);
        let doubts = told["doubts"].to_string();
        assert!(doubts.contains(&format!("{name} is set")), "{told}");
        assert_eq!(told["grade"], grade, "{told}");
        told
    };
    let preloaded = told("LD_PRELOAD", HARMLESS, "untrusted");
    // Who is untrusted is no client of anybody.
    assert_eq!(preloaded["clients"], serde_json::json!([]));
    // Nothing came by it: build tools set it for all they run.
    told("LD_LIBRARY_PATH", "/tmp", "weak");
    told("PYTHONPATH", "/usr/lib", "weak");
    told("NODE_OPTIONS", "--no-warnings", "weak");
    let plain = whoami(&stage, &[("LD_LIBRARY_PATH", "/usr/lib")]);
    assert!(!plain["doubts"].to_string().contains("LD_LIBRARY_PATH"), "{plain}");
}
