//! Commands that ask the policy, and touch nothing: what it would decide, and whether it loads.

use super::failure::{bad_input, bad_name, failure};
use super::message::{
    Ask, CheckVerdict, Demands, Failure, FailureCode, PlanVerdict, PolicyVerdict,
};
use super::requests::{factors, vault_name};
use super::session::{About, Control};
use super::vaults::number;
use crate::root::POLICY;
use crate::{clock, policy_in_force};
use ward_audit::{EventType, Outcome};
use ward_policy::{
    ApprovalRequest, Approvers, Decision, DescribedQuestion, Operation, OperationSet, Question,
    Rules, SecretPath, Ticket, VaultName,
};
use ward_store::NodeKind;

/// The most steps of one plan.
const MOST_STEPS: usize = 1000;

/// The names of a question, read.
#[derive(Debug)]
pub(super) struct Named {
    operations: OperationSet,
    vault: Option<VaultName>,
    path: Option<SecretPath>,
    ticket: Option<Ticket>,
}

impl Named {
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            operations: self.operations,
            vault: self.vault.as_ref(),
            path: self.path.as_ref(),
            ticket: self.ticket.as_ref(),
            ..Question::default()
        }
    }
}

impl Ask {
    pub(super) fn read(&self) -> Result<Named, Failure> {
        let path = self.path.as_deref().map(SecretPath::try_from).transpose();
        let ticket = self.ticket.as_deref().map(Ticket::try_from).transpose();
        Ok(Named {
            operations: operations_of(&self.operations)?,
            vault: self.vault.as_deref().map(vault_name).transpose()?,
            path: path.map_err(|error| bad_name(error, "name it like db/password"))?,
            ticket: ticket.map_err(|error| bad_input(error, "leave --ticket out, or mend it"))?,
        })
    }

    /// The same as it is written down.
    pub(super) fn described(&self) -> DescribedQuestion {
        DescribedQuestion {
            operations: Some(self.operations.clone()),
            vault: self.vault.clone(),
            path: self.path.clone(),
            ticket: self.ticket.clone(),
            ..DescribedQuestion::default()
        }
    }
}

impl Control<'_> {
    /// What the policy would decide of the caller. Takes no permission and leaves no record: nothing
    /// is done, and it tells the caller of nobody else. Which rule it would be and what it would take
    /// is told to whoever may check the policy.
    pub(super) fn check(&self, ask: &Ask) -> Result<CheckVerdict, Failure> {
        self.check_by(&self.daemon.pipeline.policy.rules(), ask)
    }

    /// The same of several things, by one policy, whatever is loaded meanwhile.
    pub(super) fn plan(&self, steps: &[Ask]) -> Result<PlanVerdict, Failure> {
        if steps.is_empty() || steps.len() > MOST_STEPS {
            let message = format!("a plan has 1 to {MOST_STEPS} steps");
            return Err(bad_input(message, "divide it"));
        }
        let rules = self.daemon.pipeline.policy.rules();
        let steps = (1..).zip(steps).map(|(number, ask)| {
            let told = |error: Failure| Failure {
                message: format!("step {number}: {}", error.message),
                ..error
            };
            self.check_by(&rules, ask).map_err(told)
        });
        let steps: Vec<CheckVerdict> = steps.collect::<Result<_, _>>()?;
        let words =
            [Outcome::Denied, Outcome::NeedsApproval, Outcome::Permitted].map(Outcome::name);
        let worst = words.into_iter().find(|word| steps.iter().any(|step| step.decision == *word));
        Ok(PlanVerdict {
            plan: clock::new_id().ok_or_else(no_id)?.to_string(),
            policy: rules.digest().to_string(),
            decision: worst.unwrap_or_default().to_owned(),
            steps,
        })
    }

    fn check_by(&self, rules: &Rules, ask: &Ask) -> Result<CheckVerdict, Failure> {
        let named = ask.read()?;
        let question = named.question();
        let time = clock::local(rules);
        let decision = rules.evaluate(&self.caller, &question, time);
        let about = About::default().question(Operation::PolicyCheck);
        let may_know = rules.evaluate(&self.caller, &about, time);
        let verdict = verdict(&decision);
        Ok(match may_know {
            Decision::Permitted(permit) => {
                let _only_looked_at = permit;
                explained(verdict, rules, &question, &decision)
            }
            Decision::NeedsApproval(_) | Decision::Denied(_) => verdict,
        })
    }

    /// Whether the policy in the file loads, and what is odd about it.
    pub(super) fn policy_check(&self) -> Result<PolicyVerdict, Failure> {
        self.permit(Operation::PolicyCheck, EventType::Command, About::default())?;
        let loaded = policy_in_force::load(&self.daemon.root, POLICY)
            .map_err(|error| bad_input(error, "mend the file; the running policy stays"))?;
        let mut findings = loaded.lint();
        findings.extend(
            self.all_names().map(|names| loaded.targets_without(names)).into_iter().flatten(),
        );
        let everybody = self.daemon.pipeline.callers.everybody();
        findings.extend(loaded.clients_of_nobody(&everybody));
        Ok(PolicyVerdict {
            policy: loaded.digest().to_string(),
            rules: number(loaded.count()),
            findings: findings.iter().map(ToString::to_string).collect(),
        })
    }

    /// Every name of every vault; none when one of them is locked, whose names nobody knows.
    fn all_names(&self) -> Option<Vec<(VaultName, SecretPath)>> {
        let vaults = &self.daemon.vaults;
        let mut names = Vec::new();
        for name in vaults.names().ok()? {
            let vault = &vaults.unlocked(&name)?.vault;
            let mut folders = vec![vault.root()];
            while let Some(folder) = folders.pop() {
                for entry in vault.entries(folder) {
                    match vault.attributes(entry.file).map(|attributes| attributes.kind) {
                        Some(NodeKind::Directory) => folders.push(entry.file),
                        Some(NodeKind::File) => {
                            names
                                .extend(vault.path_of(entry.file).map(|path| (name.clone(), path)));
                        }
                        None => {}
                    }
                }
            }
        }
        Some(names)
    }
}

fn no_id() -> Failure {
    failure(FailureCode::Failed, "the kernel gives no random bytes", "try again")
}

fn operations_of(words: &[String]) -> Result<OperationSet, Failure> {
    let mut operations = OperationSet::EMPTY;
    for word in words {
        let operation = Operation::from_name(word).ok_or_else(|| {
            bad_input(format!("{word:?} is no operation"), "see [ops] of a new root's policy.toml")
        })?;
        operations = operations.with(operation);
    }
    if operations.is_empty() {
        return Err(bad_input("no operation was named", "name one such as file.read"));
    }
    Ok(operations)
}

fn verdict(decision: &Decision) -> CheckVerdict {
    let outcome = match decision {
        Decision::Denied(_) => Outcome::Denied,
        Decision::NeedsApproval(_) => Outcome::NeedsApproval,
        Decision::Permitted(_) => Outcome::Permitted,
    };
    CheckVerdict {
        decision: outcome.name().to_owned(),
        rules: None,
        why: None,
        risk: None,
        sensitivity: None,
        demands: None,
    }
}

fn explained(
    verdict: CheckVerdict,
    rules: &Rules,
    question: &Question<'_>,
    decision: &Decision,
) -> CheckVerdict {
    let names = |names: &[std::sync::Arc<str>]| names.iter().map(ToString::to_string).collect();
    let (won, why, demands) = match decision {
        Decision::Denied(denial) => (Vec::new(), Some(denial.to_string()), None),
        Decision::Permitted(permit) => (names(&permit.grant().rules), None, None),
        Decision::NeedsApproval(request) => {
            (names(&request.grant().rules), None, Some(demands(request)))
        }
    };
    CheckVerdict {
        rules: Some(won),
        why,
        risk: rules.effective_risk(question).map(|risk| risk.name().to_owned()),
        sensitivity: Some(rules.sensitivity(question).name().to_owned()),
        demands,
        ..verdict
    }
}

fn demands(request: &ApprovalRequest) -> Demands {
    let obligations = request.obligations();
    Demands {
        require: obligations.require.name().to_owned(),
        factors: factors(obligations.factors),
        lease_seconds: obligations.lease.as_secs(),
        approvers: match &obligations.approvers {
            Approvers::AnyApprover => None,
            Approvers::Clients(names) => Some(names.iter().map(ToString::to_string).collect()),
        },
        quorum: obligations.quorum,
        scope: obligations.scope.name().to_owned(),
    }
}
