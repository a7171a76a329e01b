//! Copies of whole vaults: out to plain files, in from plain files and from gocryptfs.

use crate::support::root::Root;
use crate::support::stage::{Stage, replace};
use crate::support::users::OWNER;
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// A tree with what a vault of kind `secrets` holds, and with what it does not.
fn tree(at: &Path) {
    std::fs::create_dir_all(at.join("db")).unwrap();
    replace(&at.join("db/password"), "hunter2");
    replace(&at.join("top"), "of all");
    std::fs::hard_link(at.join("top"), at.join("top-again")).unwrap();
    std::os::unix::fs::symlink("top", at.join("link")).unwrap();
    nix::unistd::mkfifo(&at.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let long_ago = "2001-02-03 04:05:06.123456789 UTC";
    let touched =
        Command::new("/usr/bin/touch").args(["-d", long_ago]).arg(at.join("top")).status();
    assert!(touched.unwrap().success());
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_directory_goes_into_a_vault_and_out_again_with_a_word_on_what_did_not() {
    let root = Root::private().serving();
    let (source, target) = (root.directory().join("in"), root.directory().join("out"));
    tree(&source);
    let ended = root.run(&["--json", "vault", "import", "default", "in"]);
    assert_eq!(ended.status, Some(1), "something was left out: {ended:?}");
    let report = ended.json();
    let result = &report["result"];
    assert_eq!((&result["files"], &result["directories"]), (&json!(3), &json!(1)), "{report}");
    let left: Vec<&str> = result["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["fifo", "link"]);
    assert_eq!(result["not_kept"], json!({ "link to another name": 2 }));
    assert_eq!(root.mounts(), Vec::<String>::new());

    let told = root.ward(&["vault", "export", "default", "out"]).succeed();
    assert_eq!(told, "exported 3 files (19 bytes), 1 directory, 0 others\n");
    assert_eq!(text(&target.join("db/password")), "hunter2");
    assert_eq!(text(&target.join("top-again")), "of all");
    let top = target.join("top").metadata().unwrap();
    assert_eq!((top.mtime(), top.mtime_nsec()), (981_173_106, 123_456_789));
    assert_eq!(top.permissions().mode() & 0o777, 0o600);
    assert_eq!(target.join("db").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let log = root.ward(&["--json", "audit", "show", "--limit", "500"]).succeed();
    for operation in ["vault.import", "vault.export"] {
        assert!(log.contains(operation), "{operation}: {log}");
    }
    assert_eq!(log.matches("\"eventType\":\"file.open\",").count(), 6, "each is recorded: {log}");
}

#[test]
fn a_name_that_is_there_already_is_left_alone_and_the_report_says_so() {
    let root = Root::private().serving();
    root.ward(&["set", "top", "--value", "mine"]).succeed();
    std::fs::create_dir(root.directory().join("in")).unwrap();
    replace(&root.directory().join("in/top"), "theirs");
    let ended = root.run(&["vault", "import", "default", "in"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stdout.ends_with("left out: top: there is something of that name already\n"),
        "{ended:?}"
    );
    assert_eq!(root.ward(&["get", "top", "--raw"]).succeed(), "mine");
}

#[test]
fn a_copy_stays_on_its_file_system_so_that_no_vault_is_copied_into_itself() {
    let root = Root::private().serving();
    let source = root.directory().join("in");
    std::fs::create_dir_all(source.join("other")).unwrap();
    replace(&source.join("file"), "x");
    root.ward(&["vault", "init", "second"]).succeed();
    root.ward(&["set", "second:inner", "--value", "y"]).succeed();
    root.ward(&["vault", "mount", "second", source.join("other").to_str().unwrap()]).succeed();
    let ended = root.run(&["vault", "import", "default", "in"]);
    root.ward(&["vault", "unmount", "second"]).succeed();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let told = "left out: other: another file system is mounted there\n";
    assert!(ended.stdout.ends_with(told), "{ended:?}");
    assert_eq!(root.ward(&["get", "file", "--raw"]).succeed(), "x");
}

#[test]
fn an_export_holds_what_the_caller_may_read_and_nothing_else() {
    let rules = "[[rule]]\nname = \"export\"\nclients = [\"owner\"]\n\
                 ops = [\"vault.export\", \"vault.status\", \"vault.unmount\"]\n\
                 path = [\"*\"]\ndecide = \"allow\"\n";
    let Some(stage) = Stage::served("1s", rules) else { return };
    let root = stage.root();
    for name in ["read/mine", "other/hidden"] {
        root.ward(&["set", name, "--value", name]).succeed();
    }
    let target = root.directory().join("out");
    std::fs::create_dir(&target).unwrap();
    let owner = crate::support::users::user(OWNER);
    nix::unistd::chown(&target, Some(owner.uid), Some(owner.gid)).unwrap();
    let words = ["vault", "export", "default", "out"];
    let told = root.ward(&words).by(OWNER).succeed();
    assert_eq!(told, "exported 1 file (9 bytes), 1 directory, 0 others\n");
    assert_eq!(text(&target.join("read/mine")), "read/mine");
    assert!(!target.join("other").exists());
    let by_a_stranger = root.ward(&words).by(crate::support::users::STRANGER).run();
    assert_eq!(by_a_stranger.status, Some(3), "{by_a_stranger:?}");
}

#[test]
fn an_export_goes_only_into_an_empty_directory_and_through_no_link() {
    let root = Root::private();
    std::fs::create_dir(root.directory().join("full")).unwrap();
    replace(&root.directory().join("full/file"), "x");
    std::os::unix::fs::symlink("/tmp", root.directory().join("link")).unwrap();
    for (place, status) in [("full", 6), ("link", 7), ("no/such", 7)] {
        let ended = root.run(&["vault", "export", "default", place]);
        assert_eq!(ended.status, Some(status), "{place}: {ended:?}");
    }
}

#[test]
fn a_vault_that_was_rolled_back_can_be_exported() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    std::fs::remove_file(root.path().join("pins/default")).unwrap();
    assert_eq!(root.run(&["get", "a", "--raw"]).status, Some(10));
    root.ward(&["vault", "export", "default", "out"]).succeed();
    assert_eq!(text(&root.directory().join("out/a")), "x");
    let imported = root.run(&["vault", "import", "default", "out"]);
    assert_eq!(imported.status, Some(10), "{imported:?}");
    assert_eq!(root.run(&["get", "a", "--raw"]).status, Some(10));
}

#[test]
fn a_gocryptfs_volume_goes_into_a_vault() {
    if !Path::new("/usr/bin/gocryptfs").exists() {
        return;
    }
    let root = Root::private().serving();
    let (volume, plain) = (root.directory().join("volume"), root.directory().join("plain"));
    for directory in [&volume, &plain] {
        std::fs::create_dir(directory).unwrap();
    }
    replace(&root.directory().join("pass"), "correct horse\n");
    replace(&root.directory().join("wrong"), "battery staple\n");
    let gocryptfs = |words: &[&str]| {
        let mut command = Command::new("gocryptfs");
        command.args(["-quiet", "-scryptn", "10", "-passfile", "pass"]).args(words);
        command.current_dir(root.directory()).stdin(Stdio::null());
        assert!(command.status().unwrap().success(), "{words:?}");
    };
    gocryptfs(&["-init", "volume"]);
    gocryptfs(&["volume", "plain"]);
    tree(&plain);
    let ended = Command::new("fusermount3").arg("-u").arg(&plain).status().unwrap();
    assert!(ended.success());

    let import = |pass: &str| {
        let words = ["vault", "import", "default", "--gocryptfs", "volume"];
        root.run(&[&words[..], &["--gocryptfs-passphrase-file", pass]].concat())
    };
    let refused = import("wrong");
    assert_eq!(refused.status, Some(8), "{refused:?}");
    let ended = import("pass");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let told = "imported 3 files (19 bytes), 1 directory, 0 others\n";
    assert!(ended.stdout.starts_with(told), "{ended:?}");
    assert!(ended.stdout.contains("left out: link: a symbolic link"), "{ended:?}");
    assert_eq!(root.ward(&["get", "db/password", "--raw"]).succeed(), "hunter2");
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!table.contains(volume.to_str().unwrap()), "{table}");
}

#[test]
fn a_workspace_takes_a_whole_tree_with_all_that_belongs_to_it_and_gives_it_back() {
    let root = Root::private().serving();
    root.ward(&["vault", "init", "work", "--kind", "workspace"]).succeed();
    let source = root.directory().join("in");
    tree(&source);
    let file = std::fs::File::create(source.join("sparse")).unwrap();
    file.set_len(10 << 20).unwrap();
    nix::unistd::chown(&source.join("db"), Some(1234.into()), Some(4321.into())).unwrap();
    std::fs::set_permissions(source.join("top"), std::fs::Permissions::from_mode(0o4751)).unwrap();
    let attribute = rustix::fs::setxattr(
        source.join("top"),
        "user.origin",
        b"here",
        rustix::fs::XattrFlags::empty(),
    );
    attribute.unwrap();
    for words in [["vault", "import", "work", "in"], ["vault", "export", "work", "out"]] {
        let told = root.ward(&words).succeed();
        assert!(told.ends_with("3 files (10.0 MiB), 1 directory, 3 others\n"), "{told}");
    }
    // rsync(1) finds no difference: owners, modes, times, links, attributes, content, holes.
    let rsync = Command::new("rsync")
        .args([
            "-a",
            "-H",
            "-A",
            "-X",
            "--checksum",
            "--dry-run",
            "--itemize-changes",
            "--delete",
            "in/",
            "out/",
        ])
        .current_dir(root.directory())
        .output()
        .unwrap();
    let differences = String::from_utf8_lossy(&rsync.stdout).into_owned();
    let below: Vec<&str> = differences.lines().filter(|line| !line.ends_with(" ./")).collect();
    assert!(rsync.status.success() && below.is_empty(), "{rsync:?}");
    assert_eq!(root.directory().join("out/sparse").metadata().unwrap().blocks(), 0);
}
