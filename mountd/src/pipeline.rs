//! The way of a read: start reading here. Each arrow of DESIGN section 3 is one line.
//!
//! A step that must not be skipped yields a value that the next one demands: no permit, no lease;
//! no live lease, no plaintext; no receipt, no handle and no bytes.

mod ahead;
mod answer;
mod change;
mod decrypt;
mod expiry;
mod granted;
mod guarded;
mod handoff;
mod held;
mod node;
mod open;
mod refusal;
mod right;
mod sourced;
mod write;

pub(crate) use ahead::{AheadError, LONGEST_REASON, Wanted, file_operations};
pub(crate) use answer::GiveAnswerError;
pub(crate) use change::ChangeError;
pub(crate) use change::{Entry, Removed};
pub(crate) use granted::Giving;
pub(crate) use handoff::{HandOutError, LessOf};
pub(crate) use node::{MOVE, NodeChange, Touched, WRITE};
pub(crate) use open::{Content, OpenError, OpenRequest, Opening, Patience};
pub(crate) use refusal::SET_ANEW;
pub(crate) use write::{Occasion, WriteAt, WriteError};

use crate::agent_table::AgentTable;
use crate::approval_queue::ApprovalQueue;
use crate::calendar::Calendar;
use crate::caller::{Asker, Callers};
use crate::clock;
use crate::cpu_latency::CpuLatency;
use crate::factor::ApprovalPassphrase;
use crate::grant_table::GrantTable;
use crate::guard_table::GuardTable;
use crate::handle_table::{HandleId, HandleTable};
use crate::handoff_table::HandoffTable;
use crate::helper::Notifier;
use crate::lease_table::LeaseTable;
use crate::log_keeper::LogFinding;
use crate::log_state::LogState;
use crate::meter::{Meter, Step};
use crate::missed::MissedTable;
use crate::monitor::Monitor;
use crate::place::Place;
use crate::policy_in_force::PolicyInForce;
use crate::read_table::ReadTable;
use crate::refusals::RefusalTable;
use crate::shipping::Shipping;
use crate::signer::Signers;
use crate::source::Sources;
use std::sync::Arc;
use ward_audit::{AppendError, Durability, Log};
use ward_policy::{Acting, Decision, LeaseEnd, Mapping, Operation, ScopeKind};
use ward_store::{DecryptError, Revealed};

/// Everything an open passes through. One for the daemon.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) callers: Callers,
    pub(crate) agents: Arc<AgentTable>,
    pub(crate) policy: PolicyInForce,
    pub(crate) guards: GuardTable,
    pub(crate) approvals: ApprovalQueue,
    pub(crate) passphrase: ApprovalPassphrase,
    pub(crate) leases: LeaseTable,
    pub(crate) handoffs: HandoffTable,
    pub(crate) grants: GrantTable,
    pub(crate) missed: MissedTable,
    pub(crate) reads: ReadTable,
    pub(crate) refusals: RefusalTable,
    pub(crate) left: LogState,
    pub(crate) log_finding: LogFinding,
    /// What may sign for the log.
    pub(crate) signers: Signers,
    pub(crate) handles: HandleTable,
    pub(crate) log: Arc<Log>,
    /// By which secrets end.
    pub(crate) calendar: Calendar,
    pub(crate) cpu_latency: Arc<CpuLatency>,
    pub(crate) meter: Meter,
    pub(crate) notifier: Notifier,
    pub(crate) shipping: Shipping,
    pub(crate) sources: Sources,
}

/// Bytes wanted of an open file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRequest {
    pub(crate) handle: HandleId,
    pub(crate) asker: Asker,
    pub(crate) offset: u64,
    pub(crate) length: usize,
    pub(crate) fills: Fills,
}

/// Where the bytes of a read go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fills {
    /// To the reader (read(2)).
    Buffer,
    /// Into pages of the kernel (mmap, sendfile, splice, read-ahead), which are taken back soon.
    Pages,
}

/// Why a read yields nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// No such open file, or it was not opened for reading.
    #[error("the file is not open for reading")]
    NotOpen,
    /// The mount has ended.
    #[error("the mount has ended")]
    Ended,
    /// The version that was opened has expired.
    #[error("the secret has expired")]
    Expired,
    /// The lease is over, or somebody else's.
    #[error(transparent)]
    Lease(#[from] LeaseEnd),
    /// The reader is nobody, or not the opener and may not read it itself.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store could not decrypt.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// The log took no record.
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl Pipeline {
    /// Decides an open. A human's answer is not waited for here: see [`held::HeldOpen::answer_with`].
    pub(crate) fn open(
        self: &Arc<Self>,
        place: &Arc<Place>,
        request: OpenRequest,
    ) -> Result<Opening, OpenError> {
        self.open_under(None, place, request)
    }

    /// The same of who acts under a name.
    pub(crate) fn open_under(
        self: &Arc<Self>,
        acting: Option<&Acting>,
        place: &Arc<Place>,
        request: OpenRequest,
    ) -> Result<Opening, OpenError> {
        let mut lap = self.meter.lap();
        let caller = self.callers.identify(request.asker)?.under(acting); // [2] caller.rs
        lap.done(Step::OpenCaller);
        let secret = self.hardest_name(place, &caller, &request)?; // [1] place.rs
        self.refuse_changes_of_sources(&secret, &request)?; // pipeline/sourced.rs
        let attempt = self.attempt(place, secret, caller, request);
        self.admit_to_rules(&attempt)?; // [3] pipeline/guarded.rs: breaker, rate
        let decision = self.decide_open(&attempt); // [3] policy
        let decision = self.weigh(&attempt, decision)?; // [3] pipeline/guarded.rs: cumulative risk
        lap.done(Step::OpenPolicy);
        let lease = match decision {
            Decision::Denied(denial) => return Err(self.refuse(&attempt, &denial)),
            Decision::NeedsApproval(question) => {
                self.refuse_expired(&attempt)?; // before a yes is spent or a human asked
                match self.leases.find(&question, &attempt.caller) {
                    Some(lease) => lease,                       // [4] lease_table.rs
                    None => return self.ask(attempt, question), // [4] approval_queue.rs
                }
            }
            Decision::Permitted(permit) => {
                let holder = attempt.holder(ScopeKind::Process)?;
                self.begin_lease(permit, holder, place)? // [5] lease_table.rs
            }
        };
        lap.done(Step::OpenLease);
        let admitted = self.fetch_or_admit(attempt, lease); // [6] pipeline/sourced.rs, pipeline/open.rs, mountd/audit
        lap.done(Step::OpenRecord);
        admitted
    }

    /// Reads from an open file: no bytes without a live lease and a record of this very read.
    pub(crate) fn read(&self, request: &ReadRequest) -> Result<Revealed, ReadError> {
        let mut lap = self.meter.lap();
        let handle = self.handles.find(request.handle).ok_or(ReadError::NotOpen)?;
        if !handle.place.is_open(clock::now()) {
            return Err(ReadError::Ended);
        }
        if self.calendar.is_over(handle.expires) {
            return Err(ReadError::Expired);
        }
        let right = self.right_to(&handle, request.asker, Operation::FileRead)?; // [2][7] pipeline/right.rs
        let lease = right.active(clock::now())?; // [7] policy/src/lease.rs
        if request.fills == Fills::Pages && lease.grant().handle.mapping == Mapping::Refused {
            return Err(self.refuse_pages(&handle, &right).into()); // pipeline/right.rs
        }
        lap.done(Step::ReadRight);
        let plaintext = handle.decrypt(&lease, request.offset, request.length)?; // [8] mountd/store
        lap.done(Step::ReadDecrypt);
        let length = u64::try_from(plaintext.len()).unwrap_or(u64::MAX);
        let record = right.reading(&lease, request, length);
        let receipt = self.log.append(record, Durability::Written, clock::stamp())?; // [9] mountd/audit
        lap.done(Step::ReadRecord);
        self.meter.count_read(plaintext.len());
        handle.place.term.touch(clock::now());
        Ok(plaintext.reveal(&receipt))
    }
}
