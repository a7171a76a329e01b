//! The system bus: as much of D-Bus as it takes to ask one question and to hear one signal (the
//! D-Bus Specification 0.38, in the byte order of this machine's peers). A library for all of it
//! would be a third of what the privileged half links.

use super::message::receive_into;
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Where it is, unless the variable says otherwise.
const SOCKET: &str = "/run/dbus/system_bus_socket";
/// The variable that every client of it knows.
pub(super) const VARIABLE: &str = "DBUS_SYSTEM_BUS_ADDRESS";
/// The driver of the bus: its name, and its object.
const DRIVER: (&str, &str) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest message that is taken, in bytes; what is waited for is far shorter.
const LONGEST: usize = 64 << 10;
/// Kinds of messages; an answer is none of them.
const CALL: u8 = 1;
const FAILURE: u8 = 3;
const SIGNAL: u8 = 4;
/// Nothing is started in order to answer.
const NO_START: u8 = 2;

/// A connection.
#[derive(Debug)]
pub(super) struct SystemBus {
    stream: UnixStream,
    serial: u32,
    received: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

/// A method of an object of somebody on the bus.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
}

/// A message, as far as it is looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    kind: u8,
    answers: u32,
    /// How many descriptors came with it.
    carries: usize,
    pub(super) sender: String,
    pub(super) interface: String,
    pub(super) member: String,
    pub(super) body: Vec<u8>,
}

impl SystemBus {
    /// Connects as the user that we are.
    pub(super) fn connect() -> io::Result<Self> {
        let address = std::env::var_os(VARIABLE).and_then(|it| it.into_string().ok());
        let path = match &address {
            Some(address) => address.strip_prefix("unix:path=").ok_or_else(unknown)?,
            None => SOCKET,
        };
        // A guid may follow the path.
        let path = path.split([',', ';']).next().unwrap_or(path);
        let stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (received, descriptors) = Default::default();
        let mut bus = Self { stream, serial: 0, received, descriptors };
        bus.patience(Some(PATIENCE))?;
        let uid: String = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        bus.stream.write_all(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes())?;
        bus.line("OK ")?;
        bus.stream.write_all(b"NEGOTIATE_UNIX_FD\r\n")?;
        bus.line("AGREE_UNIX_FD")?;
        bus.stream.write_all(b"BEGIN\r\n")?;
        bus.ask_driver("Hello", &[])?;
        Ok(bus)
    }

    /// Has signals come that fit `rule`.
    pub(super) fn subscribe(&mut self, rule: &str) -> io::Result<()> {
        self.ask_driver("AddMatch", &[rule])
    }

    /// Calls a method with strings; the answer, and the descriptor that came with it.
    pub(super) fn ask(
        &mut self,
        method: &Method<'_>,
        words: &[&str],
    ) -> io::Result<(Message, Option<OwnedFd>)> {
        self.serial += 1;
        self.stream.write_all(&call(self.serial, method, words))?;
        self.patience(Some(PATIENCE))?;
        loop {
            let (message, descriptors) = self.message()?;
            if message.answers != self.serial || message.kind == SIGNAL {
                continue;
            }
            if message.kind == FAILURE {
                return Err(io::Error::other(format!("{} is refused", method.member)));
            }
            return Ok((message, descriptors.into_iter().next()));
        }
    }

    /// Waits for the next signal, however long it takes.
    pub(super) fn signal(&mut self) -> io::Result<Message> {
        self.patience(None)?;
        loop {
            let (message, _unasked) = self.message()?;
            if message.kind == SIGNAL {
                return Ok(message);
            }
        }
    }

    fn ask_driver(&mut self, member: &str, words: &[&str]) -> io::Result<()> {
        let (destination, path) = DRIVER;
        let method = Method { destination, path, interface: destination, member };
        self.ask(&method, words).map(drop)
    }

    fn patience(&self, patience: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(patience)
    }

    /// Takes a line of the beginning, which must begin so.
    fn line(&mut self, beginning: &str) -> io::Result<()> {
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                let is_so = line.starts_with(beginning.as_bytes());
                return if is_so { Ok(()) } else { Err(unknown()) };
            }
            self.more()?;
        }
    }

    /// The next message, with its own descriptors: whoever is on the bus can send some.
    fn message(&mut self) -> io::Result<(Message, Vec<OwnedFd>)> {
        loop {
            if let Some(length) = length_of(&self.received)? {
                let bytes: Vec<u8> = self.received.drain(..length).collect();
                let message = parse(&bytes).ok_or_else(unknown)?;
                let its = self.descriptors.len().min(message.carries);
                return Ok((message, self.descriptors.drain(..its).collect()));
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let came = receive_into(self.stream.as_fd(), &mut bytes)?;
        let (count, descriptors) = came.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.received.extend_from_slice(bytes.get(..count).unwrap_or_default());
        self.descriptors.extend(descriptors);
        Ok(())
    }
}

fn unknown() -> io::Error {
    io::Error::other("the system bus says what is not known here")
}

/// A call with strings, in little endian.
fn call(serial: u32, method: &Method<'_>, words: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    words.iter().for_each(|word| put_text(&mut body, word));
    let mut bytes = vec![b'l', CALL, NO_START, 1];
    put_number(&mut bytes, body.len());
    bytes.extend(serial.to_le_bytes());
    let mut fields = Vec::new();
    let Method { destination, path, interface, member } = *method;
    for (field, kind, text) in
        [(1, b'o', path), (2, b's', interface), (3, b's', member), (6, b's', destination)]
    {
        pad(&mut fields, 8);
        fields.extend([field, 1, kind, 0]);
        put_text(&mut fields, text);
    }
    if !words.is_empty() {
        pad(&mut fields, 8);
        let signature = "s".repeat(words.len());
        fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap_or_default()]);
        fields.extend(signature.bytes().chain([0]));
    }
    put_number(&mut bytes, fields.len());
    bytes.extend(fields);
    pad(&mut bytes, 8);
    bytes.extend(body);
    bytes
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    put_number(bytes, text.len());
    bytes.extend(text.bytes().chain([0]));
}

fn put_number(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend(u32::try_from(number).unwrap_or_default().to_le_bytes());
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// How long the message is that begins so, once all of it is there.
fn length_of(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(head) = bytes.get(..16) else { return Ok(None) };
    let mut head = Reader::of(head).ok_or_else(unknown)?;
    head.at = 4;
    let body = head.number().ok_or_else(unknown)?;
    head.at = 12;
    let fields = head.number().ok_or_else(unknown)?;
    if fields > LONGEST || body > LONGEST {
        return Err(unknown());
    }
    let length = 16 + fields.next_multiple_of(8) + body;
    Ok((bytes.len() >= length).then_some(length))
}

fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader::of(bytes)?;
    let mut message = Message { kind: *bytes.get(1)?, ..Message::default() };
    reader.at = 12;
    let end = 16 + reader.number()?;
    while reader.at < end {
        reader.at = reader.at.next_multiple_of(8);
        let field = reader.byte()?;
        let kind = reader.signature()?;
        match (field, kind) {
            (5, b"u") => message.answers = u32::try_from(reader.number()?).ok()?,
            (9, b"u") => message.carries = reader.number()?,
            (2, b"s") => message.interface = reader.text()?,
            (3, b"s") => message.member = reader.text()?,
            (7, b"s") => message.sender = reader.text()?,
            (_, b"s" | b"o") => drop(reader.text()?),
            (_, b"g") => drop(reader.signature()?),
            (_, b"u") => drop(reader.number()?),
            (_, _) => return None,
        }
    }
    message.body = bytes.get(end.next_multiple_of(8)..)?.to_vec();
    Some(message)
}

/// Reads in the byte order that a message names.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_little: bool,
}

impl<'a> Reader<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let is_little = match bytes.first()? {
            b'l' => true,
            b'B' => false,
            _ => return None,
        };
        Some(Self { bytes, at: 0, is_little })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<usize> {
        self.at = self.at.next_multiple_of(4);
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        let number =
            if self.is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
        usize::try_from(number).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.take(1)?;
        Some(text)
    }

    fn signature(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        let signature = self.take(length.into())?;
        self.take(1)?;
        Some(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: Method<'_> =
        Method { destination: "a.b", path: "/c", interface: "d.e", member: "Do" };

    #[test]
    fn what_is_said_is_read_as_it_was_meant_and_no_shorter() {
        let bytes = call(7, &METHOD, &["sleep", "x"]);
        assert_eq!(length_of(&bytes).unwrap(), Some(bytes.len()));
        let message = parse(&bytes).unwrap();
        assert_eq!((message.kind, message.interface.as_str()), (CALL, "d.e"));
        assert_eq!(message.member, "Do");
        assert_eq!(message.body, b"\x05\0\0\0sleep\0\0\0\x01\0\0\0x\0");
        for length in 0..bytes.len() {
            assert_eq!(length_of(&bytes[..length]).ok().flatten(), None, "{length}");
        }
    }

    #[test]
    fn no_bytes_of_a_bus_make_a_mistake_of_ours() {
        let whole = call(7, &METHOD, &["sleep"]);
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << bit;
                // Whatever comes of it.
                let _taken_or_refused = (length_of(&bytes), parse(&bytes));
            }
            let _taken_or_refused = parse(&whole[..place]);
        }
        let mut long = whole;
        long[7] = 0xff;
        assert!(length_of(&long).is_err());
    }
}
