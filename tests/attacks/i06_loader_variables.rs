//! I6: variables that put the attacker's code into an allowed program.

use super::succeeds_against_gocryptfs;
use crate::support::person::Person;
use crate::support::program::compiled;
use crate::support::stage::{Stage, replace};
use crate::support::users::{self, OWNER};
use serde_json::Value;
use tempfile::TempDir;

/// Programs that may read for themselves.
const RULES: &str = "
[clients.tools]
exe = [\"/usr/bin/cat\", \"/usr/bin/iconv\", \"/usr/bin/ls\"]

[clients.verified]
exe = [\"/usr/bin/cat\", \"/usr/bin/iconv\", \"/usr/bin/ls\"]
grade = \"verified\"

[[rule]]
name = \"tools-read\"
clients = [\"tools\"]
ops = [\"file.list\", \"file.read\"]
path = [\"tools/**\"]
decide = \"allow\"

[[rule]]
name = \"verified-reads\"
clients = [\"verified\"]
ops = [\"file.list\", \"file.read\"]
path = [\"strict/**\"]
decide = \"allow\"
";

/// Where a program looks for more of itself, or what it is told beside its arguments.
const PATHS: [&str; 4] = ["PYTHONPATH", "NODE_OPTIONS", "PERL5LIB", "LUA_INIT"];
/// Ways to have a program load the attacker's library.
const MANNERS: [&str; 4] = ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "GCONV_PATH"];

/// Libraries that act: one by itself, one in the place of a library of ls, one that knows a character
/// set.
fn library() -> TempDir {
    let folder = users::folder(OWNER);
    for name in ["evil.so", "libselinux.so.1"] {
        let source = include_str!("preloaded.c");
        compiled(folder.path(), name, source, &["-shared", "-fPIC"]);
    }
    let set = "module EVIL// INTERNAL evil 1\nmodule INTERNAL EVIL// evil 1\n";
    replace(&folder.path().join("gconv-modules"), set);
    folder
}

/// Reads by code that a variable brings into a program, with `more` in its environment.
fn loaded(person: &mut Person, path: &str, folder: &TempDir, manner: [&str; 2]) -> Value {
    let [variable, more] = manner;
    let folder = folder.path().display();
    let (file, words) = match variable {
        "LD_LIBRARY_PATH" => ("", "'ls'"),
        "GCONV_PATH" => ("", "'iconv', '-f', 'EVIL', '/dev/null'"),
        _ => ("/evil.so", "'cat'"),
    };
    person.must(&format!(
        "run({words}, env={{{more} '{variable}': '{folder}{file}', 'TARGET': {path:?}}}, \
         stdin=subprocess.DEVNULL)"
    ))
}

/// So much before it that whoever reads a part of the environment does not come to it.
const BURIED: &str = "**{f'X{number}': 'x' * 1000 for number in range(200)},";

#[test]
fn code_that_a_variable_of_the_loader_brings_into_an_allowed_program_finds_nothing() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let path = stage.secret("tools/token", "s3cret");
    let (folder, mut person) = (library(), Person::of(OWNER));
    for manner in MANNERS {
        for more in ["", BURIED] {
            let ended = loaded(&mut person, &path, &folder, [manner, more]);
            assert_eq!((&ended[0], &ended[1]), (&2.into(), &"".into()), "{manner}: no ENOENT");
        }
    }
    assert_eq!(person.must(&format!("run('cat', {path:?})"))[1], "s3cret");
}

#[test]
fn code_that_wipes_the_variable_that_brought_it_is_still_seen_in_the_memory_of_the_program() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let path = stage.secret("strict/token", "s3cret");
    let (folder, mut person) = (library(), Person::of(OWNER));
    for manner in MANNERS {
        let ended = loaded(&mut person, &path, &folder, [manner, "'WIPE': '1',"]);
        assert!(ended[0] != 0 && ended[1] == "", "{manner}: {ended}");
    }
    assert_eq!(person.must(&format!("run('cat', {path:?})"))[1], "s3cret");
}

#[test]
fn a_variable_that_says_where_to_find_code_makes_no_verified_program() {
    let Some(stage) = Stage::with("1s", RULES) else { return };
    let (loose, strict) = (stage.secret("tools/token", "x"), stage.secret("strict/token", "x"));
    let mut person = Person::of(OWNER);
    assert_eq!(person.must(&format!("run('cat', {strict:?})"))[1], "x");
    for variable in PATHS {
        for more in ["", BURIED] {
            let runs =
                |path: &str| format!("run('cat', {path:?}, env={{{more} '{variable}': '/tmp'}})");
            assert_eq!(person.must(&runs(&loose))[1], "x", "{variable}");
            let ended = person.must(&runs(&strict));
            assert!(ended[0] != 0 && ended[1] == "", "{variable}: {ended}");
        }
    }
}

#[test]
fn against_gocryptfs_it_succeeds() {
    let folder = library();
    for manner in MANNERS {
        succeeds_against_gocryptfs(|person, path| loaded(person, path, &folder, [manner, ""]));
    }
}
