//! A vault: make one, unlock it, ask about it, close it. Reading and changing are files beside this.

use crate::durable::{Access, Disk, RealDisk};
use crate::fields::on_disk;
use crate::freshness::{Judgement, PinKeeper, PinPlan, RolledBack, UnlockPinnedError};
use crate::header::{FORMAT, Header, OpenFault, VaultId};
use crate::header_file::{self, HeaderFileError, OpenedHeader};
use crate::image::Shelf;
use crate::image_choice::{Images, replay_newest};
use crate::index::{Counts, Index};
use crate::key_ring::{KeyRing, Keys};
use crate::kind::VaultKind;
use crate::lock::{LockError, VaultLock};
use crate::patrol::PatrolPlace;
use crate::recovery::{self, Recovered, TornTail};
use crate::rekey::refuse_outdated;
use crate::replay::{Depth, Plan, Replay, Tail};
use crate::segment::SegmentTable;
use crate::slot_secret::{SlotKind, SlotSecret};
use crate::workspace::Held;
use crate::write_error::{ReadOnly, WriteError};
use crate::writer::{SyncedHead, UNPUBLISHED, Workplace, Writer, WriterStart};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use ward_audit::NamesKey;

/// The directory of the segments in that of the vault.
pub(crate) const SEGMENTS: &str = "segments";
/// The directory of the images.
pub(crate) const IMAGES: &str = "images";

/// An unlocked vault. All methods take `&self`, from any thread.
#[derive(Debug)]
pub struct Vault {
    pub(crate) directory: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) keys: Arc<Keys>,
    id: VaultId,
    kind: VaultKind,
    /// Guards changes of the key slots, which are rare; held while the header is written.
    header: Mutex<Header>,
    /// Guards the tree. Held to look up or to change, never while the disk or a cipher works; the
    /// writer's list of waiting changes is taken under it, nothing else.
    index: RwLock<Index>,
    /// Which nodes of a `workspace` vault are open.
    pub(crate) held: Held,
    pub(crate) segments: Arc<SegmentTable>,
    pub(crate) writer: Writer,
    /// Guards the images; held while one is written. Taken before the index.
    pub(crate) shelf: Mutex<Shelf>,
    pub(crate) pin_keeper: Option<PinKeeper>,
    pub(crate) patrol: PatrolPlace,
    _lock: VaultLock,
}

/// How much a vault holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Files with a name.
    pub files: u64,
    /// Directories, the top one among them.
    pub directories: u64,
    /// Versions whose bytes are on disk.
    pub versions: u64,
    /// Bytes of the current versions.
    pub current_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of all segments, preallocated ones included.
    pub disk_bytes: u64,
}

/// Why a vault is not unlocked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// There is no vault.
    #[error("there is no vault at {0}; check the name, or make one with ward vault init")]
    NoVault(PathBuf),
    /// The vault has no slot for this kind of secret.
    #[error("the vault has no slot of kind {0:?}; unlock it another way")]
    NoSlot(SlotKind),
    /// No slot opens with it.
    #[error("the passphrase, key file or code opens no slot of the vault; try another")]
    WrongSecret,
    /// Made by a later program.
    #[error("the vault has format {found}, this program knows up to {known}; use a newer wardfs")]
    Newer {
        /// The format of the vault.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// Neither copy of the header is whole.
    #[error("both copies of the header are damaged; restore one with ward vault header restore")]
    HeaderDamaged,
    /// The header does not fit its own key.
    #[error("the header was changed by somebody without the key; restore a header backup")]
    HeaderChanged,
    /// The header has no key of any segment: the vault got another since.
    #[error("the vault was given a new key since this header; restore a later header backup")]
    HeaderOutdated,
    /// A passphrase slot asks for more work than this machine can do.
    #[error("a key slot needs more memory than there is; free some, or use another slot")]
    TooCostly,
    /// Another process has it open.
    #[error("the vault is open in another process{}; end that one first", pid(.0))]
    Locked(Option<u32>),
    /// The disk is full, and a torn tail has to be moved.
    #[error("the disk has no room to recover the vault; free some and unlock it again")]
    NoSpace,
    /// The disk fails.
    #[error("cannot read the vault {directory}: {source}; check the disk")]
    Io {
        /// The directory of the vault.
        directory: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Vault {
    /// Opens a vault and brings it to where it can go on.
    ///
    /// A damaged vault opens read-only: see [`Recovered::damage`].
    ///
    /// # Errors
    /// Says which of many things is wrong, and what to do next.
    pub fn unlock(directory: &Path, secret: &SlotSecret) -> Result<(Self, Recovered), UnlockError> {
        Self::unlock_on(Arc::new(RealDisk), directory, secret)
    }

    pub(crate) fn unlock_on(
        disk: Arc<dyn Disk>,
        directory: &Path,
        secret: &SlotSecret,
    ) -> Result<(Self, Recovered), UnlockError> {
        match Self::unlock_judged(disk, (directory, secret), None) {
            Ok((vault, recovered, _)) => Ok((vault, recovered)),
            Err(UnlockPinnedError::Unlock(error)) => Err(error),
            Err(UnlockPinnedError::Pin { source, .. }) => {
                Err(UnlockError::Io { directory: directory.to_owned(), source })
            }
            Err(UnlockPinnedError::RolledBack(_)) => {
                unreachable!("only a pin says that a vault was rolled back")
            }
        }
    }

    /// Opens a vault; one that was rolled back only when `pin` says so.
    pub(crate) fn unlock_judged(
        disk: Arc<dyn Disk>,
        (directory, secret): (&Path, &SlotSecret),
        pin: Option<&PinPlan<'_>>,
    ) -> Result<(Self, Recovered, Option<RolledBack>), UnlockPinnedError> {
        let (lock, opened) = open_header(&*disk, directory, secret)?;
        let io = |source| UnlockError::Io { directory: directory.to_owned(), source };
        let OpenedHeader { header, keys, is_lame } = opened;
        let (mut replayed, shelf) = read_log(&*disk, directory, (&header, &keys)).map_err(io)?;
        refuse_outdated(&*disk, directory, &keys, &replayed)?;
        let judgement = match pin {
            Some(pin) => pin.judge(&*disk, (&header, &keys), &replayed)?,
            None => Judgement::default(),
        };
        let is_frozen = judgement.rolled_back.is_some() && !judgement.is_accepted;
        let is_healthy = replayed.findings.is_empty() && !is_frozen;
        if is_frozen {
            replayed.show_tail();
        }
        if is_healthy {
            remove_unpublished(&*disk, directory).map_err(io)?;
        }
        if is_healthy && is_lame {
            header_file::write(&*disk, directory, &header, keys.newest()).map_err(io)?;
        }
        let keys = Arc::new(Keys::new(keys));
        let segments = Arc::new(std::mem::take(&mut replayed.segments));
        let place = Workplace {
            disk: disk.clone(),
            directory: directory.join(SEGMENTS),
            vault: header.vault,
            kind: header.kind,
            keys: keys.clone(),
            segments: segments.clone(),
        };
        let writer = Writer::new(place, start_of(&mut replayed, &header));
        if is_frozen {
            writer.refuse(ReadOnly::RolledBack);
        }
        let mut recovered = settle(&mut replayed, &segments, &writer)
            .map_err(|error| not_written(directory, error))?;
        recovered.header_repaired = is_healthy && is_lame;
        let skipped = getrandom::u32().map_err(|error| io(io::Error::other(error)))?;
        replayed.index.skip_numbers(skipped);
        replayed.index.drop_orphans();
        replayed.index.keep_segments(&|number| segments.get(number).is_some());
        writer.keep_reserve(shelf.size);
        let vault = Self {
            directory: directory.to_owned(),
            disk,
            keys,
            id: header.vault,
            kind: header.kind,
            header: Mutex::new(header),
            index: RwLock::new(replayed.index),
            held: Held::default(),
            segments,
            writer,
            shelf: Mutex::new(shelf),
            pin_keeper: judgement.keeper,
            patrol: PatrolPlace::default(),
            _lock: lock,
        };
        Ok((vault, recovered, judgement.rolled_back))
    }

    /// Syncs everything and ends the log cleanly, so that the next unlock has nothing to recover.
    ///
    /// # Errors
    /// The disk fails; what was synced before is there.
    pub fn close(self) -> Result<SyncedHead, crate::ChangeError> {
        if matches!(self.writer.refusal(), Some(ReadOnly::Damaged | ReadOnly::RolledBack)) {
            return Ok(self.writer.head());
        }
        self.writer.sync()?;
        let pinned = self.pin_synced();
        if self.writer.metadata_since_image() != 0 {
            // An image is a cache: without one the next unlock reads more.
            let _the_log_is_whole = self.with_reserve(|| self.write_image());
        }
        let head = self.writer.close()?;
        pinned.map(|()| head).map_err(crate::ChangeError::Io)
    }

    /// The id of the vault.
    pub const fn id(&self) -> VaultId {
        self.id
    }

    /// What it is for.
    pub const fn kind(&self) -> VaultKind {
        self.kind
    }

    /// Its owner's words.
    pub fn label(&self) -> String {
        self.lock_header().label.clone()
    }

    /// Why it takes no changes; `None` when it does.
    pub fn read_only(&self) -> Option<ReadOnly> {
        self.writer.refusal()
    }

    /// The last durable position of the log.
    pub fn head(&self) -> SyncedHead {
        self.writer.head()
    }

    /// The key under which the audit log seals this vault's names; another after [`Self::rekey`].
    pub fn names_key(&self) -> NamesKey {
        self.keys.ring().names_key(self.id)
    }

    /// How much it holds.
    ///
    /// # Errors
    /// The disk does not say how long a segment is.
    pub fn usage(&self) -> io::Result<Usage> {
        let Counts { files, directories, versions, bytes } = self.read_index().counts();
        let segments = self.segments.all();
        let sizes = segments.iter().map(|segment| segment.file.size());
        let disk_bytes = sizes.sum::<io::Result<u64>>()?;
        let segments = on_disk(segments.len());
        Ok(Usage { files, directories, versions, current_bytes: bytes, segments, disk_bytes })
    }

    pub(crate) fn read_index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lock_header(&self) -> MutexGuard<'_, Header> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the lock and opens the header.
pub(crate) fn open_header(
    disk: &dyn Disk,
    directory: &Path,
    secret: &SlotSecret,
) -> Result<(VaultLock, OpenedHeader), UnlockError> {
    let io = |source: io::Error| {
        let directory = directory.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            UnlockError::NoVault(directory)
        } else {
            UnlockError::Io { directory, source }
        }
    };
    let lock = VaultLock::take(directory).map_err(|error| match error {
        LockError::Held(holder) => UnlockError::Locked(holder),
        LockError::Io(source) => io(source),
    })?;
    let opened = header_file::open(disk, directory, secret).map_err(|error| match error {
        HeaderFileError::Io(source) => io(source),
        HeaderFileError::Newer(found) => UnlockError::Newer { found, known: FORMAT },
        HeaderFileError::Damaged => UnlockError::HeaderDamaged,
        HeaderFileError::Open(OpenFault::NoSlot) => UnlockError::NoSlot(secret.kind()),
        HeaderFileError::Open(OpenFault::WrongSecret) => UnlockError::WrongSecret,
        HeaderFileError::Open(OpenFault::Changed) => UnlockError::HeaderChanged,
        HeaderFileError::Open(OpenFault::TooCostly) => UnlockError::TooCostly,
    })?;
    Ok((lock, opened))
}

/// Reads the log for a vault that is going to be written.
fn read_log(
    disk: &dyn Disk,
    directory: &Path,
    (header, keys): (&Header, &KeyRing),
) -> io::Result<(Replay, Shelf)> {
    let segments = directory.join(SEGMENTS);
    let plan = Plan {
        disk,
        directory: &segments,
        vault: header.vault,
        kind: header.kind,
        keys,
        access: Access::ReadWrite,
        depth: Depth::Unlock,
    };
    let images = directory.join(IMAGES);
    replay_newest(&plan, &Images { disk, directory: &images })
}

/// Where the writer goes on.
fn start_of(replayed: &mut Replay, header: &Header) -> WriterStart {
    let (standing, head) = (replayed.standing, replayed.head(header.generation));
    let lineage = std::mem::take(&mut replayed.lineage);
    let metadata_since_image = replayed.metadata_since_image;
    WriterStart { standing, head, lineage, metadata_since_image }
}

/// Makes a healthy vault ready to go on, and keeps a damaged one from being written.
fn settle(
    replayed: &mut Replay,
    segments: &SegmentTable,
    writer: &Writer,
) -> Result<Recovered, WriteError> {
    let Tail { end, torn, .. } = replayed.tail;
    let segment = replayed.standing.segment;
    let torn = (torn != 0).then_some(TornTail { segment, position: end, length: torn });
    let damage = std::mem::take(&mut replayed.findings);
    let mut shreds_finished = 0;
    if writer.refusal().is_some() {
        // It was rolled back: it is shown as it is.
    } else if damage.is_empty() {
        recovery::settle_tail(replayed, segments, writer)?;
        recovery::trim(segments, &replayed.overlong).map_err(WriteError::Io)?;
        shreds_finished = recovery::finish_shreds(&mut replayed.index, segments, writer)?;
    } else {
        writer.refuse(ReadOnly::Damaged);
    }
    Ok(Recovered { head: writer.head(), torn, damage, shreds_finished, header_repaired: false })
}

/// Removes the segment and the image that an interrupted start or daemon had not published.
fn remove_unpublished(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    for part in [SEGMENTS, IMAGES] {
        match disk.remove(&directory.join(part).join(UNPUBLISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Why a vault is not unlocked when its recovery cannot be written.
pub(crate) fn not_written(directory: &Path, error: WriteError) -> UnlockError {
    let source = match error {
        WriteError::NoSpace => return UnlockError::NoSpace,
        WriteError::Io(source) => source,
        WriteError::ReadOnly(_) | WriteError::TooLong => io::ErrorKind::Other.into(),
    };
    UnlockError::Io { directory: directory.to_owned(), source }
}

fn pid(holder: &Option<u32>) -> String {
    holder.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}
