//! The sidecar: commands over TCP on loopback, for whoever holds the other end.

use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::users::{OWNER, STRANGER, can_act_as_others, user};
use crate::support::ward::WARD;
use serde_json::{Value, json};
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A policy under which one agent asks and another answers, both of the user `UID`.
const ANSWERED: &str = r#"version = 1
[defaults]
factors = { any = ["local"] }
[approval]
same_user = "allow"
[ops]
"*" = "medium"
[clients.owner]
uid = [UID]
[clients.flows]
session = "flows"
[clients.human-ops]
session = "human-ops"
role = "approver"
[[rule]]
name = "owner-works"
clients = ["owner"]
ops = ["agent.run", "secret.set", "daemon.stop"]
path = ["*"]
decide = "allow"
[[rule]]
name = "human-ops-looks"
clients = ["human-ops"]
ops = ["file.list", "request.list", "request.deny"]
path = ["*"]
decide = "allow"
[[rule]]
name = "flows-asks"
clients = ["flows"]
ops = ["request.create", "file.list"]
path = ["*", "**"]
decide = "allow"
[[rule]]
name = "flows-reads"
clients = ["flows"]
ops = ["file.read"]
path = ["*", "**"]
decide = "approve"
approve = { require = "first_use", by = ["human-ops"], lease = "5m" }
scope = "program"
"#;

/// Connects, waits until the sidecar has served somebody who came later, and hands the connection over to a
/// child, which asks.
const HAND_OVER: &str = r#"
import os, socket, sys
host, port = sys.argv[1].rsplit(':', 1)
ours, theirs = socket.socketpair()
if os.fork() == 0:
    _, files, _, _ = socket.recv_fds(theirs, 1, 1)
    ours.close()
    os.set_inheritable(files[0], False)
    connection = socket.socket(fileno=files[0])
    theirs.recv(1)
    connection.sendall(b'{"action": "get", "name": "token"}\n')
    print(connection.makefile().readline(), end='', flush=True)
    os._exit(0)
theirs.close()
connection = socket.create_connection((host, int(port)))
later = socket.create_connection((host, int(port)))
later.sendall(b'{"action": "ping"}\n')
later.makefile().readline()
socket.send_fds(ours, [b'x'], [connection.fileno()])
connection.close()
ours.sendall(b'x')
os.wait()
"#;

/// `ward daemon --bind`, ended when this is dropped.
struct Sidecar {
    process: Child,
    address: String,
}

impl Sidecar {
    fn begin(root: &Root, more: &[&str]) -> Self {
        let mut command = Command::new(WARD);
        command.args(["daemon", "--bind", "127.0.0.1:0"]).args(more).env_clear();
        command.env("WARD_ROOT", root.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening: ").unwrap().to_owned();
        Self { process, address }
    }

    fn ask(&self, request: &Value) -> Value {
        let answer = self.say(format!("{request}\n").as_bytes());
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _it_has_ended = self.process.kill();
        let _it_has_ended = self.process.wait();
    }
}

/// A process that asks for that.
fn client_of(address: &str, request: &Value) -> Command {
    let script = "import socket, sys\n\
        host, port = sys.argv[1].rsplit(':', 1)\n\
        s = socket.create_connection((host, int(port)))\n\
        s.sendall(sys.argv[2].encode() + b'\\n')\n\
        print(s.makefile().readline(), end='')\n";
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", script, address, &request.to_string()]);
    python
}

fn answer_to(client: &mut Command) -> Value {
    let output = client.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn error(answer: &Value) -> &str {
    assert_eq!(answer["status"], "error", "{answer}");
    answer["error"].as_str().unwrap()
}

#[test]
fn every_action_does_what_the_command_of_its_name_does() {
    let root = Root::guarded();
    let sidecar = Sidecar::begin(&root, &[]);
    let ask = |request: Value| sidecar.ask(&request);
    assert_eq!(ask(json!({"action": "ping"})), json!({"status": "ok", "message": "pong"}));
    let set = ask(json!({"action": "set", "name": "db/token", "value": "hunter2", "agent": "a"}));
    let data =
        json!({"id": "db/token", "ttl_days": null, "expires_at": null, "never_expires": true});
    assert_eq!(set, json!({"status": "ok", "message": "ok", "data": data}));
    let lasting = |name: &str, days: Value| {
        let set = ask(json!({"action": "set", "name": name, "value": "v", "ttl_days": days}));
        (set["data"]["ttl_days"].clone(), set["data"]["never_expires"].clone())
    };
    root.configure("[secrets]\nttl = \"30d\"\n");
    root.ward(&["policy", "reload"]).succeed();
    assert_eq!(lasting("as-ward-toml-says", Value::Null), (json!(30), json!(false)));
    assert_eq!(lasting("as-asked", json!("7")), (json!(7), json!(false)));
    let made = ask(json!({"action": "set", "name": "made", "generate": true, "ttl_days": "never"}));
    assert_eq!(made["status"], "ok", "{made}");
    let got = ask(json!({"action": "get", "name": "default:db/token", "unknown": 1}));
    assert_eq!(got["data"], json!({"secret": "hunter2"}));
    root.ward(&["set", "bytes", "--stdin"]).given(b"a\xff").succeed();
    let got = ask(json!({"action": "get", "name": "bytes"}));
    assert_eq!(got["data"], json!({"secret_base64": "Yf8="}), "no byte is changed");
    assert_eq!(ask(json!({"action": "status", "name": "made"}))["data"], "fulfilled");
    let names = ask(json!({"action": "list"}));
    assert_eq!(names["data"][3]["id"], "db/token", "{names}");
    assert_eq!(names["data"][3]["kind"], "secret", "{names}");
    assert_eq!(ask(json!({"action": "revoke", "name": "made"}))["message"], "revoked");
    assert!(error(&ask(json!({"action": "get", "name": "made"}))).contains("no such secret"));
    assert_eq!(ask(json!({"action": "verify"}))["status"], "ok");
    for action in ["approve", "deny"] {
        let id = "01M804JK9JJSRHH0FK9HV3K45Z";
        let answer = ask(json!({"action": action, "request_id": id}));
        error(&answer);
    }
    let shown = root.ward(&["--json", "audit", "show", "--event", "file.open"]).succeed();
    assert!(shown.contains(&format!("\"pid\":{}", std::process::id())), "by this process: {shown}");
}

#[test]
fn a_request_is_listed_answered_by_another_name_and_serves_who_asked() {
    let root = Root::private();
    let policy = ANSWERED.replace("UID", &nix::unistd::getuid().to_string());
    replace(&root.path().join("policy.toml"), &policy);
    let sidecar = Sidecar::begin(&root, &[]);
    for name in ["one", "two"] {
        root.ward(&["set", name, "--value", "v"]).succeed();
    }
    // Each from a process of its own: nobody answers what it asked itself.
    let ask = |agent: &str, mut request: Value| {
        request["agent"] = agent.into();
        answer_to(&mut client_of(&sidecar.address, &request))
    };
    for (name, action, status) in [("one", "approve", "fulfilled"), ("two", "deny", "denied")] {
        let made = ask("flows", json!({"action": "request", "name": name, "reason": "nightly"}));
        let id = &made["data"]["request_id"];
        let list = ask("human-ops", json!({"action": "list"}));
        let listed = list["data"].as_array().unwrap().iter().find(|it| it["id"] == *id);
        let listed = listed.unwrap_or_else(|| panic!("{list}"));
        assert_eq!((&listed["kind"], &listed["status"]), (&"pending".into(), &"pending".into()));
        let own = ask("flows", json!({"action": "list"}));
        assert!(!own.to_string().contains("nightly"), "who may not list requests: {own}");
        let answer = ask("human-ops", json!({"action": action, "request_id": id}));
        let record = &answer["data"];
        assert_eq!((&record["request_id"], &record["status"]), (id, &status.into()), "{answer}");
        assert_eq!(record["secret_name"], name, "{answer}");
        assert_eq!(record["requested_by"], "flows", "{answer}");
        assert_eq!(record["reason"], "nightly", "{answer}");
        let by = if action == "deny" { "denied_by" } else { "approved_by" };
        assert_eq!(record[by], "human-ops", "{answer}");
        assert_eq!(record["pending"], false, "{answer}");
        let got = ask("flows", json!({"action": "get", "name": name}));
        assert_eq!(got["status"] == "ok", status == "fulfilled", "{got}");
        let got = ask("human-ops", json!({"action": "get", "name": name}));
        error(&got);
    }
}

#[test]
fn what_is_no_request_is_an_error_in_words() {
    let root = Root::guarded();
    let sidecar = Sidecar::begin(&root, &[]);
    for line in [
        "\n",
        "hello\n",
        "[]\n",
        "{}\n",
        "{\"action\":1}\n",
        "{\"action\":\"none\"}\n",
        "{\"action\":\"ping\",\"agent\":\"\"}\n",
        "{\"action\":\"get\"}\n",
        "{\"action\":\"set\",\"name\":\"a\"}\n",
        "{\"action\":\"set\",\"name\":\"a\",\"value\":\"x\",\"generate\":true}\n",
        "{\"action\":\"set\",\"name\":\"a\",\"value\":\"x\",\"ttl_days\":0.5}\n",
        "{\"action\":\"get\",\"name\":\"a/../b\"}\n",
    ] {
        let answer: Value = serde_json::from_str(&sidecar.say(line.as_bytes())).unwrap();
        assert!(!error(&answer).is_empty(), "{line}");
    }
}

#[test]
fn a_request_that_is_too_long_is_told_so_and_not_cut_off() {
    let root = Root::guarded();
    let sidecar = Sidecar::begin(&root, &[]);
    let fitting = format!("{{\"action\":\"ping\",\"padding\":\"{}\"}}", "x".repeat(16_000));
    assert!(sidecar.say(format!("{fitting}\n").as_bytes()).contains("pong"));
    for length in [16_385, 1_000_000] {
        let answer = sidecar.say(&vec![b'x'; length]);
        assert!(answer.contains("at most 16384 bytes"), "{length}: {answer}");
    }
}

#[test]
fn a_client_that_says_nothing_keeps_nobody_waiting() {
    let root = Root::guarded();
    let sidecar = Sidecar::begin(&root, &[]);
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(&sidecar.address).unwrap()).collect();
    let mut half = TcpStream::connect(&sidecar.address).unwrap();
    half.write_all(b"{\"action\":").unwrap();
    assert_eq!(sidecar.ask(&json!({"action": "ping"}))["message"], "pong");
    half.write_all(b"\"ping\"}").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("pong"), "the end of what it says ends the line: {answer}");
    drop(silent);
}

#[test]
fn a_connection_that_two_processes_hold_is_nobodys() {
    let root = Root::guarded();
    let sidecar = Sidecar::begin(&root, &[]);
    root.ward(&["set", "token", "--value", "hunter2"]).succeed();
    let mut stream = TcpStream::connect(&sidecar.address).unwrap();
    let shared = std::os::fd::OwnedFd::from(stream.try_clone().unwrap());
    let mut other = Command::new("/bin/sleep").arg("60").stdin(shared).spawn().unwrap();
    stream.write_all(b"{\"action\":\"get\",\"name\":\"token\"}\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(answer.contains("error") && !answer.contains("hunter2"), "{answer}");
}

#[test]
fn a_connection_that_was_handed_to_another_process_serves_neither() {
    let root = Root::guarded();
    let sidecar = Sidecar::begin(&root, &[]);
    root.ward(&["set", "token", "--value", "hunter2"]).succeed();
    let hand_over = |_: &u32| {
        let mut python = Command::new("/usr/bin/python3");
        let said = python.args(["-c", HAND_OVER, &sidecar.address]).output().unwrap();
        let answer: Value = serde_json::from_slice(&said.stdout).unwrap();
        answer["error"] == "the connection has another owner than when it began"
    };
    // One that is handed over before it was looked at once is the other one's from the start.
    assert!((0..20).any(|round| hand_over(&round)), "nobody was found out");
}

#[test]
fn a_client_shows_the_token_and_a_file_that_others_can_read_has_none() {
    let root = Root::guarded();
    root.ward(&["set", "token", "--value", "hunter2"]).succeed();
    let file = root.directory().join("secret");
    std::fs::File::create(&file).unwrap().write_all(b"0123456789abcdef\n").unwrap();
    let name = file.to_str().unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let words = ["daemon", "--bind", "127.0.0.1:0", "--check", "--token-file", name];
    let refused = root.run(&words);
    assert_eq!(refused.status, Some(7), "{refused:?}");
    assert!(refused.stderr.contains("chmod 600"), "{refused:?}");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(root.ward(&words).succeed(), "ok\n");
    let sidecar = Sidecar::begin(&root, &["--token-file", name]);
    let get =
        |token: Value| sidecar.ask(&json!({"action": "get", "name": "token", "token": token}));
    assert_eq!(get(json!("0123456789abcdef"))["data"]["secret"], "hunter2");
    for token in [json!("0123456789abcdeg"), json!(""), json!(null), json!("0123456789abcdef\n")] {
        assert!(error(&get(token)).contains("token"));
    }
}

#[test]
fn a_token_is_in_a_regular_file_or_the_daemon_does_not_start() {
    let root = Root::guarded();
    let place = root.directory().join("token");
    root.configure(&format!("[sidecar]\nbind = \"127.0.0.1:0\"\ntoken_file = {place:?}\n"));
    let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
    nix::unistd::mkfifo(&place, mode).unwrap();
    let refused = root.run(&["daemon", "start"]);
    assert!(refused.stderr.contains("no regular file"), "{refused:?}");
    std::fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &place).unwrap();
    assert_ne!(root.run(&["daemon", "start"]).status, Some(0), "it is a link");
    std::fs::remove_file(&place).unwrap();
    std::fs::File::create(&place).unwrap().write_all(b"0123456789abcdef").unwrap();
    assert_ne!(root.run(&["daemon", "start"]).status, Some(0), "others can read it");
    std::fs::set_permissions(&place, Permissions::from_mode(0o600)).unwrap();
    root.ward(&["daemon", "start"]).succeed();
}

#[test]
fn nothing_but_loopback_is_listened_on() {
    let root = Root::guarded();
    for address in
        ["0.0.0.0:7788", "192.168.1.1:7788", "[::]:7788", "localhost:7788", "127.0.0.1", ""]
    {
        let ended = root.run(&["daemon", "--bind", address, "--check"]);
        assert_eq!(ended.status, Some(7), "{address}: {ended:?}");
        assert!(ended.stderr.contains("no address of loopback"), "{ended:?}");
    }
    root.configure("[sidecar]\nbind = \"0.0.0.0:7788\"\n");
    assert_eq!(root.run(&["config", "validate"]).status, Some(7));
}

#[test]
fn the_settings_of_a_root_have_it_from_the_start_and_another_user_gets_nothing_by_any_name() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    root.configure(&format!("[sidecar]\nbind = \"{free}\"\n"));
    root.ward(&["daemon", "start"]).succeed();
    root.ward(&["set", "token", "--value", "hunter2"]).by(OWNER).succeed();
    for agent in ["claude", "admin", "owner"] {
        let request = json!({"action": "get", "name": "token", "agent": agent});
        let stranger = user(STRANGER);
        let mut client = client_of(&free.to_string(), &request);
        client.uid(stranger.uid.as_raw()).gid(stranger.gid.as_raw());
        let answer = answer_to(&mut client);
        assert!(!error(&answer).contains("hunter2"), "{answer}");
    }
}
