//! The life of a mount: prepared, mounted, ended. Nothing skips a stage, and the end is the end.

mod settings;

pub(crate) use settings::MountSettings;

use crate::clock;
use crate::filesystem::{self, Session};
use crate::monitor::MonitorError;
use crate::monitor::message::{Manner, Prepare};
use crate::pipeline::Pipeline;
use crate::place::{Access, Place};
use crate::vault_table::{OpenVault, VaultTable};
use crossbeam_channel::bounded;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_audit::{AppendError, Durability, EventType, Record};
use ward_policy::{Caller, Moment, UserId, VaultName};
use ward_store::{SetAttributes, VaultKind};

/// The reason in the log of a mount that takes no changes.
pub(crate) const READ_ONLY: &str = "read-only";

/// How long the end of a mount waits for the kernel to hand over what it keeps of changes.
const LONGEST_WRITE_BACK: Duration = Duration::from_secs(5);

/// A mount as asked for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) instance: &'a str,
    pub(crate) vault: Arc<OpenVault>,
    pub(crate) directory: BorrowedFd<'a>,
    pub(crate) made_directory: bool,
    pub(crate) access: Access,
    pub(crate) lifetime: Duration,
    /// The connection of the command that copies through it, with which it ends; none otherwise.
    pub(crate) copier: Option<OwnedFd>,
}

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
    Asked,
    CopierGone,
    DaemonStops,
}

impl Why {
    const fn text(self) -> &'static str {
        match self {
            Self::Deadline => "its time was over",
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
    /// Dropping it ends the timer.
    _timer: PipeWriter,
}

/// A mount as others see it.
#[derive(Clone, Debug)]
pub(crate) struct MountView {
    pub(crate) vault: VaultName,
    pub(crate) path: String,
    pub(crate) owner: UserId,
    pub(crate) access: Access,
    pub(crate) ends: Moment,
    pub(crate) is_for_copy: bool,
}

/// The mounts of a root, one for each vault at most.
#[derive(Debug)]
pub(crate) struct MountTable {
    pipeline: Arc<Pipeline>,
    vaults: Arc<VaultTable>,
    /// Guards the map; held while one vault is mounted, never while one is ended.
    mounts: Mutex<BTreeMap<VaultName, Mounted>>,
}

impl MountTable {
    pub(crate) fn new(pipeline: Arc<Pipeline>, vaults: Arc<VaultTable>) -> Self {
        Self { pipeline, vaults, mounts: Mutex::default() }
    }

    /// Mounts a vault until its lifetime is over.
    pub(crate) fn mount(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        caller: &Caller,
    ) -> Result<MountView, MountError> {
        let mut mounts = self.mounts();
        let name = &wanted.vault.name;
        if let Some(mounted) = mounts.get(name) {
            return Err(MountError::AlreadyMounted(name.clone(), mounted.path.clone()));
        }
        let mounted = self.start(wanted, caller)?;
        let view = mounted.view();
        mounts.insert(name.clone(), mounted);
        Ok(view)
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
        let ends = clock::now().after(wanted.lifetime);
        let vault = Arc::clone(&wanted.vault);
        let place = Arc::new(Place::new(vault, wanted.access, Some(id.clone()), ends));
        give_top(&place, caller);
        let started = self.attach(&place, fuse, prepared.mount).and_then(|session| {
            let record = Record::new(EventType::MountBegun).by(caller).within(name).mount(&id);
            let record = match wanted.access {
                Access::ReadOnly => record.reason(READ_ONLY),
                Access::ReadWrite => record,
            };
            let _recorded =
                self.pipeline.log.append(record, Durability::Durable, clock::stamp())?;
            let copier = wanted.copier.as_ref().map(OwnedFd::try_clone).transpose();
            let mount = (name.clone(), prepared.mount);
            let timer = copier.and_then(|copier| self.start_timer(mount, ends, copier));
            Ok((session, timer.map_err(MountError::Session)?))
        });
        match started {
            Ok((session, timer)) => Ok(Mounted {
                place,
                session,
                number: prepared.mount,
                path: prepared.path,
                owner: caller.uid,
                is_for_copy: wanted.copier.is_some(),
                _timer: timer,
            }),
            Err(error) => {
                place.end();
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

    /// Ends the mount of a vault; false when there is none.
    pub(crate) fn end(&self, vault: &VaultName, why: Why) -> bool {
        let mounted = self.mounts().remove(vault);
        let Some(mounted) = mounted else { return false };
        self.finish(mounted, why);
        true
    }

    /// Ends this mount of a vault, unless it has ended already.
    fn end_this(&self, (vault, number): &(VaultName, u64), why: Why) {
        let is_it = |_: &VaultName, mounted: &mut Mounted| mounted.number == *number;
        let mounted = self.mounts().extract_if(vault..=vault, is_it).next();
        if let Some((_, mounted)) = mounted {
            self.finish(mounted, why);
        }
    }

    /// Ends every mount.
    pub(crate) fn end_all(&self, why: Why) {
        let mounts = std::mem::take(&mut *self.mounts());
        mounts.into_values().for_each(|mounted| self.finish(mounted, why));
    }

    /// Every mount, by vault.
    pub(crate) fn views(&self) -> Vec<MountView> {
        self.mounts().values().map(Mounted::view).collect()
    }

    /// The mount of a vault.
    pub(crate) fn view(&self, vault: &VaultName) -> Option<MountView> {
        self.mounts().get(vault).map(Mounted::view)
    }

    /// The order was measured: opens first, held ones next, pages before the abort, keys last. What
    /// the kernel keeps of changes is written back before, and taken until its pages are gone.
    fn finish(&self, mounted: Mounted, why: Why) {
        let Mounted { place, session, number, _timer: timer, .. } = mounted;
        let vault = place.vault.name.clone();
        let pipeline = &self.pipeline;
        drop(timer);
        place.end();
        match why {
            Why::DaemonStops => pipeline.approvals.leave_vault(&vault),
            Why::Deadline | Why::Asked | Why::CopierGone => pipeline.approvals.end_vault(&vault),
        }
        let wrote_back = place.kind() == VaultKind::Secrets || self.write_back(number);
        let took_pages_back = session.take_pages(pipeline.handles.files(&vault));
        place.close();
        match why {
            Why::DaemonStops => pipeline.leases.leave_vault(&vault),
            Why::Deadline | Why::Asked | Why::CopierGone => {
                pipeline.leases.withdraw_vault(&vault);
            }
        }
        let detached = pipeline.monitor.end(number);
        let is_cut = session.join();
        let mut reason = why.text().to_owned();
        if !wrote_back {
            reason.push_str("; not all that the kernel kept was written back in time");
        }
        if !took_pages_back {
            reason.push_str("; pages of mapped files could not be taken back in time");
        }
        if !is_cut {
            reason.push_str("; the connection ends with the last descriptor of its files");
        }
        if let Err(error) = detached {
            reason.push_str(&format!("; {error}"));
        }
        let mount = place.mount.clone().unwrap_or_default();
        let record = Record::new(EventType::MountEnded).within(&vault).mount(&mount);
        // The mount is over whether or not the log still takes records.
        let _log_has_stopped =
            pipeline.log.append(record.reason(&reason), Durability::Durable, clock::stamp());
        drop(place);
        self.vaults.lock(&vault);
    }

    /// Has the kernel write back what it keeps of changes; false when that took too long.
    fn write_back(&self, number: u64) -> bool {
        let (told, done) = bounded(1);
        let monitor = Arc::clone(&self.pipeline.monitor);
        let work = move || {
            let _gave_up_waiting = told.send(monitor.write_back(number).is_ok());
        };
        let started = std::thread::Builder::new().name("write-back".to_owned()).spawn(work);
        started.is_ok() && done.recv_timeout(LONGEST_WRITE_BACK) == Ok(true)
    }

    /// Ends the mount at `ends`, on the clock that runs on in suspend, or when the other side closes
    /// the connection `copier`, unless the pipe that is returned is dropped before.
    fn start_timer(
        self: &Arc<Self>,
        mount: (VaultName, u64),
        ends: Moment,
        copier: Option<OwnedFd>,
    ) -> io::Result<PipeWriter> {
        let (cancelled, keep) = io::pipe()?;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC)?;
        let left = ends.remaining(clock::now()).max(Duration::from_millis(1));
        timer.set(Expiration::OneShot(left.into()), TimerSetTimeFlags::empty())?;
        let mounts = Arc::downgrade(self);
        std::thread::Builder::new().name("deadline".to_owned()).spawn(move || {
            let over = wait(&timer, &cancelled, copier.as_ref());
            if let (Some(why), Some(mounts)) = (over, mounts.upgrade()) {
                mounts.end_this(&mount, why);
            }
        })?;
        Ok(keep)
    }

    fn mounts(&self) -> MutexGuard<'_, BTreeMap<VaultName, Mounted>> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mounted {
    fn view(&self) -> MountView {
        MountView {
            vault: self.place.vault.name.clone(),
            path: self.path.clone(),
            owner: self.owner,
            access: self.place.access,
            ends: self.place.ends(),
            is_for_copy: self.is_for_copy,
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

/// Waits for the timer or the end of the copier; `None` when it was cancelled.
fn wait(timer: &TimerFd, cancelled: &PipeReader, copier: Option<&OwnedFd>) -> Option<Why> {
    loop {
        let mut descriptors = vec![
            PollFd::new(timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(cancelled.as_fd(), PollFlags::POLLIN),
        ];
        // Only its end (POLLHUP) counts: what it says is read elsewhere.
        descriptors.extend(copier.map(|it| PollFd::new(it.as_fd(), PollFlags::empty())));
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) => {
                let happened: Vec<bool> =
                    descriptors.iter().map(|it| it.any().unwrap_or(true)).collect();
                return match happened[..] {
                    [_, true, ..] => None,
                    [true, ..] => Some(Why::Deadline),
                    _ => Some(Why::CopierGone),
                };
            }
            Err(nix::errno::Errno::EINTR) => {}
            // Without a timer the mount ends now rather than never.
            Err(_) => return Some(Why::Deadline),
        }
    }
}
