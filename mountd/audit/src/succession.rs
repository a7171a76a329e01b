//! Succession: may this line come after that one?
//!
//! Follows the chain, the tree and the signatures at once, so that a head is never believed because
//! only its ends match.

use crate::event::SignedBy;
use crate::key::{PublicKey, Signature};
use crate::line::Line;
use crate::statement::{HeadStatement, RetiredStatement, SignerStatement, StartStatement};
use crate::tree::Frontier;
use crate::{ChainHash, EventType, SegmentName, Timestamp, TreeHash};

/// At most so many entries come one after the other without a checkpoint.
pub(crate) const MOST_UNSIGNED: u64 = 256;

/// Where a log ends: its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the entry.
    pub seq: u64,
    /// Its hash, which stands for every entry up to it.
    pub hash: ChainHash,
}

/// What is wrong with a line, or with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the line does not have the form of a log line, so it was changed or damaged")]
    Form,
    #[error("the line does not match its own hash, so it was changed")]
    Changed,
    #[error("seq {found} stands where {expected} must be, so lines are missing here")]
    Missing { expected: u64, found: u64 },
    #[error("seq {found} stands where {expected} must be, so a line was moved, repeated or added")]
    OutOfOrder { expected: u64, found: u64 },
    #[error("prevHash is not the hash of the line before, so one of the two was replaced")]
    Replaced,
    #[error("its time is not after the time of the line before")]
    Time,
    #[error("the segment does not begin with the segment.start entry of this place in this log")]
    Start,
    #[error("there is something after the last line that no power cut leaves behind")]
    Remainder,
    #[error("an entry of its kind is signed, and this one is not, or the other way about")]
    Signed,
    #[error(
        "its signature is not by the key that must sign it, so somebody without that key wrote it"
    )]
    Signature,
    #[error("the log goes on under another identity, so somebody without the log's key wrote it")]
    Identity,
    #[error("it gives the log to a key that the key before it has not named")]
    Rotation,
    #[error("it states another tree than the entries before it make, so entries were replaced")]
    Tree,
    #[error("more than {MOST_UNSIGNED} entries before it are signed by no checkpoint")]
    Unsigned,
    #[error("it stands behind the last entry of its segment")]
    AfterEnd,
    #[error("the segment before it did not end as this one says")]
    Unclosed,
    #[error("it was put aside as damaged, and no entry of the log says so")]
    Aside,
    #[error("its compressed file is not the one that the log recorded")]
    Compressed,
}

/// Follows a log line by line. Reads entries no further than it must.
#[derive(Clone, Debug, Default)]
pub(crate) struct Succession {
    head: Option<Head>,
    head_digits: Option<[u8; ChainHash::HEX_LENGTH]>,
    time: [u8; Timestamp::LENGTH],
    log: Option<String>,
    tree: Frontier,
    /// What signs segments' starts and control events; the first segment says it.
    identity: Option<PublicKey>,
    /// What may sign too, and is about to take over.
    successor: Option<PublicKey>,
    /// What may sign in the place of the identity, as the segment's start says.
    standby: Option<PublicKey>,
    /// Which of them signed the last line accepted; nothing when none did.
    signer: Option<PublicKey>,
    notes: Option<PublicKey>,
    epoch: Option<Epoch>,
    unsigned: u64,
    synced: u64,
    /// Up to which number the log itself says that segments were deleted.
    retired: u64,
}

/// The life of a segment's key.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    segment: SegmentName,
    key: PublicKey,
    end: End,
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It did not yet.
    Open,
    /// With the run, or by naming the next key.
    Ended(Option<PublicKey>),
}

/// What is known of a line once its place is.
struct Placed {
    head: Head,
    digits: [u8; ChainHash::HEX_LENGTH],
    time: [u8; Timestamp::LENGTH],
}

impl Succession {
    /// Begins in the middle of a log, just before `line`, the first one of a segment: what it says
    /// of those before it is believed.
    pub(crate) fn before(line: &[u8]) -> Result<Self, Fault> {
        let line = Line::parse(line).ok_or(Fault::Form)?;
        let start = StartStatement::of(&line).ok_or(Fault::Start)?;
        let tree = start.tree().ok_or(Fault::Tree)?;
        let head = start.previous.map(|hash| Head { seq: tree.size(), hash });
        let head_digits = head.map(|head| head.hash.to_hex());
        let (standby, successor) = (start.standby, start.successor);
        Ok(Self { head, head_digits, tree, standby, successor, ..Self::default() })
    }

    /// Goes on in the same log behind a gap, just before `line`, the first one of a segment.
    pub(crate) fn after_gap(&self, line: &[u8]) -> Result<Self, Fault> {
        let after = Self::before(line)?;
        if after.tree.size() < self.tree.size() {
            return Err(Fault::Tree);
        }
        Ok(Self { epoch: None, unsigned: 0, synced: 0, ..self.clone() }.at(after))
    }

    /// The same keys and times, at the place of `other`.
    fn at(self, other: Self) -> Self {
        let Self { head, head_digits, tree, .. } = other;
        Self { head, head_digits, tree, ..self }
    }

    /// What signs for the log; nothing before its first line.
    pub(crate) const fn identity(&self) -> Option<PublicKey> {
        self.identity
    }

    /// What is about to.
    pub(crate) const fn successor(&self) -> Option<PublicKey> {
        self.successor
    }

    /// What may sign in its place.
    pub(crate) const fn standby(&self) -> Option<PublicKey> {
        self.standby
    }

    /// What signed the last line accepted for the log's identity; nothing when that did not.
    pub(crate) const fn signer(&self) -> Option<PublicKey> {
        self.signer
    }

    /// The last line accepted.
    pub(crate) const fn head(&self) -> Option<Head> {
        self.head
    }

    /// The time of the last line accepted.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        std::str::from_utf8(&self.time).ok().and_then(Timestamp::from_text)
    }

    /// The id of the log, once its first segment has begun.
    pub(crate) fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// The key of the notes beside the log, once its first segment has begun.
    pub(crate) const fn notes(&self) -> Option<PublicKey> {
        self.notes
    }

    /// The tree over all lines accepted.
    pub(crate) const fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// Up to which number segments were deleted, as the log says; 0 when all are kept.
    pub(crate) const fn retired(&self) -> u64 {
        self.retired
    }

    /// How many of the last entries no checkpoint has signed.
    pub(crate) const fn unsigned(&self) -> u64 {
        self.unsigned
    }

    /// Whether the last segment has its last entry, and no other key was to take over.
    pub(crate) fn is_closed(&self) -> bool {
        self.epoch.is_none_or(|epoch| epoch.end == End::Ended(None))
    }

    /// Takes one line (without its newline) from within a segment; gives what kind it is of.
    pub(crate) fn accept(&mut self, line: &[u8]) -> Result<EventType, Fault> {
        let line = Line::parse(line).ok_or(Fault::Form)?;
        let placed = self.place(&line)?;
        let Some(epoch) = self.epoch else { return Err(Fault::Start) };
        if epoch.end != End::Open {
            return Err(Fault::AfterEnd);
        }
        let event = line.event().ok_or(Fault::Form)?;
        let hash = placed.head.hash;
        let signer = match event.signed_by() {
            Some(SignedBy::Identity) => {
                Some(check_any(&line, hash, [self.identity, self.successor, self.standby])?)
            }
            Some(SignedBy::Segment) => {
                check_signature(&line, hash, Some(epoch.key))?;
                None
            }
            None => {
                check_signature(&line, hash, None)?;
                None
            }
        };
        if event == EventType::SegmentStart {
            return Err(Fault::Start);
        }
        if event == EventType::Checkpoint {
            self.synced = self.stated(&line, epoch)?.synced();
        } else if event == EventType::SegmentEnd {
            let end = End::Ended(self.stated(&line, epoch)?.next);
            self.epoch = Some(Epoch { end, ..epoch });
        } else if self.unsigned >= MOST_UNSIGNED {
            return Err(Fault::Unsigned);
        } else {
            self.unsigned += 1;
        }
        if event == EventType::SignerRotationRequested || event == EventType::SignerRotationApplied
        {
            let stated = SignerStatement::of(&line).ok_or(Fault::Form)?.signer.key;
            self.rotate(event, stated, &line, hash)?;
        }
        if event == EventType::SegmentRetired {
            let stated = RetiredStatement::of(&line).ok_or(Fault::Form)?;
            self.retire(stated.retired.0, epoch.segment)?;
        }
        self.signer = signer;
        self.take(&line, placed);
        Ok(event)
    }

    /// Takes the first line of `segment`.
    pub(crate) fn accept_first(&mut self, line: &[u8], segment: SegmentName) -> Result<(), Fault> {
        let line = Line::parse(line).ok_or(Fault::Form)?;
        let placed = self.place(&line)?;
        let start = StartStatement::of(&line).ok_or(Fault::Start)?;
        let is_known = self.identity.is_none_or(|identity| identity == start.identity);
        if !is_known && self.successor != Some(start.identity) {
            return Err(Fault::Identity);
        }
        let may_sign = [Some(start.identity), self.standby, None];
        let signer = Some(check_any(&line, placed.head.hash, may_sign)?);
        let is_this_log = self.log.as_ref().is_none_or(|log| *log == start.log);
        let previous = self.head.map(|head| head.hash);
        if !is_this_log || start.segment.0 != segment.number() || start.previous != previous {
            return Err(Fault::Start);
        }
        if start.tree().as_ref() != Some(&self.tree) {
            return Err(Fault::Tree);
        }
        let follows = self.epoch.is_none_or(|epoch| match epoch.end {
            End::Open => start.unclosed,
            End::Ended(Some(next)) => start.unclosed != (next == start.key),
            End::Ended(None) => !start.unclosed,
        });
        if !follows || (self.head.is_none() && start.unclosed) {
            return Err(Fault::Unclosed);
        }
        if start.successor != self.successor.filter(|key| *key != start.identity) {
            return Err(Fault::Rotation);
        }
        self.retire(start.retired.0, segment)?;
        self.log = Some(start.log);
        self.take_identity(start.identity);
        self.standby = start.standby;
        self.notes = Some(start.notes);
        self.epoch = Some(Epoch { segment, key: start.key, end: End::Open });
        self.unsigned = 0;
        self.signer = signer;
        self.take(&line, placed);
        Ok(())
    }

    /// Whether among `rest`, what follows the last line accepted, a checkpoint says that the next
    /// line had been synced: then no power cut took it.
    pub(crate) fn was_synced(&self, rest: &[u8]) -> bool {
        let Some(epoch) = self.epoch else { return false };
        let next = self.head.map_or(1, |head| head.seq + 1);
        rest.split(|byte| *byte == b'\n').filter_map(Line::parse).any(|line| {
            let is_checkpoint = line.event() == Some(EventType::Checkpoint);
            let hash = stated_hash(&line).filter(|_| is_checkpoint);
            let is_signed =
                hash.is_some_and(|hash| check_signature(&line, hash, Some(epoch.key)) == Ok(()));
            is_signed && HeadStatement::of(&line).is_some_and(|stated| stated.synced() >= next)
        })
    }

    /// Checks hash, chain, seq and time.
    fn place(&self, line: &Line<'_>) -> Result<Placed, Fault> {
        let previous = self.head.map(|head| head.hash);
        // The usual case first: the digits are those of the hash that is known already.
        let follows = line.previous == self.head_digits.as_ref().map(|digits| &digits[..]);
        let stated = if follows { previous } else { stated_previous(line).ok_or(Fault::Form)? };
        let hash = ChainHash::of(line.entry, stated);
        let digits = hash.to_hex();
        if line.hash != digits {
            return Err(Fault::Changed);
        }
        let (seq, text) = line.position().ok_or(Fault::Form)?;
        let expected = self.head.map_or(1, |head| head.seq + 1);
        if seq > expected {
            return Err(Fault::Missing { expected, found: seq });
        }
        if seq < expected {
            return Err(Fault::OutOfOrder { expected, found: seq });
        }
        if !follows {
            return Err(Fault::Replaced);
        }
        if *text <= self.time[..] {
            return Err(Fault::Time);
        }
        let mut time = [0; Timestamp::LENGTH];
        time.copy_from_slice(text);
        Ok(Placed { head: Head { seq, hash }, digits, time })
    }

    /// What a checkpoint or an end says, when it is what the entries before it say.
    fn stated(&mut self, line: &Line<'_>, epoch: Epoch) -> Result<HeadStatement, Fault> {
        let stated = HeadStatement::of(line).ok_or(Fault::Form)?;
        let size = self.tree.size();
        let is_so = stated.size.0 == size && stated.root == self.tree.root();
        let is_here = stated.segment.0 == epoch.segment.number();
        if !is_so || !is_here || stated.synced() < self.synced || stated.synced() > size {
            return Err(Fault::Tree);
        }
        self.unsigned = 0;
        Ok(stated)
    }

    /// Takes what a log says of its signers. Only the identity names a successor, and only that takes
    /// over: what stands by does neither.
    fn rotate(
        &mut self,
        event: EventType,
        key: PublicKey,
        line: &Line<'_>,
        hash: ChainHash,
    ) -> Result<(), Fault> {
        if event == EventType::SignerRotationRequested {
            check_signature(line, hash, self.identity)?;
            self.successor = Some(key);
            return Ok(());
        }
        if self.identity != Some(key) && self.successor != Some(key) {
            return Err(Fault::Rotation);
        }
        check_signature(line, hash, Some(key))?;
        self.take_identity(key);
        Ok(())
    }

    fn take_identity(&mut self, key: PublicKey) {
        if self.successor == Some(key) {
            self.successor = None;
        }
        self.identity = Some(key);
    }

    /// The log says in `segment` that all up to this number were deleted: never fewer than before.
    fn retire(&mut self, retired: u64, segment: SegmentName) -> Result<(), Fault> {
        if retired < self.retired || retired >= segment.number() {
            return Err(Fault::Start);
        }
        self.retired = retired;
        Ok(())
    }

    fn take(&mut self, line: &Line<'_>, placed: Placed) {
        self.tree.push(TreeHash::leaf(line.entry));
        self.head = Some(placed.head);
        self.head_digits = Some(placed.digits);
        self.time = placed.time;
    }
}

/// Whether the line is signed by `key`, or not at all where nobody is to.
fn check_signature(line: &Line<'_>, hash: ChainHash, key: Option<PublicKey>) -> Result<(), Fault> {
    match (key, line.signature) {
        (None, None) => Ok(()),
        (None, Some(_)) | (Some(_), None) => Err(Fault::Signed),
        (Some(key), Some(text)) => {
            let signature = Signature::from_base64(text).ok_or(Fault::Form)?;
            let is_signed = key.has_signed(hash.as_bytes(), &signature);
            if is_signed { Ok(()) } else { Err(Fault::Signature) }
        }
    }
}

/// Which of `keys` the line is signed by; the first one is looked at first.
fn check_any(
    line: &Line<'_>,
    hash: ChainHash,
    keys: [Option<PublicKey>; 3],
) -> Result<PublicKey, Fault> {
    let mut fault = Fault::Identity;
    for key in keys.into_iter().flatten() {
        match check_signature(line, hash, Some(key)) {
            Ok(()) => return Ok(key),
            Err(found) => fault = found,
        }
    }
    Err(fault)
}

/// The hash that a line itself says comes before it.
fn stated_previous(line: &Line<'_>) -> Option<Option<ChainHash>> {
    let Some(digits) = line.previous else {
        return Some(None);
    };
    let text = std::str::from_utf8(digits).ok()?;
    ChainHash::from_hex(text).map(Some)
}

/// The hash of a line, when it is that of its own bytes.
fn stated_hash(line: &Line<'_>) -> Option<ChainHash> {
    let hash = ChainHash::of(line.entry, stated_previous(line)?);
    (line.hash == hash.to_hex()).then_some(hash)
}
