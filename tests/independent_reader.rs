//! The documents alone are enough: a reader in another language, written from docs/formats.md and
//! from nothing else, agrees with the program about every byte of a vault and of a log.

mod workspace;

use crate::support::root::Root;
use crate::support::{users, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Sizes around every step of the format: padding, a page, a chunk.
const SIZES: [usize; 18] = [
    0, 1, 63, 64, 511, 512, 513, 4095, 4096, 4097, 12_345, 65_535, 65_536, 65_537, 70_000, 131_072,
    150_001, 200_000,
];
/// What of an entry is sealed.
const SEALED: [&str; 5] = ["bytes", "offset", "path", "reason", "to"];

/// The reader, and the Python that has what it takes.
struct Reader(PathBuf);

impl Reader {
    fn ready() -> Self {
        let tools = repository().join("target/tools/bin/python3");
        let tools = if tools.exists() { tools } else { PathBuf::from("python3") };
        let reader = Self(std::env::var_os("WARD_PYTHON").map_or(tools, PathBuf::from));
        let probe = "import argon2.low_level as a, sys, zstandard; \
                     from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV as s; s(bytes(32))";
        let output = Command::new(&reader.0).args(["-B", "-c", probe]).output();
        let is_ready = output.is_ok_and(|output| output.status.success());
        assert!(
            is_ready,
            "{:?} cannot run the reader: install Python 3 and, from PyPI, cryptography (42 or later), \
             argon2-cffi and zstandard into target/tools (scripts/test does), or name another Python in WARD_PYTHON",
            reader.0
        );
        reader
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = repository().join("tests/reader/ward_reader.py");
        Command::new(&self.0).arg("-B").arg(script).args(arguments).output().unwrap()
    }

    /// Its answer, when it finds nothing wrong.
    fn ask(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The files of a vault: path to size and digest, and the numbers of versions.
    fn files(&self, vault: &Path, credential: [&str; 2]) -> (Value, Map<String, Value>) {
        let mut answer = self.ask(&["files", text(vault), credential[0], credential[1]]);
        let files = answer.as_object_mut().unwrap();
        let take = |(path, file): (&String, &mut Value)| {
            (path.clone(), file.as_object_mut().unwrap().remove("versions").unwrap())
        };
        let versions = files.iter_mut().map(take).collect();
        (answer, versions)
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Bytes that no other length has.
fn value(length: usize) -> Vec<u8> {
    let mut state = u32::try_from(length).unwrap();
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Every file below a folder, as the reader tells it: by path, with size and SHA-256.
fn files_of(folder: &Path) -> Value {
    let mut find = Command::new("/usr/bin/find");
    find.args([".", "-type", "f", "-printf", "%s ", "-exec", "sha256sum", "{}", ";"]);
    let output = find.current_dir(folder).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let file = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let size: u64 = words.next().unwrap().parse().unwrap();
        let (digest, path) = (words.next().unwrap(), words.next().unwrap());
        let path = path.trim_start_matches(" ./").to_owned();
        (path, serde_json::json!({ "size": size, "sha256": digest }))
    };
    Value::Object(lines.lines().map(file).collect())
}

/// A vault, and an ordinary folder in which the same was done.
struct Twins {
    root: Root,
    twin: PathBuf,
    mountpoint: PathBuf,
}

impl Twins {
    fn set(&self, name: &str, length: usize) -> Value {
        let bytes = value(length);
        write(&self.twin.join(name), &bytes);
        let said = self
            .root
            .ward(&["--json", "set", name, "--stdin", "--replace"])
            .given(&bytes)
            .succeed();
        serde_json::from_str::<Value>(&said).unwrap()["result"]["versions"].clone()
    }

    fn revoke(&self, name: &str) {
        fs::remove_file(self.twin.join(name)).unwrap();
        self.root.ward(&["revoke", name]).succeed();
    }

    /// Does the same in both through the mount.
    fn mounted(&self, change: impl Fn(&Path)) {
        self.root.ward(&["vault", "mount", "default", text(&self.mountpoint)]).succeed();
        change(&self.mountpoint);
        change(&self.twin);
        self.root.ward(&["vault", "unmount", "default"]).succeed();
    }

    fn restart(&self, signal: Signal) {
        let pid = self.root.running().unwrap();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
        assert!(wait::has_ended(pid));
        self.root.ward(&["daemon", "start"]).succeed();
    }

    fn vault(&self) -> PathBuf {
        self.root.path().join("vaults/default")
    }

    fn keyfile(&self) -> PathBuf {
        self.root.path().join("keys/default")
    }

    fn audit(&self) -> PathBuf {
        self.root.path().join("audit")
    }
}

/// A life of a vault: writes of many sizes, changes of every kind, restarts of both kinds.
fn lived() -> Twins {
    let root = Root::private();
    let (twin, mountpoint) = (root.directory().join("twin"), root.directory().join("mount"));
    let twins = Twins { root, twin, mountpoint };
    // An empty value is made through a mount alone.
    twins.mounted(|place| write(&place.join("size/0"), b""));
    for size in SIZES.into_iter().filter(|size| *size > 0) {
        twins.set(&format!("size/{size}"), size);
    }
    twins.restart(Signal::SIGTERM);
    twins.mounted(|place| {
        write(&place.join("a/b/Gr\u{fc}\u{df}e"), &value(100));
        write(&place.join("a/replaced"), &value(200));
        write(&place.join("a/replacing"), &value(70_001));
        write(&place.join("a/replacing"), &value(201));
        fs::rename(place.join("a/replacing"), place.join("a/replaced")).unwrap();
        fs::rename(place.join("size/513"), place.join("a/b/moved")).unwrap();
        write(&place.join("a/gone"), &value(300));
        fs::remove_file(place.join("a/gone")).unwrap();
        fs::rename(place.join("a"), place.join("renamed")).unwrap();
        write(&place.join("a/gone"), &value(301));
        write(&place.join("renamed/gone"), &value(302));
        let mut file = File::options().append(true).open(place.join("size/4097")).unwrap();
        file.write_all(&value(66_000)).unwrap();
        drop(file);
        let file = File::options().write(true).open(place.join("size/200000")).unwrap();
        file.set_len(1000).unwrap();
        file.set_len(5000).unwrap();
        drop(file);
        fs::remove_file(place.join("size/4095")).unwrap();
        drop(File::create_new(place.join("size/4095")).unwrap());
        fs::create_dir(place.join("empty")).unwrap();
        fs::remove_dir(place.join("empty")).unwrap();
    });
    twins.restart(Signal::SIGKILL);
    for name in ["size/70000", "renamed/replaced", "size/1"] {
        twins.revoke(name);
    }
    twins.set("size/1", 2);
    twins.restart(Signal::SIGKILL);
    twins.set("size/64", 65_536 + 64);
    twins
}

#[test]
fn a_reader_that_knows_only_the_documents_reads_every_file_of_a_vault_that_has_lived() {
    if !users::can_act_as_others() {
        return;
    }
    let (reader, twins) = (Reader::ready(), lived());
    let mut kept = Value::Null;
    for length in 1..=12 {
        kept = twins.set("size/512", 1000 + length);
    }
    twins.root.ward(&["daemon", "stop"]).succeed();
    let credential = ["--keyfile", text(&twins.keyfile())].map(str::to_owned);
    let (files, versions) = reader.files(&twins.vault(), [&credential[0], &credential[1]]);
    assert_eq!(files, files_of(&twins.twin));
    assert!(files.as_object().unwrap().len() > 18);
    assert_eq!(versions["size/512"], kept);
    assert_eq!((&versions["size/1"], &versions["size/63"]), (&1.into(), &1.into()));
}

#[test]
fn a_reader_that_knows_only_the_documents_agrees_about_the_log_and_opens_its_sealed_names() {
    if !users::can_act_as_others() {
        return;
    }
    let (reader, twins) = (Reader::ready(), lived());
    let credential = ["--keyfile", text(&twins.keyfile())].map(str::to_owned);
    let [kind, key] = &credential;
    let (audit, vault) = (twins.audit(), twins.vault());
    let opened = reader.ask(&["names", text(&audit), text(&vault), "default", kind, key]);
    let found = reader.ask(&["verify", text(&audit)]);
    assert_eq!(found["verdict"], "whole");
    let (mut after, mut compared) = (0, 0);
    let mut last = Value::Null;
    while after < found["entries"].as_u64().unwrap() {
        let (limit, from) = ("--limit=500", format!("--after={after}"));
        let page = twins.root.run(&["--json", "audit", "show", limit, &from]).json();
        for shown in page["result"]["entries"].as_array().unwrap() {
            let entry = &shown["entry"];
            after = entry["seq"].as_str().unwrap().parse().unwrap();
            if after <= found["entries"].as_u64().unwrap() {
                last = shown["hash"].clone();
                if entry["vault"] == "default" {
                    let sealed = opened.get(entry["seq"].as_str().unwrap());
                    let is_there = |field: &&&str| entry.get(**field).is_some();
                    let clear = SEALED.iter().filter(is_there);
                    let clear: Map<_, _> =
                        clear.map(|field| ((*field).to_owned(), entry[*field].clone())).collect();
                    let sealed = sealed.and_then(Value::as_object).cloned().unwrap_or_default();
                    compared += usize::from(!sealed.is_empty());
                    assert_eq!(sealed, clear, "{entry}");
                }
            }
        }
    }
    assert_eq!(found["hash"], last);
    assert!(compared > 30, "{compared}");

    twins.root.ward(&["daemon", "stop"]).succeed();
    let said = twins.root.run(&["--json", "audit", "verify"]).json();
    let found = reader.ask(&["verify", text(&audit)]);
    assert_eq!(found["entries"], said["result"]["entries"]);
    assert_eq!(found["verdict"], said["result"]["verdict"]);
}

#[test]
fn a_reader_that_knows_only_the_documents_follows_a_log_through_rotations() {
    let reader = Reader::ready();
    let root = Root::private().serving();
    for round in 0..3 {
        root.ward(&["audit", "rotate-key"]).succeed();
        root.ward(&["set", &format!("a/{round}"), "--stdin"]).given(b"1").succeed();
    }
    root.ward(&["daemon", "stop"]).succeed();
    let audit = root.path().join("audit");
    let said = root.run(&["--json", "audit", "verify"]).json();
    let found = reader.ask(&["verify", text(&audit)]);
    assert_eq!(found["verdict"], "whole");
    assert_eq!(found["entries"], said["result"]["entries"]);
}

#[test]
fn a_reader_that_knows_only_the_documents_notices_a_flipped_bit_anywhere() {
    let reader = Reader::ready();
    let root = Root::private();
    for length in [10, 3000, 70_000] {
        let name = format!("size/{length}");
        root.ward(&["set", &name, "--stdin"]).given(&value(length)).succeed();
    }
    root.ward(&["daemon", "stop"]).succeed();
    flip_vault(&reader, &root.path().join("vaults/default"), &root.path().join("keys/default"));
    let audit = root.path().join("audit");
    let segment = root.newest_segment();
    flip_some(&segment, end_of(&segment), || {
        reader.ask(&["verify", text(&audit)])["verdict"] != "whole"
    });
}

#[test]
fn a_reader_that_knows_only_the_documents_judges_the_end_of_a_log_as_the_program_does() {
    let reader = Reader::ready();
    let root = Root::private();
    root.ward(&["set", "a", "--stdin"]).given(b"1").succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let audit = root.path().join("audit");
    let segment = root.newest_segment();
    let whole = fs::read(&segment).unwrap();
    let to_edge = 512 - whole.len() % 512;
    let join = |parts: &[(u8, usize)]| {
        parts.iter().flat_map(|(byte, count)| vec![*byte; *count]).collect::<Vec<u8>>()
    };
    let mut verdicts = Vec::new();
    for tail in [
        join(&[]),
        join(&[(0, 900)]),
        join(&[(b'{', 1), (b'x', 40)]),
        join(&[(b'x', 40), (0, 2000)]),
        join(&[(b'x', 40), (b'\n', 1), (0, 2000)]),
        join(&[(0, to_edge), (b'x', 9)]),
        join(&[(0, to_edge + 1), (b'x', 9)]),
        join(&[(b'x', to_edge), (0, 512), (b'x', 9), (b'\n', 1)]),
        join(&[(b'x', to_edge), (0, 511), (b'x', 9)]),
        join(&[(b'x', to_edge + 1), (0, 511), (b'x', 9)]),
        join(&[(0, to_edge), (b'x', (4 << 20) - to_edge)]),
        join(&[(0, to_edge), (b'x', (4 << 20) - to_edge), (0, 4096)]),
        join(&[(0, to_edge), (b'x', (4 << 20) + 1)]),
        join(&[(b'x', 5 << 20)]),
    ] {
        write(&segment, &[&whole[..], &tail].concat());
        let said = root.run(&["--json", "audit", "verify"]).json();
        let found = reader.ask(&["verify", text(&audit)]);
        assert_eq!(found["verdict"], said["result"]["verdict"], "{} bytes", tail.len());
        verdicts.push(found["verdict"].clone());
    }
    for verdict in ["whole", "torn", "broken"] {
        assert!(verdicts.iter().any(|found| found == verdict), "{verdict}");
    }
    write(&segment, &whole);
    write(&audit.join("0000000009.jsonl"), &whole);
    let said = root.run(&["--json", "audit", "verify"]).json();
    let found = reader.ask(&["verify", text(&audit)]);
    assert_eq!(
        (&found["verdict"], &found["verdict"]),
        (&"missing".into(), &said["result"]["verdict"])
    );
}

#[test]
fn a_reader_that_knows_only_the_documents_opens_a_released_vault_with_each_kind_of_slot() {
    let reader = Reader::ready();
    let released = repository().join("mountd/store/tests/released/v1");
    let folder = tempfile::tempdir().unwrap();
    let (twin, passphrase) = (folder.path().join("twin"), folder.path().join("passphrase"));
    write(&passphrase, b"a vault of each format\n");
    write(&twin.join("db/password"), b"second");
    let long: Vec<u8> = (0..70_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    write(&twin.join("long"), &long);
    let code = fs::read_to_string(released.join("recovery-code")).unwrap();
    let key = released.join("key");
    for credential in [
        ["--keyfile", text(&key)],
        ["--passphrase-file", text(&passphrase)],
        ["--recovery", code.trim()],
    ] {
        let (files, versions) = reader.files(&released.join("vault"), credential);
        assert_eq!(files, files_of(&twin), "{credential:?}");
        assert_eq!((&versions["db/password"], &versions["long"]), (&2.into(), &1.into()));
    }
}

#[test]
fn a_reader_that_knows_only_the_documents_opens_a_released_vault_under_each_of_its_keys() {
    let reader = Reader::ready();
    let released = repository().join("mountd/store/tests/released/v1-rekeyed");
    let folder = tempfile::tempdir().unwrap();
    for name in ["first", "second", "third"] {
        write(&folder.path().join(name), format!("written under the {name} key").as_bytes());
    }
    let (vault, key) = (released.join("vault"), released.join("key"));
    let (files, _) = reader.files(&vault, ["--keyfile", text(&key)]);
    assert_eq!(files, files_of(folder.path()));
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).collect()
}

/// Flips bits in every file of a vault: the reader must notice each, and say nothing wrong.
fn flip_vault(reader: &Reader, vault: &Path, key: &Path) {
    let read = ["files", text(vault), "--keyfile", text(key)];
    let whole = reader.run(&read);
    assert!(whole.status.success() && whole.stderr.is_empty(), "{whole:?}");
    let mut flipped = 0;
    for folder in [vault.to_owned(), vault.join("segments"), vault.join("images")] {
        for file in files_in(&folder)
            .iter()
            .filter(|file| !file.ends_with("lock") && !file.ends_with("reserve"))
        {
            flipped += 1;
            flip_some(file, end_of(file), || {
                let output = reader.run(&read);
                let is_noticed = !output.status.success() || !output.stderr.is_empty();
                let is_right = !output.status.success() || output.stdout == whole.stdout;
                is_noticed && (is_right || String::from_utf8_lossy(&output.stderr).contains("torn"))
            });
        }
    }
    assert!(flipped > 3, "header, its copy and segments: {flipped}");
}

/// Where a file ends: a segment of a vault where the next one says, whatever lies behind.
fn end_of(file: &Path) -> usize {
    let number: u64 = text(file).rsplit('/').next().unwrap().parse().unwrap_or_default();
    let next = fs::read(file.with_file_name(format!("{:010}", number + 1))).unwrap_or_default();
    match next.get(64..72).filter(|_| next.starts_with(b"wardseg\0")) {
        Some(position) => u64::from_le_bytes(position.try_into().unwrap()).try_into().unwrap(),
        None => fs::read(file).unwrap().len(),
    }
}

/// Flips a bit at each of some places of a file before `end`; `is_noticed` must hold each time.
fn flip_some(path: &Path, end: usize, is_noticed: impl Fn() -> bool) {
    let bytes = fs::read(path).unwrap();
    let (steps, last) = (12, end - 1);
    for step in 0..=steps {
        let place = last * step / steps;
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (step % 8);
        write(path, &changed);
        assert!(is_noticed(), "a bit of byte {place} of {path:?}");
    }
    write(path, &bytes);
}
