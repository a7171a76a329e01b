//! `ward vault mount`: shows a vault as files in a directory, for a time.
//!
//! The client opens the directory with its own rights and hands the descriptor over, so the daemon
//! never follows a path of the caller's choice.

use crate::client::Client;
use crate::command::MountArguments;
use crate::output::{Report, escaped, time};
use crate::secret_reference::vault_name;
use crate::settings::Settings;
use crate::trouble::Trouble;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use ward_mountd::control::message::{Command, FailureCode, MountState, Purpose};
use ward_mountd::parse_period;

/// Mounts it.
pub(crate) fn run(
    arguments: &MountArguments,
    settings: &Settings,
) -> Result<Report<MountState>, Trouble> {
    let (state, _) = mount(arguments, Purpose::Use, settings)?;
    let left = time(state.ends_in);
    let text = format!("{} is at {} for {left}\n", escaped(&state.vault), escaped(&state.path));
    Ok(Report::new(state, text))
}

/// Mounts it for some purpose, or finds it mounted; with the connection that asked.
pub(super) fn mount(
    arguments: &MountArguments,
    purpose: Purpose,
    settings: &Settings,
) -> Result<(MountState, Client), Trouble> {
    let vault = vault_name(&arguments.vault)?;
    let ttl = said(arguments.ttl.as_deref(), settings.ttl.as_deref(), lifetime)?;
    let idle = said(arguments.idle.as_deref(), settings.idle.as_deref(), idle_time)?;
    let mut client = Client::connect(settings)?;
    let path = match &arguments.path {
        Some(path) => path.clone(),
        None => own_place(settings, &vault)?,
    };
    let mut place = Place::open(&path)?;
    let command = Command::VaultMount {
        vault: vault.clone(),
        path: place.path.clone(),
        ttl,
        idle,
        read_only: arguments.read_only,
        made_directory: place.is_ours,
        purpose,
    };
    let directory = Some(place.directory.as_fd());
    let state: MountState = client.ask_unlocked(command, directory, &vault, &arguments.unlock)?;
    // Where it was mounted already, the directory that was made for it goes again.
    place.is_ours &= state.path != place.path;
    Ok((state, client))
}

/// A directory to mount on. One that we made goes again unless a mount took it over.
struct Place {
    directory: OwnedFd,
    path: String,
    is_ours: bool,
}

impl Place {
    fn open(path: &Path) -> Result<Self, Trouble> {
        let refuse = |error: io::Error| {
            Trouble::bad_input(format!("cannot mount at {}: {error}", path.display()))
                .next("name an empty directory that is yours")
        };
        let is_ours = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(refuse(error)),
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory =
            open(path, flags, Mode::empty()).map_err(|errno| refuse(io::Error::from(errno)))?;
        let real = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()))
            .map_err(refuse)?;
        let path = real.into_os_string().into_string().map_err(|real| {
            Trouble::bad_input(format!("cannot mount at {}: no UTF-8 path", real.display()))
        })?;
        Ok(Self { directory, path, is_ours })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_ours {
            // Somebody may have put something into it meanwhile: then it stays.
            drop(std::fs::remove_dir(&self.path));
        }
    }
}

/// `ward/NAME` in the runtime directory, or `.ward/NAME` at home where there is none, as under cron; the
/// folder is made here. What root mounts for others must be reachable for them.
fn own_place(settings: &Settings, vault: &str) -> Result<PathBuf, Trouble> {
    let runtime = settings.runtime.as_ref().map(|runtime| runtime.join("ward"));
    let at_home = || settings.home.as_ref().map(|home| home.join(".ward"));
    let Some(folder) = runtime.or_else(at_home) else {
        return Err(Trouble::bad_input("there is neither XDG_RUNTIME_DIR nor a home to mount in")
            .next("give a PATH to mount at"));
    };
    let mode = if nix::unistd::Uid::effective().is_root() { 0o755 } else { 0o700 };
    match DirBuilder::new().mode(mode).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let message = format!("cannot make {}: {error}", folder.display());
            Err(Trouble::new(FailureCode::Failed, message).next("give a PATH to mount at"))
        }
        Ok(()) | Err(_) => Ok(folder.join(vault)),
    }
}

/// The time that a flag says, or else a variable; that of the settings when neither does.
fn said(
    flag: Option<&str>,
    variable: Option<&OsStr>,
    read: impl Fn(&str) -> Result<u64, Trouble>,
) -> Result<Option<u64>, Trouble> {
    let variable = || variable.map(OsStr::to_string_lossy);
    flag.map(Cow::Borrowed).or_else(variable).map(|text| read(&text)).transpose()
}

/// Reads a time, or `none`, which is 0.
fn idle_time(text: &str) -> Result<u64, Trouble> {
    if text == "none" { Ok(0) } else { lifetime(text) }
}

/// Reads a time such as `45m`, in whole seconds.
pub(super) fn lifetime(text: &str) -> Result<u64, Trouble> {
    parse_period(text).map(|period| period.as_secs()).ok_or_else(|| {
        Trouble::bad_input(format!("{text:?} is no time of at least a second"))
            .next("write it such as 45m, 1h 30m or 7d")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_read_from_hours_minutes_and_seconds_or_days() {
        let times =
            [("45m", 2700), ("1h30m", 5400), ("1h 30m", 5400), ("90s", 90), ("2d", 172_800)];
        for (text, seconds) in times {
            assert_eq!(lifetime(text).ok(), Some(seconds), "{text}");
        }
    }

    #[test]
    fn a_lifetime_that_is_none_is_refused() {
        for text in ["", "0s", "-5m", "5", "soon", "0.1s"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_directory_that_was_made_for_a_mount_that_failed_goes_again() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new");
        let place = Place::open(&path).unwrap();
        assert!(path.is_dir() && place.is_ours);
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_was_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        drop(Place::open(directory.path()).unwrap());
        assert!(directory.path().is_dir());
    }
}
