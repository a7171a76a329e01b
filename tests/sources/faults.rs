//! What a store does not give is an error of its own, told to who asked, and touches nobody else.

use super::{RULES, get, stage, stage_with, two_entries, ward};
use crate::support::pass_store::PassStore;
use crate::support::person::Person;
use crate::support::stage::replace;
use crate::support::users::{OWNER, STRANGER};
use serde_json::Value;

#[test]
fn an_entry_that_does_not_decrypt_is_refused_with_a_word_why_and_others_are_read() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("good", "x");
    replace(&store.store().join("text.gpg"), "no encrypted file");
    store.run("sh", &["-c", "head -c -10 store/good.gpg > store/cut.gpg"], "");
    let Some(stage) = stage(&store, "approval = \"policy\"\n") else { return };
    let mut agent = Person::of(OWNER);
    for name in ["pass/text", "pass/cut"] {
        assert_eq!(agent.reads(&stage.path(name)), Err("EACCES".to_owned()), "{name}");
    }
    let denial = agent.must(&format!("read({:?}).decode()", stage.path(".ward/last-denial")));
    let denial = denial.as_str().unwrap();
    assert!(denial.contains("the password store does not give it"), "{denial}");
    let (code, _, said) = ward(&stage, &mut agent, &["get", "pass/text", "--raw"]);
    assert!(code == 1 && said.contains("E400"), "{code} {said}");
    let said = ward(&stage, &mut agent, &["--json", "get", "pass/cut", "--raw"]).1;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["error"]["code"], "source-refused");
    let refused = stage.log_of("file.refused", "pass/cut");
    let refused = if refused.is_empty() { stage.log_of("refused", "pass/cut") } else { refused };
    assert!(refused[0]["reason"].as_str().unwrap().contains("password store"), "{refused:?}");
    assert_eq!(stage.log_of("file.open", "pass/cut").len(), 0);
    assert_eq!(get(&stage, &mut agent, "good"), Ok("x".to_owned()));
}

#[test]
fn a_store_that_cannot_be_read_is_told_by_status_and_doctor() {
    let Some((store, stage)) = two_entries() else { return };
    store.run("chmod", &["0000", "store"], "");
    stage.root().ward(&["list"]).succeed();
    let status = stage.root().run(&["status"]).stdout;
    assert!(status.contains("the password store cannot be asked"), "{status}");
    let doctor = stage.root().run(&["doctor"]);
    assert!(doctor.stdout.contains("sources.pass"), "{doctor:?}");
    store.run("chmod", &["0700", "store"], "");
    // What was shown is still there: nothing said that it is gone.
    let mut agent = Person::of(OWNER);
    assert!(ward(&stage, &mut agent, &["list"]).1.contains("pass/prod/web"));
}

#[test]
fn settings_that_cannot_work_are_refused_with_their_place() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    for (more, said) in [
        ("at = \"../x\"\n", "line 11, column 6"),
        ("vault = \"No Vault\"\n", "cannot name a vault"),
        ("approval = \"never\"\n", "unknown variant `never`"),
        ("patience = \"0s\"\n", "no time"),
        ("stores = \"/x\"\n", "did you mean `store`"),
    ] {
        let Some(stage) = crate::support::stage::Stage::still("10s", RULES) else { return };
        stage.root().configure(&store.table(more));
        let ended = stage.root().run(&["config", "validate"]);
        assert!(ended.stderr.contains(said) || ended.stdout.contains(said), "{more}: {ended:?}");
    }
}

#[test]
fn the_value_is_in_no_file_of_the_root_and_no_word_of_the_log() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("token", "s3cret-of-the-store");
    let Some(stage) = stage_with(&store, "approval = \"policy\"\n", RULES) else { return };
    let mut agent = Person::of(OWNER);
    assert_eq!(get(&stage, &mut agent, "token"), Ok("s3cret-of-the-store".to_owned()));
    stage.unmount();
    stage.root().ward(&["daemon", "stop"]).succeed();
    let root = stage.root().path().to_str().unwrap().to_owned();
    let found = std::process::Command::new("grep")
        .args(["-rlF", "s3cret-of-the-store", &root])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
}
