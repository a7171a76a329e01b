//! Commands that tell why: of a live process, and of an entry of the log.

use super::failure::{bad_input, failure};
use super::message::{Ask, Explained, Failure, FailureCode};
use super::session::{About, Control};
use crate::clock;
use crate::recorded::Recorded;
use std::ops::ControlFlow;
use ward_audit::{EventType, Filter};
use ward_policy::{Caller, DescribedCaller, Operation};

impl Control<'_> {
    /// Why the policy decides as it does, of the process `pid` or of who asks.
    pub(super) fn policy_explain(&self, ask: &Ask, pid: Option<u32>) -> Result<Explained, Failure> {
        self.permit(Operation::PolicyCheck, EventType::Command, About::default())?;
        let named = ask.read()?;
        let caller: Caller = match pid {
            Some(pid) => {
                let described = self.daemon.pipeline.callers.describe_process(pid);
                described.map_err(|error| {
                    failure(FailureCode::NotFound, error, "name a process that runs")
                })?
            }
            None => (*self.caller).clone(),
        };
        let rules = self.daemon.pipeline.policy.rules();
        let explanation = rules.explain(&caller, &named.question(), clock::local(&rules));
        Ok(Explained {
            policy: rules.digest().to_string(),
            caller: DescribedCaller::from(&caller),
            ask: ask.described(),
            record: None,
            explanation,
        })
    }

    /// Why the policy in force decides as it does of what an entry of the log tells.
    pub(super) fn explain(&self, seq: u64) -> Result<Explained, Failure> {
        self.permit(Operation::AuditShow, EventType::Command, About::default())?;
        self.permit(Operation::PolicyCheck, EventType::Command, About::default())?;
        self.unlock_what_opens_by_itself();
        let mut found = None;
        let from = Filter { after: Some(seq.saturating_sub(1)), ..Filter::default() };
        let read = self.daemon.pipeline.log.read(&from, |shown| {
            found = Some(shown.entry);
            ControlFlow::Break(())
        });
        read.map_err(|error| failure(FailureCode::Damaged, error, "run: ward audit verify"))?;
        let entry = found.filter(|entry| entry.seq.0 == seq).ok_or_else(|| {
            failure(FailureCode::NotFound, format!("no entry has the number {seq}"), SEE)
        })?;
        let recorded = Recorded::of(&entry).map_err(|error| bad_input(error, SEE))?;
        let odd = |error| bad_input(error, "nothing can be said of this entry");
        let caller = recorded.caller.read().map_err(odd)?;
        let asked = recorded.ask.read().map_err(odd)?;
        let rules = self.daemon.pipeline.policy.rules();
        let time = rules.local_time(recorded.seconds);
        Ok(Explained {
            policy: rules.digest().to_string(),
            explanation: rules.explain(&caller, &asked.question(), time),
            caller: recorded.caller,
            ask: recorded.ask,
            record: Some(recorded.decision),
        })
    }
}

const SEE: &str = "see ward audit show";
