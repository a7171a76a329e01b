//! Freshness: is this the newest state of the vault that was seen here, or an older copy of it?
//!
//! A pin outside the vault says how far the log had come. Only a synced head is ever pinned, so a
//! crash never looks like a rollback.

use crate::changing::ChangeError;
use crate::durable::{Disk, RealDisk};
use crate::header::Header;
use crate::key_ring::KeyRing;
use crate::kind::VaultKind;
use crate::pin::Pin;
use crate::recovery::Recovered;
use crate::replay::Replay;
use crate::segment::SEGMENT_HEADER;
use crate::segment_scan::{Source, scan};
use crate::slot_secret::SlotSecret;
use crate::vault::{UnlockError, Vault, not_written};
use crate::wall_time::WallTime;
use crate::writer::SyncedHead;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ward_policy::FileId;

/// A vault older than its pin, or a fork of what was pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// What was seen here; `None` when the pin itself is missing or not genuine.
    pub pinned: Option<Pin>,
    /// Where the log stands now.
    pub found: SyncedHead,
    /// When the newest thing in it was changed, as the vault was told the time.
    pub changed: WallTime,
}

/// Why a vault with a pin is not unlocked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockPinnedError {
    /// The vault does not open at all.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// It is older than what was seen here. `fsck` still reads it.
    #[error("{0}; if you restored a backup, say so with ward vault accept-restore")]
    RolledBack(Box<RolledBack>),
    /// The pin cannot be read or written.
    #[error("cannot keep the pin {path}: {source}; check the disk")]
    Pin {
        /// The file of the pin.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What to do about a vault that is older than its pin.
#[derive(Clone, Copy, Debug)]
enum Restore<'files> {
    Refused,
    /// Refused, and shown all the same, without a change.
    Shown,
    /// These files were shredded since.
    Accepted(&'files [FileId]),
}

/// Where the pin of an open vault is kept.
#[derive(Debug)]
pub(crate) struct PinKeeper {
    path: PathBuf,
    /// The pin as it is on disk, and the newest time the vault was told. A leaf.
    kept: Mutex<(Option<Pin>, WallTime)>,
}

/// A pin as unlocking finds it.
#[derive(Debug)]
pub(crate) struct PinPlan<'path> {
    path: &'path Path,
    now: WallTime,
    restore: Restore<'path>,
}

/// What the pin says about the log.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) keeper: Option<PinKeeper>,
    pub(crate) rolled_back: Option<RolledBack>,
    /// A human says that the older state is meant.
    pub(crate) is_accepted: bool,
}

impl Vault {
    /// Opens a vault that must not be older than its pin, a file outside the vault's directory.
    ///
    /// Without a pin it opens when none was ever written for it, and writes the first. A `workspace`
    /// that was rolled back opens read-only.
    ///
    /// # Errors
    /// As [`Self::unlock`]; a `secrets` vault that was rolled back is not served.
    pub fn unlock_pinned(
        directory: &Path,
        secret: &SlotSecret,
        pin: &Path,
        now: WallTime,
    ) -> Result<(Self, Recovered), UnlockPinnedError> {
        Self::unlock_pinned_on(Arc::new(RealDisk), (directory, secret), pin, now)
    }

    pub(crate) fn unlock_pinned_on(
        disk: Arc<dyn Disk>,
        place: (&Path, &SlotSecret),
        pin: &Path,
        now: WallTime,
    ) -> Result<(Self, Recovered), UnlockPinnedError> {
        let plan = PinPlan { path: pin, now, restore: Restore::Refused };
        let (vault, recovered, _) = Self::unlock_as(disk, place, &plan)?;
        Ok((vault, recovered))
    }

    /// As [`Self::unlock_pinned`], but opens a `secrets` vault that was rolled back too: read-only, to
    /// be looked at. Says what was rolled back.
    ///
    /// # Errors
    /// As [`Self::unlock`]; or the pin cannot be read or written.
    pub fn unlock_to_look(
        directory: &Path,
        secret: &SlotSecret,
        pin: &Path,
        now: WallTime,
    ) -> Result<(Self, Recovered, Option<RolledBack>), UnlockPinnedError> {
        let plan = PinPlan { path: pin, now, restore: Restore::Shown };
        Self::unlock_as(Arc::new(RealDisk), (directory, secret), &plan)
    }

    /// Opens a vault that a human has put back on purpose, and makes that the newest state.
    ///
    /// Raises the branch, destroys again the files `shredded` since, and pins only then: a crash in
    /// between leaves it rolled back. Says what was rolled back; when nothing was, nothing is shredded.
    ///
    /// # Errors
    /// As [`Self::unlock`]; or a shred or the pin cannot be written.
    pub fn accept_restore(
        directory: &Path,
        secret: &SlotSecret,
        pin: &Path,
        shredded: &[FileId],
        now: WallTime,
    ) -> Result<(Self, Recovered, Option<RolledBack>), UnlockPinnedError> {
        let plan = PinPlan { path: pin, now, restore: Restore::Accepted(shredded) };
        Self::unlock_as(Arc::new(RealDisk), (directory, secret), &plan)
    }

    fn unlock_as(
        disk: Arc<dyn Disk>,
        place: (&Path, &SlotSecret),
        plan: &PinPlan<'_>,
    ) -> Result<(Self, Recovered, Option<RolledBack>), UnlockPinnedError> {
        let (vault, mut recovered, rolled_back) = Self::unlock_judged(disk, place, Some(plan))?;
        if vault.read_only().is_none() {
            if let Some(rolled_back) = &rolled_back {
                let above = rolled_back.pinned.map_or(0, |pin| pin.head.branch);
                let raised = vault.writer.raise_branch(above);
                raised.map_err(|error| not_written(&vault.directory, error))?;
                if let Restore::Accepted(shredded) = plan.restore {
                    vault.shred_again(shredded, plan.now)?;
                }
            }
            vault
                .pin_synced()
                .map_err(|source| UnlockPinnedError::Pin { path: plan.path.to_owned(), source })?;
            recovered.head = vault.head();
        }
        Ok((vault, recovered, rolled_back))
    }

    fn shred_again(&self, files: &[FileId], now: WallTime) -> Result<(), UnlockError> {
        for file in files {
            match self.shred(*file, now) {
                // Shredded with another name of it, or never in this state.
                Ok(()) | Err(ChangeError::NotFound) => {}
                Err(error) => {
                    let (directory, source) = (self.directory.clone(), io::Error::other(error));
                    return Err(UnlockError::Io { directory, source });
                }
            }
        }
        Ok(())
    }

    /// Makes everything durable and remembers it in the pin. Does nothing for a vault without one.
    ///
    /// # Errors
    /// The disk fails.
    pub fn pin(&self, now: WallTime) -> Result<(), ChangeError> {
        let Some(keeper) = &self.pin_keeper else {
            return Ok(());
        };
        keeper.tell(now);
        self.sync()?;
        self.pin_synced().map_err(ChangeError::Io)
    }

    /// [`Self::pin`], when the log has gone on and the pin is older than `age`; says whether it was.
    ///
    /// # Errors
    /// The disk fails.
    pub fn pin_if_older(&self, age: Duration, now: WallTime) -> Result<bool, ChangeError> {
        let Some(keeper) = &self.pin_keeper else {
            return Ok(false);
        };
        let pinned = keeper.tell(now);
        let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
        let is_old = pinned.is_none_or(|pin| {
            let past = now.nanoseconds().saturating_sub(pin.time.nanoseconds());
            // A clock that was set back must not put it off.
            past < 0 || past >= age
        });
        if !is_old || pinned.is_some_and(|pin| pin.head == self.head()) {
            return Ok(false);
        }
        self.pin(now).map(|()| true)
    }

    /// The generation of the header that the pin on disk names.
    pub(crate) fn pinned_generation(&self) -> Option<u64> {
        let kept = self.pin_keeper.as_ref()?.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.map(|pin| pin.head.header_generation)
    }

    /// Remembers the last synced head, unless the pin says it already.
    pub(crate) fn pin_synced(&self) -> io::Result<()> {
        let Some(keeper) = &self.pin_keeper else {
            return Ok(());
        };
        let mut kept = keeper.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let pin = Pin { head: self.head(), time: kept.1 };
        if self.read_only().is_some() || kept.0.is_some_and(|kept| kept.head == pin.head) {
            return Ok(());
        }
        let ring = self.keys.ring();
        pin.write(&*self.disk, &keeper.path, (self.id(), ring.newest()))?;
        kept.0 = Some(pin);
        drop(kept);
        self.writer.remember_pin(pin.head);
        // From now on a vault without its pin is suspect.
        if self.mark_pinned()? {
            self.pin_synced()?;
        }
        Ok(())
    }
}

impl PinKeeper {
    /// The pin as it is on disk.
    pub(crate) fn pinned(&self) -> Option<Pin> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Notes the time, and gives the pin as it is on disk.
    fn tell(&self, now: WallTime) -> Option<Pin> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1 = now;
        kept.0
    }
}

impl PinPlan<'_> {
    /// Compares the pin with what the log and the header say, before anything is written.
    pub(crate) fn judge(
        &self,
        disk: &dyn Disk,
        (header, keys): (&Header, &KeyRing),
        replay: &Replay,
    ) -> Result<Judgement, UnlockPinnedError> {
        let failed = |source| UnlockPinnedError::Pin { path: self.path.to_owned(), source };
        let pin = Pin::read(disk, self.path, (header.vault, keys)).map_err(failed)?;
        let is_fresh = match &pin {
            Some(pin) => {
                pin.head.header_generation <= header.generation
                    && holds(replay, &pin.head).map_err(failed)?
            }
            None => !header.is_pinned,
        };
        let found = replay.head(header.generation);
        let changed = replay.index.newest_time();
        let rolled_back = (!is_fresh).then_some(RolledBack { pinned: pin, found, changed });
        let is_accepted = matches!(self.restore, Restore::Accepted(_));
        if let (Some(rolled_back), Restore::Refused, VaultKind::Secrets) =
            (rolled_back, self.restore, header.kind)
        {
            return Err(UnlockPinnedError::RolledBack(Box::new(rolled_back)));
        }
        let kept = Mutex::new((pin, self.now));
        let keeper = Some(PinKeeper { path: self.path.to_owned(), kept });
        Ok(Judgement { keeper, rolled_back, is_accepted })
    }
}

/// Whether the log has gone through this position.
fn holds(replay: &Replay, pinned: &SyncedHead) -> io::Result<bool> {
    let mut tail = replay.tail.changes.iter();
    if replay.lineage.is_past(pinned)
        || replay.index.ledger.has_moved(pinned)
        || tail.any(|change| change.has_moved(pinned))
    {
        return Ok(true);
    }
    let Some(segment) = replay.segments.get(pinned.segment) else {
        return Ok(pinned.segment == 0);
    };
    let start = segment.start()?;
    if (start.sequence, start.chain) == (pinned.sequence, pinned.chain) {
        return Ok(true);
    }
    let end = replay.lineage.end_of(pinned.segment).map(|end| end.position);
    let end = end.unwrap_or(replay.tail.end).max(SEGMENT_HEADER);
    let scan = scan(&segment, start, end, Source::Cached)?;
    let mut behind = scan.pieces.iter().map(|piece| piece.behind);
    Ok(behind.any(|behind| (behind.sequence, behind.chain) == (pinned.sequence, pinned.chain)))
}

impl fmt::Display for RolledBack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = |time: WallTime| time.nanoseconds() / 1_000_000_000;
        let (found, changed) = (Shown(&self.found), second(self.changed));
        write!(formatter, "the vault stands at {found} (changed at second {changed} of 1970), ")?;
        match &self.pinned {
            Some(pin) => write!(
                formatter,
                "and {} was seen here (at second {} of 1970): it was rolled back",
                Shown(&pin.head),
                second(pin.time)
            ),
            None => formatter.write_str("and its pin is missing or not genuine"),
        }
    }
}

/// A head in words.
struct Shown<'head>(&'head SyncedHead);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SyncedHead { branch, segment, sequence, header_generation, .. } = self.0;
        write!(
            formatter,
            "branch {branch}, segment {segment}, frame {sequence}, header {header_generation}"
        )
    }
}
