//! Heads of the log are kept where whoever cuts the log must reach too: files, syslog, witnesses.

use crate::shipping::{ship, stage, state, write};
use crate::support::http_server::{Papers, Reply, Server};
use crate::support::wait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest as _, Sha256};
use signed_note::{Note, StandardVerifier, VerifierList};
use std::fs::read_to_string;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};

/// A witness as c2sp.org/tlog-witness has it, who checks with code that is not ours.
struct Witness {
    key: SigningKey,
    /// What checks notes of the one log that it knows.
    log: Mutex<String>,
    /// Size and root of the last head that it signed.
    signed: Mutex<Option<(u64, tlog_tiles::Hash)>>,
}

impl Witness {
    const NAME: &str = "witness.example";

    fn new() -> Arc<Self> {
        let key = SigningKey::from_bytes(&[7; 32]);
        Arc::new(Self { key, log: Mutex::default(), signed: Mutex::default() })
    }

    fn bytes(&self) -> Vec<u8> {
        [&[4], &self.key.verifying_key().to_bytes()[..]].concat()
    }

    fn id(&self) -> [u8; 4] {
        let sum = Sha256::digest([Self::NAME.as_bytes(), b"\n", &self.bytes()].concat());
        sum[..4].try_into().unwrap()
    }

    fn key(&self) -> String {
        let id = u32::from_be_bytes(self.id());
        format!("{}+{id:08x}+{}", Self::NAME, STANDARD.encode(self.bytes()))
    }

    fn answer(&self, body: &[u8]) -> Reply {
        let text = std::str::from_utf8(body).unwrap();
        let (proof, note) = text.split_once("\n\n").unwrap();
        let mut lines = proof.lines();
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let proof = lines.map(|line| tlog_tiles::Hash::parse_hash(line).unwrap()).collect();
        let verifier = StandardVerifier::new(&self.log.lock().unwrap()).unwrap();
        let note = Note::from_bytes(note.as_bytes()).unwrap();
        let known = VerifierList::new(vec![Box::new(verifier)]);
        let Ok((verified, _)) = note.verify(&known) else { return Reply::new(403, "who is that") };
        assert_eq!(verified.len(), 1);
        let head = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        let mut signed = self.signed.lock().unwrap();
        let (size, root) = signed.unwrap_or_default();
        if old != size || head.size() < size {
            return Reply::new(409, &format!("{size}\n"));
        }
        let is_proven = |root| tlog_tiles::check_tree(&proof, head.size(), *head.hash(), old, root);
        if old > 0 && is_proven(root).is_err() {
            return Reply::new(422, "that is another log");
        }
        *signed = Some((head.size(), *head.hash()));
        let text = std::str::from_utf8(note.text()).unwrap();
        let signature =
            self.key.sign(format!("cosignature/v1\ntime 1792000000\n{text}").as_bytes());
        let time = 1_792_000_000_u64.to_be_bytes();
        let blob = [&self.id()[..], &time, &signature.to_bytes()].concat();
        Reply::new(200, &format!("\u{2014} {} {}\n", Self::NAME, STANDARD.encode(blob)))
    }
}

#[test]
fn a_witness_signs_each_head_that_continues_the_one_before_and_tells_of_a_log_that_was_cut() {
    let Some((stage, folder)) = stage() else { return };
    let (witness, papers) = (Witness::new(), Papers::new());
    let answering = Arc::clone(&witness);
    let server = Server::tls(&papers, move |asked| answering.answer(&asked.body));
    let roots = write(&folder, "roots.pem", &std::fs::read(papers.file("roots.pem")).unwrap());
    let key = stage.root().ward(&["audit", "head", "--key"]).succeed();
    *witness.log.lock().unwrap() = key.trim().to_owned();
    let table = format!(
        "every = \"1h\"\n[audit.ship.witness]\naddress = {:?}\nkey = {:?}\ntls = {{ roots = {roots:?} }}",
        server.address(),
        witness.key()
    );
    ship(&stage, "witness", &table);
    for number in 0..5 {
        stage.root().ward(&["set", &format!("s{number}"), "--value", "x"]).succeed();
        stage.root().ward(&["audit", "ship"]).succeed();
        let (size, _) = witness.signed.lock().unwrap().unwrap();
        assert_eq!(state(&stage, "witness")["shipped"], size);
    }
    assert!(server.asked().iter().all(|it| it.path == "/add-checkpoint"));
    let kept = stage.root().path().join("audit/witnessed/witness");
    let note = read_to_string(&kept).unwrap();
    assert_eq!(note.lines().filter(|line| line.starts_with('\u{2014}')).count(), 2, "{note}");
    // It goes on where it was after a restart, and when the witness knows more than was noted.
    stage.root().ward(&["daemon", "stop"]).succeed();
    stage.root().ward(&["daemon", "start"]).succeed();
    stage.root().ward(&["audit", "ship"]).succeed();
    let head = folder.join("head");
    std::fs::copy(&kept, &head).unwrap();
    let head = head.to_str().unwrap();
    assert_eq!(stage.root().run(&["audit", "verify", "--head", head]).status, Some(0));
    // Somebody forges what a witness signs, and then one has seen a longer log than there is.
    let (size, root) = witness.signed.lock().unwrap().unwrap();
    *witness.signed.lock().unwrap() = Some((size + 1_000_000, root));
    stage.root().ward(&["set", "late", "--value", "x"]).succeed();
    let tried = stage.root().run(&["audit", "ship"]);
    assert_eq!(tried.status, Some(1), "{tried:?}");
    assert!(tried.stdout.contains("the log was cut, or an older copy"), "{tried:?}");
    assert!(stage.root().run(&["status"]).stdout.contains("the log was cut"));
    let log = stage.log();
    let said = log.iter().any(|entry| {
        entry["eventType"] == "helper.failed"
            && entry["reason"].as_str().unwrap().contains("the log was cut")
    });
    assert!(said);
}

#[test]
fn what_another_key_signs_is_no_signature_of_the_witness() {
    let Some((stage, _)) = stage() else { return };
    let witness = Witness::new();
    let answering = Arc::clone(&witness);
    let server = Server::plain(move |asked| match answering.answer(&asked.body) {
        Reply::Now(200, mut body) => {
            let last = body.len() - 10;
            body[last] = if body[last] == b'A' { b'B' } else { b'A' };
            Reply::Now(200, body)
        }
        it @ (Reply::Now(..) | Reply::Never) => it,
    });
    let key = stage.root().ward(&["audit", "head", "--key"]).succeed();
    *witness.log.lock().unwrap() = key.trim().to_owned();
    let table =
        format!("witness = {{ address = {:?}, key = {:?} }}", server.address(), witness.key());
    ship(&stage, "witness", &table);
    let tried = stage.root().run(&["audit", "ship"]);
    assert!(tried.stdout.contains("is not its signature of this head"), "{tried:?}");
    assert!(!stage.root().path().join("audit/witnessed/witness").exists());
}

#[test]
fn heads_in_a_file_elsewhere_show_a_cut_log() {
    let Some((stage, folder)) = stage() else { return };
    let file = folder.join("heads");
    ship(&stage, "heads", &format!("heads = {file:?}"));
    for number in 0..3 {
        stage.root().ward(&["set", &format!("s{number}"), "--value", "x"]).succeed();
        stage.root().ward(&["audit", "ship"]).succeed();
    }
    let text = read_to_string(&file).unwrap();
    let last = text.rfind("wardfs/0").map(|at| text[..at].rfind("wardfs/0").unwrap_or(at)).unwrap();
    let head = folder.join("head");
    std::fs::File::create(&head).unwrap().write_all(&text.as_bytes()[last..]).unwrap();
    let verified = stage.root().run(&["audit", "verify", "--head", head.to_str().unwrap()]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
}

#[test]
fn syslog_is_told_of_heads_where_there_is_no_journal() {
    let Some((stage, folder)) = stage() else { return };
    let path = folder.join("log");
    let syslog = UnixDatagram::bind(&path).unwrap();
    syslog.set_read_timeout(Some(wait::DEADLINE)).unwrap();
    stage.root().ward(&["daemon", "stop"]).succeed();
    let settings = stage.root().path().join("ward.toml");
    let mut settings = std::fs::File::options().append(true).open(settings).unwrap();
    let text = format!("[audit]\njournal = \"/nowhere\"\nsyslog = {path:?}\n");
    settings.write_all(text.as_bytes()).unwrap();
    stage.root().ward(&["daemon", "start"]).succeed();
    let mut bytes = [0; 4096];
    let count = syslog.recv(&mut bytes).unwrap();
    let line = std::str::from_utf8(&bytes[..count]).unwrap();
    let note = line.strip_prefix("<86>ward-mountd: ").unwrap().replace(" | ", "\n") + "\n";
    let head = folder.join("head");
    std::fs::File::create(&head).unwrap().write_all(note.as_bytes()).unwrap();
    let verified = stage.root().run(&["audit", "verify", "--head", head.to_str().unwrap()]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
}
