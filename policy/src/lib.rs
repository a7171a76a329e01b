//! Decides who may do what with which secret.
//!
//! Pure: this crate opens no file, reads no clock and looks at no process. Facts and time are
//! arguments, so every decision can be computed again from a log.
#![forbid(unsafe_code)]

mod access;
mod acting;
mod agent;
mod caller;
mod case;
mod cgroup;
mod changes;
mod client;
mod condition;
mod decision;
mod default_policy;
mod described;
mod digest;
mod document;
mod explanation;
mod factor;
mod glob;
mod grade;
mod guard;
mod handle_terms;
mod handoff;
mod human_owned;
mod index;
mod lease;
mod lint;
mod local_time;
mod moment;
mod narrowing;
mod operation;
mod pattern;
mod permit;
mod request;
mod risk;
mod rule;
mod rule_file;
mod rule_text;
mod rules;
mod secret_grant;
mod secret_path;
mod subject;
mod suggestion;
mod target;
mod terms;
mod vault_name;
mod visibility;
mod window;

pub use access::Access;
pub use acting::{Acting, Claim};
pub use agent::{AgentName, AgentNameError, AgentSession, AgentSessionId};
pub use caller::{
    Caller, Executable, Fingerprint, GroupId, Namespaces, Parent, ProcessId, Scope, ScopeKind,
    Script, Session, ThreadId, UserId,
};
pub use case::{Case, CaseError, CaseFile, Difference, Outcome};
pub use cgroup::Cgroup;
pub use changes::{Became, Change, KeyChange};
pub use decision::{Decision, Denial, Question};
pub use default_policy::{RootKind, default_policy};
pub use described::{Asked, DescribedCaller, DescribedParent, DescribedQuestion, DescribedScript};
pub use digest::Digest;
pub use explanation::{Explanation, Heard, Nearest, Overruled, Unmet};
pub use factor::{AnyFactor, Factor, Factors};
pub use grade::{Doubt, Grade};
pub use guard::{
    Breaker, BreakerSettings, BreakerState, CountedOpen, CumulativeRisk, Ending, GuardName,
    GuardRefusal, GuardSettings, GuardedClient, Guards, Rate, RateSettings, RiskSettings, Stake,
    StakedFile, Tally, Weight,
};
pub use handle_terms::{HandleTerms, Mapping, Share};
pub use handoff::{Handoff, Reading};
pub use human_owned::{HumanFolder, HumanOwned};
pub use lease::{ActiveLease, Lease, LeaseEnd, LeaseId};
pub use lint::Finding;
pub use local_time::{LocalTime, Weekday};
pub use moment::Moment;
pub use narrowing::{Given, Narrowing, Term, TooWide};
pub use operation::{Operation, OperationSet};
pub use permit::{Basis, FileId, Grant, Names, Permit};
pub use request::{
    ApprovalRequest, Approvers, Obligations, RequestId, Require, Ticket, TicketError,
};
pub use risk::{Risk, Sensitivity};
pub use rule_file::RuleFileError;
pub use rule_text::parse_duration;
pub use rules::{OpenRecords, RecordNames, Rules, SameUser};
pub use secret_grant::{SecretGrant, SecretGrantId};
pub use secret_path::{NameFault, SecretName, SecretPath, SecretPathError};
pub use suggestion::nearest as nearest_word;
pub use terms::UNTIL_UNMOUNT;
pub use vault_name::{VaultName, VaultNameError};
