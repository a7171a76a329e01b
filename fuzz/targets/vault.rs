//! A vault of which one file is any bytes is refused, or every value in it is one that was written.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "what is written is for one input, in memory")]

use libfuzzer_sys::fuzz_target;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ward_policy::{
    Caller, Decision, Digest, FileId, Grade, GroupId, Lease, LeaseId, LocalTime, Moment, Operation,
    OperationSet, ProcessId, Question, Rules, ScopeKind, SecretPath, ThreadId, UserId, VaultName,
    Weekday,
};
use ward_store::{Keyfile, NodeKind, SlotSecret, Vault};

const POLICY: &str = "version = 1\n[ops]\n\"file.write\" = \"high\"\n[clients.me]\nuid = 1000\n\
    [[rule]]\nname = \"all\"\nclients = [\"me\"]\nops = [\"file.write\"]\npath = [\"**\"]\n\
    decide = \"allow\"\n";
/// Files of the vault; the first byte of the input says which of them the other bytes replace.
const FILES: [&str; 6] = [
    "header",
    "header.2",
    "segments/0000000001",
    "segments/0000000002",
    "segments/0000000003",
    "images/0000000001",
];

fuzz_target!(|input: &[u8]| {
    let Some((&which, bytes)) = input.split_first() else { return };
    let released = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mountd/store/tests/released/v1");
    let vault = copy(&released.join("vault"));
    // From the number of files on, both copies of the header.
    let which = usize::from(which);
    let replaced = FILES.get(which).map_or(&FILES[..2], |file| std::slice::from_ref(file));
    for file in replaced {
        fs::write(vault.join(file), bytes).expect("room for a file");
    }
    let keyfile = Keyfile::read(&private(&released.join("key"))).expect("a key file");
    let Ok((vault, _)) = Vault::unlock(&vault, &SlotSecret::Keyfile(keyfile)) else { return };
    check(&vault, vault.root());
    let _read_only_when_damaged = vault.close();
});

fn copy(released: &Path) -> PathBuf {
    let vault = std::env::temp_dir().join("vault");
    let _absent_at_first = fs::remove_dir_all(&vault);
    for folder in ["segments", "images"] {
        fs::create_dir_all(vault.join(folder)).expect("room for a folder");
    }
    for file in &FILES[..5] {
        fs::copy(released.join(file), vault.join(file)).expect("room for a file");
    }
    vault
}

/// A copy that its owner alone may read: a checkout does not keep the mode.
fn private(key: &Path) -> PathBuf {
    let copy = std::env::temp_dir().join("key");
    fs::copy(key, &copy).expect("room for a key");
    fs::set_permissions(&copy, Permissions::from_mode(0o600)).expect("our own file");
    copy
}

fn check(vault: &Vault, directory: FileId) {
    for entry in vault.entries(directory) {
        match entry.kind {
            NodeKind::Directory => check(vault, entry.file),
            NodeKind::File => {
                let path = vault.path_of(entry.file).expect("it was listed");
                let lease = lease(&path, entry.file);
                let active = lease.active_for(&caller(), Moment::from_nanoseconds(1));
                let active = active.expect("the lease is ours");
                if let Ok(value) = vault.draft(&active, entry.file) {
                    assert!(is_original(&value), "{path}: {} bytes", value.len());
                }
            }
        }
    }
}

fn is_original(value: &[u8]) -> bool {
    let long: Vec<u8> = (0..70_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let short: [&[u8]; 5] = [b"", b"first", b"second", b"removed", b"shredded"];
    short.contains(&value) || value == long
}

fn caller() -> Caller {
    Caller {
        thread: ThreadId(7),
        process: ProcessId { number: 7, start_ticks: 9 },
        uid: UserId(1000),
        gid: GroupId(1000),
        groups: Arc::new([]),
        login_uid: None,
        executable: None,
        session: None,
        parents: Arc::new([]),
        grade: Grade::Verified,
    }
}

fn lease(path: &SecretPath, file: FileId) -> Lease {
    let rules = Rules::load(POLICY, Digest::from_bytes([0; 32])).expect("a policy");
    let vault = VaultName::try_from("released").expect("a name");
    let question = Question {
        operations: OperationSet::of(Operation::FileWrite),
        vault: Some(&vault),
        path: Some(path),
        file: Some(file),
        ticket: None,
    };
    let noon = LocalTime { weekday: Weekday::Wednesday, minute: 720 };
    let Decision::Permitted(permit) = rules.evaluate(&caller(), &question, noon) else {
        panic!("the policy allows it")
    };
    let id = LeaseId("01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("an id"));
    let holder = caller().fingerprint(ScopeKind::Process).expect("a process");
    Lease::begin(permit, id, holder, Moment::from_nanoseconds(0), Moment::from_nanoseconds(10))
}
