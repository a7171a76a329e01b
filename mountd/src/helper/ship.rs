//! `ship`: brings lines or heads of the log to a sink. Both ends of it: what the core says, and what the
//! helper does. One parcel is on its way at a time, and is answered when the sink has it.

mod bucket;
mod webhook;
mod witness;

pub(crate) use bucket::Bucket;
pub(crate) use webhook::Webhook;
pub(crate) use witness::{Seen, Witness};

use super::http::{Answer, Http, HttpError, Identity};
use super::is_ready;
use crate::monitor::message::{receive, receive_bytes, send, send_bytes};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ward_audit::{HeadNote, Lines};

/// The most bytes of lines in a parcel.
pub(crate) const MOST: usize = 1 << 20;
/// How long a sink may take, in all.
const LONGEST: Duration = Duration::from_secs(30);
/// How long the core waits for the helper, in milliseconds: a little longer.
const PATIENCE: u16 = 35_000;
/// The longest secret, in bytes.
const LONGEST_SECRET: u64 = 16 << 10;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Destination {
    /// They are appended to a file.
    File(PathBuf),
    /// They are posted.
    Webhook(Webhook),
    /// They become an object.
    S3(Bucket),
    /// Heads go there to be signed.
    Witness(Witness),
}

/// Lines on their way; their bytes follow.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    /// The id of the log.
    log: String,
    first: u64,
    last: u64,
    /// The hash of the last line, which stands for all before it too.
    hash: String,
    bytes: usize,
}

/// What came of a parcel.
#[derive(Debug, Serialize, Deserialize)]
struct Delivered {
    failure: Option<String>,
    /// What a witness said.
    #[serde(default)]
    seen: Option<Seen>,
}

/// The HTTP client of a sink, made when it is first needed, and anew while its files are not there.
#[derive(Debug)]
struct Client<'a> {
    identity: &'a Identity,
    http: Option<Http>,
}

/// Has the helper bring `lines` of `log` to its sink; returns once the sink has them.
///
/// # Errors
/// In words: the sink may have them nevertheless. The helper is of no use any more when it is gone
/// or silent, which is the second.
pub(crate) fn deliver(
    helper: &OwnedFd,
    log: &str,
    lines: &Lines,
) -> Result<(), (String, IsUsable)> {
    let parcel = Parcel {
        log: log.to_owned(),
        first: lines.first,
        last: lines.last,
        hash: lines.hash.to_string(),
        bytes: lines.bytes.len(),
    };
    hand_over(helper, &parcel, &lines.bytes).map(|_| ())
}

/// Has the helper bring a head, which `text` is about, to its sink: what a witness says of it.
///
/// # Errors
/// As [`deliver`].
pub(crate) fn deliver_head(
    helper: &OwnedFd,
    note: &HeadNote,
    text: &str,
) -> Result<Option<Seen>, (String, IsUsable)> {
    let parcel = Parcel {
        log: note.log.clone(),
        first: note.head.size,
        last: note.head.size,
        hash: note.head.root.to_string(),
        bytes: text.len(),
    };
    hand_over(helper, &parcel, text.as_bytes())
}

fn hand_over(
    helper: &OwnedFd,
    parcel: &Parcel,
    bytes: &[u8],
) -> Result<Option<Seen>, (String, IsUsable)> {
    let gone = |error: io::Error| (format!("the helper is gone ({error})"), IsUsable::No);
    send(helper.as_fd(), parcel, &[]).map_err(gone)?;
    send_bytes(helper.as_fd(), bytes).map_err(gone)?;
    if !is_ready(helper, PATIENCE) {
        return Err(("the helper does not answer".to_owned(), IsUsable::No));
    }
    match receive::<Delivered>(helper.as_fd()).map_err(gone)? {
        Some((Delivered { failure: None, seen }, _)) => Ok(seen),
        Some((Delivered { failure: Some(failure), .. }, _)) => Err((failure, IsUsable::Yes)),
        None => Err(("the helper ended".to_owned(), IsUsable::No)),
    }
}

/// Whether a helper can be given the next parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsUsable {
    Yes,
    No,
}

/// The helper: brings each parcel to `destination`, until the core is gone.
pub(super) fn serve(socket: &OwnedFd, destination: &Destination) -> io::Result<()> {
    let nobody = Identity::default();
    let identity = match destination {
        Destination::File(_) => &nobody,
        Destination::Webhook(webhook) => &webhook.tls,
        Destination::S3(bucket) => &bucket.tls,
        Destination::Witness(witness) => &witness.tls,
    };
    let mut client = Client { identity, http: None };
    while let Some((parcel, _)) = receive::<Parcel>(socket.as_fd())? {
        let bytes = receive_bytes(socket.as_fd(), parcel.bytes.min(MOST * 2))?;
        let delivered = match destination {
            Destination::File(file) => append(file, &bytes)
                .map_err(|error| format!("cannot append to {} ({error})", file.display()))
                .map(|()| None),
            Destination::Webhook(webhook) => {
                webhook.deliver(&mut client, &parcel, &bytes).map(|()| None)
            }
            Destination::S3(bucket) => bucket.deliver(&mut client, &parcel, &bytes).map(|()| None),
            Destination::Witness(witness) => witness.deliver(&mut client, &bytes).map(Some),
        };
        let delivered = match delivered {
            Ok(seen) => Delivered { failure: None, seen },
            Err(failure) => Delivered { failure: Some(failure), seen: None },
        };
        send(socket.as_fd(), &delivered, &[])?;
    }
    Ok(())
}

impl Client<'_> {
    fn send(&mut self, request: &super::http::Request<'_>) -> Result<(), String> {
        match self.exchange(request)? {
            Answer { status: 200..=299, .. } => Ok(()),
            Answer { status, body } => Err(refusal(status, &body)),
        }
    }

    fn exchange(&mut self, request: &super::http::Request<'_>) -> Result<Answer, String> {
        let http = match &self.http {
            Some(http) => http,
            None => {
                let made = Http::new(self.identity, LONGEST).map_err(|error| error.to_string())?;
                self.http.insert(made)
            }
        };
        http.send(request).map_err(|error: HttpError| error.to_string())
    }
}

impl Parcel {
    /// What makes it one: the same lines have the same key, and no others do.
    fn key(&self) -> String {
        let Self { log, first, last, hash, bytes: _ } = self;
        format!("{log}-{first}-{last}-{hash}")
    }
}

/// What a server said in place of a yes, shortened and harmless.
fn refusal(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let words = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    let words: String = words.take(120).collect();
    match words.trim() {
        "" => format!("it answers with status {status}"),
        words => format!("it answers with status {status}: {words}"),
    }
}

/// Appends lines, synced. A line that a crash left half is ended first: it comes again, whole.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut file = File::from(open(path, flags | OFlags::NONBLOCK, Mode::RUSR | Mode::WUSR)?);
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(bytes)?;
    file.sync_data()
}

/// A secret of the helper's user, without the newline at its end.
fn secret(path: &Path) -> Result<String, String> {
    let fault = |error: io::Error| format!("cannot read {} ({error})", path.display());
    let mut text = String::new();
    let file = File::open(path).map_err(fault)?;
    file.take(LONGEST_SECRET).read_to_string(&mut text).map_err(fault)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{} is empty", path.display())),
        secret => Ok(secret.to_owned()),
    }
}

/// HMAC-SHA256 (RFC 2104).
fn authenticate(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    code.update(bytes);
    code.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
