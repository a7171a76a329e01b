//! Scripts of interpreters that close what they read: pinned by the session that starts them.

use crate::support::agent::{agent, words};
use crate::support::person::Person;
use crate::support::stage::{Stage, replace};
use crate::support::users::{self, OWNER};
use crate::support::ward::{Ended, Ward};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

/// Reads what it is told to; or becomes a Python that does what else it is told.
const TOOL: &str = "import os, sys
if len(sys.argv) > 2:
    os.execv('/usr/bin/python3', ['python3', *sys.argv[2:]])
sys.stdout.write(open(sys.argv[1]).read())
";

/// A stage on which `tool.py` of root may read `tool/*` within a session of `claude`, and whoever
/// runs exactly the bytes of [`TOOL`] may read `copy/*`.
struct Bench {
    stage: Stage,
    tool: String,
    secret: String,
    copy: String,
}

impl Bench {
    fn set() -> Option<Self> {
        let stage = Stage::with("1s", "")?;
        let tool = stage.root().directory().join("tool.py");
        replace(&tool, TOOL);
        let tool = tool.to_str().unwrap().to_owned();
        let digest = Command::new("sha256sum").arg(&tool).output().unwrap().stdout;
        let digest = std::str::from_utf8(&digest[..64]).unwrap();
        stage.change_rules(
            "1s",
            &format!(
                "{START}[clients.tool]\nscript = [{tool:?}]\nsession = \"claude\"\ngrade = \"verified\"\n\
                 [clients.bytes]\nscript = [{{ sha256 = \"{digest}\" }}]\n\
                 [[rule]]\nname = \"tool\"\nclients = [\"tool\"]\nops = [\"file.read\"]\n\
                 path = [\"tool/*\"]\ndecide = \"allow\"\n\
                 [[rule]]\nname = \"copy\"\nclients = [\"bytes\"]\nops = [\"file.read\"]\n\
                 path = [\"copy/*\"]\ndecide = \"allow\"\n"
            ),
        );
        let secret = stage.secret("tool/key", "s3cret");
        let copy = stage.secret("copy/key", "c0py");
        Some(Self { stage, tool, secret, copy })
    }

    /// Runs a command as claude.
    fn claude(&self, options: &[&str], command: &[&str]) -> Ward {
        let words = words(self.stage.root(), "claude");
        let words = [&words[3..6], options, &["--"], command].concat();
        self.stage.root().ward(&words).by(OWNER)
    }

    fn python(&self, arguments: &[&str]) -> Ended {
        self.claude(&[], &[&["/usr/bin/python3"], arguments].concat()).run()
    }

    /// A script of the owner's own, with what it says.
    fn own(&self, name: &str, text: &str) -> PathBuf {
        let path = self.stage.root().directory().join(name);
        replace(&path, text);
        let owner = users::user(OWNER);
        chown(&path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).unwrap();
        path
    }
}

const START: &str = r#"
[[rule]]
name = "owner-starts-claude"
clients = ["owner"]
ops = ["agent.run"]
path = ["claude"]
decide = "allow"

"#;

#[test]
fn a_script_of_root_that_python_or_perl_runs_is_known_within_the_session_that_starts_it() {
    let Some(bench) = Bench::set() else { return };
    let (tool, secret) = (bench.tool.as_str(), bench.secret.as_str());
    let read = bench.python(&["-I", tool, secret]);
    assert_eq!((read.stdout.as_str(), read.status), ("s3cret", Some(0)), "{read:?}");
    // By its first line, and by way of env.
    let body = "print(open(__import__('sys').argv[1]).read(), end='')\n";
    for first in ["#!/usr/bin/python3 -I", "#!/usr/bin/env -S python3 -I"] {
        replace(bench.tool.as_ref(), &format!("{first}\n{body}"));
        std::fs::set_permissions(tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(bench.claude(&[], &[tool, secret]).run().stdout, "s3cret", "{first}");
    }
    replace(bench.tool.as_ref(), "open(F, $ARGV[0]); print <F>;\n");
    assert_eq!(bench.claude(&[], &["/usr/bin/perl", tool, secret]).run().stdout, "s3cret");
    let commands = bench.stage.log_of("command", "claude");
    let says = |entry: &&serde_json::Value| entry["reason"].as_str().is_some();
    assert_eq!(commands.iter().filter(says).count(), 4, "each pin is in the log: {commands:?}");
}

#[test]
fn a_script_is_not_known_when_anything_else_decides_what_its_interpreter_runs() {
    let Some(bench) = Bench::set() else { return };
    let (tool, secret) = (bench.tool.as_str(), bench.secret.as_str());
    let own = bench.own("own.py", TOOL);
    let link = bench.stage.root().directory().join("link.py");
    let folder = users::folder(OWNER);
    let elsewhere = folder.path().join("tool.py");
    std::os::unix::fs::symlink(tool, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (own, link, elsewhere) = (text(&own), text(&link), text(&elsewhere));
    let refused: [&[&str]; 6] = [
        // Not isolated from files of the user.
        &[tool, secret],
        // Told otherwise: the file is an argument, and standard input is empty.
        &["-I", "-c", "import sys; print(open(sys.argv[2]).read())", tool, secret],
        &["-I", "-", tool, secret],
        &["-I", &own, secret],
        // Root's script, by a way that the user can turn elsewhere.
        &["-I", &elsewhere, secret],
        &["-I", &link, secret],
    ];
    for arguments in refused {
        let read = bench.python(arguments);
        assert!(!read.stdout.contains("s3cret"), "{arguments:?}: {read:?}");
    }
    let steered = bench.claude(&[], &["/usr/bin/python3", "-I", tool, secret]);
    assert_eq!(steered.with("PYTHONPATH", "/usr/lib").run().stdout, "");
    // A link that only root can turn is a name like any other.
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(tool, &link).unwrap();
    assert_eq!(bench.python(&["-I", &link, secret]).stdout, "s3cret");
    // Nobody has pinned it without a session.
    let mut person = Person::of(OWNER);
    let alone = format!("run('/usr/bin/python3', '-I', {tool:?}, {secret:?})");
    assert_eq!(person.must(&alone)[1], "");
}

#[test]
fn what_a_pinned_interpreter_becomes_or_forks_is_not_pinned() {
    let Some(bench) = Bench::set() else { return };
    let (tool, secret) = (bench.tool.as_str(), bench.secret.as_str());
    let again = bench.python(&["-I", tool, "", "-I", "-c", "print(open(sys.argv[1]).read())"]);
    assert_ne!(again.status, Some(0));
    let reads = format!("print(open({secret:?}).read())");
    let became = bench.python(&["-I", tool, "", "-I", "-c", &reads]);
    assert_eq!(became.stdout, "", "{became:?}");
    assert!(became.stderr.contains("No such file"), "{became:?}");
    // The same script once more, but nobody saw how it began.
    assert_eq!(bench.python(&["-I", tool, "", "-I", tool, secret]).stdout, "");
    let forks = "import os, sys\nif os.fork():\n    os.wait()\nelse:\n    os.write(1, open(sys.argv[1], 'rb').read())\n";
    replace(tool.as_ref(), forks);
    let forked = bench.python(&["-I", tool, secret]);
    assert!(forked.stdout.is_empty() && forked.stderr.contains("No such file"), "{forked:?}");
}

#[test]
fn a_sealed_copy_is_known_by_its_bytes_alone() {
    let Some(bench) = Bench::set() else { return };
    let own = bench.own("own.py", TOOL);
    let own = own.to_str().unwrap();
    let python = ["/usr/bin/python3", "-I", own, bench.copy.as_str()];
    assert_eq!(bench.claude(&["--script", own], &python).run().stdout, "c0py");
    assert_eq!(bench.claude(&[], &python).run().stdout, "", "it can change before it is read");
    let secret = ["/usr/bin/python3", "-I", own, bench.secret.as_str()];
    assert_eq!(bench.claude(&["--script", own], &secret).run().stdout, "", "it has no path");
    bench.own("own.py", &format!("{TOOL}#"));
    assert_eq!(bench.claude(&["--script", own], &python).run().stdout, "");
    for (command, says) in [
        (["/usr/bin/python3", "-I", "other.py"], "is no word of the command"),
        (["/usr/bin/python3", "-c", own], "name no script"),
        (["/bin/cat", "-n", own], "no interpreter"),
    ] {
        let refused = bench.claude(&["--script", own], &command).run();
        assert!(refused.stderr.contains(says) && refused.stdout.is_empty(), "{refused:?}");
        assert_ne!(refused.status, Some(0));
    }
}

#[test]
fn nobody_but_our_own_ward_pins_a_script() {
    let Some(bench) = Bench::set() else { return };
    let mut claude = agent(bench.stage.root(), "claude");
    // It holds an interpreter that is told to run root's script, and could put anything into it.
    claude.must(&format!(
        "import ctypes
libc = ctypes.CDLL(None)
held = os.fork()
if held == 0:
    libc.ptrace(0, 0, 0, 0)
    os.execv('/usr/bin/python3', ['python3', '-I', {:?}, {:?}])
os.waitpid(held, 0)
control = socket.socket(socket.AF_UNIX)
control.connect({:?})
",
        bench.tool,
        bench.secret,
        bench.stage.root().path().join("control.sock").to_str().unwrap()
    ));
    let line = r#"{"version":1,"command":{"name":"agent-pin","pid":%d}}"#;
    let answer = claude
        .must(&format!("(control.send(({line:?} % held).encode() + b'\\n'), control.recv(9999))"));
    assert!(answer[1].as_str().unwrap().contains("not the ward of this daemon"), "{answer}");
    claude.must("os.kill(held, 9)");
}
