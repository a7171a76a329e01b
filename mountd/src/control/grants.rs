//! Commands about grants of secrets: give one, take it back, and what is told of them.

use super::failure::{bad_input, expired, failure, no_such_secret};
use super::message::{Failure, FailureCode, GrantState};
use super::requests::names;
use super::session::{About, Control};
use crate::clock;
use crate::grant_table::GivenGrant;
use crate::pipeline::Giving;
use std::time::Duration;
use ward_audit::EventType;
use ward_policy::{Operation, Question, SecretGrantId};

impl Control<'_> {
    /// Lets a client of the policy read a secret that the caller may read.
    pub(super) fn secret_grant(
        &self,
        (vault, path): (&str, &str),
        client: &str,
        seconds: Option<u64>,
    ) -> Result<GrantState, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        let file = self.known_file(&open, &path, Operation::SecretGrant)?;
        let pipeline = &self.daemon.pipeline;
        if !pipeline.policy.rules().client_names().contains(&client) {
            let message = format!("no client of the policy is named {client:?}");
            return Err(bad_input(message, "name one of [clients] of the policy"));
        }
        if seconds == Some(0) {
            return Err(bad_input(
                "a grant lasts a second at least",
                "say longer, or leave it out",
            ));
        }
        let about =
            About { vault: Some(&vault), path: Some(&path), file: Some(file), ..About::default() };
        let granting = self.decided(Operation::SecretGrant, about)?;
        if self.is_expired(&open, file) {
            return Err(expired());
        }
        let lasts = seconds.map(Duration::from_secs);
        let giving = Giving { granting: &granting, client, lasts };
        let given = pipeline.grant_secret(&self.caller, giving).map_err(|error| {
            let (vault, path) = (Some(&vault), Some(&path));
            self.refused(&error, &Question { vault, path, ..Question::default() })
        })?;
        self.grant_state(&given).ok_or_else(no_such_secret)
    }

    /// Takes a grant of a secret back: of who gave it, or may give it. `None` when there is none of that
    /// id that the caller may know of.
    pub(super) fn take_secret_grant_back(&self, id: SecretGrantId) -> Option<Result<(), Failure>> {
        let pipeline = &self.daemon.pipeline;
        let given = pipeline.grants.all().into_iter().find(|given| given.grant.id() == id)?;
        if given.giver != self.caller.uid {
            let open = self.daemon.vaults.unlocked(given.grant.vault());
            let path = open.and_then(|open| open.vault.path_of(given.grant.file()));
            let about = About {
                vault: Some(given.grant.vault()),
                path: path.as_ref(),
                file: Some(given.grant.file()),
                ..About::default()
            };
            if let Err(failure) = self.permit(Operation::SecretGrant, EventType::Command, about) {
                return Some(Err(failure));
            }
        }
        pipeline.take_grant_back(id, &self.caller);
        Some(Ok(()))
    }

    /// The grants of secrets whose names the caller may know of.
    pub(super) fn secret_grants(&self) -> Vec<GrantState> {
        self.unlock_what_opens_by_itself();
        let all = self.daemon.pipeline.grants.all();
        all.iter().filter_map(|given| self.grant_state(given)).collect()
    }

    /// A grant as it is told; `None` where its file is none, or not for the caller to know of.
    pub(super) fn grant_state(&self, given: &GivenGrant) -> Option<GrantState> {
        let grant = &given.grant;
        let open = self.daemon.vaults.unlocked(grant.vault())?;
        let path = open.vault.path_of(grant.file())?;
        let name = (grant.vault(), &path);
        let is_known = self.daemon.pipeline.is_visible(&self.caller, name, Some(grant.file()));
        is_known.then(|| GrantState {
            grant: grant.id().to_string(),
            vault: grant.vault().to_string(),
            path: path.to_string(),
            client: grant.client().to_string(),
            given_by: given.giver.0,
            since: given.since.to_string(),
            ends: given.until.map(|until| clock::text(clock::wall_of(until))),
        })
    }
}

/// No grant has this id, or none that the caller may know of.
pub(super) fn no_such_grant() -> Failure {
    failure(FailureCode::NotFound, "no such grant lives", "see ward grants list")
}
