//! The log: chained records, and receipts for them.
//!
//! Knows what a line is, where it goes, when it is on disk and whether a log is whole. Knows no
//! filesystem protocol, no store and no clock: time, facts and names are arguments.
//!
//! The way of a record: [`Record`] (what the daemon says happened) becomes an [`Entry`] (canonical
//! JSON), is chained into a line of a segment, and comes back as a [`Receipt`].
//! `docs/formats.md` has the line byte by byte.

mod access;
mod chain;
mod commit;
mod counted;
mod csv;
mod disk;
mod entry;
mod epoch;
mod event;
mod evidence;
mod export;
mod filter;
mod fold;
mod follow;
mod gap;
mod key;
mod line;
mod log;
mod names;
mod note;
mod open;
mod outcome;
mod proof;
mod read;
mod receipt;
mod record;
mod rotation;
mod segment;
mod signer;
mod stamp;
mod statement;
mod stored;
mod succession;
#[cfg(test)]
mod support;
mod tail;
#[cfg(test)]
mod tampering;
mod tend;
mod terms;
mod tile;
mod tree;
mod trust;
mod verify;
mod witness;

pub use access::AccessError;
pub use chain::ChainHash;
pub use counted::{ClientCounts, CountedEntry, Counts, FileCounts};
pub use csv::{csv_head, csv_row};
pub use entry::{Actor, Entry, Number, Opener, SignerText};
pub use epoch::TreeHead;
pub use event::EventType;
pub use evidence::{Evidence, EvidenceKind, EvidenceText};
pub use export::{AgentSafe, ExportError, Illuvrse, export_rows};
pub use filter::{Filter, PathGlob};
pub use fold::Standing;
pub use follow::{Follower, Lines};
pub use gap::{AcceptBreakError, Gap, accept_break};
pub use key::{LogKey, PublicKey, Signature};
pub use log::{AppendError, Durability, HEAD_FILE, Log};
pub use names::NamesKey;
pub use note::{HeadNote, HeadNoteError, parse_verifier_key, verifier_key};
pub use open::{Cut, OpenLogError, Recovered, Settings};
pub use outcome::Outcome;
pub use proof::{CheckError, Proof, ProveError, head, notes_key, prove};
pub use read::{ReadLogError, ShownEntry, Unread, read};
pub use receipt::Receipt;
pub use record::{Record, VaultKind};
pub use rotation::{RotateError, SIGNERS_FILE};
pub use segment::SegmentName;
pub use signer::{KeySource, SignError, Signer, SoftwareSigner};
pub use stamp::{BootId, BootIdError, Stamp, Timestamp};
pub use succession::Head;
pub use tend::TendError;
pub use terms::{Asked, Terms};
pub use tree::TreeHash;
pub use trust::{Distrusted, SignerPeriod};
pub use verify::{Extent, Report, Verdict, verify, verify_against};
pub use witness::WitnessKey;
