//! I21: an allowed program that runs what the attacker tells it to, as pagers, hooks and editors do.

use super::is_refused;
use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;
use serde_json::Value;

/// find may read, and takes a command.
const RULES: &str = "
[clients.find]
exe = [\"/usr/bin/find\"]

[[rule]]
name = \"find-reads\"
clients = [\"find\"]
ops = [\"file.list\", \"file.read\"]
path = [\"find/**\"]
decide = \"allow\"
";

/// Two rules for what find starts.
const KIN: &str = "
[clients.child]
ancestor = { client = \"find\" }

[clients.tree]
ancestor = { client = \"find\", match = \"tree\" }

[[rule]]
name = \"child-reads\"
clients = [\"child\"]
ops = [\"file.list\", \"file.read\"]
path = [\"child/**\"]
decide = \"allow\"

[[rule]]
name = \"tree-reads\"
clients = [\"tree\"]
ops = [\"file.list\", \"file.read\"]
path = [\"tree/**\"]
decide = \"allow\"
";

/// Has find run a command on the file.
fn helped(person: &mut Person, path: &str, command: &str) -> Value {
    person.must(&format!("run('find', {path:?}, '-exec', *{command}, '{{}}', ';')"))
}

/// What an attacker would have it run.
const HELPERS: [&str; 3] =
    ["['head', '-c9']", "['sh', '-c', 'cat $0']", "['env', '-i', 'setsid', '--wait', 'head']"];

#[test]
fn what_an_allowed_program_runs_is_another_program() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let path = stage.secret("find/token", "/usr/bin/true\0");
    let mut person = Person::of(OWNER);
    // It reads by itself: a list of places to look at.
    let ended = person.must(&format!("run('find', '-files0-from', {path:?})"));
    assert_eq!(ended[1], "/usr/bin/true\n", "{ended}");
    for command in HELPERS {
        let mut ended = helped(&mut person, &path, command);
        // find itself ends well whatever its command came to.
        ended[0] = 1.into();
        // Who may not list it either finds nothing.
        let words = ended[2].as_str().unwrap().replace("No such file", "Permission denied");
        ended[2] = words.into();
        is_refused(&ended);
    }
}

#[test]
fn a_helper_that_inherits_the_open_file_is_another_program_too() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut person = Person::of(OWNER);
    // cat is allowed; the shell that starts it is not, and neither is what the shell pipes to.
    let ended = person.must(&format!("run('sh', '-c', 'exec 3< $0; cat <&3', {path:?})"));
    assert!(ended[0] != 0 && ended[1] == "", "{ended}");
}

#[test]
fn a_rule_for_children_of_a_program_is_for_those_it_started_itself_unless_it_says_tree() {
    let Some(stage) = Stage::with("1s", &format!("{RULES}{KIN}")) else { return };
    let (child, tree) =
        (stage.secret("child/token", "s3cret"), stage.secret("tree/token", "s3cret"));
    let mut person = Person::of(OWNER);
    // A child, by a list of one place to look at: find runs head on it.
    let runs = |path: &str, command: &str| {
        format!("run('find', '/etc/passwd', '-exec', *{command}, {path:?}, ';')")
    };
    let (direct, deeper) = ("['head', '-c9']", "['sh', '-c', 'head -c9 $0; true']");
    assert_eq!(person.must(&runs(&child, direct))[1], "s3cret");
    assert_eq!(person.must(&runs(&child, deeper))[1], "");
    assert_eq!(person.must(&runs(&tree, direct))[1], "s3cret");
    assert_eq!(person.must(&runs(&tree, deeper))[1], "s3cret");
    // The name of the parent is no parent.
    for path in [&child, &tree] {
        assert_eq!(person.must(&format!("run('head', '-c9', {path:?})"))[1], "");
        let forged =
            format!("run('find', '-c', 'head -c9 $0; true', {path:?}, executable='/usr/bin/bash')");
        assert_eq!(person.must(&forged)[1], "");
    }
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    for command in HELPERS {
        let ended = helped(&mut Person::of(OWNER), &plain.path(), command);
        assert_eq!(ended[1], "s3cret", "{command}");
    }
}
