//! Which processes belong together: what one of them was refused, or asks for, is known to the others.

use ward_policy::{AgentSessionId, Caller, ProcessId, Session, UserId};

/// The processes of one user in one session: that of an agent, else that of a terminal or service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    uid: UserId,
    within: Within,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Within {
    Agent(AgentSessionId),
    Session(Session),
    /// Its session could not be read: it belongs to nobody.
    Process(ProcessId),
}

impl SessionKey {
    /// Where `caller` belongs.
    pub(crate) fn of(caller: &Caller) -> Self {
        let within = match (caller.agent_session(), &caller.session) {
            (Some(agent), _) => Within::Agent(agent),
            (None, Some(session)) => Within::Session(session.clone()),
            (None, None) => Within::Process(caller.process),
        };
        Self { uid: caller.uid, within }
    }
}
