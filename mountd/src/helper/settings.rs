//! What `ward.toml` says of the helper `notify`.

use super::http::Identity;
use super::webhook::{RequestHook, WEBHOOK};
use super::{NOTIFY, Notice, ResolveError, RunAs, Work};
use crate::settings::TableName;
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Command;

/// Runs for each new request when nothing else is named.
const NOTIFY_SEND: &str = "/usr/bin/notify-send";

/// The table `[notify]`: who is told of new requests, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notify {
    /// The program; `notify-send` when absent, unless there is a webhook.
    pub(crate) program: Option<PathBuf>,
    /// The user it runs as.
    pub(crate) user: String,
    /// The address that each request is told to; may hold a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<String>,
    /// The file of the key that signs what is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_key: Option<PathBuf>,
    /// Root certificates (PEM); those of the system when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_roots: Option<PathBuf>,
    /// Our certificate (PEM), for mutual TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook_certificate_key: Option<PathBuf>,
}

impl Notify {
    /// The names of the helpers that it names, which takes no look at the machine.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let program = self.runs_a_program().then_some(NOTIFY);
        program.into_iter().chain(self.webhook.is_some().then_some(WEBHOOK))
    }

    const fn runs_a_program(&self) -> bool {
        self.program.is_some() || self.webhook.is_none()
    }

    /// The helpers that it names, each with its name.
    pub(crate) fn resolve(&self) -> Result<Vec<(&'static str, RunAs)>, ResolveError> {
        let table = TableName::Plain(NOTIFY);
        let files = [
            &self.program,
            &self.webhook_key,
            &self.webhook_roots,
            &self.webhook_certificate,
            &self.webhook_certificate_key,
        ];
        if let Some(file) = files.into_iter().flatten().find(|file| !file.is_absolute()) {
            return Err(ResolveError::Relative(table, file.clone()));
        }
        let mut helpers = Vec::new();
        let run_as = |work| RunAs::resolve(&table, &self.user, work);
        if self.runs_a_program() {
            helpers.push((NOTIFY, run_as(Work::Notify { program: self.program.clone() })?));
        }
        let identity = Identity {
            roots: self.webhook_roots.clone(),
            certificate: self.webhook_certificate.clone(),
            key: self.webhook_certificate_key.clone(),
        };
        match (&self.webhook, &self.webhook_key) {
            (Some(address), Some(key)) => {
                if !address.starts_with("https://") && !address.starts_with("http://") {
                    return Err(ResolveError::Address(table));
                }
                let (address, key) = (address.clone(), key.clone());
                let hook = RequestHook { address, key, identity };
                helpers.push((WEBHOOK, run_as(Work::Tell(hook))?));
            }
            (None, None) if identity == Identity::default() => {}
            (Some(_) | None, _) => return Err(ResolveError::Half(table)),
        }
        Ok(helpers)
    }
}

/// The program and its arguments for a notice; the variables that it needs.
pub(super) fn command(program: Option<PathBuf>, notice: &Notice) -> Command {
    let Notice { request, vault, text } = notice;
    match program {
        Some(program) => {
            let mut command = Command::new(program);
            command.args([request, vault, text]).env_clear();
            command
        }
        None => {
            let mut command = Command::new(NOTIFY_SEND);
            let bus = format!("unix:path=/run/user/{}/bus", Uid::effective());
            command.args(["--app-name=wardfs", "--", &format!("wardfs: {request}"), text]);
            command.env_clear().env("DBUS_SESSION_BUS_ADDRESS", bus);
            command
        }
    }
}
