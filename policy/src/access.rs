//! Access: what the rules say to one client, rule by rule, whatever else decides.

use crate::Rules;
use crate::client::Clients;
use crate::document::Document;
use crate::rule::Rule;
use serde::{Deserialize, Serialize};

/// What one rule says to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The rule.
    pub rule: String,
    /// `allow`, `approve` or `deny`.
    pub says: String,
    /// The operations.
    pub operations: Vec<String>,
    /// What they may be done to, as patterns of the policy.
    pub paths: Vec<String>,
    /// Its priority.
    pub priority: i64,
}

impl Rules {
    /// What the rules say to the client of that name, the highest priority first; `None` when there is no
    /// such client.
    pub fn access_of(&self, client: &str) -> Option<Vec<Access>> {
        self.clients.iter().find(|each| **each.name() == *client)?;
        let document = Document::of(self);
        let is_meant = |rule: &&Rule| match &rule.clients {
            Clients::Everybody => true,
            Clients::AnyOf(clients) => clients.iter().any(|each| **each.name() == *client),
        };
        let access = |rule: &Rule| Access {
            rule: rule.name.to_string(),
            says: rule.says().to_owned(),
            operations: rule.operations.iter().map(|operation| operation.to_string()).collect(),
            paths: document.paths_of(&rule.name),
            priority: rule.priority,
        };
        let mut all: Vec<Access> = self.rules.iter().filter(is_meant).map(access).collect();
        all.sort_by_key(|access| std::cmp::Reverse(access.priority));
        Some(all)
    }
}
