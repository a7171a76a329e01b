//! The sidecar: open to every process of the machine that reaches loopback, and to every listener that a
//! client brings along.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER, folder};
use crate::support::wait;
use serde_json::Value;

/// A request for a secret, as bytes of Python.
fn get(name: &str) -> String {
    format!("b'{{\"action\":\"get\",\"name\":\"{name}\"}}\\n'")
}

/// Has it bring its `listener` along, which the daemon serves from then on.
fn bring(person: &mut Person, stage: &Stage) {
    let socket = stage.root().path().join("control.sock");
    person.must(&format!("link = socket.socket(socket.AF_UNIX); link.connect({socket:?})"));
    person.must(
        "socket.send_fds(link, [b'{\"version\":1,\"command\":{\"name\":\"sidecar\"}}\\n'], \
         [listener.fileno()])",
    );
    let answer = person.must("link.recv(1000)");
    assert!(answer.as_str().unwrap().contains("listening"), "{answer}");
}

/// The end of what came back over its `client`.
fn answer(person: &mut Person) -> Value {
    let answer = person.must("client.makefile().readline()");
    serde_json::from_str(answer.as_str().unwrap()).unwrap_or_else(|_| panic!("{answer}"))
}

fn is_refused(answer: &Value, why: &str) {
    assert_eq!(answer["status"], "error", "{answer}");
    assert!(answer["error"].as_str().unwrap().contains(why), "{answer}");
}

/// Listens at `address`, and serves nobody itself.
fn listen(person: &mut Person, address: &str) {
    person.must("listener = socket.socket()");
    person.must("listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)");
    person.must(&format!("listener.bind({address}); listener.listen()"));
    person.must("listener.setblocking(False)");
}

/// As many refusals and opens as the log has by now.
fn decided(stage: &Stage) -> usize {
    let is_one =
        |entry: &&Value| ["refused", "file.open"].iter().any(|it| entry["eventType"] == *it);
    stage.log().iter().filter(is_one).count()
}

#[test]
fn the_addresses_of_somebody_elses_connection_in_a_network_namespace_make_nobody_that_user() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    let mut owner = Person::of(OWNER);
    listen(&mut owner, "('127.0.0.1', 0)");
    owner.must("theirs = socket.create_connection(listener.getsockname())");
    owner.must("accepted = listener.accept()[0]");
    let ends = owner.must("[theirs.getsockname()[1], theirs.getpeername()[1]]");
    let unshared = ["/usr/bin/unshare", "--user", "--map-root-user", "--net"];
    let mut inside = Person::started_by(&unshared, Some(STRANGER));
    // Up, as `ip link set lo up` does it.
    inside.must("fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 0x49))");
    listen(&mut inside, &format!("('127.0.0.1', {})", ends[1]));
    let mut stranger = Person::of(STRANGER);
    let folder = folder(STRANGER);
    let place = folder.path().join("link");
    stranger.must(&format!("server = socket.socket(socket.AF_UNIX); server.bind({place:?})"));
    stranger.must("server.listen()");
    inside.must(&format!("link = socket.socket(socket.AF_UNIX); link.connect({place:?})"));
    inside.must("socket.send_fds(link, [b'x'], [listener.fileno()])");
    stranger.must("file = socket.recv_fds(server.accept()[0], 1, 1)[1][0]");
    stranger.must("listener = socket.socket(fileno=file)");
    bring(&mut stranger, &stage);
    inside.must(&format!("client = socket.socket(); client.bind(('127.0.0.1', {}))", ends[0]));
    inside.must("client.connect(listener.getsockname())");
    inside.must(&format!("client.sendall({})", get("read/token")));
    is_refused(&answer(&mut inside), "network namespace");
    bring(&mut owner, &stage);
    owner.must(&format!(
        "client = socket.create_connection(listener.getsockname()); client.sendall({})",
        get("read/token")
    ));
    assert_eq!(answer(&mut owner)["data"]["secret"], "s3cret");
}

#[test]
fn a_connection_left_to_an_allowed_program_is_not_taken_for_one_of_its_own() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("cat/token", "s3cret");
    let mut owner = Person::of(OWNER);
    listen(&mut owner, "('127.0.0.1', 0)");
    owner.must("client = socket.create_connection(listener.getsockname())");
    owner.must(&format!("client.sendall({})", get("cat/token")));
    // Kept where no process is seen to hold it, and held by cat alone, which may read the secret.
    owner.must("kept, queue = socket.socketpair()");
    owner.must("socket.send_fds(queue, [b'x'], [client.fileno()])");
    owner.must(
        "cat = subprocess.Popen(['/usr/bin/cat'], stdin=subprocess.PIPE, \
         pass_fds=[client.fileno()])",
    );
    owner.must("client.close()");
    let before = decided(&stage);
    bring(&mut owner, &stage);
    assert!(wait::until(|| decided(&stage) > before), "nothing came of it");
    owner.must("client = socket.socket(fileno=socket.recv_fds(kept, 1, 1)[1][0])");
    is_refused(&answer(&mut owner), "close-on-exec");
    owner.must("cat.kill()");
}

#[test]
fn a_request_of_a_browser_is_none() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    let mut owner = Person::of(OWNER);
    listen(&mut owner, "('127.0.0.1', 0)");
    bring(&mut owner, &stage);
    let body = r#"{"action":"get","name":"read/token"}"#;
    for request in [
        format!(
            "POST / HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nContent-Length: 40\\r\\n\\r\\n{body}\\n"
        ),
        format!("{body} HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"),
        format!("GET /{body} HTTP/1.1\\n{body}\\n"),
    ] {
        owner.must("client = socket.create_connection(listener.getsockname())");
        owner.must(&format!("client.sendall(b'{request}')"));
        is_refused(&answer(&mut owner), "no request");
    }
}

#[test]
fn a_connection_that_another_user_made_is_nobodys() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("read/token", "s3cret");
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    listen(&mut owner, "('127.0.0.1', 0)");
    let port = owner.must("listener.getsockname()[1]");
    stranger.must(&format!("client = socket.create_connection(('127.0.0.1', {port}))"));
    stranger.must(&format!("client.sendall({}); file = client.fileno()", get("read/token")));
    super::handed(&mut stranger, &mut owner);
    owner.must("os.set_inheritable(file, False)");
    stranger.must("client.close()");
    bring(&mut owner, &stage);
    owner.must("client = socket.socket(fileno=file)");
    is_refused(&answer(&mut owner), "another user made it");
}

#[test]
fn who_takes_all_its_places_at_the_socket_has_none_at_the_sidecar_and_others_have_theirs() {
    let Some(stage) = Stage::set() else { return };
    let (mut owner, mut stranger) = (Person::of(OWNER), Person::of(STRANGER));
    listen(&mut stranger, "('127.0.0.1', 0)");
    bring(&mut stranger, &stage);
    let address = stranger.must("list(listener.getsockname())");
    let ping = format!(
        "client = socket.create_connection(tuple({address})); \
         client.sendall(b'{{\"action\":\"ping\"}}\\n'); heard = client.recv(1000)"
    );
    let socket = stage.root().path().join("control.sock");
    owner.must("links = [socket.socket(socket.AF_UNIX) for _ in range(32)]");
    owner.must(&format!("[it.connect({socket:?}) for it in links]"));
    // They are taken in turn: the last one is answered when all have their places.
    owner.must("links[-1].sendall(b'garbage\\n') or links[-1].recv(1000)");
    // Closed without a word, with what was sent unread or not.
    match owner.does(&ping) {
        Ok(_) => assert_eq!(owner.must("heard"), ""),
        Err(errno) => assert_eq!(errno, "ECONNRESET"),
    }
    stranger.must(&ping);
    assert!(stranger.must("heard").as_str().unwrap().contains("pong"));
    owner.must("[it.close() for it in links]");
    let is_back = wait::until(|| owner.does(&ping).is_ok() && owner.must("heard") != "");
    assert!(is_back, "the places are not given back");
}
