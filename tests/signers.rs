//! What signs the log: a key in the root, one in a token, one behind a proxy; who has another take
//! over, and what a stolen one leaves behind.

mod token;

use crate::support::http_server::{Asked, Papers, Reply, Server};
use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER, can_act_as_others};
use crate::support::wait;
use crate::support::ward::{DAEMON, Ended};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use ward_audit::{ChainHash, Signer, SoftwareSigner};
use ward_store::Keyfile;

const KID: &str = "audit-1";

/// What a proxy does when it is asked to sign.
#[derive(Clone, Copy)]
enum Manner {
    Signs,
    ByAnotherName,
    ByAnotherKey,
    Nonsense,
    Fails,
    Late,
    /// Signs once, and then is late.
    Once,
}

/// A signing proxy, and what it takes to come to it.
struct Proxy {
    server: Option<Server>,
    papers: Papers,
    key: Arc<SoftwareSigner>,
    manner: Arc<Mutex<Manner>>,
}

fn software(folder: &Path, name: &str) -> Arc<SoftwareSigner> {
    let file = Keyfile::create(&folder.join(name)).unwrap();
    Arc::new(SoftwareSigner::from_bytes(&file.key()))
}

impl Proxy {
    fn new() -> Self {
        let papers = Papers::new();
        let folder = papers.file("roots.pem").parent().unwrap().to_owned();
        // The helper comes as another user.
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let (key, other) = (software(&folder, "signs"), software(&folder, "other"));
        let manner = Arc::new(Mutex::new(Manner::Signs));
        let (signs, now) = (Arc::clone(&key), Arc::clone(&manner));
        let server = Server::mutual_tls(&papers, move |asked| {
            if asked.path == "/health" {
                return Reply::new(200, "{}");
            }
            let mut manner = now.lock().unwrap();
            let (kid, key, status) = match *manner {
                Manner::Late => return Reply::Never,
                Manner::Nonsense => return Reply::new(200, "[]"),
                Manner::ByAnotherName => ("audit-9", &signs, 200),
                Manner::ByAnotherKey => (KID, &other, 200),
                Manner::Fails => (KID, &signs, 500),
                Manner::Signs => (KID, &signs, 200),
                Manner::Once => {
                    *manner = Manner::Late;
                    (KID, &signs, 200)
                }
            };
            Reply::new(status, &signed(asked, key, kid))
        });
        Self { server: Some(server), papers, key, manner }
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn signatures(&self) -> usize {
        let asked = self.server.as_ref().map(Server::asked).unwrap_or_default();
        asked.iter().filter(|it| it.path == "/sign" && it.method == "POST").count()
    }

    /// Its table in `ward.toml`.
    fn table(&self, name: &str, more: &str) -> String {
        let address = self.server.as_ref().unwrap().address();
        let file = |name: &str| self.papers.file(name);
        format!(
            "[audit.{name}]\nsource = \"proxy\"\nkid = \"{KID}\"\npublic_key = \"{}\"\n\
             user = \"{STRANGER}\"\nurl = \"{address}\"\nroots = {:?}\ncertificate = {:?}\nkey = {:?}\n{more}",
            self.key.public(),
            file("roots.pem"),
            file("client.pem"),
            file("client.key"),
        )
    }
}

fn signed(asked: &Asked, key: &SoftwareSigner, kid: &str) -> String {
    let wanted: Value = serde_json::from_slice(&asked.body).unwrap();
    let hash = ChainHash::from_hex(wanted["hash"].as_str().unwrap()).unwrap();
    let signature = key.sign(&hash).unwrap().to_base64();
    json!({"signature": signature, "signer_kid": kid, "ts": "2026-11-22T00:00:00Z"}).to_string()
}

/// A private root with these tables, whose daemon runs.
fn served(tables: &str) -> Root {
    let root = Root::private();
    configure(&root, tables);
    root.ward(&["daemon", "start"]).succeed();
    root
}

fn configure(root: &Root, tables: &str) {
    let settings = File::options().append(true).open(root.path().join("ward.toml"));
    settings.unwrap().write_all(tables.as_bytes()).unwrap();
}

/// The root's `ward.toml` as `ward init` made it, and then `tables`.
fn configure_anew(root: &Root, tables: &str) {
    let path = root.path().join("ward.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let head = text.split("[audit").next().unwrap().to_owned();
    File::create(&path).unwrap().write_all(format!("{head}{tables}").as_bytes()).unwrap();
}

fn restart(root: &Root) {
    root.ward(&["daemon", "stop"]).succeed();
    root.ward(&["daemon", "start"]).succeed();
}

fn rotate(root: &Root) -> Ended {
    root.run(&["audit", "rotate-key"])
}

fn signer(root: &Root) -> Value {
    root.run(&["--json", "status"]).json()["result"]["log"]["signer"].clone()
}

/// Entries of the log about signers: what happened, and the name of the key.
fn entries(root: &Root) -> Vec<(String, String)> {
    let page = root.run(&["--json", "audit", "show", "--limit=500"]).json();
    let shown = page["result"]["entries"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_signers =
        shown.iter().map(|it| &it["entry"]).filter(|entry| entry["signer"].is_object());
    of_signers.map(|it| (text(&it["eventType"]), text(&it["signer"]["kid"]))).collect()
}

fn assert_whole(root: &Root) {
    let ended = root.run(&["audit", "verify"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

#[test]
fn a_new_key_of_the_root_takes_over_and_the_next_daemon_goes_on_with_it() {
    let root = Root::private().serving();
    let old = signer(&root)["kid"].clone();
    rotate(&root);
    let new = signer(&root)["kid"].clone();
    assert_ne!(old, new);
    let [requested, applied] = &entries(&root)[..] else { panic!("{:?}", entries(&root)) };
    assert_eq!(requested, &("signer.rotation.requested".to_owned(), text(&new)));
    assert_eq!(applied, &("signer.rotation.applied".to_owned(), text(&new)));
    restart(&root);
    assert_eq!(signer(&root)["kid"], new);
    assert_eq!(rotate(&root).status, Some(0));
    restart(&root);
    assert_whole(&root);
    let list = std::fs::read(root.path().join("audit/signers.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let [first, second, third] = &list["signers"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&first["kid"], &second["kid"]), (&old, &new));
    // The periods overlap, and the last one is open.
    let time = |value: &Value| value.as_str().unwrap().to_owned();
    assert!(time(&first["validUntil"]) > time(&second["validFrom"]), "{list}");
    assert!(third["validUntil"].is_null() && third["algorithm"] == "ed25519", "{list}");
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn what_stands_on_a_stolen_key_since_then_is_told_by_every_check() {
    let root = Root::private().serving();
    let stolen = text(&signer(&root)["kid"]);
    let compromise =
        |kid: &str, since: &str| root.run(&["audit", "compromise", kid, "--since", since]);
    let now = compromise(&stolen, "2026-01-01T00:00:00Z");
    assert_eq!(now.status, Some(6), "{now:?}");
    assert!(now.stderr.contains("ward audit rotate-key"), "{now:?}");
    rotate(&root);
    assert_eq!(compromise("wardfs-nobody", "2026-01-01T00:00:00Z").status, Some(5));
    assert_eq!(compromise(&stolen, "yesterday").status, Some(7));
    // Later than anything it signed: nothing stands on it.
    let said = compromise(&stolen, "2999-01-01T00:00:00Z");
    assert!(said.stdout.contains("nothing in the log stands on it"), "{said:?}");
    assert_whole(&root);
    // In the past: everything before the new key took over does.
    let said = compromise(&stolen, "2020-01-01T00:00:00Z");
    assert!(said.stdout.contains("entries stand on it, from 1 to"), "{said:?}");
    root.ward(&["daemon", "stop"]).succeed();
    let found = root.run(&["--json", "audit", "verify"]);
    assert_eq!(found.status, Some(4), "{found:?}");
    let found = found.json();
    assert_eq!(found["result"]["verdict"], "whole");
    assert_eq!(found["result"]["distrusted"][0]["kid"], stolen);
    assert!(text(&found["result"]["finding"]).contains("is not to be believed since 2020-01-01"));
    let list = std::fs::read_to_string(root.path().join("audit/signers.json")).unwrap();
    assert!(list.contains("\"compromisedFrom\": \"2020-01-01T00:00:00.000000Z\""), "{list}");
}

#[test]
fn who_may_not_neither_rotates_nor_says_that_a_key_was_stolen() {
    let Some(stage) = Stage::set() else { return };
    let kid = text(&signer(stage.root())["kid"]);
    for words in [
        &["audit", "rotate-key"][..],
        &["audit", "compromise", &kid, "--since", "2026-01-01T00:00:00Z"],
    ] {
        for who in [OWNER, STRANGER] {
            let refused = stage.root().ward(words).by(who).run();
            assert_eq!(refused.status, Some(3), "{refused:?}");
        }
    }
    assert_eq!(entries(stage.root()), []);
    assert_eq!(text(&signer(stage.root())["kid"]), kid);
}

#[test]
fn a_proxy_that_does_not_sign_as_it_should_does_not_take_over_and_each_fault_has_its_words() {
    if !can_act_as_others() {
        return;
    }
    let mut proxy = Proxy::new();
    let root = served(&proxy.table("next_signer", ""));
    for (manner, words) in [
        (Manner::ByAnotherName, "signs with the key audit-9, not with audit-1"),
        (Manner::ByAnotherKey, "no signature by its public key"),
        (Manner::Nonsense, "is not what one answers to /sign"),
        (Manner::Fails, "the proxy answers 500 to /sign"),
        (Manner::Late, "it does not answer in time"),
    ] {
        proxy.set(manner);
        let refused = rotate(&root);
        assert_eq!(refused.status, Some(7), "{refused:?}");
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    drop(proxy.server.take());
    let refused = rotate(&root);
    assert!(refused.stderr.contains("audit-1 does not sign: no answer"), "{refused:?}");
    assert_eq!(entries(&root), []);
    assert_eq!(signer(&root)["source"], "software");
    assert_whole(&root);
}

#[test]
fn a_log_signed_by_a_proxy_goes_on_with_the_key_in_the_root_while_that_is_away() {
    if !can_act_as_others() {
        return;
    }
    let mut proxy = Proxy::new();
    let root = served(&proxy.table("next_signer", ""));
    root.ward(&["audit", "rotate-key"]).succeed();
    let before = proxy.signatures();
    assert!(before >= 2);
    root.ward(&["set", "a", "--stdin"]).given(b"1").succeed();
    assert!(proxy.signatures() > before);
    configure_anew(&root, &proxy.table("signer", ""));
    restart(&root);
    let state = signer(&root);
    assert_eq!((&state["kid"], &state["source"]), (&json!(KID), &json!("proxy")));
    assert_eq!((&state["trouble"], &state["standby"]), (&Value::Null, &json!(true)));
    drop(proxy.server.take());
    root.ward(&["set", "b", "--stdin"]).given(b"2").succeed();
    let said = root.run(&["status"]).stdout;
    assert!(said.contains("signer   audit-1, proxy; AWAY: no answer"), "{said}");
    assert!(said.contains("the key in the root signs in its place"), "{said}");
    root.ward(&["daemon", "stop"]).succeed();
    // It may even begin so.
    root.ward(&["daemon", "start"]).succeed();
    root.ward(&["set", "c", "--stdin"]).given(b"3").succeed();
    assert_whole(&root);
}

#[test]
fn where_a_signer_elsewhere_is_required_nothing_is_served_without_it() {
    if !can_act_as_others() {
        return;
    }
    let proxy = Proxy::new();
    let root = served(&proxy.table("next_signer", "required = true\n"));
    root.ward(&["audit", "rotate-key"]).succeed();
    proxy.set(Manner::Fails);
    let refused = root.ward(&["set", "b", "--stdin"]).given(b"2").run();
    assert_eq!(refused.status, Some(12), "{refused:?}");
    let refused = root.run(&["get", "b", "--raw"]);
    assert_eq!(refused.status, Some(12), "{refused:?}");
    root.ward(&["daemon", "stop"]).succeed();
    let refused = root.run(&["daemon", "start"]);
    assert!(refused.stderr.contains("the proxy answers 500"), "{refused:?}");
    assert_whole(&root);
    proxy.set(Manner::Signs);
    root.ward(&["set", "b", "--stdin"]).given(b"2").succeed();
    assert_whole(&root);
}

fn kill_daemon(root: &Root) {
    let text = std::fs::read_to_string(root.path().join("daemon.lock")).unwrap();
    let pid: u32 = text.parse().unwrap();
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    assert!(wait::has_ended(pid));
}

#[test]
fn a_rotation_that_a_kill_cut_in_two_is_finished_by_the_next_daemon() {
    if !can_act_as_others() {
        return;
    }
    let proxy = Proxy::new();
    let root = served(&proxy.table("next_signer", ""));
    // It shows that it signs, and is then late to take over.
    proxy.set(Manner::Once);
    std::thread::scope(|scope| {
        let rotating = scope.spawn(|| rotate(&root));
        assert!(wait::until(|| proxy.signatures() == 2));
        kill_daemon(&root);
        assert_ne!(rotating.join().unwrap().status, Some(0));
    });
    assert_eq!(entries(&root).len(), 1, "{:?}", entries(&root));
    assert_eq!(signer(&root)["source"], "software");
    proxy.set(Manner::Signs);
    restart(&root);
    assert_eq!(signer(&root)["kid"], KID);
    let [requested, applied] = &entries(&root)[..] else { panic!("{:?}", entries(&root)) };
    assert_eq!(
        (requested.0.as_str(), applied.0.as_str()),
        ("signer.rotation.requested", "signer.rotation.applied")
    );
    assert_whole(&root);
}

#[test]
fn the_daemon_takes_the_variables_of_its_own_environment_over_the_file() {
    let root = Root::private();
    let start = |variables: &[(&str, &str)]| {
        let mut command = Command::new(DAEMON);
        command.arg("--root").arg(root.path()).env_clear();
        command.envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for (variables, words) in [
        (
            &[("REQUIRE_KMS", "true")][..],
            "is required, and the source of [audit.signer] is software",
        ),
        (&[("REQUIRE_KMS", "maybe")], "must be true or false"),
        (&[("AUDIT_SIGNING_KEY_SOURCE", "cloud")], "must be software, pkcs11 or proxy"),
        (&[("AUDIT_SIGNING_KEY_SOURCE", "pkcs11")], "[audit.signer] takes module"),
        (
            &[("AUDIT_SIGNING_KEY_SOURCE", "proxy"), ("SIGNING_PROXY_URL", "http://signer")],
            "must begin with https://",
        ),
        (
            &[("AUDIT_SIGNING_KEY_SOURCE", "proxy"), ("SIGNING_PROXY_URL", "https://signer")],
            "[audit.signer] takes certificate",
        ),
    ] {
        let said = start(variables);
        assert!(said.contains(words), "{words}: {said}");
    }
    // `ward` starts a daemon with none of them, so nobody's shell decides who signs.
    let started = root.ward(&["daemon", "start"]).with("REQUIRE_KMS", "true").run();
    assert_eq!(started.status, Some(0), "{started:?}");
    assert_eq!(signer(&root)["source"], "software");
}
