//! How far a caller's identity can be believed, and what speaks against it.
//!
//! Nothing that a caller says of itself raises its grade; a doubt can only lower it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a caller's identity can be believed, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// The caller, or somebody of its uid, can forge a fact or put code into it.
    Untrusted,
    /// The program could be changed or told what to do by somebody else than root.
    Weak,
    /// Nothing speaks against it.
    Verified,
}

/// What speaks against a caller's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Doubt {
    /// It is in a user namespace of its own, where it can forge path, inode and hash together.
    UserNamespace,
    /// Another process traces it, and can change its memory.
    Traced,
    /// Its request carries ids of somebody else, who lent them (`io_uring_register(2)`, personality).
    LentIds,
    /// A variable of its environment makes the loader run other code.
    LoaderVariable(String),
    /// Its program cannot be opened.
    UnreadableProgram,
    /// Its program was deleted or replaced, or lies elsewhere in our view of the files.
    OtherProgram,
    /// Its program lies on a filesystem where anybody can be the server.
    Filesystem(String),
    /// Its program does what it is told to, and what that is, nobody attests.
    Interpreter,
    /// Its program or its script, or a folder above it, can be changed by somebody else than root.
    Changeable,
    /// Its real, effective, saved and filesystem ids are not the same.
    MixedIds,
    /// A variable of its environment makes its program look for code elsewhere.
    PathVariable(String),
    /// It runs code from a file that somebody else than root can change.
    MappedCode(String),
    /// Its environment, or the code it runs, cannot be read.
    Unreadable,
}

impl Grade {
    /// The word of the policy and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Weak => "weak",
            Self::Verified => "verified",
        }
    }

    /// The grade of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Untrusted, Self::Weak, Self::Verified].into_iter().find(|grade| grade.name() == name)
    }

    /// What is left of an identity with these doubts.
    pub fn of(doubts: &[Doubt]) -> Self {
        doubts.iter().map(Doubt::grade).min().unwrap_or(Self::Verified)
    }
}

impl Doubt {
    /// The best grade it leaves.
    pub const fn grade(&self) -> Grade {
        match self {
            Self::UserNamespace
            | Self::Traced
            | Self::LentIds
            | Self::LoaderVariable(_)
            | Self::UnreadableProgram
            | Self::OtherProgram
            | Self::Filesystem(_) => Grade::Untrusted,
            Self::Interpreter
            | Self::Changeable
            | Self::MixedIds
            | Self::PathVariable(_)
            | Self::MappedCode(_)
            | Self::Unreadable => Grade::Weak,
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::UserNamespace => "it is in a user namespace of its own",
            Self::Traced => "another process traces it",
            Self::LentIds => "its request carries ids that it does not have itself",
            Self::LoaderVariable(name) => {
                return write!(formatter, "{name} is set, which makes the loader run other code");
            }
            Self::UnreadableProgram => "its program cannot be read",
            Self::OtherProgram => "its program was deleted, replaced, or lies elsewhere for us",
            Self::Filesystem(kind) => {
                return write!(formatter, "its program lies on a filesystem of type {kind}");
            }
            Self::Interpreter => "its program is an interpreter, and no script of it is known",
            Self::Changeable => {
                "its program or script, or a folder above, can be changed by another than root"
            }
            Self::MixedIds => "its real, effective, saved and filesystem ids differ",
            Self::PathVariable(name) => {
                return write!(formatter, "{name} is set, which says where code is looked for");
            }
            Self::MappedCode(path) => {
                return write!(
                    formatter,
                    "it runs code of {path}, which another than root can change"
                );
            }
            Self::Unreadable => "its environment or the code it runs cannot be read",
        };
        formatter.write_str(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_doubt_counts_and_none_is_verified() {
        assert_eq!(Grade::of(&[]), Grade::Verified);
        assert_eq!(Grade::of(&[Doubt::Interpreter]), Grade::Weak);
        assert_eq!(Grade::of(&[Doubt::Interpreter, Doubt::Traced]), Grade::Untrusted);
    }
}
