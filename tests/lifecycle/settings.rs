//! `ward.toml`: read strictly, and taken while the daemon runs where that can be.

use crate::support::person::Person;
use crate::support::root::Root;
use crate::support::stage::{HOLD, Stage, replace};
use crate::support::users::{OWNER, STRANGER, can_act_as_others, user};
use crate::support::wait;
use nix::unistd::Group;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn a_daemon_does_not_start_with_a_mistake_and_says_where_it_is() {
    let root = Root::private();
    root.configure("[mount]\nttll = \"2h\"\n");
    let ended = root.run(&["daemon", "start"]);
    assert_eq!(ended.status, Some(9), "{ended:?}");
    assert!(
        ended.stderr.contains("ward.toml, line 8, column 1: unknown field `ttll`"),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("did you mean `ttl`?"), "{ended:?}");
}

/// A line of the template as it is with the mark of its comment taken away, when it is a setting.
fn taken(line: &str) -> &str {
    let plain = line.trim_start_matches("#: ").trim_start_matches("# ");
    let key = plain.split(" = ").next().unwrap_or_default();
    let is_setting = plain.starts_with('[') || (key != plain && !key.contains(' '));
    if is_setting { plain } else { line }
}

#[test]
fn every_setting_of_the_template_loads_with_the_value_that_it_shows() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system();
    let template = root.ward(&["config", "show", "--template"]).succeed();
    let lines: Vec<_> = template.lines().map(taken).collect();
    assert!(
        ["longest = \"24h\"", "hold = \"30d\"", "[audit.next_signer]"]
            .iter()
            .all(|it| lines.contains(it))
    );
    // Users and groups of this machine in place of those that it shows.
    let owner = user(OWNER).name;
    let shown = lines.join("\n").replace("\"ann\"", &format!("{owner:?}"));
    let shown = shown.replace("\"ward-signer\"", &format!("{owner:?}"));
    let shown = shown.replace("group = \"ward\"", "group = \"root\"");
    let made = std::fs::read_to_string(root.path().join("ward.toml")).unwrap();
    let (made, _) = made.split_once("\n[").unwrap();
    let file = root.directory().join("all.toml");
    replace(&file, &format!("{made}\n{shown}\n"));
    root.ward(&["config", "validate", file.to_str().unwrap()]).succeed();
}

#[test]
fn the_time_of_a_mount_is_that_of_the_flag_then_of_the_variable_then_of_the_file() {
    let root = Root::private();
    root.configure("[mount]\nttl = \"30m\"\nlongest = \"2h\"\n");
    let root = root.serving();
    let mounted = |words: &[&str], variable: &str| {
        let words = [&["vault", "mount", "default", "here"], words].concat();
        let said = root.ward(&words).with("WARD_TTL", variable).run();
        root.run(&["vault", "unmount", "default"]);
        (said.status, said.stdout.rsplit_once(" for ").map(|(_, time)| time.to_owned()))
    };
    assert_eq!(mounted(&[], ""), (Some(0), Some("30m\n".to_owned())));
    assert_eq!(mounted(&[], "20m"), (Some(0), Some("20m\n".to_owned())));
    assert_eq!(mounted(&["--ttl", "10m"], "20m"), (Some(0), Some("10m\n".to_owned())));
    assert_eq!(mounted(&["--ttl", "3h"], ""), (Some(7), None), "over the longest");
}

#[test]
fn a_reload_takes_what_a_running_daemon_can_take_and_names_what_waits_for_a_restart() {
    let root = Root::private().serving();
    root.configure("[mount]\nttl = \"30m\"\n[socket]\ngroup = \"root\"\n");
    let answer = root.run(&["--json", "policy", "reload"]).json();
    assert_eq!(answer["result"]["settings_changed"], serde_json::json!(["mount.ttl"]));
    assert_eq!(answer["result"]["settings_waiting"], serde_json::json!(["socket.group"]));
    let said = root.ward(&["vault", "mount", "default", "here"]).succeed();
    assert!(said.ends_with(" for 30m\n"), "{said}");
    root.ward(&["vault", "unmount", "default"]).succeed();
    root.configure("[limits]\nhandles = 0\n");
    let ended = root.run(&["policy", "reload"]);
    assert_eq!(ended.status, Some(7), "{ended:?}");
    let said = root.ward(&["vault", "mount", "default", "here"]).succeed();
    assert!(said.ends_with(" for 30m\n"), "the settings before stay: {said}");
    root.ward(&["vault", "unmount", "default"]).succeed();
}

#[test]
fn what_a_running_daemon_takes_counts_from_its_start_too() {
    let Some(stage) = Stage::still(HOLD, "") else { return };
    stage.root().configure("[limits]\nhandles = 1\n");
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.mount(&[]);
    let path = stage.secret("both/token", "s3cret");
    let mut owner = Person::of(OWNER);
    owner.must(&format!("one = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(owner.reads(&path), Err("EMFILE".to_owned()));
}

#[test]
fn a_user_with_as_many_open_files_as_one_may_have_gets_emfile_and_others_go_on() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("both/token", "s3cret");
    stage.root().configure("[limits]\nhandles = 3\n");
    stage.root().ward(&["policy", "reload"]).succeed();
    let mut owner = Person::of(OWNER);
    for name in ["one", "two", "three"] {
        owner.must(&format!("{name} = os.open({path:?}, os.O_RDONLY)"));
    }
    assert_eq!(owner.reads(&path), Err("EMFILE".to_owned()));
    assert_eq!(Person::of(STRANGER).reads(&path), Ok("s3cret".to_owned()));
    owner.must("os.close(two)");
    assert_eq!(owner.reads(&path), Ok("s3cret".to_owned()));
    let refused = stage.log_of("refused", "both/token").pop().unwrap();
    assert!(refused["reason"].as_str().unwrap().contains("[limits]"), "{refused}");
}

#[test]
fn the_socket_is_for_a_group_where_the_settings_name_one() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::system();
    let owner = user(OWNER);
    let group = Group::from_gid(owner.gid).unwrap().unwrap();
    root.configure(&format!("[socket]\ngroup = {:?}\n", group.name));
    let root = root.serving();
    let socket = std::fs::metadata(root.path().join("control.sock")).unwrap();
    assert_eq!((socket.permissions().mode() & 0o777, socket.gid()), (0o660, owner.gid.as_raw()));
    root.ward(&["whoami"]).by(OWNER).succeed();
    let ended = root.ward(&["whoami"]).by(STRANGER).run();
    assert_eq!(ended.status, Some(9), "{ended:?}");
}

#[test]
fn a_user_with_as_many_requests_as_one_may_have_loses_the_oldest() {
    let Some(stage) = Stage::set() else { return };
    stage.root().configure("[limits]\nrequests = 2\n");
    stage.root().ward(&["policy", "reload"]).succeed();
    for name in ["one", "two", "three"] {
        stage.secret(&format!("ask/{name}"), "s3cret");
        let words = ["request", &format!("ask/{name}"), "--reason", name];
        let ended = stage.root().ward(&words).by(OWNER).run();
        assert!(ended.stdout.contains("01") || ended.stderr.contains("01"), "{ended:?}");
    }
    let waiting = || stage.pending().iter().map(|it| it["path"].clone()).collect::<Vec<_>>();
    assert!(wait::until(|| waiting() == ["ask/two", "ask/three"]), "{:?}", waiting());
}
