//! Error codes: a number for each class of trouble, and what it means. Those that `gloves` has mean here
//! what they mean there.

use ward_mountd::control::message::FailureCode;

/// A code as `ward explain` tells it.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct ErrorCode {
    /// `E` and three digits.
    pub(crate) name: &'static str,
    /// What it means.
    pub(crate) means: &'static str,
    /// What helps.
    pub(crate) next: &'static str,
}

/// Wrong usage: told by the reader of the command line, with exit code 2.
const USAGE: ErrorCode = ErrorCode {
    name: "E001",
    means: "the command line is not one that ward knows",
    next: "ward COMMAND --help shows its words and examples",
};

/// Every class of trouble, with its code.
const CODES: [(FailureCode, ErrorCode); 15] = [
    (
        FailureCode::BadInput,
        ErrorCode {
            name: "E100",
            means: "a name, value, time, id, policy or setting is none; the message says which, and where",
            next: "mend what the message names; ward help TOPIC has the forms",
        },
    ),
    (
        FailureCode::Malformed,
        ErrorCode {
            name: "E101",
            means: "what came over the control socket is no request",
            next: "use a ward of the same version as the daemon: ward --version",
        },
    ),
    (
        FailureCode::Unsupported,
        ErrorCode {
            name: "E103",
            means: "this machine or this layout of the root cannot do it, or a program is missing",
            next: "ward doctor says what this machine lacks",
        },
    ),
    (
        FailureCode::Denied,
        ErrorCode {
            name: "E200",
            means: "the policy says no; which rule is for those who keep the policy",
            next: "ward check OP TARGET asks ahead; who keeps the policy: ward explain NUMBER",
        },
    ),
    (
        FailureCode::ApprovalNeeded,
        ErrorCode {
            name: "E202",
            means: "a human must say yes first; the request was made and waits",
            next: "an approver: ward approve ID; then the same command again",
        },
    ),
    (
        FailureCode::NotFound,
        ErrorCode {
            name: "E300",
            means: "there is no such vault, secret, request, mount or root, or none that you may know of",
            next: "ward list, ward vault list and ward list --pending show what there is",
        },
    ),
    (
        FailureCode::Conflict,
        ErrorCode {
            name: "E301",
            means: "something is there already, or in use",
            next: "ward status shows what is in use, and by whom",
        },
    ),
    (
        FailureCode::SourceRefused,
        ErrorCode {
            name: "E400",
            means: "the source of the secret, such as pass with GnuPG, does not give it",
            next: "the message has the words of the source; try it there by hand",
        },
    ),
    (
        FailureCode::Locked,
        ErrorCode {
            name: "E401",
            means: "the vault is locked, and nothing was there to unlock it with",
            next: "use a terminal, or --passphrase-file FILE",
        },
    ),
    (
        FailureCode::WrongKey,
        ErrorCode {
            name: "E402",
            means: "the passphrase, recovery code or key file does not open the vault",
            next: "try again; ward vault key list NAME shows what opens it",
        },
    ),
    (
        FailureCode::Damaged,
        ErrorCode {
            name: "E500",
            means: "a vault or the log is not as it was written",
            next: "ward vault fsck NAME and ward audit verify say where",
        },
    ),
    (
        FailureCode::Version,
        ErrorCode {
            name: "E501",
            means: "something is of a newer format or protocol",
            next: "update wardfs, and restart its daemon: ward daemon stop",
        },
    ),
    (
        FailureCode::Unreachable,
        ErrorCode {
            name: "E900",
            means: "no daemon answers, and none could be started",
            next: "the owner of the root: ward daemon start; ward doctor looks around",
        },
    ),
    (
        FailureCode::LogFailed,
        ErrorCode {
            name: "E901",
            means: "the log takes no records, so nothing is served",
            next: "make room or mend the disk, then: ward daemon stop",
        },
    ),
    (
        FailureCode::Failed,
        ErrorCode {
            name: "E999",
            means: "something else went wrong; the message says what",
            next: "ward doctor looks for what is wrong with this machine, root and daemon",
        },
    ),
];

impl ErrorCode {
    /// The code of a class of trouble.
    pub(crate) fn of(code: FailureCode) -> Self {
        let found = CODES.iter().find(|(known, _)| *known == code);
        found.map_or(USAGE, |(_, known)| *known)
    }

    /// The code of this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|code| code.name.eq_ignore_ascii_case(name))
    }

    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        std::iter::once(USAGE).chain(CODES.iter().map(|(_, code)| *code))
    }
}
