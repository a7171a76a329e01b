//! Names of a store in a vault: which there are, for whom, and that nobody changes them there.

use super::{RULES, get, stage, stage_with, two_entries, ward};
use crate::support::pass_store::PassStore;
use crate::support::person::Person;
use crate::support::users::{OWNER, STRANGER};
use crate::support::wait;
use serde_json::json;
use std::os::unix::fs::symlink;

fn listed(person: &mut Person, folder: &str) -> Vec<String> {
    let names = person.must(&format!("sorted(os.listdir({folder:?}))"));
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn entries_come_and_go_in_the_vault_as_they_do_in_the_store() {
    let Some((store, stage)) = two_entries() else { return };
    let mut agent = Person::of(OWNER);
    assert_eq!(listed(&mut agent, &stage.path("pass/prod")), ["db", "web"]);
    store.insert("new/one", "x");
    let names = ward(&stage, &mut agent, &["list"]).1;
    assert!(names.contains("pass/new/one"), "{names}");
    store.insert("new/two", "x");
    // Looked up by its name at once, before anybody listed it.
    let path = stage.path("pass/new/two");
    assert!(wait::until(|| agent.does(&format!("os.stat({path:?})")).is_ok()));
    store.pass(&["rm", "--force", "new/one"], "");
    store.pass(&["rm", "--force", "new/two"], "");
    let folder = stage.path("pass");
    assert!(wait::until(|| listed(&mut agent, &folder) == ["prod"]));
    assert_eq!(get(&stage, &mut agent, "new/one"), Err(5));
}

#[test]
fn what_a_source_shows_is_changed_in_the_store_and_nowhere_else() {
    let Some((_store, stage)) = two_entries() else { return };
    let mut agent = Person::of(OWNER);
    let (web, new) = (stage.path("pass/prod/web"), stage.path("pass/prod/new"));
    assert_eq!(agent.fails(&format!("write({web:?}, 'x', 0)")), "EROFS");
    assert_eq!(agent.fails(&format!("write({web:?}, 'x')")), "EROFS");
    assert_eq!(agent.fails(&format!("write({new:?}, 'x')")), "EROFS");
    assert_eq!(agent.fails(&format!("os.mkdir({new:?})")), "EROFS");
    assert_eq!(agent.fails(&format!("os.unlink({web:?})")), "EROFS");
    assert_eq!(agent.fails(&format!("os.rmdir({:?})", stage.path("pass/prod/db"))), "EROFS");
    assert_eq!(agent.fails(&format!("os.rename({web:?}, {new:?})")), "EROFS");
    assert_eq!(agent.fails(&format!("os.rename({web:?}, {:?})", stage.path("free"))), "EROFS");
    assert_eq!(agent.fails(&format!("os.truncate({web:?}, 0)")), "EROFS");
    assert_eq!(agent.must(&format!("shown({web:?})[2]")), "0o400");
    for words in [["set", "pass/prod/web", "--generate"], ["set", "pass/more", "--generate"]] {
        let (code, _, said) = ward(&stage, &mut agent, &words);
        assert!(code == 6 && said.contains("pass insert"), "{code} {said}");
    }
    assert_eq!(ward(&stage, &mut agent, &["revoke", "pass/prod/web"]).0, 6);
}

#[test]
fn a_name_of_the_store_exists_for_nobody_whom_the_policy_does_not_show_it() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("mine/token", "x");
    store.insert("prod/web", "x");
    let rules = RULES.replace("pass/**", "pass/prod/**");
    let Some(stage) = stage_with(&store, "", &rules) else { return };
    let mut agent = Person::of(OWNER);
    assert_eq!(listed(&mut agent, &stage.path("pass")), ["prod"]);
    assert_eq!(agent.reads(&stage.path("pass/mine/token")), Err("ENOENT".to_owned()));
    assert_eq!(get(&stage, &mut agent, "mine/token"), Err(5));
    let names = ward(&stage, &mut agent, &["list"]).1;
    assert!(names.contains("pass/prod/web") && !names.contains("mine"), "{names}");
}

#[test]
fn no_link_leads_out_of_the_store_and_names_that_are_no_secrets_are_counted() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("good", "x");
    store.insert("both", "x");
    store.insert("both/below", "x");
    store.run("cp", &["store/good.gpg", "outside.gpg"], "");
    let at = store.store();
    symlink(store.at("outside.gpg"), at.join("out.gpg")).unwrap();
    symlink("../outside.gpg", at.join("up.gpg")).unwrap();
    symlink("/etc", at.join("etc")).unwrap();
    symlink("good.gpg", at.join("inside.gpg")).unwrap();
    symlink("loop.gpg", at.join("loop.gpg")).unwrap();
    store.run("cp", &["store/good.gpg", "store/two\nlines.gpg"], "");
    store.run("mkfifo", &["store/pipe.gpg"], "");
    let Some(stage) = stage(&store, "approval = \"policy\"\n") else { return };
    let mut agent = Person::of(OWNER);
    assert_eq!(listed(&mut agent, &stage.path("pass")), ["both", "good", "inside"]);
    assert_eq!(agent.reads(&stage.path("pass/inside")), Ok("x".to_owned()));
    // out, up, etc, loop, the name of two lines, and `both`, which is a folder too.
    let status = stage.root().run(&["--json", "status"]).json();
    assert_eq!(status["result"]["sources"][0]["left_out"], 6, "{status}");
    assert_eq!(status["result"]["sources"][0]["entries"], 3, "{status}");
    let doctor = stage.root().run(&["doctor"]).stdout;
    assert!(doctor.contains("6 entries are not shown"), "{doctor}");
    // A link that is put in the place of an entry after it was shown.
    std::fs::remove_file(at.join("good.gpg")).unwrap();
    symlink("../outside.gpg", at.join("good.gpg")).unwrap();
    assert!(agent.reads(&stage.path("pass/good")).is_err());
}

#[test]
fn a_secret_of_the_vault_that_lies_there_stays_and_is_read_as_before() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("both", "of the store");
    let Some(stage) = crate::support::stage::Stage::served("10s", RULES) else { return };
    for name in ["pass/both", "pass/old"] {
        stage.root().ward(&["set", name, "--stdin"]).given(b"of the vault").succeed();
    }
    stage.root().ward(&["daemon", "stop"]).succeed();
    stage.root().configure(&store.table("approval = \"policy\"\n"));
    stage.root().ward(&["daemon", "start"]).succeed();
    let mut agent = Person::of(OWNER);
    for name in ["pass/both", "pass/old"] {
        assert_eq!(get(&stage, &mut agent, name), Ok("of the vault".to_owned()));
    }
    stage.root().ward(&["revoke", "pass/both"]).succeed();
    assert_eq!(get(&stage, &mut agent, "both"), Ok("of the store".to_owned()));
}

#[test]
fn an_export_has_what_the_vault_holds_and_names_what_the_store_does() {
    if !crate::support::users::can_act_as_others() {
        return;
    }
    let Some(store) = PassStore::of(STRANGER, "") else { return };
    store.insert("prod/db/root-password", "of the store");
    store.insert("web", "of the store");
    let Some(stage) = crate::support::stage::Stage::served("10s", RULES) else { return };
    for name in ["own/token", "pass/old"] {
        stage.root().ward(&["set", name, "--stdin"]).given(b"of the vault").succeed();
    }
    stage.root().ward(&["daemon", "stop"]).succeed();
    // Nobody would have to be asked.
    stage.root().configure(&store.table("approval = \"policy\"\n"));
    stage.root().ward(&["daemon", "start"]).succeed();
    // Also through a mount that is there.
    for target in ["out", "again"] {
        let told = stage.root().run(&["--json", "vault", "export", "default", target]);
        assert_eq!(told.status, Some(0), "{told:?}");
        let report = told.json()["result"].clone();
        assert_eq!(report["elsewhere"], json!(["pass/prod/db/root-password", "pass/web"]));
        assert_eq!((&report["files"], &report["left_out"]), (&json!(2), &json!([])), "{report}");
        assert_eq!(report["directories"], 2, "{report}");
        let copied = stage.root().directory().join(target);
        for name in ["own/token", "pass/old"] {
            assert_eq!(std::fs::read_to_string(copied.join(name)).unwrap(), "of the vault");
        }
        let shown: Vec<_> = std::fs::read_dir(copied.join("pass")).unwrap().collect();
        assert_eq!(shown.len(), 1, "nothing of the store, and no folder of it");
        if target == "out" {
            stage.mount(&[]);
        }
    }
    assert_eq!(stage.log_of("file.open", "pass/web").len(), 0, "gpg is not asked for it");
    let words = stage.root().ward(&["vault", "export", "default", "third"]).succeed();
    assert!(
        words.ends_with("kept elsewhere: pass/prod/db/root-password\nkept elsewhere: pass/web\n"),
        "{words}"
    );
}
