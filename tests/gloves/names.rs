//! A name is one secret, whoever says it, and by whatever way.

use crate::support::root::Root;
use crate::support::wait;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

/// A private root whose vault is mounted, and whose sidecar listens.
fn scene() -> (Root, PathBuf, u16) {
    let root = Root::private();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    root.configure(&format!("[sidecar]\nbind = \"{free}\"\n"));
    root.ward(&["vault", "mount", "default", "here"]).succeed();
    let here = root.directory().join("here");
    (root, here, free.port())
}

fn sidecar(port: u16, request: &Value) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    writeln!(stream, "{request}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn names(root: &Root) -> Vec<String> {
    let list = root.run(&["--json", "list"]).json();
    let names = list["result"]["names"].as_array().unwrap().iter();
    names.map(|it| it["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_could_be_a_second_name_of_a_secret_is_refused_by_commands_and_one_file_in_a_mount() {
    let (root, here, port) = scene();
    root.ward(&["set", "a/b", "--value", "one"]).succeed();
    for odd in ["a//b", "a/./b", "a/x/../b", "a/b/", "/a/b", "./a/b", "a/b/.", "a/"] {
        for words in [&["set", odd, "--value", "two"][..], &["get", odd, "--raw"], &["revoke", odd]]
        {
            let ended = root.run(words);
            assert_eq!(ended.status, Some(7), "{words:?}: {ended:?}");
            assert!(ended.stderr.contains("[E101]"), "{ended:?}");
        }
        let set = sidecar(port, &json!({"action": "set", "name": odd, "value": "two"}));
        assert_eq!(set["status"], "error", "{odd}: {set}");
    }
    // The kernel takes such paths apart: they are the file itself.
    for same in ["a//b", "a/./b", "a/../a/b"] {
        assert_eq!(std::fs::read_to_string(here.join(same)).unwrap(), "one");
    }
    assert_eq!(names(&root), ["a/b"]);
    // A hidden name is a name, listed like others; nothing stands for another one.
    for name in [".hid", "x.age", "x.age.y"] {
        root.ward(&["set", name, "--value", name]).succeed();
        assert_eq!(std::fs::read_to_string(here.join(name)).unwrap(), name);
    }
    assert_eq!(names(&root), [".hid", "a/b", "x.age", "x.age.y"]);
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn a_secret_and_secrets_below_it_never_coexist_by_command_sidecar_or_mount() {
    let (root, here, port) = scene();
    root.ward(&["set", "x", "--value", "one"]).succeed();
    let below = root.run(&["set", "x/y", "--value", "two"]);
    assert_eq!(below.status, Some(6), "{below:?}");
    let below = sidecar(port, &json!({"action": "set", "name": "x/y", "value": "two"}));
    assert_eq!(below["status"], "error", "{below}");
    assert!(std::fs::create_dir(here.join("x")).is_err());
    assert!(std::fs::File::create(here.join("x/y")).is_err());
    root.ward(&["set", "p/q", "--value", "one"]).succeed();
    for words in [&["set", "p", "--value", "two"][..], &["set", "p", "--value", "two", "--replace"]]
    {
        let above = root.run(words);
        assert_eq!(above.status, Some(6), "{above:?}");
    }
    assert!(std::fs::File::create(here.join("p")).is_err());
    assert_eq!(names(&root), ["p/q", "x"]);
    for (name, value) in [("x", "one"), ("p/q", "one")] {
        assert_eq!(root.ward(&["get", name, "--raw"]).succeed(), value);
        assert_eq!(std::fs::read_to_string(here.join(name)).unwrap(), value);
    }
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn one_name_is_one_secret_by_command_mount_and_sidecar() {
    let (root, here, port) = scene();
    let file = here.join("svc/token");
    let agree = |value: &str| {
        assert_eq!(root.ward(&["get", "svc/token", "--raw"]).succeed(), value);
        assert_eq!(root.ward(&["secrets", "get", "default:svc/token", "--raw"]).succeed(), value);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), value);
        let got = sidecar(port, &json!({"action": "get", "name": "svc/token"}));
        assert_eq!(got["data"]["secret"], value, "{got}");
    };
    root.ward(&["set", "svc/token", "--value", "by command"]).succeed();
    agree("by command");
    std::fs::File::create(&file).unwrap().write_all(b"by mount").unwrap();
    agree("by mount");
    root.ward(&["secrets", "set", "svc/token", "--value", "by group", "--replace"]).succeed();
    agree("by group");
    let revoked = sidecar(port, &json!({"action": "revoke", "name": "svc/token"}));
    assert_eq!(revoked["status"], "ok", "{revoked}");
    assert_eq!(root.run(&["get", "svc/token", "--raw"]).status, Some(5));
    assert!(wait::until(|| !file.exists()), "it is gone by every way");
    let set = sidecar(port, &json!({"action": "set", "name": "svc/token", "value": "by sidecar"}));
    assert_eq!(set["status"], "ok", "{set}");
    agree("by sidecar");
    let again = root.run(&["set", "svc/token", "--value", "another"]);
    assert_eq!(again.status, Some(6), "{again:?}");
    assert_eq!(names(&root), ["svc/token"]);
    root.ward(&["vault", "unmount", "default"]).succeed();
}
