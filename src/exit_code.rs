//! How `ward` ends: a contract with scripts (docs/cli-contract.md).

use ward_mountd::control::message::FailureCode;

/// Every way `ward` can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// It was done.
    Done,
    /// It was not done, for a reason without a number of its own.
    Failed,
    /// Policy says no.
    Denied,
    /// A human must say yes first.
    ApprovalNeeded,
    /// No such vault, secret, request, mount or root.
    NotFound,
    /// Something is there already or in use.
    Conflict,
    /// The input is no name, policy, value or id.
    BadInput,
    /// The vault is locked, or the passphrase is wrong.
    Locked,
    /// No daemon answers, and none could be started.
    Unreachable,
    /// The vault or the log is damaged, or something is of a newer format.
    Damaged,
    /// This machine or this layout cannot do it.
    Unsupported,
    /// The log takes no records.
    LogFailed,
    /// As the command of `ward run` ended.
    OfCommand(u8),
    /// `audit verify`: a crash left a part of an unfinished write.
    LogTorn,
    /// `audit verify`: an entry is not as it was written.
    LogBroken,
    /// `audit verify`: entries are not there.
    LogMissing,
}

impl ExitCode {
    /// The number that scripts see. 2, wrong usage, is clap's.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::OfCommand(number) => number,
            Self::Done => 0,
            Self::Failed => 1,
            Self::Denied | Self::LogTorn => 3,
            Self::ApprovalNeeded | Self::LogBroken => 4,
            Self::NotFound | Self::LogMissing => 5,
            Self::Conflict => 6,
            Self::BadInput => 7,
            Self::Locked => 8,
            Self::Unreachable => 9,
            Self::Damaged => 10,
            Self::Unsupported => 11,
            Self::LogFailed => 12,
        }
    }
}

impl From<FailureCode> for ExitCode {
    fn from(code: FailureCode) -> Self {
        match code {
            FailureCode::Denied => Self::Denied,
            FailureCode::ApprovalNeeded => Self::ApprovalNeeded,
            FailureCode::NotFound => Self::NotFound,
            FailureCode::Conflict => Self::Conflict,
            FailureCode::BadInput => Self::BadInput,
            FailureCode::Locked | FailureCode::WrongKey => Self::Locked,
            FailureCode::Damaged | FailureCode::Version => Self::Damaged,
            FailureCode::Unsupported => Self::Unsupported,
            FailureCode::Unreachable => Self::Unreachable,
            FailureCode::LogFailed => Self::LogFailed,
            FailureCode::Malformed | FailureCode::Failed | FailureCode::SourceRefused => {
                Self::Failed
            }
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}
