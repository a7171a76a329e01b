//! Commands about agent sessions: begin one, and what is known of those that run.

use super::failure::{bad_name, denied, failure, of_monitor, of_open};
use super::message::{AgentBegun, AgentState, Failure, FailureCode, ScriptPinned};
use super::session::{About, Control};
use crate::agent_table::RunningAgent;
use crate::clock;
use crate::monitor::message::{BeginSession, PinScript};
use std::sync::Arc;
use ward_audit::{EventType, Outcome, Record};
use ward_policy::{
    AgentName, AgentSession, AgentSessionId, Caller, Operation, OperationSet, SecretPath,
};

impl Control<'_> {
    /// Begins a session of the agent `name` around the process that asks. Whoever is in a session
    /// already stays in it, and takes no other name.
    pub(super) fn agent_run(&self, name: &str) -> Result<AgentBegun, Failure> {
        let next = "name it like claude or ci-bot";
        let name = AgentName::try_from(name).map_err(|error| bad_name(error, next))?;
        let path = SecretPath::try_from(name.as_str()).map_err(|error| bad_name(error, next))?;
        if let Some(own) = &self.caller.agent {
            return self.join(own, &name, &path);
        }
        let about = About { path: Some(&path), ..About::default() };
        self.permit(Operation::AgentRun, EventType::Command, about)?;
        let running = self.begin(name)?;
        let record = Record::new(EventType::AgentBegun).by(&running.starter).named(&path);
        self.record(record.decision(Outcome::Permitted))?;
        let begun = begun(&running.session, false);
        let first = running.session.first.number;
        self.daemon.pipeline.agents.begin(running);
        // What is remembered of it was seen before it had a session.
        self.daemon.pipeline.callers.forget(first);
        Ok(begun)
    }

    /// Pins the script of a process that the one that asks holds at its first instruction.
    pub(super) fn agent_pin(&self, process: u32) -> Result<ScriptPinned, Failure> {
        let Some(session) = &self.caller.agent else {
            let message = "a script is pinned within an agent session alone";
            return Err(failure(
                FailureCode::Conflict,
                message,
                "begin one: ward run --agent NAME",
            ));
        };
        let wanted = PinScript { process, holder: self.caller.process.number };
        let pinned = self.daemon.pipeline.monitor.pin_script(wanted);
        let script = pinned.map_err(|error| of_monitor(&error))?;
        let next = "name it like claude or ci-bot";
        let path = SecretPath::try_from(session.name.as_str());
        let path = path.map_err(|error| bad_name(error, next))?;
        let reason = format!("pid {process} runs the script {}", script.sha256);
        let record = Record::new(EventType::Command).by(&self.caller).named(&path).reason(&reason);
        let record = record.operations(OperationSet::of(Operation::AgentRun));
        self.record(record.decision(Outcome::Permitted))?;
        // What was seen of it before had no script.
        self.daemon.pipeline.callers.forget(process);
        let shown = (!script.path.is_empty()).then(|| crate::whoami::shown(&script.path));
        Ok(ScriptPinned { script: shown, sha256: script.sha256.to_string() })
    }

    /// What is known of the sessions that live, oldest first.
    pub(super) fn agent_states(&self) -> Vec<AgentState> {
        let pipeline = &self.daemon.pipeline;
        let state = |running: Arc<RunningAgent>| {
            let session = running.session.id.to_string();
            let processes = pipeline.monitor.count_session(&session).unwrap_or_default();
            AgentState {
                agent: running.session.name.to_string(),
                since: clock::text(running.since),
                uid: running.starter.uid.0,
                pid: running.session.first.number,
                processes,
                kept_by: running.kept_by.clone(),
                session,
            }
        };
        pipeline.agents.alive().into_iter().map(state).collect()
    }

    fn join(
        &self,
        own: &AgentSession,
        name: &AgentName,
        path: &SecretPath,
    ) -> Result<AgentBegun, Failure> {
        let about = About { path: Some(path), ..About::default() };
        let question = about.question(Operation::AgentRun);
        if own.name != *name {
            let why = format!("it is in a session of the agent {}", own.name);
            let refused = self.daemon.pipeline.record_refusal(&self.caller, &question, &why);
            let id = refused.map_err(|error| of_open(&error))?;
            let message = format!("this is a session of the agent {}: {}", own.name, denied(id));
            let next = "start the other agent from outside of this session";
            return Err(Failure { message, next: Some(next.to_owned()), ..denied(id) });
        }
        let record = Record::new(EventType::Command).by(&self.caller).named(path);
        let record = record.operations(OperationSet::of(Operation::AgentRun));
        self.record(record.decision(Outcome::Permitted))?;
        Ok(begun(own, true))
    }

    fn begin(&self, name: AgentName) -> Result<RunningAgent, Failure> {
        let no_id = "the kernel gives no random bytes";
        let id = clock::new_id().map(AgentSessionId);
        let id = id.ok_or_else(|| failure(FailureCode::Failed, no_id, "restart the daemon"))?;
        let first = self.caller.process;
        let wanted = BeginSession { session: id.to_string(), first };
        let begun = self.daemon.pipeline.monitor.begin_session(wanted);
        let (begun, pidfd) = begun.map_err(|error| of_monitor(&error))?;
        let session = Arc::new(AgentSession { id, name, first, sandbox: None });
        Ok(RunningAgent {
            starter: Caller { agent: Some(Arc::clone(&session)), ..Caller::clone(&self.caller) },
            session,
            since: clock::wall(),
            kept_by: begun.kept_by,
            first: pidfd,
        })
    }
}

fn begun(session: &AgentSession, joined: bool) -> AgentBegun {
    AgentBegun { agent: session.name.to_string(), session: session.id.to_string(), joined }
}
