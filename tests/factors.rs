//! What an answer takes: signatures, touches, quorums, the approval passphrase; and what it gives.

use crate::support::keys::Keys;
use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::terminal::Terminal;
use crate::support::users::{OWNER, STRANGER};
use crate::support::ward::Ended;
use serde_json::{Value, json};

/// Secrets whose rules want more than a word. Signed ones want verified callers: `cat` is one.
const RULES: &str = r#"
[[rule]]
name = "owner-lists"
clients = ["owner"]
ops = ["file.list"]
path = ["signed/**", "touched/**", "both/**", "two/**", "long/**"]
decide = "allow"

[[rule]]
name = "signed"
clients = ["owner"]
ops = ["file.read"]
path = ["signed/**"]
decide = "approve"
approve = { require = "first_use", factors = { any = ["signed"] }, by = ["admin", "stranger"] }

[[rule]]
name = "touched"
clients = ["owner"]
ops = ["file.read"]
path = ["touched/**"]
decide = "approve"
approve = { require = "first_use", factors = { any = ["hardware"] }, by = ["admin", "stranger"] }

[[rule]]
name = "both"
clients = ["owner"]
ops = ["file.read"]
path = ["two/**"]
decide = "approve"
approve = { require = "first_use", factors = { all = ["local", "signed"] }, quorum = 2, by = ["admin", "stranger"] }

[[rule]]
name = "long"
clients = ["owner"]
ops = ["file.read"]
path = ["long/**"]
decide = "approve"
approve = { require = "first_use", lease = "unmount", by = ["admin"] }
"#;

/// The stage, and keys of the approver.
pub(crate) fn stage() -> Option<(Stage, Keys)> {
    let stage = Stage::with(HOLD, RULES)?;
    Some((stage, Keys::of(STRANGER)))
}

/// Lets these keys sign.
pub(crate) fn allow(root: &Root, lines: &[String]) {
    let text = lines.join("\n") + "\n";
    replace(&root.path().join("allowed_signers"), &text);
}

/// A process of the owner's that opens `secret` with cat, and the request that waits for it.
pub(crate) fn reader(stage: &Stage, secret: &str) -> (Person, String) {
    let path = stage.secret(secret, "s3cret");
    let mut person = Person::of(OWNER);
    person.begin(&format!("run('cat', {path:?})"));
    let request = stage.held(secret);
    (person, request)
}

/// The other user says yes with a key of theirs.
pub(crate) fn sign(stage: &Stage, keys: &Keys, request: &str, key: &str) -> Ended {
    let words = ["approve", request, "--sign", "--key", key];
    stage.root().ward(&words).by(STRANGER).with("SSH_SK_PROVIDER", keys.token()).run()
}

fn read(ended: Value) -> Value {
    ended[1].clone()
}

#[test]
fn a_rule_that_wants_a_signature_takes_one_of_a_file_or_of_an_agent() {
    let Some((stage, keys)) = stage() else { return };
    let (plain, curve) = (keys.make("plain", "ed25519"), keys.make("curve", "ecdsa"));
    allow(stage.root(), &[keys.line("stranger", "plain"), keys.line("stranger", "curve")]);
    for (secret, key) in [("signed/a", plain.as_str()), ("signed/b", &curve)] {
        let (mut person, request) = reader(&stage, secret);
        let ended = stage.root().ward(&["approve", &request]).by(STRANGER).run();
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert!(ended.stderr.contains("the rule wants the factor signed"), "{}", ended.stderr);
        let ended = sign(&stage, &keys, &request, key);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(read(person.end().unwrap()), "s3cret");
        let answer = stage.log_of("request.approved", secret).remove(0);
        assert_eq!(answer["evidence"]["kind"], "signed");
        assert_eq!(answer["evidence"]["approver"], "stranger");
        let binding: Value = serde_json::from_str(answer["binding"].as_str().unwrap()).unwrap();
        assert_eq!(binding["path"], secret);
        assert_eq!(binding["request"], request);
    }
    let (mut person, request) = reader(&stage, "signed/agent");
    let words = stage.root().path().to_str().unwrap().to_owned();
    let mut approver = Person::of(STRANGER);
    let ward = crate::support::ward::WARD;
    let step = format!(
        "run('ssh-agent', 'sh', '-c', 'ssh-add -q {plain} && {ward} --root {words} approve {request} --sign')"
    );
    let ended = approver.must(&step);
    assert_eq!(ended[0], 0, "{ended}");
    assert_eq!(read(person.end().unwrap()), "s3cret");
}

#[test]
fn a_signature_counts_only_by_a_key_that_speaks_for_an_approver_now() {
    let Some((stage, keys)) = stage() else { return };
    let key = keys.make("key", "ed25519");
    let line = keys.line("stranger", "key");
    let with = |options: &str| line.replacen("stranger ", &format!("stranger {options} "), 1);
    let (mut person, request) = reader(&stage, "signed/token");
    for (lines, why) in [
        (vec![], "the key is not in allowed_signers"),
        (vec![with("namespaces=\"git,file\"")], "not for \"ward-approval@v1\""),
        (vec![with("valid-before=\"20200101\"")], "not valid at this time"),
        (vec![with("valid-after=\"20990101Z\"")], "not valid at this time"),
        (vec![keys.line("owner", "key")], "the key speaks for owner, who is not an approver"),
        (vec![keys.line("nobody", "key")], "the key speaks for nobody, who is not an approver"),
        (vec![keys.line("*", "key")], "allowed_signers, line 1, column 1: \"*\" must be the name"),
        (vec![String::new(), with("cert-authority")], "allowed_signers, line 2, column 10: cert"),
    ] {
        allow(stage.root(), &lines);
        let ended = sign(&stage, &keys, &request, &key);
        assert_ne!(ended.status, Some(0), "{why}");
        assert!(ended.stderr.contains(why), "{why}: {}", ended.stderr);
    }
    let file = stage.root().path().join("allowed_signers");
    allow(stage.root(), std::slice::from_ref(&line));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let ended = sign(&stage, &keys, &request, &key);
    assert!(ended.stderr.contains("can be written by others"), "{}", ended.stderr);
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    allow(stage.root(), &[with("namespaces=\"git,ward-*\",valid-before=\"20990101\"")]);
    let ended = sign(&stage, &keys, &request, &key);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(read(person.end().unwrap()), "s3cret");
}

#[test]
fn a_rule_that_wants_a_touch_takes_a_fido_key_that_somebody_touched() {
    let Some((stage, keys)) = stage() else { return };
    let [plain, silent, touched] =
        [keys.make("plain", "ed25519"), keys.silent_fido("silent"), keys.fido("touched")];
    let lines = ["plain", "silent", "touched"].map(|name| keys.line("stranger", name));
    allow(stage.root(), &lines);
    let (mut person, request) = reader(&stage, "touched/token");
    let ended = sign(&stage, &keys, &request, &plain);
    assert!(ended.stderr.contains("the rule wants the factor hardware"), "{}", ended.stderr);
    let ended = sign(&stage, &keys, &request, &silent);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("signed without a touch"), "{}", ended.stderr);
    let ended = sign(&stage, &keys, &request, &touched);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(read(person.end().unwrap()), "s3cret");
    let answer = stage.log_of("request.approved", "touched/token").remove(0);
    assert_eq!(answer["evidence"]["kind"], "hardware");
    // Not even where a signature is enough does a key of a token count that nobody touched.
    let (_person, request) = reader(&stage, "signed/token");
    let ended = sign(&stage, &keys, &request, &silent);
    assert!(ended.stderr.contains("signed without a touch"), "{}", ended.stderr);
}

#[test]
fn a_quorum_is_of_different_approvers_and_each_brings_all_factors() {
    let Some((stage, keys)) = stage() else { return };
    let key = keys.make("key", "ed25519");
    let admins = Keys::of("root");
    let admin = admins.make("key", "ed25519");
    allow(stage.root(), &[keys.line("stranger", "key"), admins.line("admin", "key")]);
    let (mut person, request) = reader(&stage, "two/token");
    for _twice in 0..2 {
        let ended = sign(&stage, &keys, &request, &key);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("it takes 1 more approver"), "{}", ended.stdout);
    }
    assert_eq!(stage.held("two/token"), request);
    assert_eq!(stage.approve(&request).status, Some(3));
    let words = ["approve", &request, "--sign", "--key", &admin];
    assert_eq!(stage.root().run(&words).status, Some(0));
    assert_eq!(read(person.end().unwrap()), "s3cret");
}

#[test]
fn a_yes_gives_so_many_opens_so_long_and_to_whom_the_approver_says() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let path = stage.secret("ask/uses", "s3cret");
    let mut person = Person::of(OWNER);
    let asks = |person: &mut Person, path: &str| {
        assert_eq!(person.fails(&format!("read({path:?}, os.O_NONBLOCK)")), "EAGAIN");
        stage.pending().last().unwrap()["request"].as_str().unwrap().to_owned()
    };
    let request = asks(&mut person, &path);
    let say = |words: &[&str]| stage.root().run(&[&["approve", &request], words].concat());
    for (words, why) in [
        (vec!["--uses", "0"], "a yes for nothing is a no"),
        (vec!["--for", "11m"], "lets a yes last 600 s at most"),
        (vec!["--until-unmount"], "does not say lease = \"unmount\""),
        (vec!["--program"], "holds for the session at most"),
    ] {
        let ended = say(&words);
        assert_eq!(ended.status, Some(7), "{ended:?}");
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
    assert_eq!(say(&["--uses", "2", "--for", "5m"]).status, Some(0));
    for _twice in 0..2 {
        assert_eq!(person.must(&format!("read({path:?}, os.O_NONBLOCK)")), "s3cret");
    }
    asks(&mut person, &path);

    let path = stage.secret("ask/process", "s3cret");
    let request = asks(&mut person, &path);
    assert_eq!(stage.root().run(&["approve", &request, "--process"]).status, Some(0));
    let other = format!("child(\"read('{path}', os.O_NONBLOCK)\")");
    assert_eq!(person.must(&other), json!(42));
    assert_eq!(person.must(&format!("read({path:?}, os.O_NONBLOCK)")), "s3cret");

    let path = stage.secret("ask/short", "s3cret");
    let request = asks(&mut person, &path);
    assert_eq!(stage.root().run(&["approve", &request, "--for", "1s"]).status, Some(0));
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("dies('os.pread(file, 9, 0)')")[0], "ESTALE");

    let path = stage.secret("long/token", "s3cret");
    let request = asks(&mut person, &path);
    assert_eq!(stage.root().run(&["approve", &request, "--until-unmount"]).status, Some(0));
    let binding = stage.log_of("request.approved", "long/token")[0]["binding"].clone();
    assert!(binding.as_str().unwrap().contains(r#""lease":"unmount""#), "{binding}");
    let left = || {
        let status = stage.root().run(&["--json", "status"]).json();
        let leases = status["result"]["leases"].as_array().unwrap().clone();
        let lease = leases.into_iter().find(|lease| lease["path"] == "long/token").unwrap();
        lease["ends_in"].as_u64().unwrap()
    };
    // The mount is for an hour.
    assert!(left() <= 3600, "{}", left());
    assert_eq!(person.must(&format!("read({path:?}, os.O_NONBLOCK)")), "s3cret");
    // It goes on with the mount, and not with another one.
    stage.root().ward(&["vault", "extend", "default", "--ttl", "2h"]).succeed();
    assert!(left() > 7100, "{}", left());
    stage.root().ward(&["daemon", "stop"]).succeed();
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    let read = person.does(&format!("read({path:?}, os.O_NONBLOCK)"));
    assert_eq!(read, Err("EAGAIN".to_owned()), "the mount that it was for is over");
}

#[test]
fn a_yes_for_one_open_serves_exactly_one_of_sixty_four_that_race() {
    let Some(stage) = Stage::with(HOLD, RULES) else { return };
    let path = stage.secret("once/token", "s3cret");
    let mut person = Person::of(OWNER);
    person.must("import threading");
    person.must("def race(path):\n results.append(child(f'read({path!r})'))");
    person.must("results = []");
    // One question: processes of one session and program, some held, some yet to come.
    person.must(&format!(
        "racers = [threading.Thread(target=race, args=({path:?},)) for _ in range(64)]"
    ));
    person.must("[racer.start() for racer in racers]");
    let request = stage.held("once/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    // Those who came too late ask again: no to that.
    person.begin("[racer.join() for racer in racers]");
    let again = crate::support::wait::until(|| {
        let late = stage.pending();
        for request in &late {
            stage.root().run(&["deny", request["request"].as_str().unwrap()]);
        }
        stage.log_of("file.open", "once/token").len() >= 2 && stage.pending().is_empty()
    });
    assert!(again, "requests are left");
    person.end().unwrap();
    let results: Vec<i64> = serde_json::from_value(person.must("sorted(results)")).unwrap();
    assert_eq!(results.iter().filter(|code| **code == 0).count(), 1, "{results:?}");
    assert_eq!(results.len(), 64);
    // The other open is the one by which the stage wrote the secret.
    assert_eq!(stage.log_of("file.open", "once/token").len(), 2);
}

#[test]
fn a_no_goes_back_to_the_asker_in_the_approvers_words() {
    let Some((stage, _keys)) = stage() else { return };
    let (mut person, request) = reader(&stage, "signed/token");
    let words = ["deny", &request, "--reason", "not on a \u{1b}[31mSunday"];
    assert_eq!(stage.root().run(&words).status, Some(0));
    assert_ne!(person.end().unwrap()[0], 0);
    let socket = stage.root().path().join("control.sock");
    person.must("control = socket.socket(socket.AF_UNIX)");
    person.must(&format!("control.connect({:?})", socket.to_str().unwrap()));
    let line =
        format!(r#"{{"version":1,"command":{{"name":"request-state","request":"{request}"}}}}"#);
    let answer =
        person.must(&format!("(control.send({:?}.encode()), control.recv(9999))[1]", line + "\n"));
    let answer: Value = serde_json::from_str(answer.as_str().unwrap()).unwrap();
    assert_eq!(answer["result"]["state"], "denied");
    assert_eq!(answer["result"]["reason"], "not on a \u{1b}[31mSunday");
}

#[test]
fn the_evidence_of_answers_is_checked_again_without_the_daemon() {
    let Some((stage, keys)) = stage() else { return };
    let (plain, touched) = (keys.make("plain", "ed25519"), keys.fido("touched"));
    allow(stage.root(), &[keys.line("stranger", "plain"), keys.line("stranger", "touched")]);
    let answers = [("signed/token", &plain), ("touched/token", &touched)].map(|(secret, key)| {
        let (mut person, request) = reader(&stage, secret);
        assert_eq!(sign(&stage, &keys, &request, key).status, Some(0));
        person.end().unwrap();
        stage.log_of("request.approved", secret).remove(0)
    });
    let verify = || stage.root().run(&["audit", "verify", "--evidence", "--json"]);
    let ended = verify();
    let counts = json!({"signed": 2, "touched": 1, "sealed": 0, "attested": 0, "failed": []});
    assert_eq!(ended.json()["result"]["evidence"], counts);
    assert_eq!(ended.status, Some(0));
    // A key that is out of use since still speaks for its time; one that is gone does not.
    let line = keys.line("stranger", "plain");
    let old = line.replacen("stranger ", "stranger valid-before=\"20990101\" ", 1);
    allow(stage.root(), &[old, keys.line("stranger", "touched")]);
    assert_eq!(verify().status, Some(0));
    let late = line.replacen("stranger ", "stranger valid-before=\"20200101\" ", 1);
    allow(stage.root(), &[late]);
    let ended = verify();
    assert_eq!(ended.status, Some(4));
    let failed = ended.json()["result"]["evidence"]["failed"].clone();
    let seqs: Vec<String> = answers.iter().map(|it| it["seq"].to_string()).collect();
    let named: Vec<String> =
        failed.as_array().unwrap().iter().map(|it| format!("\"{}\"", it["seq"])).collect();
    assert_eq!(named, seqs, "{failed}");
    let ended = stage.root().run(&["audit", "verify", "--evidence"]);
    assert!(ended.stdout.contains("is not carried by its evidence"), "{}", ended.stdout);
}

#[test]
fn in_a_private_root_the_approval_passphrase_answers_what_ones_own_yes_does_not() {
    let root = Root::absent();
    let file = root.directory().join("passphrase");
    replace(&file, "several words of mine\n");
    let file = file.to_str().unwrap();
    root.ward(&["init", "--approval-passphrase-file", file]).succeed();
    root.write_anywhere();
    let kept = std::fs::read_to_string(root.path().join("approval_passphrase")).unwrap();
    assert!(!kept.contains("several"), "{kept}");
    let policy = root.path().join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    let rules = r#"
[targets.production]
path = ["prod/**"]
sensitivity = "critical"
[[rule]]
name = "asks"
clients = ["owner"]
ops = ["file.read"]
path = ["prod/**", "test/**"]
priority = 1
decide = "approve"
approve = { require = "one_time", factors = { any = ["local"] } }
"#;
    replace(&policy, &(text + rules));
    let root = root.serving();
    let asked = |name: &str| {
        root.ward(&["set", name, "--value", "s3cret"]).succeed();
        let ended = root.run(&["--json", "get", "--raw", name]);
        assert_eq!(ended.status, Some(4), "{ended:?}");
        ended.json()["error"]["request"].as_str().unwrap().to_owned()
    };
    let request = asked("prod/token");
    let ended = root.run(&["approve", &request]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("your own uid"), "{}", ended.stderr);
    let wrong = root.directory().join("wrong");
    replace(&wrong, "several words of yours\n");
    let words = ["approve", &request, "--passphrase-file"];
    let ended = root.run(&[&words[..], &[wrong.to_str().unwrap()]].concat());
    assert_eq!(ended.status, Some(8), "{ended:?}");
    let ended = root.run(&[&words[..], &[file]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    // What is not graded takes one's own yes, and the record says so.
    let request = asked("test/token");
    root.ward(&["approve", &request]).succeed();
    let shown = root.ward(&["--json", "audit", "show", "--event", "request.approved"]).succeed();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let evidence: Vec<&Value> = shown["result"]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["entry"]["evidence"])
        .collect();
    assert_eq!(*evidence[0], json!({"approver": "owner", "kind": "passphrase"}));
    let own = json!({"approver": "owner", "kind": "local", "selfApproved": true});
    assert_eq!(*evidence[1], own);
    // On a terminal it is asked for, and not shown.
    let request = asked("prod/other");
    let mut terminal = Terminal::begin(&root, &["approve", &request, "--passphrase"]);
    terminal.expect("Approval passphrase: ");
    assert!(!terminal.has_echo());
    terminal.type_in("several words of mine\n");
    let (shown, status) = terminal.end();
    assert_eq!(status, Some(0), "{shown}");
    assert!(!shown.contains("several"), "{shown}");
    // A key of the same uid is evidence here, too; what it signed is sealed with the vault's names.
    let keys = Keys::of("root");
    let key = keys.make("key", "ed25519");
    allow(&root, &[keys.line("owner", "key")]);
    let request = asked("prod/signed");
    let words = ["approve", &request, "--sign", "--key", &key];
    assert_eq!(root.run(&words).status, Some(0));
    let verified = root.run(&["audit", "verify", "--evidence", "--json"]);
    let counts = json!({"signed": 1, "touched": 0, "sealed": 1, "attested": 3, "failed": []});
    assert_eq!(verified.json()["result"]["evidence"], counts);
}
