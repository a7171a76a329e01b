//! As whom helpers run, and what for: told to the monitor once, before anybody could ask it to.

use super::Destination;
use super::PassStore;
use super::SignerWork;
use super::webhook::RequestHook;
use crate::settings::TableName;
use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The helpers that a core may have started, by their names. One that was taken over gets no other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Helpers(BTreeMap<String, RunAs>);

/// One helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunAs {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// What it finds in its environment, for a library.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) work: Work,
}

/// What a helper is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Runs a program for each new request; `None` is `notify-send`.
    Notify { program: Option<PathBuf> },
    /// Brings lines of the log to a sink.
    Ship(Destination),
    /// Tells another machine of each new request.
    Tell(RequestHook),
    /// Has hashes signed elsewhere.
    Sign(SignerWork),
    /// Shows a password store.
    Pass(PassStore),
}

/// Why a helper cannot be run as it is configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("{0} names the user {1:?}, whom this machine does not know")]
    NoUser(TableName, String),
    #[error("{0} names root; a helper runs as an ordinary user")]
    Root(TableName),
    #[error("{0} names the user {1:?}; only a daemon of root can run a helper as another user")]
    AnotherUser(TableName, String),
    #[error("{0} names {1}, which is no absolute path")]
    Relative(TableName, PathBuf),
    #[error(
        "{0} names a webhook without a webhook_key, or a key or certificates without a webhook"
    )]
    Half(TableName),
    #[error("the webhook of {0} is no address that begins with https:// or http://")]
    Address(TableName),
}

impl Helpers {
    /// Notes a helper; the last of a name counts.
    pub(crate) fn add(&mut self, name: &str, helper: RunAs) {
        self.0.insert(name.to_owned(), helper);
    }

    pub(crate) fn get(&self, name: &str) -> Option<&RunAs> {
        self.0.get(name)
    }
}

impl RunAs {
    /// A helper that does `work` as `user`, whom the table `table` of `ward.toml` names. Looks the
    /// user up while that can be done.
    pub(crate) fn resolve(table: &TableName, user: &str, work: Work) -> Result<Self, ResolveError> {
        let known = User::from_name(user).ok().flatten();
        let (table, name) = (|| table.clone(), || user.to_owned());
        let known = known.ok_or_else(|| ResolveError::NoUser(table(), name()))?;
        let ours = Uid::effective();
        if known.uid.is_root() && ours.is_root() {
            return Err(ResolveError::Root(table()));
        }
        if !ours.is_root() && known.uid != ours {
            return Err(ResolveError::AnotherUser(table(), name()));
        }
        let (uid, gid) = (known.uid.as_raw(), known.gid.as_raw());
        Ok(Self { uid, gid, environment: BTreeMap::new(), work })
    }
}
