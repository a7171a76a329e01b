//! Nothing is lost by the end of something: section "Expiry, approval, loss" of docs/gloves.md.

use crate::support::root::Root;
use crate::support::stage::replace;
use crate::support::wait;
use std::collections::BTreeMap;
use std::io::Write;

#[test]
fn no_check_no_end_and_no_name_takes_the_key_of_a_vault() {
    let root = Root::private().serving();
    root.ward(&["vault", "init", "work"]).succeed();
    root.ward(&["set", "work:ended", "--value", "old", "--ttl", "1s"]).succeed();
    root.ward(&["set", "work:kept", "--value", "hunter2"]).succeed();
    let keys = || -> BTreeMap<_, _> {
        let entries = std::fs::read_dir(root.path().join("keys")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    let before = keys();
    assert_eq!(before.len(), 2);
    assert!(wait::until(|| root.run(&["get", "work:ended", "--raw"]).stderr.contains("[E302]")));
    // What would take the key of a vault there: the regular check, and a revoke of its name.
    root.ward(&["verify"]).succeed();
    for name in ["vault/work", "work:vault/work", "work", "keys/work"] {
        let ended = root.run(&["revoke", name]);
        assert_eq!(ended.status, Some(5), "{name}: {ended:?}");
    }
    root.ward(&["revoke", "work:ended"]).succeed();
    root.ward(&["verify"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    assert!(keys() == before, "a key was changed");
    assert_eq!(root.ward(&["get", "work:kept", "--raw"]).succeed(), "hunter2");
}

#[test]
fn a_vault_opens_with_every_byte_of_what_opens_it_and_with_no_part() {
    let root = Root::private();
    let word = |name: &str, text: &str| replace(&root.directory().join(name), text);
    // One final newline is the file's, every other byte the passphrase's.
    word("whole", "a\nTAIL\n");
    word("line", "a\n");
    word("part", "a\nTAI");
    root.ward(&["vault", "init", "lines", "--passphrase-file", "whole"]).succeed();
    let mount = |word: &str| {
        root.run(&["vault", "mount", "lines", "here", "--passphrase-file", word]).status
    };
    assert_eq!((mount("line"), mount("part"), mount("whole")), (Some(8), Some(8), Some(0)));
    root.ward(&["vault", "unmount", "lines"]).succeed();
    root.ward(&["set", "a", "--value", "hunter2"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let file = root.path().join("keys/default");
    let key = std::fs::read(&file).unwrap();
    let put = |bytes: &[u8]| std::fs::File::create(&file).unwrap().write_all(bytes).unwrap();
    let opens = || {
        let status = root.run(&["get", "a", "--raw"]).status;
        root.ward(&["daemon", "stop"]).succeed();
        status == Some(0)
    };
    for place in [0, key.len() / 2, key.len() - 1] {
        let mut other = key.clone();
        other[place] ^= 1;
        put(&other);
        assert!(!opens(), "byte {place} does not count");
    }
    put(&key[..key.len() - 1]);
    assert!(!opens(), "a part of it is enough");
    put(&key);
    assert!(opens());
}
