//! Programs that ask much of a filesystem.

use crate::support::desk::Desk;
use std::path::Path;
use std::process::Command;

/// Runs a script of the shell in the top directory of the workspace; it must succeed.
fn run(desk: &Desk, script: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-e", "-c", script]).current_dir(desk.stage().mountpoint());
    let environment = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", desk.stage().mountpoint()),
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.org"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.org"),
    ];
    let output = command.env_clear().envs(environment).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
}

#[test]
fn git_works_on_a_workspace() {
    let has_git = ["/usr/bin/git", "/usr/local/bin/git"].iter().any(|git| Path::new(git).exists());
    if !has_git {
        eprintln!("skipped: there is no git");
        return;
    }
    let Some(desk) = Desk::set() else { return };
    run(
        &desk,
        "git init -q one && cd one && mkdir -p a/b && for n in $(seq 50); do echo $n > a/b/$n; done \
         && ln -s a/b/1 link && git add . && git commit -qm first && echo x >> a/b/7 && git mv a/b/9 c \
         && git commit -qam second && git gc -q && cd .. && git clone -q one two && cd two \
         && git fsck --strict && git checkout -q HEAD~1 && test ! -e c && test -z \"$(git status --porcelain)\"",
    );
}

#[test]
fn sqlite_works_on_a_workspace_with_a_write_ahead_log_and_several_processes() {
    let Some(desk) = Desk::set() else { return };
    let lines = 60;
    let mut person = desk.person();
    person.must("import sqlite3");
    person.must("data = sqlite3.connect('data', timeout=30, isolation_level=None)");
    assert_eq!(person.must("data.execute('PRAGMA journal_mode = WAL').fetchone()[0]"), "wal");
    person.must("data.execute('CREATE TABLE lines (writer, number)') and None");
    let mut writers: Vec<_> = (0..3).map(|_| desk.person()).collect();
    for (number, writer) in writers.iter_mut().enumerate() {
        writer.must("import sqlite3");
        writer.must("data = sqlite3.connect('data', timeout=30, isolation_level=None)");
        let insert = format!("'INSERT INTO lines VALUES ({number}, ?)'");
        writer.begin(&format!("len([data.execute({insert}, (n,)) for n in range({lines})])"));
    }
    for writer in &mut writers {
        assert_eq!(writer.end().unwrap(), lines);
    }
    assert_eq!(person.must("data.execute('SELECT count(*) FROM lines').fetchone()[0]"), 3 * lines);
    assert_eq!(person.must("data.execute('PRAGMA integrity_check').fetchone()[0]"), "ok");
}
