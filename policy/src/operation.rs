//! Operations: everything a caller can ask for, files and commands alike.

use crate::Risk;
use std::fmt;

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $risk:ident;)*) => {
        /// One kind of thing that policy decides.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation { $($(#[$doc])* $variant,)* }

        impl Operation {
            /// Every operation, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word of the policy, the log and the protocol.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The risk class unless `[ops]` says otherwise.
            pub const fn risk(self) -> Risk {
                match self { $(Self::$variant => Risk::$risk,)* }
            }
        }
    };
}

operations! {
    /// Begin a `ward run` session under a name, which is the path of the question.
    AgentRun = "agent.run", High;
    /// Set the approval passphrase of the root, or change it.
    ApprovalPassphrase = "approval.passphrase", Critical;
    /// Say that a key that signed the log was stolen.
    AuditCompromise = "audit.compromise", Critical;
    /// Have another key sign the log.
    AuditRotateKey = "audit.rotate-key", Critical;
    /// See records of the log.
    AuditShow = "audit.show", Medium;
    /// Check the log, while the daemon runs.
    AuditVerify = "audit.verify", Low;
    /// Stop the daemon, which ends every mount.
    DaemonStop = "daemon.stop", High;
    /// See that a name exists.
    FileList = "file.list", Low;
    /// Open for reading or executing; `ward get`.
    FileRead = "file.read", Medium;
    /// Open for writing, create, truncate, rename, remove, change attributes.
    FileWrite = "file.write", High;
    /// Hand a file that one may read out to who asks for it.
    HandoffGrant = "handoff.grant", High;
    /// Check a policy text.
    PolicyCheck = "policy.check", Low;
    /// Have the daemon take the policy as it is in the file.
    PolicyReload = "policy.reload", High;
    /// Answer a request with yes.
    RequestApprove = "request.approve", Critical;
    /// Ask a human ahead of an open.
    RequestCreate = "request.create", Low;
    /// Answer a request with no.
    RequestDeny = "request.deny", High;
    /// See what waits for an answer.
    RequestList = "request.list", Low;
    /// Let a client of the policy read a secret that one may read.
    SecretGrant = "secret.grant", High;
    /// See which versions of a secret are kept.
    SecretHistory = "secret.history", Low;
    /// Make an older version current again, or bring a removed secret back.
    SecretRestore = "secret.restore", High;
    /// Destroy every version of a secret.
    SecretRevoke = "secret.revoke", Critical;
    /// Store a secret.
    SecretSet = "secret.set", High;
    /// See mounts, requests, leases and the state of the log.
    StatusShow = "status.show", Low;
    /// Say that an older state of a vault was put back on purpose; always takes a human's yes.
    VaultAcceptRestore = "vault.accept-restore", Critical;
    /// Give the room of dead bytes back.
    VaultCompact = "vault.compact", Medium;
    /// Copy everything in a vault that may be read out of it.
    VaultExport = "vault.export", High;
    /// Have a mount end later.
    VaultExtend = "vault.extend", High;
    /// Copy the key slots of a vault, for the day its header is lost.
    VaultHeaderBackup = "vault.header.backup", High;
    /// Put key slots back.
    VaultHeaderRestore = "vault.header.restore", Critical;
    /// Copy files into a vault.
    VaultImport = "vault.import", High;
    /// See how much a vault holds, and how it is kept.
    VaultInfo = "vault.info", Low;
    /// Make a vault.
    VaultInit = "vault.init", High;
    /// Add another way to unlock a vault.
    VaultKeyAdd = "vault.key.add", Critical;
    /// See the ways to unlock a vault.
    VaultKeyList = "vault.key.list", Low;
    /// Take a way to unlock a vault away.
    VaultKeyRemove = "vault.key.remove", Critical;
    /// See which vaults there are.
    VaultList = "vault.list", Low;
    /// Unlock a vault and show it at a path.
    VaultMount = "vault.mount", High;
    /// Give a vault a new key, which shuts out who kept an old header.
    VaultRekey = "vault.rekey", Critical;
    /// See the state of one vault.
    VaultStatus = "vault.status", Low;
    /// End a mount.
    VaultUnmount = "vault.unmount", Medium;
}

impl Operation {
    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let place = Self::ALL.binary_search_by_key(&name, |operation| operation.name());
        place.ok().and_then(|place| Self::ALL.get(place).copied())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A set of operations that are decided together, such as both of `O_RDWR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OperationSet(u64);

impl OperationSet {
    /// No operation.
    pub const EMPTY: Self = Self(0);

    /// Just this one.
    pub const fn of(operation: Operation) -> Self {
        Self(1 << operation as u32)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, operation: Operation) -> Self {
        Self(self.0 | 1 << operation as u32)
    }

    /// Whether the operation is among them.
    pub const fn contains(self, operation: Operation) -> bool {
        self.0 & (1 << operation as u32) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those among them, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL.iter().copied().filter(move |operation| self.contains(*operation))
    }
}

impl fmt::Display for OperationSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for operation in self.iter() {
            write!(formatter, "{separator}{operation}")?;
            separator = "+";
        }
        Ok(())
    }
}

impl fmt::Debug for OperationSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name_and_no_two_share_one() {
        for operation in Operation::ALL {
            assert_eq!(Operation::from_name(operation.name()), Some(*operation));
        }
        assert!(Operation::ALL.is_sorted_by_key(|operation| operation.name()));
        assert!(Operation::ALL.len() <= 64, "an OperationSet has 64 bits");
    }

    #[test]
    fn a_set_holds_what_was_put_into_it_and_shows_it_joined() {
        let both = OperationSet::of(Operation::FileWrite).with(Operation::FileRead);
        assert!(both.contains(Operation::FileRead) && !both.contains(Operation::FileList));
        assert_eq!(both.to_string(), "file.read+file.write");
    }
}
