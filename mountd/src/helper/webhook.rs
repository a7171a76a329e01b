//! `webhook`: tells another machine that a request waits, signed, so that it can believe it.

use super::http::{Answer, Http, Identity, Method, Request};
use super::notify::{Notice, Told};
use crate::monitor::message::{receive, send};
use hmac::{Hmac, KeyInit, Mac};
use nix::poll::{PollTimeout, poll};
use rustix::fs::{Mode, OFlags, fstat, open};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The name of the helper.
pub(crate) const WEBHOOK: &str = "webhook";
/// How long one try may take.
const ONE_TRY: Duration = Duration::from_secs(5);
/// How long to wait before each further try, in milliseconds.
const BACK_OFF: [u16; 3] = [500, 2_000, 8_000];
/// How long the core waits for the helper, in milliseconds: longer than all tries.
pub(super) const PATIENCE: u16 = 35_000;
/// The shortest and the longest key, in bytes.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 16..=4096;

/// Where to, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestHook {
    /// May hold a token, and is in no message for that.
    pub(crate) address: String,
    /// The file of the key.
    pub(crate) key: PathBuf,
    pub(crate) identity: Identity,
}

/// What is sent, with keys in this order: the signature is over these bytes.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    text: &'a str,
    timestamp: i64,
    vault: &'a str,
    version: u32,
}

/// Whether another try may do better.
enum Failed {
    Once(String),
    ForGood(String),
}

/// The helper: sends each notice that comes over `socket`, until the core is gone.
pub(super) fn serve(socket: &OwnedFd, hook: &RequestHook) -> io::Result<()> {
    while let Some((notice, _)) = receive::<Notice>(socket.as_fd())? {
        let failure = tell(hook, &notice).err();
        send(socket.as_fd(), &Told { failure }, &[])?;
    }
    Ok(())
}

fn tell(hook: &RequestHook, notice: &Notice) -> Result<(), String> {
    let http = Http::new(&hook.identity, ONE_TRY).map_err(|error| error.to_string())?;
    let key = key_of(&hook.key)?;
    let mut waits = BACK_OFF.into_iter();
    loop {
        // Signed anew: a receiver may refuse what is old.
        let failed = match once(&http, hook, &key, notice) {
            Ok(()) => return Ok(()),
            Err(Failed::ForGood(why)) => return Err(why),
            Err(Failed::Once(why)) => why,
        };
        let Some(wait) = waits.next() else {
            return Err(format!("{failed}, {} times", BACK_OFF.len() + 1));
        };
        // Nothing comes but time.
        let _nothing_came = poll(&mut [], PollTimeout::from(wait));
    }
}

fn once(http: &Http, hook: &RequestHook, key: &[u8], notice: &Notice) -> Result<(), Failed> {
    let timestamp = crate::clock::wall().as_second();
    let Notice { request, vault, text } = notice;
    let body = Body { id: request, text, timestamp, vault, version: 1 };
    let body = serde_json::to_vec(&body).map_err(|error| Failed::ForGood(error.to_string()))?;
    let (time, signature) = (timestamp.to_string(), signature(key, &body)?);
    let headers = [
        ("content-type", "application/json"),
        ("x-ward-id", request.as_str()),
        ("x-ward-timestamp", time.as_str()),
        ("x-ward-signature", signature.as_str()),
    ];
    let sent =
        Request { method: Method::POST, address: &hook.address, headers: &headers, body: &body };
    match http.send(&sent) {
        Ok(Answer { status: 200..=299, .. }) => Ok(()),
        Ok(Answer { status: status @ (408 | 429 | 500..), .. }) => {
            Err(Failed::Once(format!("it answered {status}")))
        }
        Ok(Answer { status, .. }) => Err(Failed::ForGood(format!("it answered {status}"))),
        Err(error) => Err(Failed::Once(error.to_string())),
    }
}

/// `sha256=` and the HMAC-SHA256 of the body in hex.
fn signature(key: &[u8], body: &[u8]) -> Result<String, Failed> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.map_err(|_| Failed::ForGood("the key is of no use".to_owned()))?;
    mac.update(body);
    let digits: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256={digits}"))
}

/// The key: a file that only the helper's user or root can read or write, less one final newline.
fn key_of(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let name = path.display();
    let refused = |why: &dyn std::fmt::Display| format!("cannot take the key from {name}: {why}");
    let file = open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let file = file.map_err(|errno| refused(&errno))?;
    let status = fstat(&file).map_err(|errno| refused(&errno))?;
    let ours = rustix::process::geteuid().as_raw();
    if status.st_mode & 0o077 != 0 || ![0, ours].contains(&status.st_uid) {
        return Err(refused(&"others can read it; run: chmod 600"));
    }
    let mut key = Zeroizing::new(Vec::new());
    let limit = u64::try_from(KEY_LENGTH.end() + 2).unwrap_or(u64::MAX);
    File::from(file).take(limit).read_to_end(&mut key).map_err(|error| refused(&error))?;
    if key.last() == Some(&b'\n') {
        key.pop();
    }
    if KEY_LENGTH.contains(&key.len()) {
        Ok(key)
    } else {
        Err(refused(&"a key has 16 to 4096 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_rfc_4231_says() {
        let signature = signature(b"Jefe", b"what do ya want for nothing?").ok().unwrap();
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature, format!("sha256={known}"));
    }
}
