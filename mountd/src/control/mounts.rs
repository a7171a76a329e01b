//! Commands about mounts: begin, join, extend, let go, end.

use super::failure::{bad_input, failure, of_mount, of_reach};
use super::message::{
    Done, Failure, FailureCode, FileHolder, LastEnd, MountState, Owner, Purpose, VaultUnmounted,
};
use super::requests::{process, vault_name};
use super::session::{About, Control};
use super::vaults::number;
use crate::clock;
use crate::lifecycle::{ExtendError, Holder, MountEnd, MountError, MountView, UseBy, Wanted, Why};
use crate::place::Access;
use crate::source::Looks;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use ward_audit::EventType;
use ward_policy::{Caller, Operation, VaultName};

/// How many processes with open files a mount shows at most.
const MOST_HOLDERS: usize = 16;

/// A mount as a client asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) ttl: Option<u64>,
    pub(super) idle: Option<u64>,
    pub(super) read_only: bool,
    pub(super) made_directory: bool,
    pub(super) purpose: Purpose,
}

/// A mount, and the hold that a command has of it.
type Held = (MountView, Option<Holder>);

impl Control<'_> {
    pub(super) fn vault_mount(&self, vault: &str, order: Order) -> Result<MountState, Failure> {
        let vault = vault_name(vault)?;
        let operation = match order.purpose {
            Purpose::Use | Purpose::Exec => Operation::VaultMount,
            Purpose::Export => Operation::VaultExport,
            Purpose::Import => Operation::VaultImport,
        };
        let lifetime = self.lifetime(order)?;
        let Some(directory) = self.descriptor.as_ref() else {
            return Err(bad_input("no directory came with the line", "see docs/protocol.md"));
        };
        self.permit_mount(operation, &vault)?;
        if let Some(joined) = self.join_mount(&vault, order)? {
            return Ok(self.held_state(&joined));
        }
        let mounted = self.begin_mount(&vault, order, lifetime, directory);
        match mounted {
            // Another command was faster.
            Err(MountFailure::Mount(MountError::AlreadyMounted(..)))
                if order.purpose == Purpose::Exec =>
            {
                let joined = self.join_mount(&vault, order)?;
                let again = || failure(FailureCode::Conflict, "the mount just ended", "try again");
                joined.map(|joined| self.held_state(&joined)).ok_or_else(again)
            }
            Err(MountFailure::Mount(error)) => Err(of_mount(&error)),
            Err(MountFailure::Other(failure)) => Err(failure),
            Ok(held) => Ok(self.held_state(&held)),
        }
    }

    /// Whoever mounts a human's vault, or has it stay, takes an approver's yes.
    fn permit_mount(&self, operation: Operation, vault: &VaultName) -> Result<(), Failure> {
        let about = About { vault: Some(vault), ..About::default() };
        match self.daemon.vaults.owner(vault) {
            Owner::Human if !self.is_approver() => {
                let words = "the vault belongs to a human, so a mount takes an approver's yes";
                self.permit_with_a_human(operation, about, words)
            }
            Owner::Agent | Owner::Human => self.permit(operation, EventType::Command, about),
        }
    }

    fn begin_mount(
        &self,
        vault: &VaultName,
        order: Order,
        lifetime: Duration,
        directory: &OwnedFd,
    ) -> Result<Held, MountFailure> {
        let (open, read_only) = match order.purpose {
            Purpose::Use | Purpose::Exec | Purpose::Import => {
                let open = self.reach(vault)?;
                let is_read_only = open.vault.read_only().is_some();
                (open, order.read_only || is_read_only)
            }
            Purpose::Export => {
                let open = self.daemon.vaults.reach_to_export(vault);
                (open.map_err(|error| of_reach(&error))?, true)
            }
        };
        self.daemon.pipeline.sources.refresh(&open, None, Looks::Command);
        let settings = self.daemon.settings();
        let of_settings = || settings.mount.idle.map(|idle| idle.duration());
        let asked = order.idle.map(Duration::from_secs);
        let idle = asked.or_else(of_settings).filter(|idle| !idle.is_zero());
        let is_for_copy = matches!(order.purpose, Purpose::Export | Purpose::Import);
        let wanted = Wanted {
            instance: &self.daemon.instance,
            vault: open,
            directory: directory.as_fd(),
            made_directory: order.made_directory,
            access: if read_only { Access::ReadOnly } else { Access::ReadWrite },
            lifetime,
            longest: settings.mount.longest.duration(),
            idle: idle.filter(|_| !is_for_copy),
            notices: settings.mount.notices.iter().map(|it| it.duration()).collect(),
            use_by: match order.purpose {
                Purpose::Use => UseBy::All,
                Purpose::Exec => UseBy::Commands(self.connection()?),
                Purpose::Export | Purpose::Import => UseBy::Copier(self.connection()?),
            },
        };
        Ok(self.daemon.mounts.mount(&wanted, &self.caller)?)
    }

    /// How long a mount lasts: as asked for, or as the settings say.
    fn lifetime(&self, order: Order) -> Result<Duration, Failure> {
        let settings = self.daemon.settings();
        let longest = settings.mount.longest.duration();
        let asked = order.ttl.map_or_else(|| settings.mount.ttl.duration(), Duration::from_secs);
        match order.purpose {
            // A copy ends with its command.
            Purpose::Export | Purpose::Import => Ok(asked.min(longest)),
            Purpose::Use | Purpose::Exec if asked.is_zero() || asked > longest => {
                let longest = String::from(settings.mount.longest);
                let message = format!("a mount lasts 1 second to {longest}");
                Err(bad_input(message, "give a --ttl such as 45m"))
            }
            Purpose::Use | Purpose::Exec => Ok(asked),
        }
    }

    /// A copy or a command goes through the mount that is there: two of one vault would not agree on
    /// what is in it.
    fn join_mount(&self, vault: &VaultName, order: Order) -> Result<Option<Held>, Failure> {
        let view = self.daemon.mounts.view(vault).filter(|_| order.purpose != Purpose::Use);
        let Some(view) = view else { return Ok(None) };
        let MountView { vault, path, access, is_for_copy, .. } = &view;
        if *is_for_copy {
            let message = format!("another command exports or imports the vault {vault}");
            return Err(failure(FailureCode::Conflict, message, "try again when it has ended"));
        }
        let changes = match order.purpose {
            Purpose::Use | Purpose::Export => false,
            Purpose::Exec => !order.read_only,
            Purpose::Import => true,
        };
        if changes && *access == Access::ReadOnly {
            let message = format!("the vault {vault} is mounted read-only, at {path}");
            let next = format!("end that mount: ward vault unmount {vault}; then try again");
            return Err(failure(FailureCode::Conflict, message, &next));
        }
        if order.purpose != Purpose::Exec {
            return Ok(Some((view, None)));
        }
        let joined = self.connection().map(|it| self.daemon.mounts.join(vault, it));
        joined.and_then(|joined| joined).map_err(|error| of_mount(&error))
    }

    fn connection(&self) -> Result<OwnedFd, MountError> {
        self.connection.try_clone_to_owned().map_err(MountError::Session)
    }

    pub(super) fn vault_unmount(&self, vault: &str) -> Result<VaultUnmounted, Failure> {
        let vault = vault_name(vault)?;
        let about = About { vault: Some(&vault), ..About::default() };
        self.permit(Operation::VaultUnmount, EventType::Command, about)?;
        let holders = self.holders(&vault);
        if self.daemon.mounts.end(&vault, Why::Asked) {
            return Ok(VaultUnmounted { holders });
        }
        Err(self.not_mounted(&vault))
    }

    /// Who has files of a vault open, the most first.
    fn holders(&self, vault: &VaultName) -> Vec<FileHolder> {
        let openers = self.daemon.pipeline.handles.openers(vault);
        let openers = openers.into_iter().take(MOST_HOLDERS);
        let holder = |(opener, files): (Arc<Caller>, usize)| FileHolder {
            process: process(&opener),
            files: number(files),
        };
        openers.map(holder).collect()
    }

    /// Has a mount end later: for its owner and approvers, as policy decides.
    pub(super) fn vault_extend(&self, vault: &str, ttl: u64) -> Result<MountState, Failure> {
        let vault = vault_name(vault)?;
        self.permit_mount(Operation::VaultExtend, &vault)?;
        let view = self.daemon.mounts.view(&vault).ok_or_else(|| self.not_mounted(&vault))?;
        if view.owner != self.caller.uid && !self.is_approver() {
            let message = format!("the mount of {vault} belongs to uid {}", view.owner.0);
            let next = "have its owner or an approver extend it";
            return Err(failure(FailureCode::Denied, message, next));
        }
        let ends = clock::now().after(Duration::from_secs(ttl));
        let extended = self.daemon.mounts.extend(&vault, ends);
        extended.map(|view| self.mount_state(&view)).map_err(|error| match error {
            ExtendError::NotMounted(vault) => self.not_mounted(&vault),
            ExtendError::TooLong(_) => {
                bad_input(error, "give a shorter --ttl, or end the mount and begin another")
            }
            ExtendError::Earlier => bad_input(error, "give a longer --ttl, or ward vault unmount"),
        })
    }

    /// Lets a mount go that a command has; takes no permission but the hold itself.
    pub(super) fn vault_leave(&self, vault: &str, hold: &str) -> Result<Done, Failure> {
        let vault = vault_name(vault)?;
        let holder = hold.parse().ok().map(Holder);
        if holder.is_some_and(|holder| self.daemon.mounts.leave(&vault, holder)) {
            return Ok(Done {});
        }
        Err(self.not_mounted(&vault))
    }

    fn not_mounted(&self, vault: &VaultName) -> Failure {
        let message = format!("the vault {vault} is not mounted");
        match self.daemon.mounts.last_end(vault) {
            Some(MountEnd { at, why, .. }) => {
                let message = format!("{message}: its mount ended at {at}, since {why}");
                failure(FailureCode::NotFound, message, &format!("ward vault mount {vault}"))
            }
            None => failure(FailureCode::NotFound, message, "see ward vault list"),
        }
    }

    fn held_state(&self, (view, holder): &Held) -> MountState {
        let hold = holder.map(|Holder(id)| id.to_string());
        MountState { hold, ..self.mount_state(view) }
    }

    pub(super) fn mount_state(&self, view: &MountView) -> MountState {
        let handles = self.daemon.pipeline.handles.count(&view.vault);
        let now = clock::now();
        MountState {
            vault: view.vault.to_string(),
            path: view.path.clone(),
            owner: view.owner.0,
            read_only: view.access == Access::ReadOnly,
            ends: clock::wall_text(view.ends),
            ends_in: seconds(view.ends.remaining(now)),
            idle: view.idle.map(seconds),
            idle_ends_in: view.idle_ends.map(|ends| seconds(ends.remaining(now))),
            handles: number(handles),
            holders: self.holders(&view.vault),
            for_copy: view.is_for_copy,
            commands: number(view.commands),
            hold: None,
        }
    }
}

/// Why no mount begins.
enum MountFailure {
    Mount(MountError),
    Other(Failure),
}

impl From<MountError> for MountFailure {
    fn from(error: MountError) -> Self {
        Self::Mount(error)
    }
}

impl From<Failure> for MountFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// How a mount ended, for the protocol.
pub(super) fn mount_end(MountEnd { path, at, why }: MountEnd) -> LastEnd {
    LastEnd { path, at, why: why.to_string() }
}

/// A time for people, in seconds: what has begun counts.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
