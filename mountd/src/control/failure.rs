//! Our errors as failures of the protocol: what was wrong, and what to do next.

use super::message::{Failure, FailureCode};
use crate::approval_queue::AnswerError;
use crate::caller::IdentifyError;
use crate::initialise::InitError;
use crate::lifecycle::MountError;
use crate::monitor::{MonitorError, MonitorFault};
use crate::pipeline::{GiveAnswerError, OpenError, ReadError};
use crate::vault_table::{AcceptError, ReachError};
use ward_policy::RequestId;
use ward_store::{
    ChangeError, CreateError, HeaderBackupError, RekeyError, SlotError, UnlockError,
    UnlockPinnedError,
};

/// A failure of class `code`.
pub(super) fn failure(code: FailureCode, message: impl ToString, next: &str) -> Failure {
    Failure { code, message: message.to_string(), next: Some(next.to_owned()), request: None }
}

/// Bad input.
pub(super) fn bad_input(message: impl ToString, next: &str) -> Failure {
    failure(FailureCode::BadInput, message, next)
}

/// It cannot name a vault, a secret or an agent.
pub(super) fn bad_name(message: impl ToString, next: &str) -> Failure {
    failure(FailureCode::BadName, message, next)
}

/// It is no id.
pub(super) fn bad_id(message: impl ToString, next: &str) -> Failure {
    failure(FailureCode::BadId, message, next)
}

/// Policy says no; only the id is told.
pub(super) fn denied(id: RequestId) -> Failure {
    Failure {
        code: FailureCode::Denied,
        message: format!("the policy does not allow it (refusal {id})"),
        next: Some("give this id to whoever keeps the policy".to_owned()),
        request: Some(id.to_string()),
    }
}

/// A human is asked; `words` say more about it, and `next` who can answer.
pub(super) fn needs_approval(id: RequestId, words: Option<&str>, next: String) -> Failure {
    Failure {
        code: FailureCode::ApprovalNeeded,
        message: match words {
            Some(words) => format!("somebody must approve it first (request {id}): {words}"),
            None => format!("somebody must approve it first (request {id})"),
        },
        next: Some(next),
        request: Some(id.to_string()),
    }
}

/// What to do about a request that an approver answers, whoever that is.
pub(super) fn ask_an_approver(id: RequestId) -> String {
    format!("have an approver run: ward approve {id}; then try again")
}

pub(super) fn of_identity(error: &IdentifyError) -> Failure {
    let next = "run ward in the daemon's pid namespace, as a process that stays";
    failure(FailureCode::Denied, error, next)
}

pub(super) fn of_open(error: &OpenError) -> Failure {
    match error {
        OpenError::NoSuchSecret | OpenError::Name(_) => no_such_secret(),
        OpenError::Unidentified(error) => of_identity(error),
        OpenError::Denied(id) | OpenError::Unanswered(id, _) => denied(*id),
        OpenError::Limited(id, retry) => Failure {
            next: Some(format!("come back in {} s", retry.as_secs_f64().ceil())),
            ..denied(*id)
        },
        OpenError::NeedsApproval(id) => needs_approval(*id, None, ask_an_approver(*id)),
        OpenError::Expired(_) => expired(),
        OpenError::Source(id, _) => Failure {
            request: Some(id.to_string()),
            ..failure(
                FailureCode::SourceRefused,
                error,
                "see whether pass show gives it, and ward status",
            )
        },
        OpenError::Ended => failure(FailureCode::Failed, error, "try again"),
        OpenError::ReadOnly => {
            failure(FailureCode::Conflict, error, "mount it without --read-only")
        }
        OpenError::Decrypt(error) => {
            let next = "run: ward vault fsck; restore the vault from a backup";
            failure(FailureCode::Damaged, error, next)
        }
        OpenError::Log(error) => {
            let next = "mend what it names (a full disk: make room), then: ward daemon stop";
            failure(FailureCode::LogFailed, error, next)
        }
        OpenError::NoRoom(error) => failure(FailureCode::Failed, error, "try again then"),
        OpenError::TooMany(error) => {
            failure(FailureCode::Conflict, error, "close some of them; see ward status")
        }
        OpenError::NoRandomness(error) => failure(FailureCode::Failed, error, "restart the daemon"),
    }
}

pub(super) fn of_read(error: &ReadError) -> Failure {
    match error {
        ReadError::Open(error) => of_open(error),
        ReadError::Decrypt(_) => {
            let next = "run: ward vault fsck; restore the vault from a backup";
            failure(FailureCode::Damaged, error, next)
        }
        ReadError::Log(_) => {
            failure(FailureCode::LogFailed, error, "see ward status, then restart the daemon")
        }
        ReadError::Expired => expired(),
        ReadError::NotOpen | ReadError::Ended | ReadError::Lease(_) => {
            failure(FailureCode::Failed, error, "try again")
        }
    }
}

/// It was there, for whoever may know, and its time is over.
pub(super) fn expired() -> Failure {
    let next = "whoever keeps it: ward set NAME --replace, with a new value, or ward revoke NAME";
    failure(FailureCode::Expired, "the secret has expired", next)
}

/// What is not there, and what the caller must not know of, look the same.
pub(super) fn no_such_secret() -> Failure {
    failure(FailureCode::NotFound, "there is no such secret", "see ward list")
}

pub(super) fn of_reach(error: &ReachError) -> Failure {
    match error {
        ReachError::NoSuchVault(name) => {
            let next = format!("see ward vault list, or make it: ward vault init {name}");
            failure(FailureCode::NotFound, error, &next)
        }
        ReachError::Locked(name) => {
            let next = format!(
                "give its passphrase: ward vault mount {name}, or any command at a terminal"
            );
            failure(FailureCode::Locked, error, &next)
        }
        ReachError::Keyfile(_) => {
            failure(FailureCode::WrongKey, error, "put the key file back from your backup")
        }
        ReachError::Unlock(UnlockPinnedError::Unlock(UnlockError::Locked(Some(holder))))
            if *holder == std::process::id() =>
        {
            // Where fusectl is not mounted an ended mount has it until its files are closed.
            let message = "the last mount of the vault has ended, but files of it are still open, and \
                           the vault does not open before they are closed";
            let next = "end the programs that have them open, or the daemon: ward daemon stop; \
                        ward doctor (fusectl) says how it comes";
            failure(FailureCode::Conflict, message, next)
        }
        ReachError::Unlock(error) => in_words(error.into(), error),
        ReachError::RolledBack(rolled_back) => {
            let name = rolled_back.name();
            let next = format!(
                "if somebody put an older copy back on purpose: ward vault accept-restore {name}"
            );
            failure(FailureCode::Damaged, error, &next)
        }
        ReachError::ReadLog(_) => failure(FailureCode::Damaged, error, "run: ward audit verify"),
        ReachError::Folder(_) => failure(FailureCode::Failed, error, "see that the root is whole"),
        ReachError::Log(_) => {
            failure(FailureCode::LogFailed, error, "see ward status, then restart the daemon")
        }
    }
}

impl From<&UnlockPinnedError> for FailureCode {
    fn from(error: &UnlockPinnedError) -> Self {
        match error {
            UnlockPinnedError::Unlock(error) => error.into(),
            UnlockPinnedError::RolledBack(_) => Self::Damaged,
            UnlockPinnedError::Pin { .. } => Self::Failed,
        }
    }
}

impl From<&UnlockError> for FailureCode {
    fn from(error: &UnlockError) -> Self {
        match error {
            UnlockError::NoVault(_) => Self::NotFound,
            UnlockError::NoSlot(_) | UnlockError::WrongSecret => Self::WrongKey,
            UnlockError::Newer { .. }
            | UnlockError::HeaderDamaged
            | UnlockError::HeaderOutdated
            | UnlockError::HeaderChanged => Self::Damaged,
            UnlockError::TooCostly => Self::Unsupported,
            UnlockError::Locked(_) => Self::Conflict,
            UnlockError::NoSpace | UnlockError::Io { .. } => Self::Failed,
        }
    }
}

pub(super) fn of_create(error: &InitError) -> Failure {
    let code = match error {
        InitError::Vault(CreateError::Exists(_)) => FailureCode::Conflict,
        InitError::EmptyPassphrase => FailureCode::BadInput,
        InitError::Vault(_)
        | InitError::Keyfile(_)
        | InitError::NotOurs(_)
        | InitError::NotPrivileged
        | InitError::Disk { .. }
        | InitError::Log(_)
        | InitError::Approval(_)
        | InitError::NoRandomness => FailureCode::Failed,
    };
    in_words(code, error)
}

pub(super) fn of_store(error: &ChangeError) -> Failure {
    let code = match error {
        ChangeError::NotFound | ChangeError::NoSuchAttribute => FailureCode::NotFound,
        ChangeError::Exists
        | ChangeError::TooManyLinks
        | ChangeError::NotFile
        | ChangeError::WrongKind
        | ChangeError::NotDirectory
        | ChangeError::IsDirectory
        | ChangeError::NotEmpty
        | ChangeError::IntoItself => FailureCode::Conflict,
        ChangeError::Name(_)
        | ChangeError::TooLong { .. }
        | ChangeError::TooFar
        | ChangeError::Target
        | ChangeError::AttributeName => FailureCode::BadInput,
        ChangeError::ReadOnly(_) => FailureCode::Damaged,
        ChangeError::NoSpace | ChangeError::Io(_) => FailureCode::Failed,
    };
    in_words(code, error)
}

pub(super) fn of_accept(error: &AcceptError) -> Failure {
    match error {
        AcceptError::Reach(error) => of_reach(error),
        AcceptError::NotRolledBack(_) => {
            failure(FailureCode::Conflict, error, "there is nothing to accept")
        }
        AcceptError::InUse(name) => {
            let next = format!("end its mount: ward vault unmount {name}; then try again");
            failure(FailureCode::Conflict, error, &next)
        }
        AcceptError::Changed(_) => failure(FailureCode::Conflict, error, "ask again"),
    }
}

pub(super) fn of_slot(error: &SlotError) -> Failure {
    let code = match error {
        SlotError::NoSuchSlot(_) => FailureCode::NotFound,
        SlotError::LastSlot | SlotError::Full => FailureCode::Conflict,
        SlotError::ReadOnly(_) => FailureCode::Damaged,
        SlotError::Io(_) => FailureCode::Failed,
    };
    in_words(code, error)
}

pub(super) fn of_rekey(error: &RekeyError) -> Failure {
    let code = match error {
        RekeyError::SlotsWithoutSecret(_) => FailureCode::Locked,
        RekeyError::NoSuchSlot(_) => FailureCode::NotFound,
        RekeyError::NoSlotLeft | RekeyError::TooManyKeys => FailureCode::Conflict,
        RekeyError::ReadOnly(_) => FailureCode::Damaged,
        RekeyError::Io(_) => FailureCode::Failed,
    };
    in_words(code, error)
}

pub(super) fn of_header(error: &HeaderBackupError) -> Failure {
    let code = match error {
        HeaderBackupError::NotHeader(_) => FailureCode::Damaged,
        HeaderBackupError::NotBackup
        | HeaderBackupError::OtherVault
        | HeaderBackupError::Outdated => FailureCode::BadInput,
        HeaderBackupError::WrongSecret => FailureCode::WrongKey,
        HeaderBackupError::Locked => FailureCode::Conflict,
        HeaderBackupError::Io { .. } => FailureCode::Failed,
    };
    in_words(code, error)
}

/// Messages of the store say after a semicolon what to do next.
fn in_words(code: FailureCode, error: &dyn std::error::Error) -> Failure {
    let text = error.to_string();
    match text.rsplit_once("; ") {
        Some((message, next)) => failure(code, message, next),
        None => failure(code, text, "see docs/cli-contract.md"),
    }
}

pub(super) fn of_mount(error: &MountError) -> Failure {
    match error {
        MountError::AlreadyMounted(name, _) => {
            let next = format!("use that mount, or end it: ward vault unmount {name}");
            failure(FailureCode::Conflict, error, &next)
        }
        MountError::Monitor(error) => of_monitor(error),
        MountError::Session(source) => {
            failure(FailureCode::Failed, format!("{error}: {source}"), "try again")
        }
        MountError::Log(_) => {
            failure(FailureCode::LogFailed, error, "see ward status, then restart the daemon")
        }
        MountError::NoRandomness => failure(FailureCode::Failed, error, "restart the daemon"),
    }
}

pub(super) fn of_monitor(error: &MonitorError) -> Failure {
    let code = match error.fault {
        MonitorFault::NoProcess => FailureCode::Denied,
        MonitorFault::Mountpoint | MonitorFault::Script => FailureCode::Conflict,
        MonitorFault::Machine => FailureCode::Unsupported,
        MonitorFault::Gone => FailureCode::Failed,
    };
    failure(code, error, &error.next)
}

pub(super) fn of_answer(error: &GiveAnswerError) -> Failure {
    match error {
        GiveAnswerError::Answer(error) => match error {
            AnswerError::NotPending => {
                failure(FailureCode::NotFound, error, "see ward list --pending")
            }
            AnswerError::NotApprover => {
                failure(FailureCode::Denied, error, "have an approver answer it")
            }
            AnswerError::OwnRequest => {
                let next = "have an approver of another user answer it (if the policy names none, add \
                            one to policy.toml: see its example [clients.admin]), or answer with \
                            --sign or --passphrase";
                failure(FailureCode::Denied, error, next)
            }
            AnswerError::AskersProcess => {
                let next = "answer from a session of your own, or with --sign or --passphrase";
                failure(FailureCode::Denied, error, next)
            }
            AnswerError::SignerIsAsker => {
                let next = "sign with a FIDO key and touch it, or have another approver answer";
                failure(FailureCode::Denied, error, next)
            }
            AnswerError::Factor(_) => {
                let next = "sign it: ward approve ID --sign, or with --sign --key FILE";
                failure(FailureCode::Unauthorized, error, next)
            }
            AnswerError::TooWide(_) => {
                failure(FailureCode::BadInput, error, "give less; see ward list --pending")
            }
        },
        GiveAnswerError::Open(error) => of_open(error),
    }
}
