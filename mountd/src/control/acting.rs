//! The name of a command: whether its caller may act under it.

use super::failure::{bad_name, denied, of_identity, of_open};
use super::message::Failure;
use super::session::{About, Control};
use std::sync::Arc;
use ward_policy::{AgentName, Caller, Claim, Operation, SecretPath};

/// What the log says of a name that takes other facts.
const NOT_SHOWN: &str = "the caller does not show the facts of the client that it names";

impl Control<'_> {
    /// The same command under `name`; a name that the caller may not have is refused, and recorded.
    pub(super) fn acting(mut self, name: &str) -> Result<Self, Failure> {
        let next = "name it like claude or ci-bot";
        let name = AgentName::try_from(name).map_err(|error| bad_name(error, next))?;
        let path = SecretPath::try_from(name.as_str()).map_err(|error| bad_name(error, next))?;
        let question =
            About { path: Some(&path), ..About::default() }.question(Operation::AgentRun);
        let pipeline = &self.daemon.pipeline;
        let claim = pipeline.policy.rules().claim(&self.caller, &name);
        let acting = match claim {
            Claim::Granted(acting) => acting,
            Claim::OfARunner(acting) => {
                let decision = pipeline.policy.evaluate(&self.caller, &question);
                let _only_this_command = self.grant(&question, decision, None)?;
                acting
            }
            Claim::Refused => {
                let refused = pipeline.record_refusal(&self.caller, &question, &NOT_SHOWN);
                return Err(refused.map_or_else(|error| of_open(&error), denied));
            }
        };
        self.caller = self.caller.under(Some(&acting));
        Ok(self)
    }

    /// Who asks, looked at anew, under the name of this command.
    pub(super) fn asker_now(&self) -> Result<Arc<Caller>, Failure> {
        let caller = self.daemon.pipeline.callers.identify(self.asker);
        let caller = caller.map_err(|error| of_identity(&error))?;
        Ok(caller.under(self.caller.acting.as_ref()))
    }
}
