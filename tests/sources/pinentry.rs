//! A key with a passphrase: somebody is asked for it, and nobody else waits meanwhile.

use super::{RULES, ward};
use crate::support::pass_store::PassStore;
use crate::support::person::Person;
use crate::support::stage::{Stage, replace};
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use nix::sys::signal::Signal;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// A stage whose store has a key with a passphrase, asked for by a program that never answers: it
/// writes `asked` beside the store first.
fn stage(patience: &str) -> Option<(PassStore, Stage)> {
    if !crate::support::users::can_act_as_others() {
        return None;
    }
    let store = PassStore::of(STRANGER, "correct horse")?;
    store.insert("token", "s3cret");
    store.end_agent();
    let (program, asked) = (store.at("pinentry"), store.at("asked"));
    let script = format!(
        "#!/bin/sh\necho OK\nwhile read -r word rest; do\n\
         [ \"$word\" != GETPIN ] || {{ : > {asked:?}; exec cat; }}\necho OK\ndone\n"
    );
    replace(&program, &script);
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let line = format!("pinentry-program {}\n", program.display());
    replace(&store.at("gnupg").join("gpg-agent.conf"), &line);
    let table = format!("approval = \"policy\"\npatience = \"{patience}\"\n");
    let stage = super::stage_with(&store, &table, RULES)?;
    Some((store, stage))
}

#[test]
fn while_somebody_is_asked_for_a_passphrase_nobody_else_waits() {
    let Some((store, stage)) = stage("60s") else { return };
    let other = stage.secret("read/token", "other");
    let path = stage.path("pass/token");
    let mut agent = Person::of(OWNER);
    agent.begin(&format!("read({path:?})"));
    assert!(wait::until(|| store.at("asked").exists()), "nobody was asked");
    let mut second = Person::of(OWNER);
    for _ in 0..20 {
        assert_eq!(second.reads(&other), Ok("other".to_owned()));
        second.must(&format!("os.stat({path:?})"));
    }
    assert_eq!(ward(&stage, &mut second, &["list"]).0, 0);
    // Who waits can be killed.
    agent.signal(Signal::SIGKILL);
    agent.wait_for_its_end();
}

#[test]
fn gpg_that_takes_too_long_is_ended_and_the_open_fails() {
    let Some((_store, stage)) = stage("1s") else { return };
    let mut agent = Person::of(OWNER);
    let read = agent.reads(&stage.path("pass/token"));
    let denial = agent.must(&format!("read({:?}).decode()", stage.path(".ward/last-denial")));
    assert_eq!(read, Err("EIO".to_owned()), "{denial}");
    assert!(denial.as_str().unwrap().contains("gpg took longer than 1 s"), "{denial}");
    let (code, _, said) = ward(&stage, &mut agent, &["get", "pass/token", "--raw"]);
    assert!(code == 1 && said.contains("E400"), "{code} {said}");
}
