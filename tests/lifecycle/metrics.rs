//! Counts, times and states for machines.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, can_act_as_others};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// The value of a sample, by all before the blank.
fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().unwrap()
}

#[test]
fn opens_are_counted_by_decision_and_each_step_of_them_is_timed() {
    let Some(stage) = Stage::served(HOLD, "") else { return };
    stage.root().ward(&["set", "read/token", "--value", "s3cret"]).succeed();
    stage.root().ward(&["set", "cat/token", "--value", "s3cret"]).succeed();
    stage.mount(&["--ttl", "10m"]);
    let mut person = Person::of(OWNER);
    let read = stage.path("read/token");
    person.must(&format!("file = os.open({read:?}, os.O_RDONLY)"));
    assert_eq!(person.must("os.pread(file, 6, 0)"), "s3cret");
    assert_eq!(person.reads(&stage.path("cat/token")), Err("EACCES".to_owned()));
    let text = stage.root().ward(&["status", "--metrics"]).succeed();
    for (sample, expected) in [
        ("ward_opens_total{decision=\"allowed\"}", 1.0),
        ("ward_opens_total{decision=\"denied\"}", 1.0),
        ("ward_opens_total{decision=\"asked\"}", 0.0),
        ("ward_reads_total", 1.0),
        ("ward_read_bytes_total", 6.0),
        ("ward_step_seconds_count{step=\"open-caller\"}", 2.0),
        ("ward_step_seconds_count{step=\"open-record\"}", 1.0),
        ("ward_step_seconds_bucket{step=\"read-decrypt\",le=\"+Inf\"}", 1.0),
        ("ward_requests_waiting", 0.0),
        ("ward_log_takes_records", 1.0),
        ("ward_vault_files{vault=\"default\"}", 2.0),
        ("ward_mounts", 1.0),
        ("ward_mount_open_files{vault=\"default\"}", 1.0),
    ] {
        assert_eq!(value(&text, sample), expected, "{sample}");
    }
    let left = value(&text, "ward_mount_seconds_left{vault=\"default\"}");
    assert!((590.0..=600.0).contains(&left), "{left}");
    assert!(value(&text, "ward_step_seconds_sum{step=\"open-record\"}") > 0.0);
    let denied = stage.root().ward(&["whoami"]).by(OWNER).run();
    assert_eq!(denied.status, Some(0));
    drop(person);
    assert_eq!(stage.unmount().status, Some(0));
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn prometheus_gets_them_on_loopback_where_the_settings_say_so_and_from_nowhere_else() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    root.configure(&format!("[metrics]\nlisten = \"127.0.0.1:{free}\"\n"));
    let root = root.serving();
    let answer = get(free, "/metrics");
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert_eq!(value(text, "ward_mounts"), 0.0);
    assert!(get(free, "/").starts_with("HTTP/1.1 404 "), "all else is not there");
    // One that says nothing holds up nobody for longer than a second.
    let _silent = TcpStream::connect(("127.0.0.1", free)).unwrap();
    assert!(get(free, "/metrics").starts_with("HTTP/1.1 200 "));
    drop(root);
    let root = Root::private();
    root.configure("[metrics]\nlisten = \"0.0.0.0:9464\"\n");
    let ended = root.run(&["daemon", "start"]);
    assert_eq!(ended.status, Some(9), "{ended:?}");
    assert!(ended.stderr.contains("no address of loopback"), "{ended:?}");
}
