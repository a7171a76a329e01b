//! Signatures and lists of keys, down to the bit.

use super::wire::write_string;
use super::{AllowedSigners, NAMESPACE, Presence, SignatureError, SignerError, SshSignature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use jiff::Timestamp;
use sha2::{Digest, Sha256, Sha512};

const TEXT: &[u8] = b"{\"grant\":\"something\"}";
const APPLICATION: &[u8] = b"ssh:";

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    parts.iter().for_each(|part| write_string(&mut bytes, part));
    bytes
}

/// What is signed, before a token wraps it.
fn message(text: &[u8]) -> Vec<u8> {
    let parts = [NAMESPACE.as_bytes(), b"", b"sha512", &Sha512::digest(text)];
    [b"SSHSIG".as_slice(), &strings(&parts)].concat()
}

fn whole(key: &[u8], signature: &[u8]) -> Vec<u8> {
    let parts = strings(&[key, NAMESPACE.as_bytes(), b"", b"sha512", signature]);
    [b"SSHSIG".as_slice(), &1_u32.to_be_bytes(), &parts].concat()
}

fn ed25519() -> Vec<u8> {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = strings(&[b"ssh-ed25519", key.verifying_key().as_bytes()]);
    let proof = key.sign(&message(TEXT)).to_bytes();
    whole(&public, &strings(&[b"ssh-ed25519", &proof]))
}

/// As OpenSSH writes positive numbers.
fn number(digits: &[u8]) -> Vec<u8> {
    let first = digits.iter().position(|digit| *digit != 0).unwrap();
    let digits = &digits[first..];
    if digits[0] & 0x80 == 0 { digits.to_vec() } else { [&[0], digits].concat() }
}

/// A token on P-256 with that byte of flags.
fn fido_p256(seed: u8, flags: u8) -> Vec<u8> {
    let key = p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap();
    let name = b"sk-ecdsa-sha2-nistp256@openssh.com";
    let point = key.verifying_key().to_sec1_point(false);
    let public = strings(&[name, b"nistp256", point.as_bytes(), APPLICATION]);
    let tail = [&[flags], 5_u32.to_be_bytes().as_slice()].concat();
    let said =
        [Sha256::digest(APPLICATION).as_slice(), &tail, &Sha256::digest(message(TEXT))].concat();
    let proof: p256::ecdsa::Signature = key.sign(&said);
    let (r, s) = proof.split_bytes();
    let proof = strings(&[&number(&r), &number(&s)]);
    whole(&public, &[strings(&[name, &proof]), tail].concat())
}

fn verdict(bytes: &[u8]) -> Result<Presence, SignatureError> {
    let signature = SshSignature::from_bytes(bytes)?;
    signature.verify(&signature.digest(TEXT))
}

#[test]
fn a_token_on_p256_counts_when_it_was_touched() {
    // Numbers with and without a leading zero, and short ones.
    for seed in 1..40 {
        assert_eq!(verdict(&fido_p256(seed, 0x01)), Ok(Presence::Touched), "{seed}");
        assert_eq!(verdict(&fido_p256(seed, 0x05)), Ok(Presence::Touched), "{seed}");
    }
    assert_eq!(verdict(&fido_p256(1, 0x00)), Err(SignatureError::Untouched));
    assert_eq!(verdict(&fido_p256(1, 0x04)), Err(SignatureError::Untouched));
}

#[test]
fn no_bit_of_a_signature_can_be_flipped() {
    for good in [ed25519(), fido_p256(3, 0x01)] {
        assert!(verdict(&good).is_ok());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(verdict(&bad).is_err(), "bit {bit} of {}", good.len() * 8);
        }
        for length in 0..good.len() {
            assert!(verdict(&good[..length]).is_err(), "{length}");
        }
        assert!(verdict(&[good.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn another_text_or_another_use_was_not_signed() {
    let signature = SshSignature::from_bytes(&ed25519()).unwrap();
    let other = signature.digest(b"something else");
    assert_eq!(signature.verify(&other), Err(SignatureError::Wrong));
    assert_eq!(signature.verify(&[]), Err(SignatureError::Wrong));
    let key = strings(&[b"ssh-rsa", &[1], &[2]]);
    assert_eq!(
        SshSignature::from_bytes(&whole(&key, b"x")),
        Err(SignatureError::KeyType("ssh-rsa".to_owned()))
    );
}

fn line(options: &str) -> String {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = strings(&[b"ssh-ed25519", key.verifying_key().as_bytes()]);
    format!("ops,alice {options} ssh-ed25519 {} a comment", STANDARD.encode(public))
}

#[test]
fn a_key_speaks_for_its_principals_in_its_time_and_for_its_uses() {
    let signature = SshSignature::from_bytes(&ed25519()).unwrap();
    let at = |time: &str| -> Timestamp { time.parse().unwrap() };
    let principals = |text: &str, time: &str| {
        let signers = AllowedSigners::parse(text).unwrap();
        let found = signers.principals(&signature, at(time));
        found.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let both = Ok(vec!["ops".to_owned(), "alice".to_owned()]);
    let now = "2026-06-01T12:30:00Z";
    assert_eq!(principals(&line(""), now), both);
    assert_eq!(principals(&format!("# a comment\n\n{}\r\n", line("")), now), both);
    let quoted = line("").replace("ops,alice", "\"ops,alice\"");
    assert_eq!(principals(&quoted, now), both);
    for good in [
        "namespaces=\"ward-approval@v1\"",
        "NAMESPACES=\"git,ward-*\"",
        "valid-after=\"20260601\",valid-before=\"20260602Z\"",
        "valid-after=\"202606011230\"",
        "valid-before=\"20260601123001\"",
    ] {
        assert_eq!(principals(&line(good), now), both, "{good}");
    }
    let time = Err(SignerError::Time);
    assert_eq!(principals(&line("valid-after=\"20260601123001\""), now), time);
    assert_eq!(principals(&line("valid-before=\"202606011230Z\""), now), time);
    let other = line("namespaces=\"git,ward-approval@v?2\"");
    assert_eq!(principals(&other, now), Err(SignerError::Namespace));
    assert_eq!(principals("", now), Err(SignerError::Unknown));
    // One good line is enough.
    let lines = format!("{}\n{}", line("valid-before=\"20200101\""), line(""));
    assert_eq!(principals(&lines, now), both);
}

#[test]
fn a_list_that_cannot_be_understood_is_refused_whole_with_line_and_column() {
    for (bad, place, why) in [
        ("ops", "line 2, column 4", "the key is missing"),
        ("ops namespaces=\"a\" ssh", "line 2, column 20", "no type of a key"),
        ("ops ssh-ed25519", "line 2, column 16", "no key of the type ssh-ed25519"),
        ("ops ssh-ed25519 AAAA", "line 2, column 17", "no key of the type"),
        ("ops verify-required ssh-ed25519 A", "line 2, column 5", "is not known here"),
        ("ops valid-after=\"2026\" ssh-ed25519 A", "line 2, column 5", "is no time"),
        ("ops valid-after=\"20261301\" ssh-ed25519 A", "line 2, column 5", "is no time"),
        (" al*,b ssh-ed25519 A", "line 2, column 2", "patterns are not taken"),
    ] {
        let text = format!("{}\n{bad}\n", line(""));
        let said = AllowedSigners::parse(&text).err().unwrap().to_string();
        assert!(said.contains(place) && said.contains(why), "{bad}: {said}");
    }
}
