//! The life of a mount: prepared, mounted, ended. Nothing skips a stage, and the end is the end.

mod end;
mod hurry;
mod settings;
mod timer;

use end::Last;
pub(crate) use end::MountEnd;
pub(crate) use hurry::Hurry;
pub(crate) use settings::MountSettings;

use crate::clock;
use crate::filesystem::{self, Session};
use crate::monitor::MonitorError;
use crate::monitor::message::{Manner, Prepare};
use crate::pipeline::Pipeline;
use crate::place::{Access, Place};
use crate::term::Term;
use crate::vault_table::{OpenVault, VaultTable};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use timer::{Clockwork, Timer};
use ulid::Ulid;
use ward_audit::{AppendError, Durability, Entry, EventType, Record};
use ward_policy::{Caller, Moment, UserId, VaultName};
use ward_store::{SetAttributes, VaultKind};

/// The reason in the log of a mount that takes no changes.
pub(crate) const READ_ONLY: &str = "read-only";

/// A mount as asked for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) instance: &'a str,
    pub(crate) vault: Arc<OpenVault>,
    pub(crate) directory: BorrowedFd<'a>,
    pub(crate) made_directory: bool,
    pub(crate) access: Access,
    pub(crate) lifetime: Duration,
    /// The longest it may last, extensions included.
    pub(crate) longest: Duration,
    /// How long nobody may use it.
    pub(crate) idle: Option<Duration>,
    /// How long before its end it is told.
    pub(crate) notices: Vec<Duration>,
    pub(crate) use_by: UseBy,
}

/// With whom a mount ends.
#[derive(Debug)]
pub(crate) enum UseBy {
    /// With nobody.
    All,
    /// With the command that copies through it, which has this connection.
    Copier(OwnedFd),
    /// With the last of the commands it is for; the first has this connection.
    Commands(OwnedFd),
}

/// A command that a mount is for: proof that it may let it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Holder(pub(crate) Ulid);

/// Why a vault is not mounted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    /// It is, already.
    #[error("the vault {0} is mounted already, at {1}")]
    AlreadyMounted(VaultName, String),
    /// The monitor says why.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The FUSE session did not start.
    #[error("the FUSE session does not start")]
    Session(#[source] io::Error),
    /// The log took no record.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// No id for the log.
    #[error("the kernel gives no random bytes")]
    NoRandomness,
}

/// Why a mount ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Deadline,
    Idle,
    Asked,
    CopierGone,
    CommandGone,
    DaemonStops,
    NoTimer,
}

impl Why {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Deadline => "its time was over",
            Self::Idle => "nobody used it",
            Self::CommandGone => "the command that it was for ended",
            Self::NoTimer => "its timer failed",
            Self::Asked => "unmount was asked for",
            Self::CopierGone => "the command that copied ended",
            Self::DaemonStops => "the daemon stopped",
        }
    }
}

/// A vault shown at a path.
#[derive(Debug)]
pub(crate) struct Mounted {
    place: Arc<Place>,
    session: Session,
    number: u64,
    path: String,
    owner: UserId,
    is_for_copy: bool,
    /// The commands it ends with, and their connections; none when it ends with nobody.
    holders: Option<BTreeMap<Holder, Arc<OwnedFd>>>,
    timer: Timer,
}

/// A mount as others see it.
#[derive(Clone, Debug)]
pub(crate) struct MountView {
    pub(crate) vault: VaultName,
    pub(crate) path: String,
    pub(crate) owner: UserId,
    pub(crate) access: Access,
    pub(crate) ends: Moment,
    /// When it ends however often it is extended.
    pub(crate) latest: Moment,
    pub(crate) idle: Option<Duration>,
    /// When it ends unless somebody uses it.
    pub(crate) idle_ends: Option<Moment>,
    pub(crate) is_for_copy: bool,
    /// How many commands it is for; with the last it ends.
    pub(crate) commands: usize,
}

/// Why a mount does not end later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExtendError {
    /// There is none.
    #[error("the vault {0} is not mounted")]
    NotMounted(VaultName),
    /// It would last longer than the settings let it.
    #[error("the mount would last longer than it may; it ends in {} s at the latest", .0.as_secs())]
    TooLong(Duration),
    /// It would end earlier.
    #[error("the mount ends later than that already")]
    Earlier,
}

/// The mounts of a root, one for each vault at most.
#[derive(Debug)]
pub(crate) struct MountTable {
    pipeline: Arc<Pipeline>,
    vaults: Arc<VaultTable>,
    /// Guards the map; held while one vault is mounted, never while one is ended.
    mounts: Mutex<BTreeMap<VaultName, Mounted>>,
    /// How the last mount of each vault ended. A leaf.
    ended: Mutex<BTreeMap<VaultName, Last>>,
    /// The end of the daemon waits for nobody once it is told so.
    pub(crate) hurry: Hurry,
}

/// The timer's way to its mount.
struct Driven {
    mounts: Weak<MountTable>,
    vault: VaultName,
    number: u64,
}

impl MountTable {
    /// None; `logged` is the last that earlier daemons logged of the mount of each vault.
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        vaults: Arc<VaultTable>,
        logged: Vec<Entry<'static>>,
    ) -> Self {
        let (mounts, ended, hurry) = Default::default();
        let table = Self { pipeline, vaults, mounts, ended, hurry };
        table.recall(logged);
        table
    }

    /// Mounts a vault until its lifetime is over.
    pub(crate) fn mount(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        caller: &Caller,
    ) -> Result<(MountView, Option<Holder>), MountError> {
        let mut mounts = self.mounts();
        let name = &wanted.vault.name;
        if let Some(mounted) = mounts.get(name) {
            return Err(MountError::AlreadyMounted(name.clone(), mounted.path.clone()));
        }
        let mounted = self.start(wanted, caller)?;
        let view = mounted.view();
        let holders = mounted.holders.iter().filter(|_| !mounted.is_for_copy);
        let holder = holders.flat_map(BTreeMap::keys).next().copied();
        mounts.insert(name.clone(), mounted);
        drop(mounts);
        self.ended().remove(name);
        Ok((view, holder))
    }

    /// Has the mount of a vault last for one more command, which has this connection, if it ends with
    /// commands; without a holder it does not. `None` when there is no mount.
    pub(crate) fn join(
        &self,
        vault: &VaultName,
        connection: OwnedFd,
    ) -> Result<Option<(MountView, Option<Holder>)>, MountError> {
        let id = Holder(clock::new_id().ok_or(MountError::NoRandomness)?);
        let mut mounts = self.mounts();
        let Some(mounted) = mounts.get_mut(vault) else { return Ok(None) };
        let holder = mounted.holders.as_mut().map(|holders| {
            holders.insert(id, Arc::new(connection));
            id
        });
        mounted.timer.nudge();
        Ok(Some((mounted.view(), holder)))
    }

    /// Lets the mount of a vault go for one command; with the last it ends. False when it was none of
    /// its commands.
    pub(crate) fn leave(&self, vault: &VaultName, holder: Holder) -> bool {
        let mut was_there = false;
        self.end_if(vault, Why::CommandGone, |mounted| {
            let Some(holders) = mounted.holders.as_mut() else { return false };
            was_there = holders.remove(&holder).is_some();
            mounted.timer.nudge();
            was_there && holders.is_empty()
        });
        was_there
    }

    /// Has the mount of a vault end later.
    pub(crate) fn extend(&self, vault: &VaultName, ends: Moment) -> Result<MountView, ExtendError> {
        let mounts = self.mounts();
        let now = clock::now();
        let mounted = mounts.get(vault).filter(|mounted| mounted.place.is_open(now));
        let mounted = mounted.ok_or_else(|| ExtendError::NotMounted(vault.clone()))?;
        let term = &mounted.place.term;
        if ends > term.latest() {
            return Err(ExtendError::TooLong(term.latest().remaining(now)));
        }
        if ends < term.ends() {
            return Err(ExtendError::Earlier);
        }
        term.extend(ends);
        mounted.timer.nudge();
        Ok(mounted.view())
    }

    fn start(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        caller: &Caller,
    ) -> Result<Mounted, MountError> {
        let name = &wanted.vault.name;
        let (prepared, fuse) = self.pipeline.monitor.prepare(
            Prepare {
                instance: wanted.instance.to_owned(),
                vault: name.to_string(),
                owner: caller.uid.0,
                made_directory: wanted.made_directory,
                manner: match (wanted.vault.vault.kind(), wanted.access) {
                    (VaultKind::Secrets, _) => Manner::AskAll,
                    (VaultKind::Workspace, Access::ReadWrite) => Manner::Keep,
                    (VaultKind::Workspace, Access::ReadOnly) => Manner::KeepReadOnly,
                },
            },
            wanted.directory,
        )?;
        let id = clock::new_id().ok_or(MountError::NoRandomness)?.to_string();
        let now = clock::now();
        let (ends, latest) = (now.after(wanted.lifetime), now.after(wanted.longest));
        let term = Term::new(now, ends, latest, wanted.idle);
        let vault = Arc::clone(&wanted.vault);
        let place = Arc::new(Place::new(vault, wanted.access, Some(id.clone()), term));
        give_top(&place, caller);
        let number = prepared.mount;
        let started = self.attach(&place, fuse, number).and_then(|session| {
            let record = Record::new(EventType::MountBegun).by(caller).within(name).mount(&id);
            let record = match wanted.access {
                Access::ReadOnly => record.reason(READ_ONLY),
                Access::ReadWrite => record,
            };
            let _recorded =
                self.pipeline.log.append(record, Durability::Durable, clock::stamp())?;
            let driven = Driven { mounts: Arc::downgrade(self), vault: name.clone(), number };
            let timer = Timer::start(Arc::clone(&place.term), wanted.notices.clone(), driven);
            Ok((session, timer.map_err(MountError::Session)?, wanted.holders()?))
        });
        match started {
            Ok((session, timer, holders)) => {
                let is_for_copy = matches!(wanted.use_by, UseBy::Copier(_));
                let (path, owner) = (prepared.path, caller.uid);
                Ok(Mounted { place, session, number, path, owner, is_for_copy, holders, timer })
            }
            Err(error) => {
                place.term.end();
                let _gone_with_the_monitor = self.pipeline.monitor.end(prepared.mount);
                Err(error)
            }
        }
    }

    fn attach(
        &self,
        place: &Arc<Place>,
        fuse: OwnedFd,
        number: u64,
    ) -> Result<Session, MountError> {
        let pipeline = Arc::clone(&self.pipeline);
        let session = filesystem::start(fuse, pipeline, Arc::clone(place));
        let session = session.map_err(MountError::Session)?;
        self.pipeline.monitor.attach(number)?;
        Ok(session)
    }

    /// Every mount, by vault.
    pub(crate) fn views(&self) -> Vec<MountView> {
        self.mounts().values().map(Mounted::view).collect()
    }

    /// The mount of a vault.
    pub(crate) fn view(&self, vault: &VaultName) -> Option<MountView> {
        self.mounts().get(vault).map(Mounted::view)
    }

    fn mounts(&self) -> MutexGuard<'_, BTreeMap<VaultName, Mounted>> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, BTreeMap<VaultName, Last>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted<'_> {
    fn holders(&self) -> Result<Option<BTreeMap<Holder, Arc<OwnedFd>>>, MountError> {
        let (UseBy::Copier(connection) | UseBy::Commands(connection)) = &self.use_by else {
            return Ok(None);
        };
        let id = Holder(clock::new_id().ok_or(MountError::NoRandomness)?);
        let connection = connection.try_clone().map_err(MountError::Session)?;
        Ok(Some(BTreeMap::from([(id, Arc::new(connection))])))
    }
}

impl Clockwork for Driven {
    fn holders(&self) -> Vec<(Holder, Arc<OwnedFd>)> {
        let holders = self.with(|mounted| {
            let holders = mounted.holders.iter().flatten();
            holders.map(|(id, connection)| (*id, Arc::clone(connection))).collect()
        });
        holders.unwrap_or_default()
    }

    fn over(&self, why: Why) -> bool {
        let Some(mounts) = self.mounts.upgrade() else { return true };
        mounts.end_if(&self.vault, why, |mounted| {
            let term = &mounted.place.term;
            // It may have been extended or used a moment ago.
            mounted.number == self.number
                && (why == Why::NoTimer || term.over(clock::now()).is_some())
        })
    }

    fn gone(&self, gone: &[Holder]) -> bool {
        let Some(mounts) = self.mounts.upgrade() else { return true };
        let is_for_copy = self.with(|mounted| mounted.is_for_copy).unwrap_or_default();
        let why = if is_for_copy { Why::CopierGone } else { Why::CommandGone };
        mounts.end_if(&self.vault, why, |mounted| {
            let Some(holders) = &mut mounted.holders else { return false };
            holders.retain(|holder, _| !gone.contains(holder));
            mounted.number == self.number && holders.is_empty()
        })
    }

    fn probe(&self) {
        let Some(mounts) = self.mounts.upgrade() else { return };
        let pages = self.with(|mounted| mounted.place.pages().cloned()).flatten();
        if let Some(pages) = pages {
            let open = mounts.pipeline.handles.files(&self.vault);
            // Nobody waits: who reads on asks us again.
            let _taken_soon = pages.take_all(open.into_iter().map(|file| file.0));
        }
    }
}

impl Driven {
    fn with<T>(&self, look: impl FnOnce(&Mounted) -> T) -> Option<T> {
        let mounts = self.mounts.upgrade()?;
        let mounts = mounts.mounts();
        mounts.get(&self.vault).filter(|mounted| mounted.number == self.number).map(look)
    }
}

impl Mounted {
    fn view(&self) -> MountView {
        MountView {
            vault: self.place.vault.name.clone(),
            path: self.path.clone(),
            owner: self.owner,
            access: self.place.access,
            ends: self.place.term.ends(),
            latest: self.place.term.latest(),
            idle: self.place.term.idle(),
            idle_ends: self.place.term.idle_ends(),
            is_for_copy: self.is_for_copy,
            commands: match &self.holders {
                Some(holders) if !self.is_for_copy => holders.len(),
                Some(_) | None => 0,
            },
        }
    }
}

/// The top directory of a new workspace is nobody's yet: it becomes that of who mounts it first.
fn give_top(place: &Place, caller: &Caller) {
    let vault = &place.vault.vault;
    let top = vault.node(vault.root()).filter(|top| top.changed == top.created);
    if let (Some(top), Access::ReadWrite) = (top, place.access) {
        let now = clock::file_time();
        let (uid, gid) = (Some(caller.uid.0), Some(caller.gid.0));
        let (accessed, modified) = (Some(now), Some(now));
        let owned = SetAttributes { uid, gid, accessed, modified, ..SetAttributes::default() };
        // Of a vault that takes no changes it stays root's.
        let _stays = vault.set_attributes(top.file, &owned, now);
    }
}
