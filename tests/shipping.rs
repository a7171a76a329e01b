//! Sinks get every line of the log as it is, at least once, and nobody waits for them.

use crate::support::http_server::{Asked, Papers, Reply, Server};
use crate::support::stage::Stage;
use crate::support::users::{STRANGER, user};
use crate::support::wait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{Permissions, read_to_string};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

/// A stage, and a folder of `STRANGER`, as whom helpers run.
pub(crate) fn stage() -> Option<(Stage, PathBuf)> {
    let stage = Stage::served("10s", "")?;
    let folder = stage.root().directory().join("sink");
    std::fs::create_dir(&folder).unwrap();
    give(&folder);
    Some((stage, folder))
}

fn give(path: &Path) {
    let stranger = user(STRANGER);
    chown(path, Some(stranger.uid.as_raw()), Some(stranger.gid.as_raw())).unwrap();
}

/// A file of `STRANGER` alone.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    give(&path);
    path
}

/// Starts the daemon anew with a sink that `table` describes.
pub(crate) fn ship(stage: &Stage, name: &str, table: &str) {
    let text = format!("[[audit.ship]]\nname = \"{name}\"\nuser = \"{STRANGER}\"\n{table}\n");
    let settings = stage.root().path().join("ward.toml");
    stage.root().ward(&["daemon", "stop"]).succeed();
    let mut settings = std::fs::File::options().append(true).open(settings).unwrap();
    settings.write_all(text.as_bytes()).unwrap();
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
}

pub(crate) fn state(stage: &Stage, sink: &str) -> Value {
    let status = stage.root().run(&["status", "--json"]).json();
    let sinks = status["result"]["sinks"].as_array().unwrap().clone();
    sinks.into_iter().find(|it| it["sink"] == sink).unwrap()
}

fn seq(line: &str) -> u64 {
    let line: Value = serde_json::from_str(line).unwrap();
    line["entry"]["seq"].as_str().unwrap().parse().unwrap()
}

/// The lines of the log by number, from its files.
fn log(stage: &Stage) -> BTreeMap<u64, String> {
    let mut lines = BTreeMap::new();
    for file in std::fs::read_dir(stage.root().path().join("audit")).unwrap() {
        let path = file.unwrap().path();
        let text = match path.extension().and_then(|it| it.to_str()) {
            Some("jsonl") => read_to_string(&path).unwrap(),
            Some("zst") => {
                let packed = std::fs::File::open(&path).unwrap();
                let output = Command::new("zstd").arg("-dc").stdin(packed).output().unwrap();
                String::from_utf8(output.stdout).unwrap()
            }
            _ => continue,
        };
        let whole = text.lines().filter(|line| line.starts_with('{') && line.ends_with('}'));
        lines.extend(whole.map(|line| (seq(line), line.to_owned())));
    }
    lines
}

/// That `text` has every line of the log up to its last one, as it is there.
fn assert_whole(stage: &Stage, text: &str) -> u64 {
    let got: BTreeMap<u64, String> =
        text.lines().map(|line| (seq(line), line.to_owned())).collect();
    let last = *got.last_key_value().unwrap().0;
    assert_eq!(got.keys().copied().collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    let log = log(stage);
    for (seq, line) in log.range(..=last) {
        assert_eq!(got.get(seq), Some(line));
    }
    last
}

fn bodies(asked: &[Asked]) -> String {
    asked.iter().map(|it| String::from_utf8(it.body.clone()).unwrap()).collect()
}

#[test]
fn a_sink_gets_every_line_as_it_is_and_goes_on_after_a_kill() {
    let Some((stage, folder)) = stage() else { return };
    let file = folder.join("lines");
    ship(&stage, "archive", &format!("file = {file:?}"));
    let shipped = stage.root().ward(&["audit", "ship"]).succeed();
    assert!(shipped.starts_with("archive  file, up to entry "), "{shipped}");
    assert!(shipped.ends_with(", has everything\n"), "{shipped}");
    let first = assert_whole(&stage, &read_to_string(&file).unwrap());
    let daemon = stage.root().running().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(daemon).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(wait::has_ended(daemon));
    stage.root().ward(&["daemon", "start"]).succeed();
    // By itself, a second after it was written.
    stage.root().ward(&["set", "late", "--value", "x"]).succeed();
    let has_come = || read_to_string(&file).unwrap().contains("secret.set\",\"id");
    assert!(wait::until(|| has_come() && state(&stage, "archive")["behind"] == 0));
    let text = read_to_string(&file).unwrap();
    assert!(assert_whole(&stage, &text) > first);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&file).unwrap());
    assert_eq!(owner, user(STRANGER).uid.as_raw());
}

#[test]
fn a_dead_sink_delays_nothing_is_seen_and_gets_everything_later() {
    let Some((stage, folder)) = stage() else { return };
    let status = Arc::new(AtomicU16::new(503));
    let answering = Arc::clone(&status);
    let papers = Papers::new();
    let server = Server::mutual_tls(&papers, move |_| {
        Reply::new(answering.load(Ordering::SeqCst), "not now")
    });
    let path = |name: &str| write(&folder, name, &std::fs::read(papers.file(name)).unwrap());
    let (roots, certificate, key) = (path("roots.pem"), path("client.pem"), path("client.key"));
    let secret = write(&folder, "secret", b"shared\n");
    let table = format!(
        "[audit.ship.webhook]\naddress = \"{}/in\"\nsecret = {secret:?}\n\
         tls = {{ roots = {roots:?}, certificate = {certificate:?}, key = {key:?} }}",
        server.address()
    );
    ship(&stage, "siem", &table);
    let tried = stage.root().run(&["audit", "ship"]);
    assert_eq!(tried.status, Some(1), "{tried:?}");
    assert!(tried.stdout.contains("FAILS: it answers with status 503: not now"), "{tried:?}");
    let state_then = state(&stage, "siem");
    assert_eq!(state_then["shipped"], 0);
    assert!(state_then["behind"].as_u64().unwrap() > 0 && state_then["since"].is_string());
    stage.secret("ask/token", "value");
    let log = stage.log();
    let failed = log.iter().filter(|entry| entry["eventType"] == "helper.failed");
    let failed: Vec<_> = failed.map(|entry| entry["reason"].as_str().unwrap()).collect();
    assert_eq!(failed, ["ship siem: it answers with status 503: not now"]);
    let before = server.asked();
    assert!(
        before.iter().all(|it| it.header("idempotency-key") == before[0].header("idempotency-key"))
    );
    status.store(200, Ordering::SeqCst);
    stage.root().ward(&["audit", "ship"]).succeed();
    let taken = server.asked().split_off(before.len());
    assert_eq!(taken[0].body, before[0].body, "what failed comes again as it was");
    assert_whole(&stage, &bodies(&taken));
    assert!(taken.iter().all(|it| (it.method.as_str(), it.path.as_str()) == ("POST", "/in")));
    assert!(server.connections() <= server.asked().len());
}

#[test]
fn a_sink_that_never_answers_keeps_neither_another_sink_waiting_nor_the_daemon_from_ending() {
    let Some((stage, folder)) = stage() else { return };
    let is_asked = Arc::new(AtomicBool::new(false));
    let asking = Arc::clone(&is_asked);
    let papers = Papers::new();
    let server = Server::tls(&papers, move |_| {
        asking.store(true, Ordering::SeqCst);
        Reply::Never
    });
    let secret = write(&folder, "secret", b"shared\n");
    let roots = write(&folder, "roots", &std::fs::read(papers.file("roots.pem")).unwrap());
    let table = format!(
        "[audit.ship.webhook]\naddress = {:?}\nsecret = {secret:?}\ntls = {{ roots = {roots:?} }}",
        server.address()
    );
    ship(&stage, "siem", &table);
    assert!(wait::until(|| is_asked.load(Ordering::SeqCst)));
    let other = Server::plain(|_| Reply::new(200, ""));
    let table = format!("webhook = {{ address = {:?}, secret = {secret:?} }}", other.address());
    ship(&stage, "other", &table);
    stage.root().ward(&["set", "late", "--value", "x"]).succeed();
    assert!(wait::until(|| bodies(&other.asked()).contains("secret.set")));
    assert_whole(&stage, &bodies(&other.asked()));
    let began = wait::seconds();
    stage.root().ward(&["daemon", "stop"]).succeed();
    assert!(wait::seconds() - began < 5.0);
}

#[test]
fn tables_that_cannot_be_shipped_by_are_refused_with_what_is_wrong() {
    let Some((stage, _)) = stage() else { return };
    stage.root().ward(&["daemon", "stop"]).succeed();
    let settings = stage.root().path().join("ward.toml");
    let before = read_to_string(&settings).unwrap();
    let head = format!("[[audit.ship]]\nname = \"a\"\nuser = \"{STRANGER}\"\n");
    for (table, why) in [
        (head.clone(), "is to have exactly one of file, webhook, s3, heads and witness"),
        (
            format!("{head}witness = {{ address = \"http://w\", key = \"w+00000000+AAAA\" }}\n"),
            "the key of a witness is such as",
        ),
        (format!("{head}file = \"x\"\n"), "names x, which is no absolute path"),
        (format!("{head}file = \"/x\"\n{head}file = \"/y\"\n"), "names two sinks \"a\""),
        (head.replace("\"a\"", "\"A b\""), "a name has 1 to 32"),
        (head.replace(STRANGER, "root") + "file = \"/x\"\n", "names root; a helper runs as"),
        (
            format!("{head}webhook = {{ address = \"x\", secret = \"/s\" }}\n"),
            "is no address of http:// or https://",
        ),
        (format!("{head}filex = \"/x\"\n"), "did you mean `file`?"),
    ] {
        crate::support::stage::replace(&settings, &format!("{before}{table}"));
        let ended = stage.root().run(&["daemon", "start"]);
        assert!(ended.stderr.contains(why), "{table}: {ended:?}");
    }
    crate::support::stage::replace(&settings, &before);
}

#[test]
fn the_journal_of_the_machine_is_told_of_heads_that_show_a_cut_log() {
    let Some((stage, folder)) = stage() else { return };
    let path = folder.join("journal");
    let journal = UnixDatagram::bind(&path).unwrap();
    journal.set_read_timeout(Some(wait::DEADLINE)).unwrap();
    stage.root().ward(&["daemon", "stop"]).succeed();
    let mut settings =
        std::fs::File::options().append(true).open(stage.root().path().join("ward.toml")).unwrap();
    settings.write_all(format!("[audit]\njournal = {path:?}\n").as_bytes()).unwrap();
    stage.root().ward(&["daemon", "start"]).succeed();
    let mut times = Vec::new();
    let head = folder.join("head");
    for number in 0..3 {
        let mut bytes = [0; 4096];
        let count = journal.recv(&mut bytes).unwrap();
        times.push(wait::seconds());
        let (fields, rest) = bytes[..count].split_at(find(&bytes, b"WARD_HEAD\n") + 10);
        let fields = String::from_utf8(fields.to_vec()).unwrap();
        assert!(fields.starts_with("PRIORITY=6\nSYSLOG_IDENTIFIER=ward-mountd\nMESSAGE=log 0"));
        let (length, rest) = rest.split_at(8);
        let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
        assert_eq!((rest.len(), rest[length]), (length + 1, b'\n'));
        std::fs::File::create(&head).unwrap().write_all(&rest[..length]).unwrap();
        let verified = stage.root().run(&["audit", "verify", "--head", head.to_str().unwrap()]);
        assert_eq!(verified.status, Some(0), "{verified:?}");
        stage.root().ward(&["set", &format!("s{number}"), "--value", "x"]).succeed();
    }
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 0.8), "{times:?}");
    // Nobody reads any more, and nobody waits.
    for number in 0..20 {
        stage.root().ward(&["set", &format!("t{number}"), "--value", "x"]).succeed();
    }
    let note = read_to_string(&head).unwrap();
    let told: u64 = note.lines().nth(1).unwrap().parse().unwrap();
    stage.root().ward(&["daemon", "stop"]).succeed();
    let segment = stage.root().newest_segment();
    let lines = read_to_string(&segment).unwrap();
    let kept: String = lines.split_inclusive('\n').filter(|line| seq(line) < told).collect();
    std::fs::File::create(&segment).unwrap().write_all(kept.as_bytes()).unwrap();
    let verified = stage.root().run(&["audit", "verify", "--head", head.to_str().unwrap()]);
    assert_eq!(verified.status, Some(5), "{verified:?}");
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|it| it == wanted).unwrap()
}

/// Says which service is meant, and is no signature.
fn authorization(service: &str) -> String {
    format!(
        "Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=x"
    )
}

/// The text of the first element of that name.
fn element(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

/// A server of the S3 protocol that others wrote (`PyPI`: moto), on a port of its own.
struct Moto {
    process: Child,
    address: String,
}

impl Moto {
    fn start() -> Option<Self> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &free.port().to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(process) = command.spawn() else {
            eprintln!("skipped: there is no moto_server (PyPI: moto[server])");
            return None;
        };
        let moto = Self { process, address: format!("http://{free}") };
        assert!(wait::patiently(|| std::net::TcpStream::connect(free).is_ok()));
        Some(moto)
    }

    /// Makes a user who may do everything with S3: its two keys.
    fn user(&self) -> (String, String) {
        let scope = authorization("iam");
        let iam = |action: &str| {
            let action = format!("Action={action}&UserName=ship&Version=2010-05-08");
            self.ask(&["-H", &scope, "-d", &action, &self.address])
        };
        iam("CreateUser");
        iam("PutUserPolicy&PolicyName=all&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C\
             %22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C\
             %22Resource%22%3A%22%2A%22%7D%5D%7D");
        let made = iam("CreateAccessKey");
        (element(&made, "AccessKeyId"), element(&made, "SecretAccessKey"))
    }

    /// From now on so many requests go without a signature that is right.
    fn forgive(&self, count: &str) {
        self.ask(&[
            "-H",
            "Content-Type: text/plain",
            "-d",
            count,
            &format!("{}/moto-api/reset-auth", self.address),
        ]);
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--noproxy", "*"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_store_that_speaks_s3_gets_objects_that_are_the_log() {
    let Some(moto) = Moto::start() else { return };
    let Some((stage, folder)) = stage() else { return };
    let address = moto.address.clone();
    moto.ask(&["-X", "PUT", &format!("{address}/audit")]);
    let (id, key) = moto.user();
    let keys = |key: &str| {
        let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {key}\n");
        write(&folder, "aws", text.as_bytes())
    };
    let credentials = keys("wrong");
    moto.forgive("0");
    let table = format!(
        "[audit.ship.s3]\nendpoint = {address:?}\nregion = \"us-east-1\"\nbucket = \"audit\"\n\
         prefix = \"host one/\"\ncredentials = {credentials:?}"
    );
    ship(&stage, "bucket", &table);
    let refused = stage.root().run(&["audit", "ship"]);
    assert!(refused.stdout.contains("FAILS: it answers with status 403"), "{refused:?}");
    keys(&key);
    stage.root().ward(&["audit", "ship"]).succeed();
    stage.secret("ask/token", "value");
    stage.root().ward(&["audit", "ship"]).succeed();
    moto.forgive("1000");
    let listed = moto.ask(&[&format!("{address}/audit?list-type=2")]);
    let names: Vec<String> =
        listed.split("<Contents>").skip(1).map(|it| element(it, "Key")).collect();
    assert!(names.len() >= 2, "{listed}");
    assert!(names.iter().all(|name| name.starts_with("host one/") && name.ends_with(".jsonl")));
    let text: String = names
        .iter()
        .map(|name| format!("{address}/audit/{}", name.replace(' ', "%20")))
        .map(|object| moto.ask(&["-H", &authorization("s3"), &object]))
        .collect();
    assert_whole(&stage, &text);
}
