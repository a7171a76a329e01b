//! Who asks and what a policy gives: section "Identity and policy" of docs/gloves.md.

use super::commands::{RULES, filled, lay_out, runs};
use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::{self, OWNER, STRANGER};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A system root of the owner, in whose policy nobody else is, with a secret, a request and a grant.
struct Scene {
    root: Root,
    request: String,
    grant: String,
    /// Where the sidecar listens.
    port: u16,
}

impl Scene {
    fn set() -> Option<Self> {
        if !users::can_act_as_others() {
            return None;
        }
        let root = Root::system();
        let policy = root.path().join("policy.toml");
        let text = std::fs::read_to_string(&policy).unwrap();
        replace(&policy, &(text + RULES));
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        root.configure(&format!("[sidecar]\nbind = \"{free}\"\n"));
        lay_out(&root);
        root.ward(&["daemon", "start"]).succeed();
        let owner = |words: &[&str]| root.ward(words).by(OWNER).succeed();
        for name in ["db/password", "asked"] {
            owner(&["set", name, "--value", "hunter2"]);
        }
        let id = |said: String, key: &str| {
            let said: Value = serde_json::from_str(&said).unwrap();
            said["result"][key].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
        };
        let request = id(owner(&["--json", "request", "asked", "--reason", "why"]), "request");
        let words = ["--json", "secrets", "grant", "db/password", "--to", "asker"];
        let grant = id(owner(&words), "grant");
        let port = free.port();
        Some(Self { root, request, grant, port })
    }

    /// All that somebody could have changed, as its owner sees it.
    fn state(&self) -> String {
        let mut state = String::new();
        for words in [
            &["list", "--long"][..],
            &["get", "db/password", "--raw"],
            &["list", "--pending"],
            &["grants", "list"],
            &["vault", "list"],
            &["vault", "key", "list", "default"],
            &["config", "show"],
        ] {
            // Times that are left are told in them.
            let ended = self.root.ward(&[&["--json"], words].concat()).by(OWNER).run();
            let mut answer = ended.stdout;
            for changing in ["expires_in", "reads", "seconds_left", "left"] {
                answer = without(&answer, changing);
            }
            writeln!(state, "{words:?} {answer}").unwrap();
        }
        for file in ["policy.toml", "ward.toml"] {
            state.push_str(&std::fs::read_to_string(self.root.path().join(file)).unwrap());
        }
        writeln!(state, "{:?} {:?}", self.root.running(), self.root.mounts()).unwrap();
        state
    }

    fn refusals(&self) -> usize {
        let words = ["--json", "audit", "show", "--event", "refused", "--limit", "500"];
        let said = self.root.ward(&words).by(OWNER).succeed();
        let said: Value = serde_json::from_str(&said).unwrap();
        said["result"]["entries"].as_array().unwrap().len()
    }
}

/// An answer without a field that time alone changes.
fn without(answer: &str, key: &str) -> String {
    let mut value: Value = serde_json::from_str(answer).unwrap_or_default();
    remove(&mut value, key);
    value.to_string()
}

fn remove(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => {
            fields.remove(key);
            fields.values_mut().for_each(|it| remove(it, key));
        }
        Value::Array(items) => items.iter_mut().for_each(|it| remove(it, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Nothing of a root: what these tell and make is the caller's own, whoever it is.
const OWN: [&str; 16] = [
    // `true`: it could listen. Clients are attested by themselves.
    "daemon",
    "daemon start",
    "daemon status",
    // No names are none of the caller's.
    "list",
    "secrets list",
    "import gloves",
    "import dotenv",
    "import pass",
    "gpg create",
    "gpg fingerprint",
    "whoami",
    "policy import",
    "policy template",
    "policy risk",
    "generate completions",
    "help",
];
/// What is refused before a daemon hears of it: the files of the root are closed, or what was named is not
/// there for the caller.
const UNHEARD: [&str; 22] = [
    "init",
    "watch",
    "secrets status",
    "env",
    "check",
    "plan",
    "doctor",
    "vault ask-file",
    "vault exec",
    "vault fsck",
    "vault header restore",
    "audit accept-break",
    "audit export",
    "audit check-proof",
    "config show",
    "config validate",
    "policy test",
    "policy diff",
    "policy replay",
    "policy learn",
    "policy fmt",
    "generate man",
];

#[test]
fn who_is_in_no_rule_gets_nothing_by_any_command_and_each_refusal_is_in_the_log() {
    let Some(scene) = Scene::set() else { return };
    let before = scene.state();
    let own = users::folder(STRANGER);
    for (command, words) in runs() {
        let words = filled(words, &scene.root, (&scene.request, &scene.grant, "1"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let refusals = scene.refusals();
        let ward = scene.root.ward(&words).by(STRANGER).within(own.path());
        let ended = ward.with("HOME", own.path()).with("PATH", "/usr/bin:/bin").run();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.contains("hunter2"), "{command}: {ended:?}");
        // A plan repeats what its file says.
        let names = ["db/password", "asked", "asker"];
        assert!(
            command == "plan" || !names.iter().any(|it| said.contains(it)),
            "{command}: {said}"
        );
        if OWN.contains(&command) {
            continue;
        }
        assert_ne!(ended.status, Some(0), "{command}: {ended:?}");
        let is_recorded = scene.refusals() > refusals;
        assert!(is_recorded || UNHEARD.contains(&command), "{command} left no trace: {ended:?}");
    }
    assert_eq!(scene.state(), before);
}

#[test]
fn who_is_in_no_rule_gets_nothing_by_any_request_of_the_protocol_or_the_sidecar() {
    let Some(scene) = Scene::set() else { return };
    let before = scene.state();
    let socket = scene.root.path().join("control.sock");
    let mut stranger = Person::of(STRANGER);
    let mut ask = |connect: &str, request: &str| -> Value {
        let line = format!("{request}\n");
        stranger.must(&format!("{connect}; link.sendall({line:?}.encode())"));
        let said = stranger.must("link.makefile().readline()");
        let said = said.as_str().unwrap();
        assert!(!["hunter2", "db/password", "asked", "asker"].iter().any(|it| said.contains(it)));
        serde_json::from_str(said).unwrap_or_else(|error| panic!("{request}: {error}: {said}"))
    };
    // The document has an example of every command there is (tests/contract.rs).
    let document = include_str!("../../docs/protocol.md");
    let examples = document.split("```json\n").skip(1).map(|it| it.lines().next().unwrap());
    let requests: Vec<&str> = examples.filter(|it| it.contains(r#""command":{"name""#)).collect();
    assert!(requests.len() > 50, "{requests:?}");
    let unix = format!("link = socket.socket(socket.AF_UNIX); link.connect({socket:?})");
    let mut given = BTreeSet::new();
    for example in requests {
        let request: Value = serde_json::from_str(example).unwrap();
        let name = request["command"]["name"].as_str().unwrap().to_owned();
        // Its ids are of nothing; ours are of what waits and lives here.
        let id = if name == "grant-revoke" { &scene.grant } else { &scene.request };
        let mut command = request.clone();
        for key in ["request", "lease", "grant", "id"] {
            if command["command"].get(key).is_some() {
                command["command"][key] = id.as_str().into();
            }
        }
        if ask(&unix, &command.to_string()).get("result").is_some() {
            given.insert(name);
        }
    }
    // Who one is, what a policy would say to it, and the names that one may know of: none.
    let own = ["whoami", "list", "check", "plan"].map(str::to_owned);
    assert_eq!(given, BTreeSet::from(own));
    let tcp = format!("link = socket.create_connection(('127.0.0.1', {}))", scene.port);
    let (_, table) = document.split_once("| action | fields | `data` |").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let actions: Vec<&str> = rows.collect();
    assert_eq!(actions.len(), 10, "{actions:?}");
    for action in actions {
        for agent in ["owner", "asker", "admin"] {
            let request = serde_json::json!({
                "action": action, "agent": agent, "name": "db/password", "value": "x",
                "reason": "why", "request_id": scene.request,
            });
            let answer = ask(&tcp, &request.to_string());
            let is_nothing = action == "ping" || answer["data"] == serde_json::json!([]);
            assert!(answer["status"] == "error" || is_nothing, "{action}: {answer}");
        }
    }
    assert_eq!(scene.state(), before);
}

#[test]
fn no_flag_and_no_file_of_ones_own_takes_the_policy_of_a_root_away() {
    let Some((stage, ..)) = crate::support::agent::stage() else { return };
    let root = stage.root().path().to_str().unwrap();
    let own = users::folder(OWNER);
    let config = own.path().join("mine.gloves.toml");
    // All to everybody, for that very root.
    replace(
        &config,
        &format!(
            "version = 1\n[paths]\nroot = {root:?}\n[secrets.acl.claude]\npaths = [\"*\"]\n\
             operations = [\"read\", \"write\", \"list\", \"revoke\", \"approve\", \"deny\"]\n"
        ),
    );
    replace(&own.path().join("ward.toml"), "version = 1\nlayout = \"private\"\ninstance = \"x\"\n");
    replace(&own.path().join("policy.toml"), "version = 1\n");
    let config = config.to_str().unwrap();
    let beside = own.path().join("ward.toml");
    let theirs = format!("{root}/ward.toml");
    let spellings: [&[&str]; 5] = [
        &[],
        &["--root", root],
        &["--config", config],
        &["--root", root, "--config", config],
        &["--config", &theirs],
    ];
    for spelling in spellings {
        for words in [
            &["get", "codex/token", "--raw"][..],
            &["set", "codex/token", "--value", "x", "--replace"],
            &["revoke", "codex/token"],
            &["list", "--pending"],
        ] {
            let words = [spelling, &["--agent", "claude"], words].concat();
            let ward = stage.root().ward(&words).by(OWNER).within(own.path());
            let ended = ward.with("GLOVES_CONFIG", config).with("HOME", own.path()).run();
            assert_ne!(ended.status, Some(0), "{words:?}: {ended:?}");
            assert!(!ended.stdout.contains("two"), "{words:?}: {ended:?}");
        }
    }
    // A root of one's own has nothing of another one.
    let beside = ["--config", beside.to_str().unwrap(), "get", "codex/token", "--raw"];
    let ended = stage.root().ward(&beside).by(OWNER).within(own.path()).run();
    assert_ne!(ended.status, Some(0), "{ended:?}");
    let read = stage.root().ward(&["--agent", "codex", "get", "codex/token", "--raw"]).by(OWNER);
    assert_eq!(read.succeed(), "two");
}

#[test]
fn nobody_answers_itself_by_any_command_name_or_session_or_by_the_sidecar() {
    let Some(stage) = Stage::still(HOLD, "") else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stage.root().configure(&format!("[sidecar]\nbind = \"{free}\"\n"));
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    stage.secret("ask/token", "s3cret");
    // Who asks may answer requests, has the role for it, and is named in the rule.
    let asked = ["--json", "request", "ask/token", "--reason", "why"];
    let asked = stage.root().ward(&asked).by(STRANGER).run().json();
    let id = asked["result"]["request"].as_str().unwrap_or_else(|| panic!("{asked}"));
    for words in [
        &["approve", id][..],
        &["requests", "approve", id],
        &["--agent", "stranger", "approve", id],
        &["--agent", "anybody", "approve", id],
        &["--agent", "admin", "approve", id],
        &["approve", id, "--uses", "1"],
    ] {
        let ended = stage.root().ward(words).by(STRANGER).run();
        assert_eq!(ended.status, Some(3), "{words:?}: {ended:?}");
    }
    let mut second = Person::of(STRANGER);
    let request = serde_json::json!({"action": "approve", "request_id": id});
    for agent in ["", ", \"agent\": \"stranger\"", ", \"agent\": \"admin\""] {
        let line = request.to_string().replace('}', &format!("{agent}}}\n"));
        second.must(&format!("link = socket.create_connection(('127.0.0.1', {}))", free.port()));
        second.must(&format!("link.sendall({line:?}.encode())"));
        let said = second.must("link.makefile().readline()");
        assert!(said.as_str().unwrap().contains("\"status\":\"error\""), "{said}");
    }
    assert_eq!(stage.pending().len(), 1, "it still waits");
    assert_eq!(stage.log_of("request.approved", "ask/token"), Vec::<Value>::new());
    assert_eq!(stage.approve(id).status, Some(0));
}

#[test]
fn a_no_that_is_edited_into_a_yes_in_the_files_of_the_root_gives_nothing_and_is_found() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut person = Person::of(OWNER);
    assert_eq!(person.fails(&format!("read({path:?}, os.O_NONBLOCK)")), "EAGAIN");
    let id = stage.pending()[0]["request"].as_str().unwrap().to_owned();
    stage.root().ward(&["deny", &id]).succeed();
    assert_eq!(stage.unmount().status, Some(0));
    stage.root().ward(&["daemon", "stop"]).succeed();
    // The log is the one place where a request stands.
    let found = std::process::Command::new("/bin/grep")
        .args(["--recursive", "--files-with-matches", &id])
        .arg(stage.root().path())
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(found.lines().count() > 0 && found.lines().all(|it| it.contains("/audit/")), "{found}");
    let (mut edited, mut rest) = (0, Vec::new());
    for file in found.lines().filter(|it| it.ends_with(".jsonl")) {
        let text = std::fs::read_to_string(file).unwrap();
        edited += text.matches("\"request.denied\"").count();
        rest.push((file.to_owned(), text));
    }
    assert_eq!(edited, 1, "the no is in the log once");
    for (file, text) in rest {
        let yes = text.replace("\"request.denied\"", "\"request.approved\"");
        replace(std::path::Path::new(&file), &yes);
    }
    let verified = stage.root().run(&["audit", "verify"]);
    assert_eq!(verified.status, Some(4), "{verified:?}");
    let read = stage.root().ward(&["get", "ask/token", "--raw"]).by(OWNER).run();
    assert!(read.status != Some(0) && !read.stdout.contains("s3cret"), "{read:?}");
    let started = stage.root().run(&["daemon", "start"]);
    let said = format!("{}{}", started.stdout, started.stderr);
    assert!(started.status != Some(0), "a log that was edited serves nobody: {said}");
    assert!(said.contains("log"), "and it is said: {said}");
}
