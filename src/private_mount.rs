//! Where a copy goes through: a mount in a directory of our own for the time of one command, or the
//! mount that a vault has already.

use crate::client::Client;
use crate::command::UnlockArguments;
use crate::settings::Settings;
use crate::tree_copy::open_directory;
use crate::trouble::Trouble;
use nix::sys::signal::{SigSet, Signal};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use ward_mountd::control::message::{self, Done, FailureCode, MountState, Purpose};
use zeroize::Zeroizing;

/// How long a vault is shown for a copy at most, in seconds: a day, the longest there is.
const LONGEST: u64 = 24 * 60 * 60;

/// A directory of ours, gone when this is dropped.
pub(crate) struct PrivateDirectory(PathBuf);

/// A vault where it can be copied from or to.
pub(crate) enum VaultMount<'a> {
    /// In such a directory; dropping it ends the mount.
    Own(OwnMount<'a>),
    /// Where somebody has mounted it.
    Shared(SharedMount),
}

/// A mount of ours. It ends with the connection, so however we end.
pub(crate) struct OwnMount<'a> {
    directory: PrivateDirectory,
    vault: String,
    settings: &'a Settings,
    _connection: Client,
}

/// A mount that is not ours.
pub(crate) struct SharedMount {
    pub(crate) vault: String,
    pub(crate) path: PathBuf,
}

/// The files of a gocryptfs volume in such a directory, read-only; dropping it ends the mount.
pub(crate) struct GocryptfsMount(PrivateDirectory);

/// Signals that would end us before a mount is ended. They wait, and a copy looks for them.
pub(crate) struct PatientSignals(SigSet);

impl PrivateDirectory {
    pub(crate) fn make() -> Result<Self, Trouble> {
        let made = nix::unistd::mkdtemp("/tmp/ward-XXXXXX");
        made.map(Self).map_err(|errno| {
            let message = format!("cannot make a directory in /tmp: {errno}");
            Trouble::new(FailureCode::Failed, message)
        })
    }
}

impl PrivateDirectory {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // The end of a mount may have taken it along.
        drop(std::fs::remove_dir(&self.0));
    }
}

impl<'a> VaultMount<'a> {
    /// Shows a vault, unless it is shown already; the policy decides by what it is for.
    pub(crate) fn begin(
        vault: &str,
        purpose: Purpose,
        unlock: &UnlockArguments,
        settings: &'a Settings,
    ) -> Result<Self, Trouble> {
        let directory = PrivateDirectory::make()?;
        let opened =
            open_directory(&directory.0).map_err(|errno| unreadable(&directory.0, errno))?;
        let command = message::Command::VaultMount {
            vault: vault.to_owned(),
            path: directory.0.display().to_string(),
            ttl: Some(LONGEST),
            idle: None,
            read_only: purpose == Purpose::Export,
            made_directory: true,
            purpose,
        };
        let mut client = Client::connect(settings)?;
        let mounted: MountState =
            client.ask_unlocked(command, Some(opened.as_fd()), vault, unlock)?;
        let vault = vault.to_owned();
        Ok(if mounted.for_copy {
            Self::Own(OwnMount { directory, vault, settings, _connection: client })
        } else {
            Self::Shared(SharedMount { vault, path: mounted.path.into() })
        })
    }

    /// Its top directory, as it is shown now.
    pub(crate) fn open(&self) -> Result<OwnedFd, Trouble> {
        match self {
            Self::Own(OwnMount { directory, .. }) => {
                open_directory(&directory.0).map_err(|errno| unreadable(&directory.0, errno))
            }
            Self::Shared(shared) => shared.open(),
        }
    }

    /// Ends it if it is ours; what was written is kept.
    pub(crate) fn end(self) -> Result<(), Trouble> {
        match self {
            Self::Own(mut own) => {
                let ended = own.unmount();
                // Dropped without a second try.
                own.vault.clear();
                ended
            }
            Self::Shared(_) => Ok(()),
        }
    }
}

impl OwnMount<'_> {
    fn unmount(&self) -> Result<(), Trouble> {
        let command = message::Command::VaultUnmount { vault: self.vault.clone() };
        let Done {} = Client::connect(self.settings)?.ask(command)?;
        Ok(())
    }
}

impl Drop for OwnMount<'_> {
    fn drop(&mut self) {
        if !self.vault.is_empty() {
            // We are failing already; it ends with us.
            drop(self.unmount());
        }
    }
}

impl SharedMount {
    /// What is there must be the vault: in another mount namespace it may be any directory.
    pub(crate) fn open(&self) -> Result<OwnedFd, Trouble> {
        let Self { vault, path } = self;
        let refuse = |why: &dyn std::fmt::Display| {
            let path = path.display();
            let message = format!("the vault {vault} is mounted at {path}, and {why}");
            Trouble::new(FailureCode::Conflict, message)
                .next(format!("end that mount: ward vault unmount {vault}; then try again"))
        };
        let top = open_directory(path)
            .map_err(|errno| refuse(&format!("you cannot enter it there: {errno}")))?;
        if is_mount_of(vault, &top).map_err(|error| refuse(&error))? {
            return Ok(top);
        }
        Err(refuse(&"you do not see it there: you are in another mount namespace"))
    }
}

/// Whether the directory is on a wardfs mount of that vault (`proc_pid_mountinfo(5)`).
fn is_mount_of(vault: &str, directory: &OwnedFd) -> io::Result<bool> {
    let device = rustix::fs::fstat(directory)?.st_dev;
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let is_it = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let is_wardfs = kind.next()? == "fuse.wardfs";
        let is_vault = kind.next()?.rsplit(':').next()? == vault;
        Some(place.split(' ').nth(2)? == device && is_wardfs && is_vault)
    };
    Ok(table.lines().any(|line| is_it(line) == Some(true)))
}

impl GocryptfsMount {
    /// Shows what is in the volume at `volume`, by the installed gocryptfs.
    pub(crate) fn begin(volume: &Path, passphrase: &[u8]) -> Result<Self, Trouble> {
        let directory = PrivateDirectory::make()?;
        let mut command = Command::new("gocryptfs");
        // Idle: it ends by itself when we are killed and cannot end it.
        command.args(["-ro", "-quiet", "-nosyslog", "-idle", "5m", "--"]);
        command.arg(volume).arg(&directory.0);
        // No pipe: it goes on in the background and would keep one open.
        let mut said = memory_file()?;
        let stderr = said.try_clone().map_err(no_memory)?;
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr);
        let refuse = |error: io::Error| {
            Trouble::new(FailureCode::Unsupported, format!("cannot run gocryptfs: {error}"))
                .next("install it: apt install gocryptfs")
        };
        let mut child = command.spawn().map_err(refuse)?;
        if let Some(mut stdin) = child.stdin.take() {
            let line = Zeroizing::new([passphrase, b"\n"].concat());
            // One that ends before it reads says why itself.
            drop(stdin.write_all(&line));
        }
        let status = child.wait().map_err(refuse)?;
        if status.success() {
            return Ok(Self(directory));
        }
        let mut words = String::new();
        said.rewind().and_then(|()| said.read_to_string(&mut words)).map_err(no_memory)?;
        let last = words.lines().last().unwrap_or_default();
        let message = format!("gocryptfs does not open {}: {last}", volume.display());
        // 12 is its exit code for a wrong passphrase (gocryptfs(1)).
        let is_wrong = status.code() == Some(12);
        let code = if is_wrong { FailureCode::WrongKey } else { FailureCode::BadInput };
        Err(Trouble::new(code, message).next("name the directory with gocryptfs.conf in it"))
    }

    /// Its top directory.
    pub(crate) fn open(&self) -> Result<OwnedFd, Trouble> {
        open_directory(&self.0.0).map_err(|errno| unreadable(&self.0.0, errno))
    }
}

impl Drop for GocryptfsMount {
    fn drop(&mut self) {
        let mut end = Command::new("fusermount3");
        end.arg("-u").arg(&self.0.0).stdin(Stdio::null());
        // A mount that is still busy ends when its last user does.
        let ended = end.status().is_ok_and(|status| status.success());
        if !ended {
            drop(Command::new("fusermount3").arg("-uz").arg(&self.0.0).status());
        }
    }
}

impl PatientSignals {
    /// Lets them wait from now on.
    pub(crate) fn begin() -> Result<Self, Trouble> {
        let ending = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let signals: SigSet = ending.into_iter().collect();
        signals.thread_block().map_err(|errno| {
            Trouble::new(FailureCode::Failed, format!("cannot block signals: {errno}"))
        })?;
        Ok(Self(signals))
    }

    /// Whether one came.
    pub(crate) fn came(&self) -> bool {
        use nix::sys::signalfd::{SfdFlags, SignalFd};
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let waiting = SignalFd::with_flags(&self.0, flags);
        waiting.is_ok_and(|waiting| waiting.read_signal().is_ok_and(|signal| signal.is_some()))
    }
}

/// A file that is only in memory.
fn memory_file() -> Result<File, Trouble> {
    let file = rustix::fs::memfd_create("gocryptfs", rustix::fs::MemfdFlags::CLOEXEC);
    file.map(File::from).map_err(|errno| no_memory(errno.into()))
}

fn no_memory(error: io::Error) -> Trouble {
    Trouble::new(FailureCode::Failed, format!("cannot keep what gocryptfs says: {error}"))
}

fn unreadable(path: &Path, errno: rustix::io::Errno) -> Trouble {
    Trouble::bad_input(format!("cannot open the directory {}: {errno}", path.display()))
}
