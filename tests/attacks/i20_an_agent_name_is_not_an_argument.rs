//! I20: a name that an agent gives itself.

use crate::support::agent::{agent, sessions, stage, words};
use crate::support::person::Person;
use crate::support::users::{OWNER, STRANGER};
use std::path::{Path, PathBuf};

#[test]
fn an_agent_name_is_not_an_argument() {
    let Some((stage, path, _)) = stage() else { return };
    let mut person = Person::of(OWNER);
    let read = format!("run('cat', {path:?}, env={{'WARD_AGENT': 'claude', 'AGENT': 'claude'}})");
    assert!(person.must(&read)[2].as_str().unwrap().contains("No such file"));
    let read = format!("run('claude', {path:?}, executable='/usr/bin/cat')");
    assert!(person.must(&read)[2].as_str().unwrap().contains("No such file"));
    person.must("open('/proc/self/comm', 'w').write('claude')");
    assert_eq!(person.reads(&path), Err("ENOENT".to_owned()));
    // An option takes one for a command, of whom the policy lets run it; a field within it is none.
    let words = words(stage.root(), "claude").map(|word| format!("{word:?}"));
    let get = format!(
        "run({}, '--agent', 'claude', 'get', 'claude/token', '--raw')",
        words[..3].join(", ")
    );
    assert_eq!(Person::of(STRANGER).must(&get)[0], 3);
    let socket = stage.root().path().join("control.sock");
    person.must("control = socket.socket(socket.AF_UNIX)");
    person.must(&format!("control.connect({:?})", socket.to_str().unwrap()));
    let line = r#"{"version":1,"command":{"name":"get","vault":"default","path":"claude/token","agent":"claude"}}"#;
    let answer = person
        .must(&format!("(control.send({:?}.encode()), control.recv(9999))", format!("{line}\n")));
    assert!(answer[1].as_str().unwrap().contains("malformed"), "{answer}");
}

#[test]
fn an_unprivileged_process_moves_nobody_into_or_out_of_a_session() {
    let Some((stage, path, _)) = stage() else { return };
    let mut claude = agent(stage.root(), "claude");
    let mut codex = agent(stage.root(), "codex");
    let mut nobody = Person::of(OWNER);
    let sessions = sessions(stage.root());
    if sessions[0]["kept_by"] == "descent" {
        eprintln!("skipped: no cgroup can be made here");
        return;
    }
    let own = cgroup_of(sessions[0]["session"].as_str().unwrap());
    let folder = own.parent().unwrap();
    for place in [own.as_path(), folder, folder.parent().unwrap()] {
        for file in ["cgroup.procs", "cgroup.threads", "tasks"] {
            let file = place.join(file);
            if !file.exists() {
                continue;
            }
            for person in [&mut claude, &mut codex, &mut nobody] {
                let join =
                    format!("open({:?}, 'w').write(str(os.getpid()))", file.to_str().unwrap());
                assert_eq!(person.fails(&join), "EACCES", "{file:?}");
            }
        }
        let own = format!("os.mkdir({:?})", place.join("own").to_str().unwrap());
        assert_eq!(claude.fails(&own), "EACCES");
    }
    assert_eq!(claude.reads(&path), Ok("one".to_owned()));
    for person in [&mut codex, &mut nobody] {
        assert_eq!(person.reads(&path), Err("ENOENT".to_owned()));
    }
}

/// The directory of a session's cgroup, in whichever hierarchy it is.
fn cgroup_of(session: &str) -> PathBuf {
    let below = |path: &Path| -> Vec<PathBuf> {
        let listing = std::fs::read_dir(path).into_iter().flatten();
        listing.filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    let top = PathBuf::from("/sys/fs/cgroup");
    let hierarchies = below(&top).into_iter().chain([top]);
    let folders = hierarchies.flat_map(|hierarchy| below(&hierarchy));
    let found = folders.map(|folder| folder.join(session)).find(|path| path.is_dir());
    found.unwrap()
}
