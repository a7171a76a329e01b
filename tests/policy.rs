//! What is told about the policy in force, and to whom.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::{OWNER, STRANGER};

#[test]
fn a_live_process_and_an_entry_are_explained_to_an_admin_and_to_nobody_else() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("cat/token", "s3cret");
    let mut owner = Person::of(OWNER);
    assert_eq!(owner.reads(&path), Err("EACCES".to_owned()));

    let pid = owner.pid().to_string();
    let ended = stage.root().run(&["policy", "explain", "file.read", "cat/token", "--pid", &pid]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("file.read  deny: no rule matches\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("clients.cat.exe is /usr/bin/python3"), "{}", ended.stdout);

    let refused = stage.log_of("refused", "cat/token").pop().unwrap();
    let seq = refused["seq"].as_str().unwrap();
    let ended = stage.root().run(&["--json", "explain", seq]);
    let answer = &ended.json()["result"];
    assert_eq!(answer["record"]["decision"], "denied");
    assert_eq!(answer["record"]["policy"], answer["policy"]);
    assert_eq!(answer["caller"]["uid"], refused["actor"]["uid"]);
    let nearest = &answer["explanation"]["operations"][0]["nearest"];
    assert!(nearest.as_array().unwrap().iter().any(|it| it["rule"] == "cat-reads"), "{nearest}");

    for words in [&["explain", seq][..], &["policy", "explain", "file.read", "cat/token"]] {
        let told = stage.root().ward(words).by(STRANGER).run();
        assert_eq!((told.status, told.stdout.as_str()), (Some(3), ""), "{told:?}");
        assert!(!told.stderr.contains("cat-reads"), "{}", told.stderr);
    }
}
