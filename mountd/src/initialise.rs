//! Making a root: all of it beside its place, then moved there in one step, so that there is never
//! half a root.

use crate::clock;
use crate::factor::{APPROVAL_PASSPHRASE, ApprovalPassphrase, ApprovalPassphraseError};
use crate::hardening;
use crate::owner::Owner;
use crate::policy_in_force;
use crate::root::{AUDIT, KEYS, LOG_KEY, Layout, MARK, PINS, POLICY, Root, VAULTS};
use crate::settings::Settings;
use rustix::fs::{Mode, OFlags, chmod, fsync, mkdir, open};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use ward_audit::{Durability, EventType, Log, LogKey, Record};
use ward_policy::{RootKind, Rules, UserId, VaultName, default_policy};
use ward_store::{
    CreateError, Keyfile, KeyfileError, NewSlot, NewVault, Passphrase, PassphraseCost, Vault,
    VaultKind,
};
use zeroize::Zeroizing;

/// The vault that every new root has.
pub const FIRST_VAULT: &str = "default";

/// How a root is to be made.
#[derive(Debug)]
pub struct InitSettings {
    /// Private or system.
    pub layout: Layout,
    /// Whom the first policy lets work.
    pub owner: UserId,
    /// The passphrase of the first vault; a key file in the root when there is none.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
    /// The approval passphrase of the root, if it has one.
    pub approval: Option<Zeroizing<Vec<u8>>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialised {
    /// There is a new root.
    Made,
    /// There was one already; nothing was changed.
    AlreadyThere,
}

/// Why there is no root.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Somebody else made the directory.
    #[error("{0} exists and is no root of wardfs; name a path that does not exist yet")]
    NotOurs(PathBuf),
    /// A system root belongs to no agent.
    #[error("a system root takes root's rights; run: sudo ward init --for USER")]
    NotPrivileged,
    /// A passphrase without characters protects nothing.
    #[error("the passphrase is empty; give one of several words")]
    EmptyPassphrase,
    /// The disk refuses.
    #[error(
        "cannot make the root at {path} ({source}); see that its parent is there, yours, and has room"
    )]
    Disk {
        /// The root.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// The vault could not be made.
    #[error(transparent)]
    Vault(#[from] CreateError),
    /// The key file could not be made.
    #[error(transparent)]
    Keyfile(#[from] KeyfileError),
    /// The approval passphrase could not be kept.
    #[error(transparent)]
    Approval(#[from] ApprovalPassphraseError),
    /// The log could not be begun.
    #[error("cannot begin the log: {0}")]
    Log(String),
    /// The kernel gives no random bytes.
    #[error("the kernel gives no random bytes; see random(4)")]
    NoRandomness,
}

/// Makes a root at `path`, with a vault, a policy, a log and a key. A second time it does nothing.
///
/// # Errors
/// See [`InitError`]; nothing is left behind.
pub fn initialise(path: &Path, settings: &InitSettings) -> Result<Initialised, InitError> {
    let disk = |source: io::Error| InitError::Disk { path: path.to_owned(), source };
    if std::fs::symlink_metadata(path).is_ok() {
        let root = Root::open(path).map_err(|_| InitError::NotOurs(path.to_owned()))?;
        return match Settings::read(&root) {
            Ok(_) => Ok(Initialised::AlreadyThere),
            Err(_) => Err(InitError::NotOurs(path.to_owned())),
        };
    }
    if settings.layout == Layout::System && !rustix::process::geteuid().is_root() {
        return Err(InitError::NotPrivileged);
    }
    let passphrases = [&settings.passphrase, &settings.approval];
    if passphrases.into_iter().flatten().any(|passphrase| passphrase.is_empty()) {
        return Err(InitError::EmptyPassphrase);
    }
    hardening::harden().map_err(|errno| disk(errno.into()))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(disk)?;
    let id = clock::new_id().ok_or(InitError::NoRandomness)?;
    let beside = parent.join(format!(".ward-init-{id}"));
    let made = make(&beside, settings, &id.to_string()).and_then(|()| {
        rustix::fs::renameat_with(
            rustix::fs::CWD,
            &beside,
            rustix::fs::CWD,
            path,
            rustix::fs::RenameFlags::NOREPLACE,
        )
        .map_err(|errno| disk(errno.into()))?;
        sync_folder(parent).map_err(disk)
    });
    if made.is_err() {
        // Ours alone, and nobody knows it yet.
        let _stays_behind = std::fs::remove_dir_all(&beside);
    }
    made.map(|()| Initialised::Made)
}

fn make(folder: &Path, settings: &InitSettings, instance: &str) -> Result<(), InitError> {
    let disk = |source: io::Error| InitError::Disk { path: folder.to_owned(), source };
    let private = Mode::RWXU;
    for name in ["", AUDIT, VAULTS, KEYS, PINS] {
        mkdir(folder.join(name), private).map_err(|errno| disk(errno.into()))?;
    }
    let vault = VaultName::try_from(FIRST_VAULT).map_err(|_| InitError::NoRandomness)?;
    let wanted = WantedVault {
        kind: VaultKind::Secrets,
        owner: Owner::Human,
        passphrase: settings.passphrase.as_ref(),
    };
    make_vault(folder, &vault, &wanted)?;
    let kind = match settings.layout {
        Layout::Private => RootKind::Private,
        Layout::System => RootKind::System,
    };
    let policy = default_policy(settings.owner, kind);
    write(&folder.join(POLICY), policy.as_bytes()).map_err(disk)?;
    if let Some(passphrase) = &settings.approval {
        let text = ApprovalPassphrase::text(passphrase.clone(), passphrase_cost())?;
        write(&folder.join(APPROVAL_PASSPHRASE), text.as_bytes()).map_err(disk)?;
    }
    begin_log(folder, &policy, &vault)?;
    let mark = Settings::new(settings.layout, instance).text();
    write(&folder.join(MARK), mark.as_bytes()).map_err(disk)?;
    if settings.layout == Layout::System {
        let mode = Mode::RWXU | Mode::XGRP | Mode::XOTH;
        chmod(folder, mode).map_err(|errno| disk(errno.into()))?;
    }
    sync_folder(folder).map_err(disk)
}

/// What a new vault is to be.
#[derive(Debug)]
pub(crate) struct WantedVault<'passphrase> {
    pub(crate) kind: VaultKind,
    pub(crate) owner: Owner,
    /// What opens it; a key file in the root when there is none.
    pub(crate) passphrase: Option<&'passphrase Zeroizing<Vec<u8>>>,
}

/// Makes a vault in the root at `root`.
pub(crate) fn make_vault(
    root: &Path,
    name: &VaultName,
    wanted: &WantedVault<'_>,
) -> Result<(), InitError> {
    let directory = root.join(VAULTS).join(name.as_str());
    if directory.exists() {
        return Err(CreateError::Exists(directory).into());
    }
    let settings = NewVault { kind: wanted.kind, label: wanted.owner.label() };
    match wanted.passphrase {
        Some(bytes) => {
            let passphrase = Passphrase::new(bytes.clone());
            let slot = NewSlot::Passphrase(&passphrase, passphrase_cost());
            Vault::create(&directory, &settings, &slot)?;
        }
        None => {
            let keyfile = Keyfile::create(&root.join(KEYS).join(name.as_str()))?;
            Vault::create(&directory, &settings, &NewSlot::Keyfile(&keyfile))?;
        }
    }
    Ok(())
}

/// What a new passphrase costs to try on this machine.
pub(crate) fn passphrase_cost() -> PassphraseCost {
    PassphraseCost::standard(available_memory())
}

fn begin_log(folder: &Path, policy: &str, vault: &VaultName) -> Result<(), InitError> {
    let fault = |error: &dyn std::fmt::Display| InitError::Log(error.to_string());
    let digest = policy_in_force::digest(policy);
    let rules = Rules::load(policy, digest).map_err(|error| fault(&error))?;
    let settings = ward_audit::Settings::new(clock::boot_id().map_err(|error| fault(&error))?);
    let key = Keyfile::create(&folder.join(LOG_KEY))?;
    let key = LogKey::from_bytes(&key.key());
    let opened = Log::open(&folder.join(AUDIT), key, settings, clock::stamp());
    let (log, _new) = opened.map_err(|error| fault(&error))?;
    let records = [
        Record::new(EventType::VaultCreated).within(vault),
        Record::new(EventType::PolicyLoaded).policy(rules.digest()),
    ];
    for record in records {
        let appended = log.append(record, Durability::Durable, clock::stamp());
        let _recorded = appended.map_err(|error| fault(&error))?;
    }
    log.close(clock::stamp()).map_err(|error| fault(&error))
}

/// Bytes of memory that can be had now (`MemAvailable` of `proc_meminfo(5)`).
fn available_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kibibytes.unwrap_or(0_u64).saturating_mul(1024)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(fsync(open(path, flags, Mode::empty())?)?)
}
