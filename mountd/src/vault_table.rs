//! The vaults of a root: where they lie, which are unlocked, and when they lock again.

use crate::clock;
use crate::draft::DraftTable;
use crate::initialise::{InitError, WantedVault, make_vault};
use crate::owner::Owner;
use crate::root::{KEYS, Root, VAULTS};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_audit::{AppendError, Durability, EventType, Log, Record};
use ward_policy::{Moment, VaultName};
use ward_store::{
    Claim, Keyfile, KeyfileError, Passphrase, Recovered, SlotSecret, TornTail, UnlockError, Vault,
};

/// How long a vault without a mount stays unlocked after the last command.
const LINGER: Duration = Duration::from_secs(60);

/// An unlocked vault.
#[derive(Debug)]
pub(crate) struct OpenVault {
    pub(crate) name: VaultName,
    pub(crate) vault: Vault,
    pub(crate) drafts: DraftTable,
    /// Nanoseconds on the boot clock at the last use.
    used: AtomicU64,
}

/// The vaults of one root.
#[derive(Debug)]
pub(crate) struct VaultTable {
    root: Arc<Root>,
    /// Seals names while their vault is unlocked.
    log: Arc<Log>,
    /// Guards the map; held while one vault is unlocked, so that no two do it at once.
    open: Mutex<BTreeMap<VaultName, Arc<OpenVault>>>,
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
    Unlock(#[from] UnlockError),
    /// The log took no key to seal names with.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The folder of vaults cannot be read.
    #[error("cannot read the folder of vaults")]
    Folder(#[from] io::Error),
}

impl OpenVault {
    pub(crate) fn touch(&self) {
        self.used.store(clock::now().nanoseconds(), Ordering::Relaxed);
    }

    fn is_idle(&self, now: Moment) -> bool {
        let used = Moment::from_nanoseconds(self.used.load(Ordering::Relaxed));
        used.after(LINGER) <= now
    }
}

impl VaultTable {
    pub(crate) fn new(root: Arc<Root>, log: Arc<Log>) -> Self {
        Self { root, log, open: Mutex::default() }
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

    /// The vault, if it is unlocked.
    pub(crate) fn unlocked(&self, name: &VaultName) -> Option<Arc<OpenVault>> {
        self.table().get(name).cloned()
    }

    /// The vault, unlocked by its key file if it has to be.
    pub(crate) fn reach(&self, name: &VaultName) -> Result<Arc<OpenVault>, ReachError> {
        let mut table = self.table();
        if let Some(open) = table.get(name) {
            open.touch();
            return Ok(Arc::clone(open));
        }
        self.exists(name)?;
        if !self.has_keyfile(name) {
            return Err(ReachError::Locked(name.clone()));
        }
        let keyfile = Keyfile::read(&self.keyfile(name))?;
        self.unlock_into(&mut table, name, &SlotSecret::Keyfile(keyfile))
    }

    /// Unlocks the vault with a passphrase, unless it is.
    pub(crate) fn unlock(
        &self,
        name: &VaultName,
        passphrase: Passphrase,
    ) -> Result<Arc<OpenVault>, ReachError> {
        self.exists(name)?;
        let mut table = self.table();
        if let Some(open) = table.get(name) {
            return Ok(Arc::clone(open));
        }
        self.unlock_into(&mut table, name, &SlotSecret::Passphrase(passphrase))
    }

    /// What its header says of itself; nothing else believes it before it is unlocked.
    pub(crate) fn claim(&self, name: &VaultName) -> Option<Claim> {
        ward_store::claim(&self.folder(name))
    }

    /// Whose it is; a vault that does not say is a human's.
    pub(crate) fn owner(&self, name: &VaultName) -> Owner {
        self.claim(name).map_or(Owner::Human, |claim| Owner::of_label(&claim.label))
    }

    /// Whether the daemon can unlock it by itself.
    pub(crate) fn has_keyfile(&self, name: &VaultName) -> bool {
        self.keyfile(name).exists()
    }

    /// Locks those that nobody has used for a while and nobody holds, as a mount does.
    pub(crate) fn lock_idle(&self) {
        let now = clock::now();
        let mut table = self.table();
        let idle =
            table.extract_if(.., |_, open| open.is_idle(now) && Arc::strong_count(open) == 1);
        idle.for_each(|(_, open)| self.close(open));
    }

    /// Locks one vault: it closes, and its keys are wiped, with the last use of it.
    pub(crate) fn lock(&self, name: &VaultName) {
        let mut table = self.table();
        if let Some(open) = table.remove(name) {
            self.close(open);
        }
    }

    /// Locks every vault.
    pub(crate) fn lock_all(&self) {
        let mut table = self.table();
        std::mem::take(&mut *table).into_values().for_each(|open| self.close(open));
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

    /// Syncs what every unlocked vault has written.
    pub(crate) fn sync(&self) {
        let open: Vec<_> = self.table().values().cloned().collect();
        for vault in open {
            // A store that cannot sync says so to whoever writes or closes next.
            let _store_is_poisoned = vault.vault.sync();
        }
    }

    /// Whether there is a vault of that name.
    pub(crate) fn exists(&self, name: &VaultName) -> Result<(), ReachError> {
        if self.folder(name).is_dir() { Ok(()) } else { Err(ReachError::NoSuchVault(name.clone())) }
    }

    fn unlock_into(
        &self,
        table: &mut BTreeMap<VaultName, Arc<OpenVault>>,
        name: &VaultName,
        secret: &SlotSecret,
    ) -> Result<Arc<OpenVault>, ReachError> {
        let (vault, recovered) = Vault::unlock(&self.folder(name), secret)?;
        self.log.seal_names(name, &vault.names_key())?;
        let found = words(&recovered);
        let record = Record::new(EventType::VaultUnlocked).within(name).reason(&found);
        let _recorded = self.log.append(record, Durability::Durable, clock::stamp())?;
        let used = AtomicU64::new(clock::now().nanoseconds());
        let drafts = DraftTable::default();
        let open = Arc::new(OpenVault { name: name.clone(), vault, drafts, used });
        table.insert(name.clone(), Arc::clone(&open));
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

    fn table(&self) -> MutexGuard<'_, BTreeMap<VaultName, Arc<OpenVault>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What unlocking found, for the log: nothing is cut or mended silently.
fn words(recovered: &Recovered) -> String {
    let Recovered { head: _, torn, damage, shreds_finished, header_repaired } = recovered;
    let mut words = Vec::new();
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
