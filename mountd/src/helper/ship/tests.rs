use super::*;
use crate::helper::http_server::{Reply, Server};
use std::fs::read_to_string;

fn lines(bytes: &[u8]) -> Parcel {
    Parcel { log: "01J".to_owned(), first: 3, last: 9, hash: "ab".repeat(32), bytes: bytes.len() }
}

/// Gives each of `bodies` to a helper for `destination`: what came of them.
fn given(destination: &Destination, bodies: &[&[u8]]) -> Vec<Option<String>> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    let (flags, kind) = (SockFlag::SOCK_CLOEXEC, SockType::SeqPacket);
    let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    std::thread::scope(|scope| {
        let helper = scope.spawn(move || serve(&theirs, destination));
        let failures = bodies
            .iter()
            .map(|body| {
                send(ours.as_fd(), &lines(body), &[]).unwrap();
                send_bytes(ours.as_fd(), body).unwrap();
                receive::<Delivered>(ours.as_fd()).unwrap().unwrap().0.failure
            })
            .collect();
        drop(ours);
        helper.join().unwrap().unwrap();
        failures
    })
}

fn webhook(folder: &Path, address: &str) -> Destination {
    let secret = folder.join("secret");
    File::create(&secret).unwrap().write_all(b"a shared secret\n").unwrap();
    Destination::Webhook(Webhook { address: address.to_owned(), secret, tls: Identity::default() })
}

#[test]
fn a_file_gets_lines_one_after_the_other_and_a_half_line_is_ended_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let large = [&[b'x'; 300_000][..], b"\n"].concat();
    let destination = Destination::File(file.clone());
    assert_eq!(given(&destination, &[b"one\n", b"two\n", &large]), [None, None, None]);
    let text = read_to_string(&file).unwrap();
    assert_eq!(text.len(), 8 + large.len());
    assert!(text.starts_with("one\ntwo\nxxx"));
    File::options().append(true).open(&file).unwrap().write_all(b"hal").unwrap();
    assert_eq!(given(&destination, &[b"half\n"]), [None]);
    assert!(read_to_string(&file).unwrap().ends_with("hal\nhalf\n"));
    let nowhere = Destination::File("/no/such/folder/log".into());
    let failures = given(&nowhere, &[b"one\n"]);
    assert!(failures[0].as_ref().unwrap().starts_with("cannot append to /no/such/folder/log"));
}

#[test]
fn a_webhook_gets_lines_signed_and_named_and_what_it_answers_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::plain(|asked| match asked.body.as_slice() {
        b"good\n" => Reply::new(204, ""),
        _ => Reply::new(503, "come\nagain"),
    });
    let destination = webhook(folder.path(), server.address());
    let failures = given(&destination, &[b"good\n", b"bad\n"]);
    assert_eq!(failures, [None, Some("it answers with status 503: come again".to_owned())]);
    let asked = &server.asked()[0];
    let name = format!("01J-3-9-{}", "ab".repeat(32));
    assert_eq!(asked.header("idempotency-key"), Some(name.as_str()));
    // By `openssl dgst -sha256 -hmac`.
    let signature = "sha256=5e8ae28edafbee3c7d26d02a6179a4c588a42b94d132d6dba9a26a78374b3609";
    assert_eq!(asked.header("ward-signature"), Some(signature));
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_webhook_that_is_not_there_or_has_no_secret_is_a_failure_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let address = Server::plain(|_| Reply::new(200, "")).address().to_owned();
    let failures = given(&webhook(folder.path(), &address), &[b"1\n"]);
    assert!(failures[0].as_ref().unwrap().contains("refused"), "{failures:?}");
    let destination = webhook(folder.path(), &address);
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    let failures = given(&destination, &[b"1\n"]);
    assert!(failures[0].as_ref().unwrap().starts_with("cannot read"), "{failures:?}");
}
