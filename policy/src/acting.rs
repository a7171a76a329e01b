//! Acting: the name under which a caller wants one command of its to be decided and recorded.
//!
//! As a client of the policy it has what the rules of that client give and its other rules do not
//! restrict: it can only lose by it. A name that no client has gives and takes nothing. Requests and leases
//! belong to the name, in whatever session a command under it runs.

use crate::{AgentName, Caller, Rules};
use std::sync::Arc;

/// A name that a caller may act under, by [`Rules::claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acting {
    name: AgentName,
    bearing: Bearing,
}

/// What a name does to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bearing {
    /// Nothing: no client has it. It only says whose requests and leases are meant.
    Word,
    /// Rules of the client of that name give, and nobody else's.
    Client,
    /// It is shown, as by a session of that name, and every rule gives.
    Fact,
}

/// What it takes to act under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// Nothing: no client has the name, or the caller shows its facts.
    Granted(Acting),
    /// That the caller may begin a session of that name (`agent.run`): all other facts of the client it
    /// shows.
    OfARunner(Acting),
    /// It takes facts that the caller does not show.
    Refused,
}

impl Acting {
    /// As the log has kept it.
    pub const fn recalled(name: AgentName, is_client: bool) -> Self {
        Self { name, bearing: if is_client { Bearing::Client } else { Bearing::Word } }
    }

    /// The name.
    pub const fn name(&self) -> &AgentName {
        &self.name
    }
}

impl Rules {
    /// What it takes for `caller` to act under `name`.
    pub fn claim(&self, caller: &Caller, name: &AgentName) -> Claim {
        let acting = |is_client| Acting::recalled(name.clone(), is_client);
        let Some(client) = self.clients.iter().find(|client| **client.name() == *name.as_str())
        else {
            return Claim::Granted(acting(false));
        };
        let own = Caller { acting: None, ..caller.clone() };
        if client.accepts(&own) {
            return Claim::Granted(acting(true));
        }
        // Whoever is in a session has a name already, for as long as that lasts.
        let would_be = Caller { acting: Some(acting(true)), ..own };
        match caller.agent {
            None if client.accepts(&would_be) => Claim::OfARunner(acting(true)),
            None | Some(_) => Claim::Refused,
        }
    }
}

impl Caller {
    /// The same caller under that name, if any.
    #[must_use]
    pub fn under(self: Arc<Self>, acting: Option<&Acting>) -> Arc<Self> {
        match acting {
            None => self,
            Some(_) => Arc::new(Self { acting: acting.cloned(), ..Self::clone(&self) }),
        }
    }

    /// The name it acts under, whether or not that is a client's.
    pub fn acting_name(&self) -> Option<&AgentName> {
        self.acting.as_ref().map(Acting::name)
    }

    /// The client whose rules alone give it anything.
    pub fn acting_client(&self) -> Option<&AgentName> {
        let acting = self.acting.as_ref();
        acting.filter(|acting| acting.bearing == Bearing::Client).map(|acting| &acting.name)
    }

    /// The same caller with the name it acts under as a fact that takes nothing from it; `None` when it acts
    /// as no client.
    pub(crate) fn unbound(&self) -> Option<Self> {
        let name = self.acting_client()?.clone();
        Some(Self { acting: Some(Acting { name, bearing: Bearing::Fact }), ..self.clone() })
    }

    /// Whether rules of that client may give it anything.
    pub(crate) fn speaks_as(&self, client: &str) -> bool {
        self.acting_client().is_none_or(|name| name.as_str() == client)
    }

    /// The names of agents that it shows: that of its session, and the one it acts under.
    pub(crate) fn agent_names(&self) -> impl Iterator<Item = &AgentName> {
        let session = self.agent.as_ref().map(|agent| &agent.name);
        let acting = self.acting.as_ref().filter(|acting| acting.bearing != Bearing::Word);
        session.into_iter().chain(acting.map(|acting| &acting.name))
    }
}
