//! The log: chained records, and receipts for them.
//!
//! Knows what a line is, where it goes, when it is on disk and whether a log is whole. Knows no
//! filesystem protocol, no store and no clock: time, facts and names are arguments.
//!
//! The way of a record: [`Record`] (what the daemon says happened) becomes an [`Entry`] (canonical
//! JSON), is chained into a line of a segment, and comes back as a [`Receipt`].
//! `docs/formats.md` has the line byte by byte.

mod chain;
mod commit;
mod disk;
mod entry;
mod event;
mod filter;
mod line;
mod log;
mod names;
mod open;
mod read;
mod receipt;
mod record;
mod segment;
mod stamp;
mod succession;
#[cfg(test)]
mod support;
mod tail;
mod verify;

pub use chain::ChainHash;
pub use entry::{Actor, Entry, Number, Opener};
pub use event::EventType;
pub use filter::{Filter, PathGlob};
pub use log::{AppendError, Durability, Log};
pub use names::NamesKey;
pub use open::{Cut, OpenLogError, Recovered, Settings};
pub use read::{ReadLogError, ShownEntry, read};
pub use receipt::Receipt;
pub use record::{Outcome, Record, VaultKind};
pub use segment::SegmentName;
pub use stamp::{BootId, BootIdError, Stamp, Timestamp};
pub use succession::Head;
pub use verify::{Extent, Report, Verdict, VerifyError, verify};
