//! Trouble: why a command was not done, as people, programs and scripts are told.

use crate::exit_code::ExitCode;
use std::fmt::Display;
use ward_mountd::control::message::{Failure, FailureCode};

/// A failure, and the exit code it ends with.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What people and programs are told.
    pub(crate) failure: Failure,
    /// What scripts are told.
    pub(crate) exit: ExitCode,
    /// What people are shown besides, line by line.
    pub(crate) picture: Option<String>,
}

impl Trouble {
    /// Trouble of this class; `message` is a sentence that names the thing.
    pub(crate) fn new(code: FailureCode, message: impl Display) -> Self {
        Self::from(Failure { code, message: message.to_string(), next: None, request: None })
    }

    /// The input is no policy, value or time.
    pub(crate) fn bad_input(message: impl Display) -> Self {
        Self::new(FailureCode::BadInput, message)
    }

    /// It cannot name a vault, a secret or an agent.
    pub(crate) fn bad_name(message: impl Display) -> Self {
        Self::new(FailureCode::BadName, message)
    }

    /// No daemon answers, and none could be started.
    pub(crate) fn unreachable(message: impl Display) -> Self {
        Self::new(FailureCode::Unreachable, message)
    }

    /// The same, with a picture of it.
    #[must_use]
    pub(crate) fn shown(mut self, picture: String) -> Self {
        self.picture = Some(picture);
        self
    }

    /// The same, with what to do next.
    #[must_use]
    pub(crate) fn next(mut self, next: impl Display) -> Self {
        self.failure.next = Some(next.to_string());
        self
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self { exit: failure.code.into(), failure, picture: None }
    }
}
