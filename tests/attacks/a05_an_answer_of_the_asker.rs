//! A5: who asks answers: as itself, as a child, with a key of its own.

use crate::factors::allow;
use crate::support::keys::Keys;
use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::{OWNER, STRANGER};
use crate::support::ward::WARD;

/// The asker is an approver of such requests, were they somebody else's.
const RULES: &str = r#"
[[rule]]
name = "self"
clients = ["owner"]
ops = ["file.list", "file.read"]
path = ["self/**"]
decide = "approve"
approve = { require = "first_use", factors = { any = ["local", "signed"] }, by = ["owner", "stranger"] }
"#;

#[test]
fn an_asker_who_is_an_approver_answers_others_and_never_itself() {
    let Some(stage) = Stage::with(HOLD, RULES) else { return };
    let path = stage.secret("self/token", "s3cret");
    let keys = Keys::of(OWNER);
    let (plain, silent) = (keys.make("plain", "ed25519"), keys.silent_fido("silent"));
    let touched = keys.fido("touched");
    allow(stage.root(), &["plain", "silent", "touched"].map(|name| keys.line("owner", name)));
    let mut person = Person::of(OWNER);
    person.begin(&format!("run('cat', {path:?})"));
    let request = stage.held("self/token");
    let as_owner = |words: &[&str]| {
        let words = [&["approve", &request], words].concat();
        stage.root().ward(&words).by(OWNER).with("SSH_SK_PROVIDER", keys.token()).run()
    };
    // Each `ward` is in a session of its own: that makes nobody another.
    for (words, why) in [
        (vec![], "your own uid"),
        (vec!["--sign", "--key", &plain], "takes a touch"),
        (vec!["--sign", "--key", &silent], "without a touch"),
    ] {
        let ended = as_owner(&words);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
    assert_eq!(stage.held("self/token"), request);
    // The key of the asker is the asker's, whoever carries it.
    let carried = Keys::of(STRANGER);
    let other = carried.make("other", "ed25519");
    allow(stage.root(), &[carried.line("owner", "other"), keys.line("owner", "touched")]);
    let words = ["approve", &request, "--sign", "--key", &other];
    let ended = stage.root().ward(&words).by(STRANGER).run();
    assert!(ended.stderr.contains("takes a touch"), "{}", ended.stderr);
    // No process can touch a token: somebody did.
    let ended = as_owner(&["--sign", "--key", &touched]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(person.end().unwrap()[1], "s3cret");
}

#[test]
fn in_a_private_root_too_neither_the_asker_nor_its_child_answers() {
    let root = Root::private();
    let policy = root.path().join("policy.toml");
    let rules = "[[rule]]\nname = \"asks\"\nclients = [\"owner\"]\nops = [\"file.read\"]\n\
                 path = [\"ask/**\"]\npriority = 1\ndecide = \"approve\"\n\
                 approve = { require = \"first_use\" }\n";
    replace(&policy, &(std::fs::read_to_string(&policy).unwrap() + rules));
    let root = root.serving();
    root.ward(&["set", "ask/token", "--value", "s3cret"]).succeed();
    let place = root.directory().join("here");
    std::fs::create_dir(&place).unwrap();
    root.ward(&["vault", "mount", "default", "here"]).succeed();
    let secret = place.join("ask/token");
    let mut person = Person::started_by(&[], None);
    assert_eq!(person.fails(&format!("read({secret:?}, os.O_NONBLOCK)")), "EAGAIN");
    let pending = root.run(&["--json", "list", "--pending"]).json();
    let request = pending["result"]["requests"][0]["request"].as_str().unwrap().to_owned();
    let approve = format!("'{WARD}', '--root', {:?}, 'approve', '{request}'", root.path());
    for answer in [format!("run({approve})"), format!("run('setsid', '--wait', {approve})")] {
        let ended = person.must(&answer);
        assert_eq!(ended[0], 3, "{ended}");
        assert!(ended[2].as_str().unwrap().contains("a process of the asker"), "{ended}");
    }
    // Somebody else's yes of the same uid counts, which the layout says of itself.
    root.ward(&["approve", &request]).succeed();
    assert_eq!(person.reads(secret.to_str().unwrap()), Ok("s3cret".to_owned()));
    drop(person);
    root.ward(&["vault", "unmount", "default"]).succeed();
}
