//! What opens a vault: codes on paper, copies of the header, and what is gone when it was removed.

use crate::support::root::Root;
use crate::support::stage::replace;

#[test]
fn a_recovery_code_opens_a_vault_whose_key_file_is_lost() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    let added = root.run(&["--json", "vault", "key", "add", "default", "--slot", "recovery"]);
    let code = added.json()["result"]["recovery_code"].as_str().unwrap().to_owned();
    root.ward(&["daemon", "stop"]).succeed();
    std::fs::remove_file(root.path().join("keys/default")).unwrap();
    let ended = root.run(&["get", "a", "--raw"]);
    assert_eq!(ended.status, Some(8), "{ended:?}");
    // As a person types it.
    replace(
        &root.directory().join("code"),
        &format!("{}\n", code.to_lowercase().replace('-', " ")),
    );
    let words = ["get", "a", "--raw", "--passphrase-file", "code"];
    assert_eq!(root.ward(&words).succeed(), "x");
    // The daemon makes a new key file, and asks nobody from then on.
    root.ward(&["vault", "key", "add", "default", "--slot", "keyfile"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    assert_eq!(root.ward(&["get", "a", "--raw"]).succeed(), "x");
    let log = root.ward(&["--json", "audit", "show"]).succeed();
    assert!(!log.contains(&code) && log.contains("vault.key.add"), "{log}");
}

#[test]
fn a_copy_of_the_header_from_before_a_slot_was_removed_counts_as_a_rollback() {
    let root = Root::private();
    root.ward(&["set", "a", "--value", "x"]).succeed();
    root.ward(&["vault", "key", "add", "default", "--slot", "recovery"]).succeed();
    root.ward(&["vault", "header", "backup", "copy"]).succeed();
    root.ward(&["vault", "key", "remove", "default", "1"]).succeed();
    root.ward(&["vault", "header", "restore", "copy"]).succeed();
    let ended = root.run(&["get", "a", "--raw"]);
    assert_eq!(ended.status, Some(10), "{ended:?}");
    assert!(ended.stderr.contains("was rolled back"), "{ended:?}");
    let asked = root.run(&["vault", "accept-restore", "default"]);
    assert!(asked.stderr.contains("1 change of key slots"), "{asked:?}");
}

#[test]
fn a_vault_with_a_mount_keeps_its_header_until_the_mount_ends() {
    let root = Root::private().serving();
    root.ward(&["vault", "header", "backup", "copy"]).succeed();
    let place = root.directory().join("mount");
    std::fs::create_dir(&place).unwrap();
    root.ward(&["vault", "mount", "default", place.to_str().unwrap()]).succeed();
    let ended = root.run(&["vault", "header", "restore", "copy"]);
    assert_eq!(ended.status, Some(6), "{ended:?}");
    assert!(ended.stderr.contains("end its mount: ward vault unmount default"), "{ended:?}");
    root.ward(&["vault", "unmount", "default"]).succeed();
    root.ward(&["vault", "header", "restore", "copy"]).succeed();
}

#[test]
fn a_vault_gets_a_new_key_and_every_slot_whose_secret_is_given_still_opens_it() {
    let root = Root::private();
    let write = |name: &str, text: &str| replace(&root.directory().join(name), text);
    root.ward(&["set", "a", "--value", "x"]).succeed();
    write("pass", "correct horse\n");
    let words = ["--slot", "passphrase", "--new-passphrase-file", "pass"];
    root.ward(&[&["vault", "key", "add", "default"][..], &words].concat()).succeed();
    let added = root.run(&["--json", "vault", "key", "add", "default", "--slot", "recovery"]);
    write("code", added.json()["result"]["recovery_code"].as_str().unwrap());
    let refused = root.run(&["vault", "rekey", "default", "--passphrase-file", "pass"]);
    assert_eq!(refused.status, Some(8), "{refused:?}");
    assert!(refused.stderr.contains("key slots 2 (Recovery)"), "{refused:?}");
    let both = ["--passphrase-file", "pass", "--passphrase-file", "code"];
    root.ward(&[&["vault", "rekey", "default"][..], &both].concat()).succeed();
    root.ward(&["vault", "key", "remove", "default", "0"]).succeed();
    for secret in ["pass", "code"] {
        root.ward(&["daemon", "stop"]).succeed();
        let words = ["get", "a", "--raw", "--passphrase-file", secret];
        assert_eq!(root.ward(&words).succeed(), "x", "{secret}");
    }
}
