//! Commands about the daemon itself: status, stop, the log.

use super::failure::{bad_input, bad_name, failure};
use super::message::{
    AuditFilter, AuditPage, Damage, Done, Failure, FailureCode, Guards, LastEnd, LeaseState,
    LimitedClient, LogState, Metrics, PendingRequest, Refused, SourceState, Status, Whoami,
};
use super::mounts::mount_end;
use super::requests::{process, words};
use super::session::{About, Control};
use super::vaults::number;
use crate::clock;
use crate::guard_table::Limited;
use crate::metrics;
use crate::recorded;
use crate::refusals::Refusal;
use crate::source::SourceView;
use crate::whoami::whoami;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use ward_audit::{Entry, EventType, Filter, Outcome, PathGlob, Timestamp};
use ward_policy::{Basis, Decision, Lease, Moment, OpenRecords, Operation, UserId, VaultName};

/// How many entries a page of the log has, unless asked otherwise, and at most.
const PAGE: u64 = 100;
const LARGEST_PAGE: u64 = 500;

/// How many requests and refusals a status has at most.
const MOST_SHOWN: usize = 8;

impl Control<'_> {
    pub(super) fn status(&self) -> Result<Status, Failure> {
        self.permit_without_a_log(Operation::StatusShow)?;
        let daemon = self.daemon;
        let pipeline = &daemon.pipeline;
        let rules = pipeline.policy.rules();
        let stopped = pipeline.log.stopped();
        let last = pipeline.log.head().ok().flatten().map_or(0, |head| head.seq);
        let mounts = daemon.mounts.views();
        Ok(Status {
            root: daemon.root.path().display().to_string(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: clock::text(daemon.since),
            log: LogState {
                state: stopped.map_or_else(|| "healthy".to_owned(), |cause| cause.to_string()),
                last,
                damage: pipeline.log_finding.get(),
                opens: match rules.open_records() {
                    OpenRecords::Durable => "durable",
                    OpenRecords::Written => "written",
                }
                .to_owned(),
                clock_behind: pipeline.log.seconds_ahead_of(clock::stamp()).unwrap_or_default(),
                signer: self.signer_state(),
            },
            policy: rules.digest().to_string(),
            layout: daemon.layout.name().to_owned(),
            mounts: mounts.iter().map(|view| self.mount_state(view)).collect(),
            damage: daemon.vaults.damage().iter().map(damaged).collect(),
            agents: self.agent_states(),
            pending: number(pipeline.approvals.pending().len()),
            requests: self.requests_to_answer(),
            refusals: self.refusals(),
            ended: self.ended(),
            leases: self.leases(),
            grants: self.secret_grants(),
            limited: pipeline.guards.limited(&rules).into_iter().map(limited).collect(),
            sinks: self.sinks(),
            sources: self.sources(),
            guards: Some(Guards {
                memory: daemon.memory.name().to_owned(),
                keys: ward_memory::guard().name().to_owned(),
                landlock: daemon.confinement.landlock(),
            }),
        })
    }

    /// Whether the caller may do what mending a log that has stopped takes: to see why, and to stop the
    /// daemon. Then it is done without a record.
    fn permit_without_a_log(&self, operation: Operation) -> Result<(), Failure> {
        let about = About::default();
        if self.daemon.pipeline.log.stopped().is_none() {
            return self.permit(operation, EventType::Command, about);
        }
        let policy = &self.daemon.pipeline.policy;
        match policy.evaluate(&self.caller, &about.question(operation)) {
            Decision::Permitted(permit) => {
                let _unrecorded = permit;
                Ok(())
            }
            Decision::NeedsApproval(_) | Decision::Denied(_) => {
                let next = "see ward doctor";
                Err(failure(FailureCode::LogFailed, "the log takes no records", next))
            }
        }
    }

    pub(super) fn metrics(&self) -> Result<Metrics, Failure> {
        self.permit_without_a_log(Operation::StatusShow)?;
        Ok(Metrics { text: metrics::text(self.daemon) })
    }

    /// Leases of approvals.
    pub(super) fn leases(&self) -> Vec<LeaseState> {
        let mount = |lease: &Lease| self.daemon.mounts.view(lease.grant().vault.as_ref()?);
        let leases = self.daemon.pipeline.leases.approved();
        let shown = leases.iter().filter_map(|lease| shown(lease, mount(lease).map(|it| it.ends)));
        shown.collect()
    }

    fn sources(&self) -> Vec<SourceState> {
        let shown = |view: SourceView| SourceState {
            source: view.name.to_owned(),
            vault: view.vault.to_string(),
            at: view.at.to_string(),
            entries: number(view.finding.entries),
            left_out: view.finding.left_out,
            trouble: view.finding.trouble,
        };
        self.daemon.pipeline.sources.views().into_iter().map(shown).collect()
    }

    fn requests_to_answer(&self) -> Vec<PendingRequest> {
        let waiting = self.waiting().requests.into_iter();
        waiting.filter(|request| request.may_answer).take(MOST_SHOWN).collect()
    }

    /// Names that the caller may not know of are not told here either.
    fn refusals(&self) -> Vec<Refused> {
        let pipeline = &self.daemon.pipeline;
        let is_known = |refusal: &Arc<Refusal>| {
            let vault = self.daemon.vaults.unlocked(&refusal.vault);
            let file = vault.and_then(|vault| vault.find(&refusal.path));
            pipeline.is_visible(&self.caller, (&refusal.vault, &refusal.path), file)
        };
        let shown = |refusal: Arc<Refusal>| Refused {
            request: refusal.id.to_string(),
            at: refusal.when.clone(),
            vault: refusal.vault.to_string(),
            path: refusal.path.to_string(),
            operations: words(refusal.operations),
            process: process(&refusal.caller),
            errno: refusal.errno.to_owned(),
        };
        let refusals = pipeline.refusals.newest_of_all().into_iter().filter(is_known);
        refusals.take(MOST_SHOWN).map(shown).collect()
    }

    fn ended(&self) -> BTreeMap<String, LastEnd> {
        let names = self.daemon.vaults.names().unwrap_or_default();
        let ended = names.into_iter().filter_map(|name| {
            let end = self.daemon.mounts.last_end(&name)?;
            Some((name.to_string(), mount_end(end)))
        });
        ended.collect()
    }

    /// Takes no permission, and leaves no record: it tells the caller of nobody else.
    pub(super) fn whoami(&self) -> Result<Whoami, Failure> {
        let pipeline = &self.daemon.pipeline;
        let caller = pipeline.callers.describe(self.asker);
        let caller = caller.map_err(|error| failure(FailureCode::Denied, error, "ask again"))?;
        let caller = Arc::new(caller).under(self.caller.acting.as_ref());
        Ok(whoami(&caller, &pipeline.policy.rules()))
    }

    pub(super) fn stop(&self) -> Result<Done, Failure> {
        // Whoever has to mend the log must be able to.
        self.permit_without_a_log(Operation::DaemonStop)?;
        self.daemon.stop();
        Ok(Done {})
    }

    pub(super) fn audit_show(&self, filter: &AuditFilter) -> Result<AuditPage, Failure> {
        self.permit(Operation::AuditShow, EventType::Command, About::default())?;
        self.unlock_what_opens_by_itself();
        let limit = filter.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let wanted = filter_of(filter)?;
        let client = self.client_of(filter)?;
        let mut page = std::collections::VecDeque::new();
        let mut has_more = false;
        let read = self.daemon.pipeline.log.read(&wanted, |entry| {
            if !self.is_by(&entry.entry, client) {
                return ControlFlow::Continue(());
            }
            if page.len() == limit {
                if filter.after.is_some() {
                    has_more = true;
                    return ControlFlow::Break(());
                }
                page.pop_front();
            }
            page.push_back(entry);
            ControlFlow::Continue(())
        });
        let unread =
            read.map_err(|error| failure(FailureCode::Damaged, error, "run: ward audit verify"))?;
        let damaged = unread.iter().map(ToString::to_string).collect();
        let next = page.back().filter(|_| has_more).map(|entry| entry.entry.seq.0);
        let entries = page.iter().map(serde_json::to_value).collect::<Result<_, _>>();
        let entries = entries.map_err(|error| failure(FailureCode::Failed, error, "try again"))?;
        Ok(AuditPage { entries, next, damaged })
    }

    /// The client that is asked for, which the policy must have.
    pub(super) fn client_of<'a>(&self, asked: &'a AuditFilter) -> Result<Option<&'a str>, Failure> {
        let Some(client) = asked.client.as_deref() else { return Ok(None) };
        if self.daemon.pipeline.policy.rules().client_names().contains(&client) {
            return Ok(Some(client));
        }
        let message = format!("no client of the policy is named {client:?}");
        Err(bad_input(message, "name one of [clients] of the policy"))
    }

    /// Whether the policy knows who did it as `client`, by the facts that entries keep.
    pub(super) fn is_by(&self, entry: &Entry<'_>, client: Option<&str>) -> bool {
        let Some(client) = client else { return true };
        let described = entry.actor.as_ref().and_then(|actor| recorded::caller(actor).ok());
        let caller = described.and_then(|described| described.read().ok());
        let rules = self.daemon.pipeline.policy.rules();
        caller.is_some_and(|caller| rules.clients_of(&caller).contains(&client))
    }

    /// Names in the log are sealed under keys of their vaults: those that need no passphrase open.
    pub(super) fn unlock_what_opens_by_itself(&self) {
        for vault in self.daemon.vaults.names().unwrap_or_default() {
            // One that does not open shows its names as sealed.
            let _stays_sealed = self.daemon.vaults.reach(&vault);
        }
    }
}

fn damaged((vault, places): (&VaultName, &usize)) -> Damage {
    Damage { vault: vault.to_string(), places: number(*places) }
}

fn limited(it: Limited) -> LimitedClient {
    LimitedClient {
        uid: it.client.uid().0,
        program: it.client.program().map(|program| program.to_string()),
        agent: it.client.agent().map(ToString::to_string),
        breaker: it.breaker.name().to_owned(),
        points: it.points,
    }
}

/// A lease for people: it ends with its mount, if that is before its time.
pub(super) fn shown(lease: &Lease, mount_ends: Option<Moment>) -> Option<LeaseState> {
    let grant = lease.grant();
    let ends = mount_ends.map_or_else(|| lease.ends(), |mount| mount.min(lease.ends()));
    let Basis::Approval { request, .. } = lease.basis() else {
        return None;
    };
    Some(LeaseState {
        lease: lease.id().to_string(),
        vault: grant.vault.as_ref().map(ToString::to_string).unwrap_or_default(),
        path: grant.path.as_ref().map(ToString::to_string).unwrap_or_default(),
        operations: words(grant.operations),
        uid: lease.holder().uid().0,
        acting: lease.holder().acting().map(ToString::to_string),
        request: request.to_string(),
        ends_in: ends.remaining(clock::now()).as_secs(),
    })
}

/// A time as a client writes it.
pub(super) fn time_of(text: &str) -> Result<Timestamp, Failure> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    let parsed = parsed.map_err(|_| {
        bad_input(format!("{text:?} is no time"), "write it like 2026-01-31T08:00:00Z")
    })?;
    Ok(Timestamp::from_microseconds(u64::try_from(parsed.as_microsecond()).unwrap_or(0)))
}

pub(super) fn filter_of(asked: &AuditFilter) -> Result<Filter, Failure> {
    let time = |text: &Option<String>| text.as_deref().map(time_of).transpose();
    let word = |what: &str, text: &str| {
        bad_input(format!("{text:?} is no {what}"), "see docs/formats.md for the words of the log")
    };
    let event = asked
        .event
        .as_deref()
        .map(|text| EventType::from_name(text).ok_or_else(|| word("event type", text)));
    let decision = asked.decision.as_deref().map(|text| {
        let outcomes = [Outcome::Permitted, Outcome::Denied, Outcome::NeedsApproval];
        let named = outcomes.into_iter().find(|outcome| outcome.name() == text);
        named.ok_or_else(|| word("decision", text))
    });
    let vault = asked.vault.as_deref().map(|text| {
        VaultName::try_from(text).map_err(|error| bad_name(error, "see ward vault list"))
    });
    Ok(Filter {
        vault: vault.transpose()?,
        path: asked.path.as_deref().map(PathGlob::new),
        uid: asked.uid.map(UserId),
        event: event.transpose()?,
        decision: decision.transpose()?,
        since: time(&asked.since)?,
        until: time(&asked.until)?,
        after: asked.after,
        ..Filter::default()
    })
}
