//! I8: interpreters, which run what they are told to.

use crate::support::gocryptfs::Gocryptfs;
use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;

/// One rule takes programs that nobody else than root can tell what to do, the other all.
const RULES: &str = "
[clients.verified]
exe = [\"/**\"]
grade = \"verified\"

[[rule]]
name = \"verified-reads\"
clients = [\"verified\"]
ops = [\"file.list\", \"file.read\"]
path = [\"strict/**\"]
decide = \"allow\"

[[rule]]
name = \"owner-lists\"
clients = [\"owner\"]
ops = [\"file.list\"]
path = [\"strict/**\"]
decide = \"allow\"
";

/// Scripts and links to them, in `folder`; what they print is the file that their argument names.
const SCRIPTS: &str = r#"
import stat, tempfile
folder = tempfile.mkdtemp()
body = 'import sys; print(open(sys.argv[1]).read())\n'
texts = {
    'module.py': body,
    'direct': '#!/usr/bin/python3\n' + body,
    'by-env': '#!/usr/bin/env python3\n' + body,
    'split': '#!/usr/bin/env -S python3 -u -W ignore\n' + body,
    'shell': '#!/bin/sh\nread -r it < "$1"; echo "$it"\n',
    'in-perl': '#!/usr/bin/perl\nprint <>;\n',
}
for name, text in texts.items():
    write(f'{folder}/{name}', text)
    os.chmod(f'{folder}/{name}', 0o755)
os.symlink('direct', f'{folder}/link')
os.link(f'{folder}/direct', f'{folder}/hard')
"#;

/// Every form that the attacker knows, by name.
const FORMS: [(&str, &str); 17] = [
    ("-c", "'python3', '-c', body, PATH"),
    ("-m", "'python3', '-m', 'module', PATH, cwd=folder"),
    ("script", "'python3', f'{folder}/module.py', PATH"),
    ("option before the script", "'python3', '-W', 'ignore', f'{folder}/module.py', PATH"),
    ("standard input", "'python3', '-', PATH, input=body.encode()"),
    ("#! line", "f'{folder}/direct', PATH"),
    ("env", "f'{folder}/by-env', PATH"),
    ("env -S", "f'{folder}/split', PATH"),
    ("symlinked script", "f'{folder}/link', PATH"),
    ("hard-linked script", "f'{folder}/hard', PATH"),
    ("another name in argv", "'cat', '-c', body, PATH, executable='/usr/bin/python3'"),
    ("sh -c", "'sh', '-c', 'read -r it < $0; echo $it', PATH"),
    ("shell script", "f'{folder}/shell', PATH"),
    ("bash -c", "'bash', '-c', 'echo $(< $0)', PATH"),
    ("perl -e", "'perl', '-e', 'print <>', PATH"),
    ("perl script", "f'{folder}/in-perl', PATH"),
    ("awk", "'awk', '{print}', PATH"),
];

fn reader() -> Person {
    let mut person = Person::of(OWNER);
    person.must(SCRIPTS);
    person
}

fn step(form: &str, path: &str) -> String {
    format!("run({})", form.replace("PATH", &format!("{path:?}")))
}

fn is_shown(printed: &serde_json::Value) -> bool {
    printed.as_str().unwrap().trim_end() == "s3cret"
}

#[test]
fn an_interpreter_in_whatever_form_is_refused_where_a_rule_wants_a_verified_program() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let strict = stage.secret("strict/token", "s3cret");
    let loose = stage.secret("read/token", "s3cret");
    let mut person = reader();
    for (name, form) in FORMS {
        let ended = person.must(&step(form, &loose));
        assert!(is_shown(&ended[1]), "{name} does not read at all: {ended}");
        let ended = person.must(&step(form, &strict));
        let words = ended[2].as_str().unwrap();
        assert!(!is_shown(&ended[1]) && words.contains("ermission denied"), "{name}: {ended}");
    }
    person.must("run('rm', '-r', folder)");
    // A program that does one thing reads both.
    assert_eq!(person.must(&format!("run('cat', {strict:?})"))[1], "s3cret");
}

#[test]
fn an_own_copy_of_a_program_is_no_verified_one() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let path = stage.secret("strict/token", "s3cret");
    let mut person = reader();
    person.must("run('cp', '/usr/bin/cat', f'{folder}/cat')");
    super::is_refused(&person.must(&format!("run(f'{{folder}}/cat', {path:?})")));
    person.must("run('rm', '-r', folder)");
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let Some(plain) = Gocryptfs::set() else { return };
    let mut person = reader();
    for (name, form) in FORMS {
        let ended = person.must(&step(form, &plain.path()));
        assert!(is_shown(&ended[1]), "{name}: {ended}");
    }
    person.must("run('rm', '-r', folder)");
}
