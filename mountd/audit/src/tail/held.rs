//! Held lines: chained, and waiting for a signature from elsewhere, their own or that of a line before
//! them. They are written in the order of the chain, so a crash leaves a log without them, and whole.

use super::{Tail, write_all};
use crate::disk::SegmentFile;
use crate::key::Signature;
use crate::line;
use crate::signer::{Identity, SignError};
use crate::{AppendError, ChainHash, Head, Stamp, Timestamp};
use std::collections::VecDeque;
use ward_policy::Moment;

/// How many lines may be held before the next entry waits.
const MOST: usize = 4096;

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Held {
    lines: VecDeque<Line>,
    /// What nobody has taken on to have signed yet.
    owed: Vec<Owed>,
}

#[derive(Debug)]
struct Line {
    seq: u64,
    bytes: Vec<u8>,
    offset: u64,
    is_complete: bool,
    since: Moment,
}

/// A signature that a line waits for.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) seq: u64,
    pub(crate) hash: ChainHash,
    pub(crate) identity: Identity,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The first line, when nothing keeps it from being written.
    fn complete(&mut self) -> Option<Line> {
        let is_complete = self.lines.front().is_some_and(|line| line.is_complete);
        if is_complete { self.lines.pop_front() } else { None }
    }
}

impl Line {
    fn write(&self, file: &dyn SegmentFile) -> std::io::Result<()> {
        write_all(file, &self.bytes, self.offset)
    }
}

impl Tail {
    /// The time of the last line, held ones too; no line is of an earlier one.
    pub(crate) const fn time(&self) -> Timestamp {
        self.time
    }

    /// Up to which seq lines were handed to the kernel.
    pub(crate) fn written(&self) -> u64 {
        let first_held = self.held.lines.front().map(|line| line.seq - 1);
        first_held.unwrap_or_else(|| self.head.map_or(0, |head| head.seq))
    }

    /// Whether the next entry has to wait until signatures have come: when too many lines are held, or
    /// the segment is to end, which has all of its lines.
    pub(crate) fn must_wait(&self) -> bool {
        let is_full = self.is_segment_full() || self.held.lines.len() >= MOST;
        self.stopped.is_none() && !self.held.is_empty() && is_full
    }

    /// Whether nothing is held, or never will be written.
    pub(crate) fn is_drained(&self) -> bool {
        self.stopped.is_some() || self.held.is_empty()
    }

    /// Whether the open segment has its first line.
    pub(crate) fn is_begun(&self) -> bool {
        self.length > 0 && self.held.is_empty()
    }

    /// The segment ends before the next entry.
    pub(crate) const fn end_soon(&mut self) {
        self.ends_soon = true;
    }

    /// Whether the segment ends before the next entry.
    pub(super) const fn is_segment_full(&self) -> bool {
        self.length >= self.settings.segment_bytes || self.ends_soon || self.is_between()
    }

    /// What has to be signed now, by whoever asks, without the mutex.
    pub(crate) fn take_owed(&mut self) -> Vec<Owed> {
        std::mem::take(&mut self.held.owed)
    }

    /// Sees that the disk has room for the line; gives where it will end.
    pub(super) fn make_room(&mut self) -> Result<u64, AppendError> {
        let end = self.length + self.line.len() as u64;
        if end > self.allocated {
            self.extend(end)?;
        }
        Ok(end)
    }

    /// Holds the line of `head`, which `identity` is to sign when there is one.
    pub(super) fn hold(
        &mut self,
        head: Head,
        identity: Option<Identity>,
        now: Stamp,
    ) -> Result<(), AppendError> {
        // Asked for now: what comes after it is chained to it and cannot be taken back.
        let end = self.make_room()?;
        self.held.lines.push_back(Line {
            seq: head.seq,
            bytes: self.line.clone(),
            offset: self.length,
            is_complete: identity.is_none(),
            since: now.boot,
        });
        if let Some(identity) = identity {
            self.held.owed.push(Owed { seq: head.seq, hash: head.hash, identity });
        }
        self.length = end;
        Ok(())
    }

    /// The signature of the line `seq` came, or will not; writes what waited for nothing else.
    pub(crate) fn signed(&mut self, seq: u64, signature: Result<Signature, SignError>) {
        let signature = match signature {
            Ok(signature) => signature,
            Err(error) => {
                self.stop(format!("its signer does not sign: {error}").into());
                return;
            }
        };
        if let Some(line) = self.held.lines.iter_mut().find(|line| line.seq == seq) {
            line::sign(&mut line.bytes, signature);
            line.is_complete = true;
        }
        while self.stopped.is_none() {
            let Some(line) = self.held.complete() else { break };
            self.unsynced_since = self.unsynced_since.or(Some(line.since));
            if let Err(error) = line.write(&*self.file) {
                // Room was made for it, so a full disk is no excuse here.
                self.stop(format!("cannot write {}: {error}", self.segment).into());
            }
        }
    }
}
