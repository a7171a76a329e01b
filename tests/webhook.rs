//! The webhook: another machine is told of a request, can believe it, and delays nobody.

use crate::support::http_server::{Asked, Papers, Reply, Server};
use crate::support::person::{PYTHON, Person};
use crate::support::stage::{Stage, replace};
use crate::support::users::{OWNER, STRANGER, user};
use crate::support::wait;
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

const KEY: &str = "a key of some length";

/// A stage whose requests are told to `address`, with more lines of `[notify]`.
fn stage(address: &str, mode: u32, more: &str) -> Option<Stage> {
    let stage = Stage::served("10s", "")?;
    let key = stage.root().directory().join("webhook.key");
    replace(&key, &format!("{KEY}\n"));
    let stranger = user(STRANGER);
    chown(&key, Some(stranger.uid.as_raw()), Some(stranger.gid.as_raw())).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
    stage.root().ward(&["daemon", "stop"]).succeed();
    stage.root().configure(&format!(
        "[notify]\nuser = \"{STRANGER}\"\nwebhook = \"{address}\"\nwebhook_key = {key:?}\n{more}"
    ));
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    Some(stage)
}

/// Papers that the helper's user can read.
fn papers() -> Papers {
    let papers = Papers::new();
    let file = papers.file("roots.pem");
    std::fs::set_permissions(file.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
    papers
}

/// Has the owner open a secret that takes a human; gives the id of the request.
fn ask(stage: &Stage) -> (Person, String) {
    let path = stage.secret("ask/token", "s3cret-value");
    let mut person = Person::of(OWNER);
    person.begin(&format!("read({path:?})"));
    let request = stage.held("ask/token");
    (person, request)
}

fn failures(stage: &Stage) -> Vec<String> {
    let log = stage.log();
    let failed = log.iter().filter(|entry| entry["eventType"] == "helper.failed");
    failed.map(|entry| entry["reason"].as_str().unwrap_or("sealed").to_owned()).collect()
}

/// What others make of a body.
fn hmac(stage: &Stage, body: &[u8]) -> String {
    let file = stage.root().directory().join("body");
    replace(&file, std::str::from_utf8(body).unwrap());
    let program = "import hmac, sys; print(hmac.new(sys.argv[1].encode(), open(sys.argv[2], 'rb').read(), 'sha256').hexdigest())";
    let mut python = Command::new(PYTHON);
    let output = python.args(["-c", program, KEY]).arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_request_is_told_signed_with_its_time_and_id_and_without_its_value() {
    let papers = papers();
    let server = Server::tls(&papers, |_| Reply::new(204, ""));
    let roots = format!("webhook_roots = {:?}\n", papers.file("roots.pem"));
    let address = format!("{}/hook?token=t0ken", server.address());
    let Some(stage) = stage(&address, 0o600, &roots) else { return };
    let (mut person, request) = ask(&stage);
    assert!(wait::until(|| server.asked().len() == 1), "{:?}", failures(&stage));
    let [Asked { method, path, body, .. }] = &server.asked()[..] else { panic!() };
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/hook?token=t0ken"));
    let said: Value = serde_json::from_slice(body).unwrap();
    assert_eq!((&said["id"], &said["vault"]), (&request.as_str().into(), &"default".into()));
    assert!(said["text"].as_str().unwrap().contains("for ask/token"), "{said}");
    assert!(!String::from_utf8_lossy(body).contains("s3cret-value"));
    let asked = &server.asked()[0];
    assert_eq!(asked.header("x-ward-id"), Some(request.as_str()));
    assert_eq!(asked.header("x-ward-timestamp"), Some(said["timestamp"].to_string().as_str()));
    let signed = format!("sha256={}", hmac(&stage, body));
    assert_eq!(asked.header("x-ward-signature"), Some(signed.as_str()));
    stage.root().ward(&["approve", &request]).succeed();
    assert_eq!(person.end().unwrap(), "s3cret-value");
    assert_eq!(failures(&stage), Vec::<String>::new());
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_ours() {
    let papers = papers();
    let server = Server::mutual_tls(&papers, |_| Reply::new(200, ""));
    let files = [
        ("webhook_roots", "roots.pem"),
        ("webhook_certificate", "client.pem"),
        ("webhook_certificate_key", "client.key"),
    ];
    let more = files.map(|(key, file)| format!("{key} = {:?}\n", papers.file(file))).concat();
    let Some(stage) = stage(server.address(), 0o600, &more) else { return };
    let (mut person, request) = ask(&stage);
    assert!(wait::until(|| server.asked().len() == 1), "{:?}", failures(&stage));
    stage.root().ward(&["deny", &request]).succeed();
    person.end().unwrap_err();
}

#[test]
fn what_fails_for_a_moment_is_tried_again_and_what_fails_for_good_is_recorded() {
    let tries = AtomicUsize::new(0);
    let server = Server::plain(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::new(503, ""),
        1 => Reply::new(200, ""),
        _ => Reply::new(403, ""),
    });
    let address = format!("{}/t0ken", server.address());
    let Some(stage) = stage(&address, 0o600, "") else { return };
    let (mut person, request) = ask(&stage);
    assert!(wait::until(|| server.asked().len() == 2), "{:?}", failures(&stage));
    assert_eq!(failures(&stage), Vec::<String>::new());
    stage.root().ward(&["deny", &request]).succeed();
    person.end().unwrap_err();
    let (mut other, request) = {
        let path = stage.secret("once/token", "x");
        let mut person = Person::of(OWNER);
        person.begin(&format!("read({path:?})"));
        (person, stage.held("once/token"))
    };
    assert!(wait::until(|| failures(&stage).len() == 1));
    assert_eq!(failures(&stage), ["webhook: it answered 403"], "and without the address");
    assert_eq!(server.asked().len(), 3, "a no is tried again");
    stage.root().ward(&["deny", &request]).succeed();
    other.end().unwrap_err();
}

#[test]
fn a_server_that_is_silent_delays_nobody_and_a_key_of_everybody_is_not_used() {
    let silent = Server::plain(|_| Reply::Never);
    let Some(stage) = stage(silent.address(), 0o600, "") else { return };
    let (mut person, request) = ask(&stage);
    stage.root().ward(&["approve", &request]).succeed();
    assert_eq!(person.end().unwrap(), "s3cret-value");
    drop(stage);
    let server = Server::plain(|_| Reply::new(200, ""));
    let Some(stage) = self::stage(server.address(), 0o644, "") else { return };
    let (mut person, request) = ask(&stage);
    assert!(wait::until(|| failures(&stage).len() == 1));
    assert!(failures(&stage)[0].contains("others can read it"), "{:?}", failures(&stage));
    assert_eq!(server.asked().len(), 0);
    stage.root().ward(&["deny", &request]).succeed();
    person.end().unwrap_err();
}
