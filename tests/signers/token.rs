//! A key in a token: one in software, by the same library interface as any other (PKCS#11).

use super::{
    KID, assert_whole, configure, configure_anew, entries, restart, rotate, signer, software,
};
use crate::support::root::Root;
use crate::support::users::{STRANGER, can_act_as_others, user};
use serde_json::{Value, json};
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use ward_audit::{ChainHash, Signer};

/// A token in software with an Ed25519 key made in it; the folder, and the public key.
fn token(root: &Root) -> (PathBuf, String) {
    let folder = root.directory().join("token");
    std::fs::create_dir_all(folder.join("tokens")).unwrap();
    let put = |name: &str, text: &str| {
        File::create(folder.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    };
    put("conf", &format!("directories.tokendir = {}\n", folder.join("tokens").display()));
    put("pin", &format!("{PIN}\n"));
    std::fs::set_permissions(folder.join("pin"), Permissions::from_mode(0o600)).unwrap();
    let run = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        let output =
            command.args(words).env("SOFTHSM2_CONF", folder.join("conf")).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let init = ["--init-token", "--free", "--label", "ward", "--pin", PIN, "--so-pin", "5678"];
    run("softhsm2-util", &init);
    let words = ["--login", "--pin", PIN, "--token-label", "ward", "--keypairgen"];
    let key = ["--key-type", "EC:edwards25519", "--label", KID, "--module", MODULE];
    let made = run("pkcs11-tool", &[&words[..], &key[..]].concat());
    let (_, point) = made.split_once("EC_POINT:").unwrap();
    // A DER octet string around the 32 bytes.
    let digits = point.trim_start().strip_prefix("0420").unwrap().get(..64).unwrap();
    let hash = ChainHash::from_hex(digits).unwrap();
    let public = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash.as_bytes());
    let stranger = user(STRANGER);
    let (uid, gid) = (stranger.uid.as_raw(), stranger.gid.as_raw());
    run("chown", &["-R", &format!("{uid}:{gid}"), folder.to_str().unwrap()]);
    (folder, public)
}

/// What nobody else says.
const PIN: &str = "pin-of-this-token";
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

fn of_token(folder: &Path, public: &str, pin_file: &str) -> String {
    format!(
        "[audit.next_signer]\nsource = \"pkcs11\"\nkid = \"{KID}\"\npublic_key = \"{public}\"\n\
         user = \"{STRANGER}\"\nmodule = \"{MODULE}\"\ntoken = \"ward\"\npin_file = {:?}\n\
         environment = {{ SOFTHSM2_CONF = {:?} }}\n",
        folder.join(pin_file),
        folder.join("conf"),
    )
}

#[test]
fn a_key_in_a_token_signs_the_log_and_never_leaves_it() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::private();
    let (folder, public) = token(&root);
    configure(&root, &of_token(&folder, &public, "pin"));
    root.ward(&["daemon", "start"]).succeed();
    root.ward(&["audit", "rotate-key"]).succeed();
    root.ward(&["set", "a", "--stdin"]).given(b"1").succeed();
    let signs = of_token(&folder, &public, "pin").replace("next_signer", "signer");
    configure_anew(&root, &format!("{signs}required = true\n"));
    restart(&root);
    let state = signer(&root);
    assert_eq!((&state["kid"], &state["source"]), (&json!(KID), &json!("pkcs11")));
    assert_eq!((&state["trouble"], &state["standby"]), (&Value::Null, &json!(false)));
    root.ward(&["set", "b", "--stdin"]).given(b"2").succeed();
    assert_whole(&root);
    // The PIN is on no command line and in no environment.
    let shown = Command::new("ps").args(["axeww", "-o", "args"]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let helpers: Vec<&str> = shown.lines().filter(|line| line.contains("helper audit.")).collect();
    assert!(!helpers.is_empty(), "{shown}");
    assert!(helpers.iter().all(|line| !line.contains(PIN)), "{helpers:?}");
}

#[test]
fn a_token_that_does_not_sign_says_why() {
    if !can_act_as_others() {
        return;
    }
    let root = Root::private();
    let (folder, public) = token(&root);
    File::create(folder.join("wrong")).unwrap().write_all(b"4321").unwrap();
    let open = |name: &str, mode: u32| {
        let path = folder.join(name);
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let stranger = user(STRANGER);
        chown(&path, Some(stranger.uid.as_raw()), Some(stranger.gid.as_raw())).unwrap();
    };
    open("wrong", 0o600);
    let good = of_token(&folder, &public, "pin");
    for (table, words) in [
        (of_token(&folder, &public, "wrong"), "does not take the PIN"),
        (of_token(&folder, &public, "none"), "the PIN file"),
        (good.replace("kid = \"audit-1\"", "kid = \"audit-2\""), "has no Ed25519 key"),
        (good.replace("token = \"ward\"", "token = \"other\""), "no token is called \"other\""),
        (good.replace("libsofthsm2", "libsofthsm9"), "cannot use the library"),
        (good.replace(&public, &other_key(&root)), "no signature by its public key"),
    ] {
        configure_anew(&root, &table);
        root.ward(&["daemon", "start"]).succeed();
        let refused = rotate(&root);
        assert_eq!(refused.status, Some(7), "{refused:?}");
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        root.ward(&["daemon", "stop"]).succeed();
    }
    configure_anew(&root, &good);
    open("pin", 0o644);
    root.ward(&["daemon", "start"]).succeed();
    let refused = rotate(&root);
    assert!(refused.stderr.contains("only its owner can open"), "{refused:?}");
    assert_eq!(entries(&root), []);
}

/// A public key that is not the token's.
fn other_key(root: &Root) -> String {
    software(root.directory(), "another").public().to_string()
}
