//! The vaults of a root: where they lie, which are unlocked, and when they lock again.

mod keeper;
mod restore;

pub(crate) use keeper::{Keeper, check_all};
pub(crate) use restore::{AcceptError, RolledBackVault};

use crate::clock;
use crate::draft::DraftTable;
use crate::initialise::{InitError, WantedVault, make_vault};
use crate::owner::Owner;
use crate::pipeline::Pipeline;
use crate::root::{KEYS, PINS, Root, VAULTS};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_audit::{AppendError, Durability, EventType, Log, ReadLogError, Record};
use ward_policy::{FileId, Moment, SecretPath, VaultName};
use ward_store::{
    Claim, EntryName, ImageUse, Keyfile, KeyfileError, ReadOnly, Recovered, RolledBack, SlotKind,
    SlotSecret, SyncedHead, TornTail, UnlockError, UnlockPinnedError, Vault, VaultKind, WallTime,
};
use zeroize::Zeroizing;

/// How long a vault without a mount stays unlocked after the last command.
const LINGER: Duration = Duration::from_secs(60);

/// An unlocked vault.
#[derive(Debug)]
pub(crate) struct OpenVault {
    pub(crate) name: VaultName,
    pub(crate) vault: Vault,
    pub(crate) drafts: DraftTable,
    /// A `secrets` vault that was rolled back: nothing but an export may look at it.
    rolled_back: Option<RolledBackVault>,
    /// Nanoseconds on the boot clock at the last use.
    used: AtomicU64,
}

/// What becomes of a `secrets` vault that was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IfRolledBack {
    Refuse,
    /// It is unlocked for an export; everybody else is refused.
    Show,
}

/// The vaults of one root.
#[derive(Debug)]
pub(crate) struct VaultTable {
    root: Arc<Root>,
    /// Seals names while their vault is unlocked.
    log: Arc<Log>,
    /// Takes up what the log has about a vault once that is unlocked.
    pipeline: Arc<Pipeline>,
    /// Held while the keeper has vaults in its hands. Taken before the table.
    keeping: Mutex<()>,
    /// Guards the maps; held while one vault is unlocked, so that no two do it at once.
    table: Mutex<Table>,
    /// What the patrol found damaged since the daemon started, in words. A leaf.
    damage: Mutex<BTreeMap<VaultName, BTreeSet<String>>>,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<VaultName, Arc<OpenVault>>,
    /// Those found rolled back, so that the log says it once.
    rolled_back: BTreeMap<VaultName, SyncedHead>,
}

/// Why a vault is not at hand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// There is no vault of that name.
    #[error("there is no vault {0}")]
    NoSuchVault(VaultName),
    /// It takes a passphrase, and none was given.
    #[error("the vault {0} is locked")]
    Locked(VaultName),
    /// Its key file cannot be read.
    #[error(transparent)]
    Keyfile(#[from] KeyfileError),
    /// The store does not open.
    #[error(transparent)]
    Unlock(#[from] UnlockPinnedError),
    /// It is older than what was seen here.
    #[error("{0}")]
    RolledBack(Box<RolledBackVault>),
    /// The log took no key to seal names with.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The log cannot be read.
    #[error(transparent)]
    ReadLog(#[from] ReadLogError),
    /// The folder of vaults cannot be read.
    #[error("cannot read the folder of vaults")]
    Folder(#[from] io::Error),
}

impl OpenVault {
    /// The file or folder at `path`, in a vault of either kind.
    pub(crate) fn find(&self, path: &SecretPath) -> Option<FileId> {
        match self.vault.kind() {
            VaultKind::Secrets => self.vault.find(path),
            VaultKind::Workspace => path.parts().try_fold(self.vault.root(), |folder, part| {
                let entry = EntryName::try_from(part).ok()?;
                self.vault.find_entry(folder, &entry).ok().map(|found| found.file)
            }),
        }
    }

    /// When the value of a file ends, if ever.
    pub(crate) fn end_of(&self, file: FileId) -> Option<WallTime> {
        let version = self.vault.current_version(file)?;
        self.vault.expires(file, version)
    }

    pub(crate) fn touch(&self) {
        self.used.store(clock::now().nanoseconds(), Ordering::Relaxed);
    }

    fn is_idle(&self, now: Moment) -> bool {
        let used = Moment::from_nanoseconds(self.used.load(Ordering::Relaxed));
        used.after(LINGER) <= now
    }
}

impl VaultTable {
    pub(crate) fn new(root: Arc<Root>, pipeline: Arc<Pipeline>) -> Self {
        let (keeping, table, damage) = Default::default();
        Self { root, log: Arc::clone(&pipeline.log), pipeline, keeping, table, damage }
    }

    /// Every vault of the root, by name.
    pub(crate) fn names(&self) -> io::Result<Vec<VaultName>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.root.join(VAULTS))? {
            let name = entry?.file_name();
            names.extend(name.to_str().and_then(|name| VaultName::try_from(name).ok()));
        }
        names.sort();
        Ok(names)
    }

    /// Where the vault lies.
    pub(crate) fn folder(&self, name: &VaultName) -> PathBuf {
        self.root.join(VAULTS).join(name.as_str())
    }

    /// Where its key file lies, when it has one.
    pub(crate) fn keyfile(&self, name: &VaultName) -> PathBuf {
        self.root.join(KEYS).join(name.as_str())
    }

    /// Where it is remembered how far it had come.
    pub(crate) fn pin(&self, name: &VaultName) -> PathBuf {
        self.root.join(PINS).join(name.as_str())
    }

    /// The vault, if it is unlocked.
    pub(crate) fn unlocked(&self, name: &VaultName) -> Option<Arc<OpenVault>> {
        self.table().open.get(name).cloned()
    }

    /// The vault, unlocked by its key file if it has to be.
    pub(crate) fn reach(&self, name: &VaultName) -> Result<Arc<OpenVault>, ReachError> {
        let mut table = self.table();
        if let Some(open) = table.open.get(name) {
            open.touch();
            return match &open.rolled_back {
                Some(rolled_back) => Err(ReachError::RolledBack(Box::new(rolled_back.clone()))),
                None => Ok(Arc::clone(open)),
            };
        }
        let secret = self.secret(name, None)?;
        match self.unlock_into(&mut table, name, &secret, IfRolledBack::Refuse) {
            // A crash between the removal of its slot and of the file.
            Err(ReachError::Unlock(UnlockPinnedError::Unlock(UnlockError::NoSlot(
                SlotKind::Keyfile,
            )))) => Err(ReachError::Locked(name.clone())),
            unlocked => unlocked,
        }
    }

    /// The vault, also when it was rolled back, for an export.
    pub(crate) fn reach_to_export(&self, name: &VaultName) -> Result<Arc<OpenVault>, ReachError> {
        let mut table = self.table();
        if let Some(open) = table.open.get(name) {
            open.touch();
            return Ok(Arc::clone(open));
        }
        let secret = self.secret(name, None)?;
        self.unlock_into(&mut table, name, &secret, IfRolledBack::Show)
    }

    /// What opens the vault: what somebody typed, or its key file.
    pub(crate) fn secret(
        &self,
        name: &VaultName,
        typed: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<SlotSecret, ReachError> {
        self.exists(name)?;
        match typed {
            Some(typed) => Ok(SlotSecret::typed(typed)),
            None if self.has_keyfile(name) => {
                Ok(SlotSecret::Keyfile(Keyfile::read(&self.keyfile(name))?))
            }
            None => Err(ReachError::Locked(name.clone())),
        }
    }

    /// Unlocks the vault with what somebody typed, unless it is unlocked.
    pub(crate) fn unlock(
        &self,
        name: &VaultName,
        typed: Zeroizing<Vec<u8>>,
    ) -> Result<Arc<OpenVault>, ReachError> {
        let secret = self.secret(name, Some(typed))?;
        let mut table = self.table();
        if let Some(open) = table.open.get(name) {
            return Ok(Arc::clone(open));
        }
        self.unlock_into(&mut table, name, &secret, IfRolledBack::Show)
    }

    /// What its header says of itself; nothing else believes it before it is unlocked.
    pub(crate) fn claim(&self, name: &VaultName) -> Option<Claim> {
        ward_store::claim(&self.folder(name))
    }

    /// Whose it is; a vault that does not say is a human's.
    pub(crate) fn owner(&self, name: &VaultName) -> Owner {
        let label = match self.unlocked(name) {
            Some(open) => Some(open.vault.label()),
            // A header that claims what it should not does not unlock.
            None => self.claim(name).map(|claim| claim.label),
        };
        label.map_or(Owner::Human, |label| Owner::of_label(&label))
    }

    /// Whether the daemon can unlock it by itself.
    pub(crate) fn has_keyfile(&self, name: &VaultName) -> bool {
        self.keyfile(name).exists()
    }

    /// Removes the key file of a vault that no slot takes it for any more.
    pub(crate) fn forget_keyfile_without_slot(&self, open: &OpenVault) -> io::Result<()> {
        if open.vault.slots().iter().any(|slot| slot.kind == SlotKind::Keyfile) {
            return Ok(());
        }
        match std::fs::remove_file(self.keyfile(&open.name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Locks those that nobody has used for a while and nobody holds, as a mount does.
    pub(crate) fn lock_idle(&self) {
        let now = clock::now();
        let mut table = self.table();
        let idle =
            table.open.extract_if(.., |_, open| open.is_idle(now) && Arc::strong_count(open) == 1);
        idle.for_each(|(_, open)| self.close(open));
    }

    /// Locks one vault: it closes, and its keys are wiped, with the last use of it.
    pub(crate) fn lock(&self, name: &VaultName) {
        let _keeper_holds_none = self.keeping();
        let mut table = self.table();
        if let Some(open) = table.open.remove(name) {
            self.close(open);
        }
    }

    /// Locks every vault.
    pub(crate) fn lock_all(&self) {
        let _keeper_holds_none = self.keeping();
        let mut table = self.table();
        std::mem::take(&mut table.open).into_values().for_each(|open| self.close(open));
    }

    /// Makes a vault.
    pub(crate) fn create(
        &self,
        name: &VaultName,
        wanted: &WantedVault<'_>,
    ) -> Result<(), InitError> {
        // Under the lock, so that nobody reaches a vault that is half made.
        let _table = self.table();
        make_vault(self.root.path(), name, wanted)
    }

    /// How many places of each vault the patrol found damaged since the daemon started.
    pub(crate) fn damage(&self) -> BTreeMap<VaultName, usize> {
        self.found().iter().map(|(name, places)| (name.clone(), places.len())).collect()
    }

    /// Remembers what is damaged; says whether that is new.
    fn note_damage(&self, name: &VaultName, words: &str) -> bool {
        self.found().entry(name.clone()).or_default().insert(words.to_owned())
    }

    /// Whether there is a vault of that name.
    pub(crate) fn exists(&self, name: &VaultName) -> Result<(), ReachError> {
        if self.folder(name).is_dir() { Ok(()) } else { Err(ReachError::NoSuchVault(name.clone())) }
    }

    fn unlock_into(
        &self,
        table: &mut Table,
        name: &VaultName,
        secret: &SlotSecret,
        if_rolled_back: IfRolledBack,
    ) -> Result<Arc<OpenVault>, ReachError> {
        let (vault, recovered, rolled_back) = self.look(name, secret)?;
        let found = words(&vault, &recovered);
        let rolled_back = rolled_back
            .filter(|_| vault.kind() == VaultKind::Secrets)
            .map(|rolled_back| RolledBackVault::of(name, rolled_back));
        if let Some(rolled_back) = &rolled_back {
            let error = self.refuse(table, (&vault, rolled_back.clone()))?;
            if if_rolled_back == IfRolledBack::Refuse {
                return Err(error);
            }
        }
        self.insert(table, (vault, rolled_back), name, &found)
    }

    /// Opens a vault, read-only when it was rolled back.
    fn look(
        &self,
        name: &VaultName,
        secret: &SlotSecret,
    ) -> Result<(Vault, Recovered, Option<RolledBack>), ReachError> {
        let now = clock::file_time();
        Ok(Vault::unlock_to_look(&self.folder(name), secret, &self.pin(name), now)?)
    }

    /// Shows an unlocked vault to those who come; `found` is what unlocking it found.
    fn insert(
        &self,
        table: &mut Table,
        (vault, rolled_back): (Vault, Option<RolledBackVault>),
        name: &VaultName,
        found: &str,
    ) -> Result<Arc<OpenVault>, ReachError> {
        self.log.seal_names(name, &vault.names_key())?;
        let record = Record::new(EventType::VaultUnlocked).within(name).reason(found);
        let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        let used = AtomicU64::new(clock::now().nanoseconds());
        let drafts = DraftTable::default();
        let open = Arc::new(OpenVault { name: name.clone(), vault, drafts, rolled_back, used });
        table.open.insert(name.clone(), Arc::clone(&open));
        self.pipeline.take_up(Some(name));
        Ok(open)
    }

    /// Closes a vault that nobody else holds; one that somebody holds closes when they let go.
    fn close(&self, open: Arc<OpenVault>) {
        // A stopped log shows no names anyway.
        let _log_has_stopped = self.log.forget_names(&open.name);
        if let Some(open) = Arc::into_inner(open) {
            // What could not be synced was not promised; the next unlock recovers what was.
            let _unsynced = open.vault.close();
        }
    }

    fn keeping(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<VaultName, BTreeSet<String>>> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What unlocking found, for the log: nothing is cut or mended silently.
fn words(vault: &Vault, recovered: &Recovered) -> String {
    let Recovered { head: _, torn, damage, shreds_finished, header_repaired } = recovered;
    let mut words = Vec::new();
    if vault.read_only() == Some(ReadOnly::RolledBack) {
        words.push("it was rolled back, so it is read-only".to_owned());
    }
    if vault.image_use() == ImageUse::Older {
        words.push("the newest image is not whole, the one before it was used".to_owned());
    }
    if let Some(torn) = torn {
        let TornTail { segment, position, length } = torn;
        words.push(format!(
            "a torn tail of {length} bytes at {position} of segment {segment} was cut"
        ));
    }
    words.extend(damage.iter().map(ToString::to_string));
    if *shreds_finished > 0 {
        words.push(format!("{shreds_finished} interrupted shreds were finished"));
    }
    if *header_repaired {
        words.push("one copy of the header was written anew".to_owned());
    }
    if words.is_empty() { "whole".to_owned() } else { words.join("; ") }
}
