//! What is told about the policy in force, and to whom.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, policy, replace};
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

#[test]
fn a_reload_says_what_changed_and_which_leases_ended_and_the_log_says_so_too() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("ask/token", "s3cret");
    let mut owner = Person::of(OWNER);
    owner.begin(&format!("read({path:?})"));
    assert_eq!(stage.approve(&stage.held("ask/token")).status, Some(0));
    assert_eq!(owner.end(), Ok("s3cret".into()));

    let changed = policy(HOLD, "\n[clients.new]\nuid = 7\n").replace("ask/**", "asked/**");
    replace(&stage.root().path().join("policy.toml"), &changed);
    let answer = stage.root().run(&["--json", "policy", "reload"]).json();
    let parts: Vec<&str> = answer["result"]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["part"].as_str().unwrap())
        .collect();
    assert_eq!(parts, ["clients.new", "rule ask-first-use"]);
    let ended = answer["result"]["leases_ended"].as_array().unwrap();
    assert_eq!((ended.len(), &ended[0]["path"]), (1, &"ask/token".into()));
    let log = stage.log();
    let loaded = log.iter().rfind(|entry| entry["eventType"] == "policy.loaded");
    let why = loaded.unwrap()["reason"].as_str().unwrap().to_owned();
    let lease = ended[0]["lease"].as_str().unwrap();
    let expected =
        format!("clients.new added; rule ask-first-use changed (path); lease {lease} ended");
    assert_eq!(why, expected);
    assert_eq!(owner.reads(&path), Err("ENOENT".to_owned()), "no rule shows it any more");

    replace(&stage.root().path().join("policy.toml"), "version = 2\n");
    let refused = stage.root().run(&["policy", "reload"]);
    assert_eq!(refused.status, Some(7), "{refused:?}");
    let log = stage.log();
    let refused = log.iter().filter(|entry| entry["eventType"] == "policy.refused");
    assert_eq!(refused.count(), 1);
}

#[test]
fn another_policy_is_asked_about_what_the_log_tells_and_rules_are_learned_from_it() {
    let Some(stage) = Stage::set() else { return };
    let (both, cat) = (stage.secret("both/token", "s3cret"), stage.secret("cat/token", "x"));
    let mut owner = Person::of(OWNER);
    assert_eq!(owner.reads(&both), Ok("s3cret".to_owned()));
    assert_eq!(owner.reads(&both), Ok("s3cret".to_owned()));
    assert_eq!(owner.reads(&cat), Err("EACCES".to_owned()));

    let other =
        policy(HOLD, "").replace("both/**", "bo/**").replace("exe = [\"/usr/bin/cat\"]", "");
    let file = stage.root().directory().join("other.toml");
    replace(&file, &other);
    let replay = ["--json", "policy", "replay", file.to_str().unwrap()];
    let answer = stage.root().run(&replay).json();
    let groups = answer["result"]["groups"].as_array().unwrap();
    let told: Vec<_> = groups
        .iter()
        .map(|it| (it["was"].as_str().unwrap(), it["would_be"].as_str().unwrap(), &it["count"]))
        .collect();
    assert_eq!(told, [("allow", "deny", &2.into()), ("deny", "allow", &1.into())]);
    assert_eq!(groups[0]["names"][0], "default:both/token");
    assert_eq!(groups[1]["by"], "cat-reads");

    let learn = ["policy", "learn", "--for", "1h", "--client", "owner"];
    let proposal = stage.root().ward(&learn).succeed();
    let expected = "\n# asked for 1 time\n[[rule]]\nname = \"learned-owner-1\"\n\
        clients = [\"owner\"]\nops = [\"file.read\"]\npath = [\"default:cat/token\"]\n\
        decide = \"allow\"\n";
    assert!(proposal.ends_with(expected), "{proposal}");
    let learned = format!("{}{proposal}", policy(HOLD, ""));
    replace(&stage.root().path().join("policy.toml"), &learned);
    stage.root().ward(&["policy", "reload"]).succeed();
    assert_eq!(owner.reads(&cat), Ok("x".to_owned()));
}

#[test]
fn a_client_that_nobody_alive_is_and_a_guard_that_says_when_to_come_back_are_told() {
    let odd =
        "\n[clients.gone]\nexe = \"/usr/bin/not-there\"\n[defaults.rate]\nmax = 1\nper = \"1h\"\n";
    let Some(stage) = Stage::with(HOLD, odd) else { return };
    let checked = stage.root().ward(&["policy", "check"]).succeed();
    assert!(
        checked.contains("odd: client gone: no process that lives shows its facts"),
        "{checked}"
    );
    assert!(!checked.contains("client admin:"), "{checked}");
    stage.secret("both/token", "s3cret");
    let get = ["get", "both/token", "--raw"];
    assert_eq!(stage.root().ward(&get).by(STRANGER).run().status, Some(0));
    let refused = stage.root().ward(&get).by(STRANGER).run();
    assert_eq!(refused.status, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("next: come back in 36"), "{}", refused.stderr);
}

#[test]
fn a_file_that_is_too_long_for_a_policy_is_refused_and_not_read_whole() {
    let root = Root::absent();
    let file = root.directory().join("long.toml");
    std::fs::File::create(&file).unwrap().set_len(1 << 40).unwrap();
    let refused = root.run(&["policy", "check", file.to_str().unwrap()]);
    assert_eq!(refused.status, Some(7), "{refused:?}");
    assert!(refused.stderr.contains("over 4 MiB"), "{refused:?}");
}
