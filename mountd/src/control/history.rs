//! Commands about what was: versions of a secret, and a vault that was put back.

use super::failure::{failure, of_accept, of_reach, of_store};
use super::message::{
    Activity, Failure, FailureCode, History, Passphrase, RestoreAccepted, Stored, VersionState,
};
use super::requests::{names, vault_name};
use super::session::{About, Control};
use super::vaults::typed;
use crate::clock;
use crate::newer::Newer;
use crate::vault_table::OpenVault;
use ward_audit::EventType;
use ward_policy::{FileId, Operation, SecretPath, Ticket, VaultName};
use ward_store::{SlotSecret, VersionId};

/// A secret with versions, named or removed.
enum Past {
    Named(FileId, Vec<VersionId>),
    Removed(FileId, Vec<VersionId>),
}

impl Control<'_> {
    /// The versions of a secret that can be restored.
    pub(super) fn history(&self, vault: &str, path: &str) -> Result<History, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        let past = self.past(&open, &path, Operation::SecretHistory)?;
        let about = About { vault: Some(&vault), path: Some(&path), ..About::default() };
        self.permit(Operation::SecretHistory, EventType::Command, about)?;
        let (file, versions, is_removed) = match past {
            Past::Named(file, versions) => (file, versions, false),
            Past::Removed(file, versions) => (file, versions, true),
        };
        let current = open.vault.current_version(file).filter(|_| !is_removed);
        let states = versions.into_iter().filter_map(|version| {
            let (bytes, time) = open.vault.version_attributes(file, version)?;
            let written = clock::text(clock::wall_of(time));
            let is_current = current == Some(version);
            Some(VersionState { version: version.0, bytes, written, is_current })
        });
        let versions = states.collect();
        Ok(History { vault: vault.to_string(), path: path.to_string(), is_removed, versions })
    }

    /// Makes an older version current again, or gives a removed secret its name back.
    pub(super) fn restore(
        &self,
        vault: &str,
        path: &str,
        version: Option<u64>,
    ) -> Result<Stored, Failure> {
        let (vault, path) = names(vault, path)?;
        self.is_no_entry(&vault, &path)?;
        let open = self.reach_secrets(&vault)?;
        let past = self.past(&open, &path, Operation::SecretRestore)?;
        let file = match &past {
            Past::Named(file, _) => Some(*file),
            Past::Removed(..) => None,
        };
        let about = About { vault: Some(&vault), path: Some(&path), file, ..About::default() };
        self.permit(Operation::SecretRestore, EventType::Command, about)?;
        let version = chosen(&past, version, open.vault.current_version(past.file()))?;
        let now = clock::file_time();
        let restored = (|| {
            let file = match past {
                Past::Named(file, _) => {
                    open.vault.restore(file, version, now)?;
                    file
                }
                Past::Removed(file, versions) => {
                    let made = open.vault.restore_removed(file, now)?;
                    if versions.last() != Some(&version) {
                        open.vault.restore(made, version, now)?;
                    }
                    made
                }
            };
            open.vault.sync()?;
            let current = open.vault.current_version(file);
            let expires = current.and_then(|version| open.vault.expires(file, version));
            Ok((open.vault.versions(file).len(), expires))
        })();
        let (versions, expires) = restored.map_err(|error| of_store(&error))?;
        Ok(Stored {
            vault: vault.to_string(),
            path: path.to_string(),
            versions: u64::try_from(versions).unwrap_or(u64::MAX),
            expires: expires.map(|end| clock::text(clock::wall_of(end))),
            bits: None,
        })
    }

    /// Makes a state of a vault that somebody put back its newest, after a human's yes to that state.
    pub(super) fn accept_restore(
        &self,
        vault: &str,
        passphrase: Option<&Passphrase>,
    ) -> Result<RestoreAccepted, Failure> {
        let vault = vault_name(vault)?;
        let vaults = &self.daemon.vaults;
        let about = About { vault: Some(&vault), ..About::default() };
        self.may_ask(Operation::VaultAcceptRestore, about)?;
        let secret = vaults.secret(&vault, passphrase.map(typed));
        let secret = secret.map_err(|error| of_reach(&error))?;
        let accepted = self.look_and_accept(&vault, &secret);
        vaults.look_away(&vault);
        accepted
    }

    fn look_and_accept(
        &self,
        vault: &VaultName,
        secret: &SlotSecret,
    ) -> Result<RestoreAccepted, Failure> {
        let vaults = &self.daemon.vaults;
        let looked = vaults.look_at_rolled_back(vault, secret);
        let (rolled_back, newer) = looked.map_err(|error| of_accept(&error))?;
        let words = format!("{rolled_back}; {newer}");
        let ticket = Ticket::try_from(rolled_back.ticket().as_str()).ok();
        let ticket = ticket.as_ref();
        let about = About { vault: Some(vault), ticket, ..About::default() };
        self.permit_with_a_human(Operation::VaultAcceptRestore, about, &words)?;
        let accepted = vaults.accept_restore(vault, secret, &rolled_back);
        let newer = accepted.map_err(|error| of_accept(&error))?;
        let shredded_again = newer.shredded_again().into_iter().map(str::to_owned).collect();
        let Newer { set, removed, revoked, activity, keys, unreadable, to_shred: _ } = newer;
        let activity = activity.into_iter().map(|(what, times)| Activity {
            what: what.name().to_owned(),
            times: times.count,
            last: clock::text(clock::wall_of(times.last)),
        });
        Ok(RestoreAccepted {
            vault: vault.to_string(),
            state: rolled_back.to_string(),
            set: set.into_iter().collect(),
            removed: removed.into_iter().collect(),
            revoked: revoked.into_iter().collect(),
            shredded_again,
            activity: activity.collect(),
            key_changes: keys,
            unreadable,
        })
    }

    /// The secret at `path`, or the one that was removed there, if the caller may know of it.
    fn past(
        &self,
        open: &OpenVault,
        path: &SecretPath,
        operation: Operation,
    ) -> Result<Past, Failure> {
        if let Ok(file) = self.visible_file(open, path) {
            return Ok(Past::Named(file, open.vault.versions(file)));
        }
        let rules = self.daemon.pipeline.policy.rules();
        let is_visible = rules.is_visible(&self.caller, &open.name, path, clock::local(&rules));
        let removed = open.vault.removed().into_iter().find(|gone| gone.path == *path);
        let removed = removed.filter(|_| is_visible);
        let removed = removed.ok_or_else(|| self.absent(open, path, operation))?;
        Ok(Past::Removed(removed.file, removed.versions))
    }
}

impl Past {
    const fn file(&self) -> FileId {
        match self {
            Self::Named(file, _) | Self::Removed(file, _) => *file,
        }
    }
}

/// The version that is meant: the one asked for, or the one that a person would expect.
fn chosen(
    past: &Past,
    asked: Option<u64>,
    current: Option<VersionId>,
) -> Result<VersionId, Failure> {
    let (versions, usual) = match past {
        Past::Named(_, versions) => {
            let older = versions.iter().rev().find(|version| Some(**version) != current);
            (versions, older)
        }
        Past::Removed(_, versions) => (versions, versions.last()),
    };
    let found = match asked {
        Some(number) => versions.iter().find(|version| version.0 == number),
        None => usual,
    };
    let message = match asked {
        Some(number) => format!("there is no version {number} of it"),
        None => "there is no older version of it".to_owned(),
    };
    found.copied().ok_or_else(|| failure(FailureCode::NotFound, message, "see ward history"))
}
