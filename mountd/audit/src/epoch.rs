//! Epochs: one for each segment, with a key of its own that signs what is in it.
//!
//! The identity certifies the key in the segment's first entry. The key signs checkpoints, and at
//! last the final tree and the key after it; then it is wiped.

use crate::entry::{Entry, Number};
use crate::event::SignedBy;
use crate::key::{LogKey, SigningKey};
use crate::signer::{Identity, Signer};
use crate::succession::{MOST_UNSIGNED, Succession};
use crate::tree::Frontier;
use crate::{EventType, Head, HeadNote, PublicKey, SegmentName, TreeHash};
use std::sync::Arc;
use ward_policy::Moment;

/// A record may bring a clock jump along: a checkpoint comes before there is no room for both.
const CHECKPOINT_EVERY: u64 = MOST_UNSIGNED - 1;

/// The keys of a run, the tree, and what of it is signed.
#[derive(Debug)]
pub(crate) struct Epochs {
    key: LogKey,
    /// What signs for the log's identity.
    identity: Identity,
    /// What is about to take over from that.
    successor: Option<PublicKey>,
    /// The key of the open segment.
    current: Option<SigningKey>,
    /// The key of the segment that begins next; once the last entry of this one has named it.
    next: Option<SigningKey>,
    tree: Frontier,
    /// Whether the segment before this run has no last entry.
    is_unclosed: bool,
    unsigned: u64,
    unsigned_since: Option<Moment>,
    /// Whether the segment has an entry of somebody else's.
    has_records: bool,
    /// Up to which seq a sync has returned.
    synced: u64,
    signed: Option<Signed>,
    /// How large the newest published tree is.
    published: u64,
    /// Up to which number segments were deleted.
    retired: u64,
}

/// What signs an entry.
#[derive(Debug)]
pub(crate) enum Signing<'a> {
    /// Nothing: the next checkpoint does.
    Nobody,
    /// The key of the segment.
    Segment(&'a SigningKey),
    /// The log's identity, wherever that is.
    Identity(&'a Identity),
}

/// The hash over the first entries of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many entries.
    pub size: u64,
    /// The root of the tree over them (RFC 6962).
    pub root: TreeHash,
}

/// A tree that an entry has signed.
#[derive(Clone, Copy, Debug)]
struct Signed {
    /// The seq of that entry.
    seq: u64,
    tree: TreeHead,
}

impl Epochs {
    /// The keys of a new run `after` what was found; `None` when the system gives no random bytes.
    pub(crate) fn begin(key: LogKey, identity: Identity, after: &Succession) -> Option<Self> {
        let next = Some(SigningKey::generate()?);
        let taken_over = Some(identity.signer.public());
        Some(Self {
            key,
            identity,
            successor: after.successor().filter(|key| Some(*key) != taken_over),
            current: None,
            next,
            tree: after.tree().clone(),
            is_unclosed: !after.is_closed(),
            unsigned: 0,
            unsigned_since: None,
            has_records: false,
            synced: 0,
            signed: None,
            published: 0,
            retired: after.retired(),
        })
    }

    /// What signs an entry of this kind.
    pub(crate) fn signing(&self, event: EventType) -> Signing<'_> {
        match (event.signed_by(), &self.current) {
            (Some(SignedBy::Identity), _) => Signing::Identity(&self.identity),
            (Some(SignedBy::Segment), Some(key)) => Signing::Segment(key),
            (Some(SignedBy::Segment), None) | (None, _) => Signing::Nobody,
        }
    }

    /// From here on `signer` is the log's identity; nothing stands by until a segment says so.
    pub(crate) fn take_over(&mut self, signer: Arc<dyn Signer>) {
        self.identity = Identity { signer, standby: None };
        self.successor = None;
    }

    /// The log has named what is about to be its identity.
    pub(crate) const fn name_successor(&mut self, key: PublicKey) {
        self.successor = Some(key);
    }

    /// The first entry of `segment`, after `head`.
    pub(crate) fn start(&self, segment: SegmentName, head: Option<Head>) -> Entry<'static> {
        Entry {
            frontier: Some(self.tree.nodes().to_vec()),
            identity: Some(self.identity.signer.public()),
            key: self.next.as_ref().map(SigningKey::public),
            notes: Some(self.key.notes.public()),
            previous: head.map(|head| head.hash),
            retired: (self.retired > 0).then_some(Number(self.retired)),
            root: Some(self.tree.root()),
            segment: Some(Number(segment.number())),
            size: Some(Number(self.tree.size())),
            standby: self.key.standby_of(&self.identity.signer).map(|standby| standby.public()),
            successor: self.successor,
            unclosed: self.is_unclosed.then_some(true),
            ..Entry::new(EventType::SegmentStart)
        }
    }

    /// A checkpoint of `segment`.
    pub(crate) fn checkpoint(&self, segment: SegmentName) -> Entry<'static> {
        self.stating(EventType::Checkpoint, segment)
    }

    /// The last entry of `segment` when the run goes on: names the next key. `None` when the system
    /// gives no random bytes.
    pub(crate) fn end(&mut self, segment: SegmentName) -> Option<Entry<'static>> {
        let next = SigningKey::generate()?;
        let entry = Entry { next: Some(next.public()), ..self.last(segment) };
        self.next = Some(next);
        Some(entry)
    }

    /// The last entry of `segment`, and of the run.
    pub(crate) fn last(&self, segment: SegmentName) -> Entry<'static> {
        self.stating(EventType::SegmentEnd, segment)
    }

    /// The end of a segment could not be written, so no key was named.
    pub(crate) fn take_back(&mut self) {
        self.next = None;
    }

    /// Whether the segment's last entry is written, and the next one not begun.
    pub(crate) const fn is_between(&self) -> bool {
        self.next.is_some()
    }

    /// Whether a checkpoint must come before any other entry.
    pub(crate) const fn is_checkpoint_due(&self) -> bool {
        self.unsigned >= CHECKPOINT_EVERY
    }

    /// Whether the segment has an entry that the log did not make for itself.
    pub(crate) const fn has_records(&self) -> bool {
        self.has_records
    }

    /// What signs for the log's identity.
    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The note that `head` is a head of `log`.
    pub(crate) fn note(&self, log: &str, head: TreeHead) -> HeadNote {
        HeadNote::sign(log, head, &self.key.notes)
    }

    /// Since when an entry waits for a checkpoint.
    pub(crate) const fn unsigned_since(&self) -> Option<Moment> {
        self.unsigned_since
    }

    /// The note of the newest signed tree, once that is synced; each one once.
    pub(crate) fn unpublished(&mut self, log: &str) -> Option<HeadNote> {
        let signed = self.signed.filter(|signed| signed.seq <= self.synced)?;
        if signed.tree.size <= self.published {
            return None;
        }
        self.published = signed.tree.size;
        Some(self.note(log, signed.tree))
    }

    /// Segments up to this number are deleted, as the log has recorded.
    pub(crate) const fn retired_up_to(&mut self, segment: SegmentName) {
        self.retired = segment.number();
    }

    /// Up to which entry a sync has returned.
    pub(crate) const fn synced(&self) -> u64 {
        self.synced
    }

    /// A sync has returned for everything up to `seq`.
    pub(crate) fn synced_up_to(&mut self, seq: u64) {
        self.synced = self.synced.max(seq);
    }

    /// The entry `seq` of this kind, with these bytes, is in the log.
    pub(crate) fn added(&mut self, event: EventType, seq: u64, entry: &[u8], now: Moment) {
        let is_signed = event.signed_by() == Some(SignedBy::Segment);
        let signed = is_signed.then(|| TreeHead { size: self.tree.size(), root: self.tree.root() });
        self.tree.push(TreeHash::leaf(entry));
        if event == EventType::SegmentStart {
            // The key before it is wiped here.
            self.current = self.next.take();
            self.identity.standby = self.key.standby_of(&self.identity.signer);
            self.is_unclosed = false;
            self.has_records = false;
        } else if let Some(tree) = signed {
            self.signed = Some(Signed { seq, tree });
        } else {
            self.has_records |= !event.is_housekeeping();
            self.unsigned += 1;
            self.unsigned_since = self.unsigned_since.or(Some(now));
            return;
        }
        self.unsigned = 0;
        self.unsigned_since = None;
    }

    fn stating(&self, event: EventType, segment: SegmentName) -> Entry<'static> {
        Entry {
            root: Some(self.tree.root()),
            segment: Some(Number(segment.number())),
            size: Some(Number(self.tree.size())),
            synced: Some(Number(self.synced.min(self.tree.size()))),
            ..Entry::new(event)
        }
    }
}
