//! Rules about scripts and about whom a caller descends from.

use crate::support::person::Person;
use crate::support::stage::{Stage, replace};
use crate::support::users::OWNER;
use std::os::unix::fs::PermissionsExt;

/// `cat` may read when RUNNER runs it.
const ANCESTRY: &str = r#"
[clients.runner]
exe = "RUNNER"

[clients.child]
exe = "/usr/bin/cat"
ancestor = { client = "runner" }

[clients.descendant]
exe = "/usr/bin/cat"
ancestor = { client = "runner", match = "tree" }

[[rule]]
name = "child"
clients = ["child"]
ops = ["file.read"]
path = ["child/*"]
decide = "allow"

[[rule]]
name = "tree"
clients = ["descendant"]
ops = ["file.read"]
path = ["tree/*"]
decide = "allow"
"#;

/// A stage, and the path of the runner, which starts whatever it is told to as its child. It is a
/// copy, since the tests themselves may be run by the original.
fn kin() -> Option<(Stage, String)> {
    let stage = Stage::set()?;
    let runner = stage.root().directory().join("runner");
    std::fs::copy("/usr/bin/timeout", &runner).unwrap();
    let runner = runner.to_str().unwrap().to_owned();
    stage.change_rules("1s", &ANCESTRY.replace("RUNNER", &runner));
    Some((stage, runner))
}

#[test]
fn a_rule_about_an_ancestor_means_the_parent_or_the_whole_tree_as_it_says() {
    let Some((stage, runner)) = kin() else { return };
    let (child, tree) = (stage.secret("child/a", "one"), stage.secret("tree/a", "two"));
    let mut person = Person::of(OWNER);
    let mut output = |command: String| person.must(&command)[1].as_str().unwrap().to_owned();
    assert_eq!(output(format!("run('/usr/bin/cat', {child:?})")), "", "nobody's child");
    assert_eq!(output(format!("run({runner:?}, '9', '/usr/bin/cat', {child:?})")), "one");
    let below = |path: &str| format!("run({runner:?}, '9', '/bin/sh', '-c', 'cat {path}; :')");
    assert_eq!(output(below(&child)), "", "a grandchild is no child");
    assert_eq!(output(below(&tree)), "two");
    assert_eq!(output(format!("run('/bin/sh', '-c', 'cat {tree}; :')")), "");
}

#[test]
fn an_ancestor_that_cannot_be_believed_is_none() {
    let Some((stage, runner)) = kin() else { return };
    let path = stage.secret("tree/a", "two");
    let mut person = Person::of(OWNER);
    // The child has a clean environment; its parent runs whatever it was told to load.
    let command = format!(
        "run('/usr/bin/env', 'LD_PRELOAD=/lib/x86_64-linux-gnu/libm.so.6', {runner:?}, \
         '9', '/usr/bin/env', '-u', 'LD_PRELOAD', '/usr/bin/cat', {path:?})"
    );
    assert_eq!(person.must(&command)[1], "");
    let clean = command.replace("'LD_PRELOAD=/lib/x86_64-linux-gnu/libm.so.6'", "'X=1'");
    assert_eq!(person.must(&clean)[1], "two");
}

#[test]
fn a_shell_is_believed_for_the_script_it_holds_open_and_for_nothing_else() {
    let Some(stage) = Stage::with("1s", "") else { return };
    let folder = stage.root().directory();
    let script = |name: &str, interpreter: &str| {
        let path = folder.join(name);
        let body = "read -r line < \"$1\"; printf %s \"$line\"";
        replace(&path, &format!("#!{interpreter} -u\n{body}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (dash, bash) = (script("tool.sh", "/bin/sh"), script("tool.bash", "/bin/bash"));
    let other = script("other.sh", "/bin/sh");
    stage.change_rules(
        "1s",
        &format!(
            "[clients.tool]\nscript = [{dash:?}, {bash:?}]\ngrade = \"verified\"\n[[rule]]\nname = \
             \"tool\"\nclients = [\"tool\"]\nops = [\"file.read\"]\npath = [\"tool/*\"]\ndecide = \
             \"allow\"\n"
        ),
    );
    let path = stage.secret("tool/key", "s3cret");
    let mut person = Person::of(OWNER);
    let mut output = |words: &str| person.must(&format!("run({words})"))[1].clone();
    assert_eq!(output(&format!("{dash:?}, {path:?}")), "s3cret");
    assert_eq!(output(&format!("{bash:?}, {path:?}")), "s3cret");
    assert_eq!(output(&format!("'/bin/sh', {dash:?}, {path:?}")), "s3cret");
    assert_eq!(output(&format!("{other:?}, {path:?}")), "");
    let told = format!("'/bin/sh', '-c', 'read -r line < {path}; printf %s $line', {dash:?}");
    assert_eq!(output(&told), "");
    // A descriptor that looks like that of a script is no script.
    let forged =
        format!("'/bin/bash', '-c', 'exec 255< {bash}; read -r line < {path}; printf %s $line'");
    assert_eq!(output(&forged), "");
    // Variables that make a shell run something else first.
    for (variable, script) in [("ENV", &dash), ("BASH_ENV", &bash), ("BASH_FUNC_read%%", &bash)] {
        let words = format!("'/usr/bin/env', '{variable}=() {{ :; }}', {script:?}, {path:?}");
        assert_eq!(output(&words), "", "{variable}");
    }
}
