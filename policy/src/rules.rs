//! The rules of a root: one policy, loaded whole.

use crate::client::Client;
use crate::index::Index;
use crate::rule::Rule;
use crate::subject::Subject;
use crate::target::Target;
use crate::terms::Defaults;
use crate::{
    Approvers, Caller, Digest, GuardSettings, HumanOwned, LocalTime, Operation, Question, Risk,
    Sensitivity, UserId,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A policy as it was loaded. Never changes; a reload makes another.
#[derive(Debug)]
pub struct Rules {
    pub(crate) digest: Digest,
    /// What they were loaded from.
    pub(crate) text: Box<str>,
    pub(crate) rules: Vec<Rule>,
    /// Which rules a question could be about.
    pub(crate) index: Index,
    /// Which rules could be about a name below a folder.
    pub(crate) folders: Index,
    pub(crate) clients: Vec<Arc<Client>>,
    pub(crate) targets: Vec<Arc<Target>>,
    /// Which targets a question could be about.
    pub(crate) target_index: Index,
    pub(crate) risks: BTreeMap<Operation, Risk>,
    pub(crate) defaults: Defaults,
    pub(crate) has_approver: bool,
    pub(crate) same_user: SameUser,
    pub(crate) open_records: OpenRecords,
    pub(crate) record_names: RecordNames,
    pub(crate) keep_records: Option<Duration>,
    pub(crate) human_owned: HumanOwned,
}

/// Whether an answer may come from the asker's own uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameUser {
    /// It may, and the record says so: one person's private root.
    Allow,
    /// It may not.
    Deny,
}

/// When an open may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenRecords {
    /// After its record is on disk.
    Durable,
    /// After its record is written; a power cut may lose it.
    Written,
}

/// How records name secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordNames {
    /// Readable with the key of the log alone.
    Sealed,
    /// As they are.
    Clear,
}

impl Rules {
    /// How many there are.
    pub const fn count(&self) -> usize {
        self.rules.len()
    }

    /// SHA-256 of the text they were loaded from.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether an answer may come from the asker's own uid.
    pub const fn same_user(&self) -> SameUser {
        self.same_user
    }

    /// When an open may succeed.
    pub const fn open_records(&self) -> OpenRecords {
        self.open_records
    }

    /// How long a yes lasts where no rule says it.
    pub const fn usual_lease(&self) -> Duration {
        self.defaults.lease
    }

    /// How records name secrets.
    pub const fn record_names(&self) -> RecordNames {
        self.record_names
    }

    /// How long records are kept at least; for ever when the policy says nothing.
    pub const fn keep_records(&self) -> Option<Duration> {
        self.keep_records
    }

    /// The minute of the week that the hours of rules mean, `seconds` after 1970-01-01 UTC.
    pub fn local_time(&self, seconds: i64) -> LocalTime {
        self.defaults.zone.local(seconds)
    }

    /// How bad it would be to misuse what is asked: the most that one of its operations risks with
    /// the most sensitive target it is about.
    pub fn effective_risk(&self, question: &Question<'_>) -> Option<Risk> {
        let subject = Subject::new(self, *question);
        question.operations.iter().map(|operation| subject.risk(operation)).max()
    }

    /// The highest sensitivity of the targets that a question is about.
    pub fn sensitivity(&self, question: &Question<'_>) -> Sensitivity {
        Subject::new(self, *question).sensitivity()
    }

    /// What they say of guards.
    pub const fn guards(&self) -> &GuardSettings {
        &self.defaults.guards
    }

    /// The risk class of an operation; `None` when `[ops]` does not list it.
    pub fn risk(&self, operation: Operation) -> Option<Risk> {
        self.risks.get(&operation).copied()
    }

    /// What the rule of that name gives as its reason.
    pub fn reason(&self, rule: &str) -> Option<&str> {
        self.rules.iter().find(|each| &*each.name == rule)?.reason.as_deref()
    }

    /// Whether a client is told by whom it descends from, so that ancestors must be looked at.
    pub fn asks_for_ancestors(&self) -> bool {
        self.clients.iter().any(|client| client.has_ancestor())
    }

    /// The names of the clients whose facts and grade `caller` shows.
    pub fn clients_of(&self, caller: &Caller) -> Vec<&str> {
        let matched = self.clients.iter().filter(|client| client.accepts(caller));
        matched.map(|client| &**client.name()).collect()
    }

    /// The names of all clients.
    pub fn client_names(&self) -> Vec<&str> {
        self.clients.iter().map(|client| &**client.name()).collect()
    }

    /// The name, or with a number behind it, that no rule has yet; cut to what a name can be.
    pub fn new_rule_name(&self, name: &str) -> String {
        let is_free = |name: &String| self.rules.iter().all(|rule| *rule.name != **name);
        let stem: String = name.chars().take(58).collect();
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        [stem.clone()].into_iter().chain(numbered).find(is_free).unwrap_or(stem)
    }

    /// Facts that clients ask for and that no entry of the log keeps, as `clients.NAME.FACT`.
    pub fn unrecorded_facts(&self) -> Vec<String> {
        let of_client = |client: &Arc<Client>| {
            let table = client.table().to_string();
            client.unrecorded().map(|fact| format!("{table}.{fact}")).collect::<Vec<_>>()
        };
        self.clients.iter().flat_map(of_client).collect()
    }

    /// The names of those among them with `role = "approver"`, for `by` to choose from.
    pub fn approver_clients(&self, caller: &Caller) -> Vec<&str> {
        let matched =
            self.clients.iter().filter(|client| client.is_approver() && client.accepts(caller));
        matched.map(|client| &**client.name()).collect()
    }

    /// Whether a client of that name has the role.
    pub fn has_approver_named(&self, name: &str) -> bool {
        self.clients.iter().any(|client| client.is_approver() && **client.name() == *name)
    }

    /// Whether somebody with the uid and the groups of `caller` can be the client of that name: its
    /// other facts tell programs, and one of them can act for another of the same uid.
    pub fn may_be_user_of(&self, client: &str, caller: &Caller) -> bool {
        let mut named = self.clients.iter().filter(|each| **each.name() == *client);
        named.any(|client| client.admits_user_of(caller))
    }

    /// The names of the clients among `approvers` that somebody of another uid than `asker` may be.
    pub fn approvers_besides(&self, asker: UserId, approvers: &Approvers) -> Vec<&str> {
        let is_meant = |client: &Client| match approvers {
            Approvers::AnyApprover => true,
            Approvers::Clients(names) => names.contains(client.name()),
        };
        let others = self.clients.iter().filter(|client| {
            client.is_approver() && client.admits_another_than(asker) && is_meant(client)
        });
        others.map(|client| &**client.name()).collect()
    }

    /// Whether `caller` has the role. A deny rule may still forbid an answer: ask [`Self::evaluate`].
    pub fn is_approver(&self, caller: &Caller) -> bool {
        self.approver_role(caller).is_some()
    }

    /// The client that gives `caller` the role.
    pub(crate) fn approver_role(&self, caller: &Caller) -> Option<&Arc<Client>> {
        self.clients.iter().find(|client| client.is_approver() && client.accepts(caller))
    }
}
