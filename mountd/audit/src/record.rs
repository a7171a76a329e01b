//! A record: what the daemon says happened, before it has a number and a place in the chain.

mod granting;

use crate::chain::hex;
use crate::entry::{Actor, Entry, Number, shown, words};
use crate::evidence::Evidence;
use crate::outcome::Outcome;
use crate::signer::SignerFact;
use crate::terms::{Asked, process};
use crate::{ClientCounts, Counts, EventType, SegmentName, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;
use ward_policy::{
    ActiveLease, AgentName, Basis, Caller, Digest, Grant, Lease, LeaseId, Moment, OperationSet,
    ProcessId, Question, RequestId, SecretGrant, SecretGrantId, SecretPath, Share, Ticket,
    VaultName,
};

/// The longest text of a caller's own, in bytes: whoever asks writes it, and must not fill the disk with it.
const LONGEST_TEXT: usize = 1024;

/// The kind of a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VaultKind {
    /// Nothing cached, every read recorded, names sealed.
    Secrets,
    /// Bulk files: opens recorded, names in clear.
    Workspace,
}

impl VaultKind {
    /// The word of the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Workspace => "workspace",
        }
    }
}

/// What happened, built up from facts that live elsewhere. Never a value, never a hash of one.
#[derive(Clone, Copy, Debug)]
#[must_use = "a record that is not appended records nothing"]
pub struct Record<'a> {
    pub(crate) event: EventType,
    caller: Option<&'a Caller>,
    clients: &'a [&'a str],
    pub(crate) vault: Option<&'a VaultName>,
    kind: Option<VaultKind>,
    path: Option<&'a SecretPath>,
    renamed_to: Option<&'a SecretPath>,
    operations: OperationSet,
    outcome: Option<Outcome>,
    rules: &'a [Arc<str>],
    policy: Option<Digest>,
    lease: Option<LeaseId>,
    request: Option<RequestId>,
    approval: Option<RequestId>,
    reason: Option<&'a str>,
    ticket: Option<&'a Ticket>,
    bytes: Option<u64>,
    offset: Option<u64>,
    opener: Option<ProcessId>,
    share: Share,
    count: u64,
    is_mapped: bool,
    mount: Option<&'a str>,
    sha256: Option<Digest>,
    compressed: Option<Digest>,
    segment: Option<SegmentName>,
    retired: Option<SegmentName>,
    size: Option<u64>,
    wall: Option<Timestamp>,
    asked: Option<Asked<'a>>,
    ends: Option<Moment>,
    reach: Option<&'a str>,
    counted: Option<Counts>,
    guards: Option<(&'a [ClientCounts<'a>], u64)>,
    evidence: Option<(&'a Evidence, &'a str)>,
    sink: Option<&'a str>,
    signer: Option<SignerFact<'a>>,
    granted: Option<SecretGrantId>,
    given: Option<(&'a SecretGrant, Option<Timestamp>)>,
    used: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// A record that says only what kind of thing happened.
    pub const fn new(event: EventType) -> Self {
        Self {
            event,
            caller: None,
            clients: &[],
            vault: None,
            kind: None,
            path: None,
            renamed_to: None,
            operations: OperationSet::EMPTY,
            outcome: None,
            rules: &[],
            policy: None,
            lease: None,
            request: None,
            approval: None,
            reason: None,
            ticket: None,
            bytes: None,
            offset: None,
            opener: None,
            share: Share::Nobody,
            count: 1,
            is_mapped: false,
            mount: None,
            sha256: None,
            compressed: None,
            segment: None,
            retired: None,
            size: None,
            wall: None,
            asked: None,
            ends: None,
            reach: None,
            counted: None,
            guards: None,
            evidence: None,
            sink: None,
            signer: None,
            granted: None,
            given: None,
            used: None,
        }
    }

    /// `caller` opened what `lease` permits.
    pub fn opening(caller: &'a Caller, lease: &'a Lease) -> Self {
        let record = Self::new(EventType::FileOpen).by(caller).granted(lease.grant());
        let record = match lease.basis() {
            Basis::Rule => record,
            Basis::Approval { request, .. } => record.approval(*request),
            Basis::Handoff { request, .. } => record.request(*request),
            Basis::SecretGrant { grant, .. } => Self { granted: Some(*grant), ..record },
        };
        record.lease(lease.id())
    }

    /// An approval gave `lease`, which serves the opens that `reach` names.
    pub fn leasing(lease: &'a Lease, reach: &'a str) -> Self {
        let record = Self::ending(EventType::LeaseBegun, lease);
        Self { ends: Some(lease.ends()), reach: Some(reach), ..record }
    }

    /// `lease`, which an approval gave, was used up, or is over.
    pub fn ending(event: EventType, lease: &'a Lease) -> Self {
        let record = Self::new(event).granted(lease.grant()).lease(lease.id());
        match lease.basis() {
            Basis::Rule => record,
            Basis::Approval { request, .. } => record.approval(*request),
            Basis::Handoff { request, .. } => record.request(*request),
            Basis::SecretGrant { grant, .. } => Self { granted: Some(*grant), ..record },
        }
    }

    /// `caller` asks for what takes a human's yes.
    pub fn asking(caller: &'a Caller, asked: Asked<'a>, request: RequestId) -> Self {
        let record = Self::new(EventType::RequestMade).by(caller).granted(asked.grant);
        let record = record.decision(Outcome::NeedsApproval).request(request);
        Self { asked: Some(asked), ..record }
    }

    /// `caller` is about to get `bytes` bytes from `offset` on. Rules and policy are in the entry
    /// of the open, which has the same lease.
    pub fn reading(
        caller: &'a Caller,
        lease: &'a ActiveLease<'_>,
        offset: u64,
        bytes: u64,
    ) -> Self {
        let grant = lease.grant();
        let record = Self { vault: grant.vault.as_ref(), ..Self::new(EventType::FileRead) };
        Self { path: grant.path.as_ref(), ..record }
            .by(caller)
            .operations(OperationSet::of(ward_policy::Operation::FileRead))
            .decision(Outcome::Permitted)
            .lease(lease.id())
            .offset(offset)
            .bytes(bytes)
    }

    /// `caller` was refused `question`; `request` is all it learns.
    pub const fn refusal(caller: &'a Caller, question: &Question<'a>, request: RequestId) -> Self {
        let record = Self {
            vault: question.vault,
            path: question.path,
            ticket: question.ticket,
            operations: question.operations,
            ..Self::new(EventType::Refused)
        };
        record.by(caller).decision(Outcome::Denied).request(request)
    }

    /// Who did it.
    pub const fn by(self, caller: &'a Caller) -> Self {
        Self { caller: Some(caller), ..self }
    }

    /// Which clients of the policy the caller is.
    pub const fn clients(self, clients: &'a [&'a str]) -> Self {
        Self { clients, ..self }
    }

    /// The vault, as a whole.
    pub const fn within(self, vault: &'a VaultName) -> Self {
        Self { vault: Some(vault), ..self }
    }

    /// The vault and the secret.
    pub const fn on(self, vault: &'a VaultName, path: &'a SecretPath) -> Self {
        Self { vault: Some(vault), path: Some(path), ..self }
    }

    /// A name outside of every vault, such as that of an agent.
    pub const fn named(self, path: &'a SecretPath) -> Self {
        Self { path: Some(path), ..self }
    }

    /// The new name of a rename.
    pub const fn renamed_to(self, path: &'a SecretPath) -> Self {
        Self { renamed_to: Some(path), ..self }
    }

    /// The kind of the vault. Without it names are sealed as those of a `secrets` vault.
    pub const fn vault_kind(self, kind: VaultKind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// What the caller asked to do.
    pub const fn operations(self, operations: OperationSet) -> Self {
        Self { operations, ..self }
    }

    /// What was decided.
    pub const fn decision(self, outcome: Outcome) -> Self {
        Self { outcome: Some(outcome), ..self }
    }

    /// The rules that decided.
    pub const fn rules(self, rules: &'a [Arc<str>]) -> Self {
        Self { rules, ..self }
    }

    /// SHA-256 of the policy that decided.
    pub const fn policy(self, policy: Digest) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Everything a grant says, as a yes.
    pub fn granted(self, grant: &'a Grant) -> Self {
        Self {
            vault: grant.vault.as_ref(),
            path: grant.path.as_ref(),
            ticket: grant.ticket.as_ref(),
            ..self
        }
        .operations(grant.operations)
        .rules(&grant.rules)
        .policy(grant.policy)
        .decision(Outcome::Permitted)
    }

    /// The lease.
    pub const fn lease(self, lease: LeaseId) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// The request or refusal it is about.
    pub const fn request(self, request: RequestId) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The request whose approval permitted it.
    pub const fn approval(self, request: RequestId) -> Self {
        Self { approval: Some(request), ..self }
    }

    /// Somebody's own words; what is over 1 KiB is cut off.
    pub fn reason(self, reason: &'a str) -> Self {
        Self { reason: Some(&reason[..reason.floor_char_boundary(LONGEST_TEXT)]), ..self }
    }

    /// What an answer stood on, and the text of what it gave.
    pub const fn evidence(self, evidence: &'a Evidence, binding: &'a str) -> Self {
        Self { evidence: Some((evidence, binding)), ..self }
    }

    /// The ticket.
    pub const fn ticket(self, ticket: &'a Ticket) -> Self {
        Self { ticket: Some(ticket), ..self }
    }

    /// The program that gets the bytes, as somebody says; what is over 1 KiB is cut off.
    pub fn used(self, program: &'a str) -> Self {
        Self { used: Some(&program[..program.floor_char_boundary(LONGEST_TEXT)]), ..self }
    }

    /// How many bytes.
    pub const fn bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    /// From which byte on.
    pub const fn offset(self, offset: u64) -> Self {
        Self { offset: Some(offset), ..self }
    }

    /// Somebody else opened it, and `share` says by which right of the opener's rules this one goes
    /// on; `Nobody` by a right of its own.
    pub const fn opened_by(self, opener: ProcessId, share: Share) -> Self {
        Self { opener: Some(opener), share, ..self }
    }

    /// The read fills pages.
    pub const fn mapped(self) -> Self {
        Self { is_mapped: true, ..self }
    }

    /// How many equal events this one stands for.
    pub const fn count(self, count: u64) -> Self {
        Self { count, ..self }
    }

    /// The id of the mount.
    pub const fn mount(self, mount: &'a str) -> Self {
        Self { mount: Some(mount), ..self }
    }

    /// It counts for the guards of its actor.
    pub const fn counted(self, counted: Option<Counts>) -> Self {
        Self { counted, ..self }
    }

    /// What guards have counted, which has every open up to the entry `since`.
    pub const fn counts(clients: &'a [ClientCounts<'a>], since: u64) -> Self {
        Self { guards: Some((clients, since)), ..Self::new(EventType::GuardsCounted) }
    }

    /// A torn tail of so many bytes was cut.
    pub(crate) const fn recovered(bytes: u64, sha256: Digest) -> Self {
        Self { bytes: Some(bytes), sha256: Some(sha256), ..Self::new(EventType::LogRecovered) }
    }

    /// `segment`, of which the lines have this digest, was compressed to a file with that one.
    pub(crate) const fn compressed(
        segment: SegmentName,
        lines: Digest,
        compressed: Digest,
    ) -> Self {
        let record = Self { segment: Some(segment), ..Self::new(EventType::SegmentCompressed) };
        Self { sha256: Some(lines), compressed: Some(compressed), ..record }
    }

    /// `segment`, whose file has this digest, is damaged after the entry `after`.
    pub(crate) const fn gap(segment: SegmentName, sha256: Digest, after: u64) -> Self {
        let record = Self { segment: Some(segment), ..Self::new(EventType::LogGap) };
        Self { sha256: Some(sha256), size: Some(after), ..record }
    }

    /// Every segment up to this one is deleted.
    pub(crate) const fn retired(segment: SegmentName) -> Self {
        Self { retired: Some(segment), ..Self::new(EventType::SegmentRetired) }
    }

    /// `sink` has everything up to the entry `seq`.
    pub const fn shipped(sink: &'a str, seq: u64) -> Self {
        Self { sink: Some(sink), size: Some(seq), ..Self::new(EventType::ShipCursor) }
    }

    /// Of a signer.
    pub(crate) const fn of_signer(event: EventType, signer: SignerFact<'a>) -> Self {
        Self { signer: Some(signer), ..Self::new(event) }
    }

    /// The wall clock was set to this.
    pub(crate) const fn clock_jump(wall: Timestamp) -> Self {
        Self { wall: Some(wall), ..Self::new(EventType::ClockJump) }
    }

    /// Whether the log shows this vault's names only to those who hold its key.
    pub(crate) const fn has_sealed_names(&self) -> bool {
        match (self.vault, self.kind) {
            (None, _) | (_, Some(VaultKind::Workspace)) => false,
            (Some(_), Some(VaultKind::Secrets) | None) => true,
        }
    }

    /// The entry, still without number, time and id.
    pub(crate) fn entry(&self) -> Entry<'a> {
        let path = |path: &SecretPath| Cow::Owned(path.to_string());
        let operations = || self.operations.iter().map(|each| Cow::Borrowed(each.name())).collect();
        let rules = || self.rules.iter().map(|each| Cow::Borrowed(&**each)).collect();
        Entry {
            actor: self.caller.map(|caller| actor(caller, self.clients)),
            approval: self.approval.map(|request| Cow::Owned(request.0.to_string())),
            binding: self.evidence.map(|(_, binding)| Cow::Borrowed(binding)),
            bytes: self.bytes.map(Number),
            client: self.given.map(|(grant, _)| Cow::Borrowed(&**grant.client())),
            compressed: self.compressed.as_ref().map(digest_text),
            count: (self.count > 1).then_some(Number(self.count)),
            counted: self.counted,
            decision: self.outcome.map(|outcome| Cow::Borrowed(outcome.name())),
            ends: self.ends.map(|moment| Number(moment.nanoseconds())),
            file: self.given.map(|(grant, _)| Number(grant.file().0)),
            grant: self.granted.map(|grant| Cow::Owned(grant.0.to_string())),
            guards: self.guards.map(|(clients, _)| clients.to_vec()),
            evidence: self.evidence.map(|(evidence, _)| evidence.shown()),
            kind: self.kind.map(|kind| Cow::Borrowed(kind.name())),
            lease: self.lease.map(|lease| Cow::Owned(lease.0.to_string())),
            mapped: self.is_mapped.then_some(true),
            mount: self.mount.map(Cow::Borrowed),
            offset: self.offset.map(Number),
            opener: self.opener.map(process),
            operations: (!self.operations.is_empty()).then(operations),
            path: self.path.map(path),
            policy: self.policy.as_ref().map(digest_text),
            reach: self.reach.map(Cow::Borrowed),
            reason: self.reason.map(words),
            request: self.request.map(|request| Cow::Owned(request.0.to_string())),
            retired: self.retired.map(|segment| Number(segment.number())),
            rules: (!self.rules.is_empty()).then(rules),
            segment: self.segment.map(|segment| Number(segment.number())),
            sha256: self.sha256.as_ref().map(digest_text),
            shared: self.share.name().map(Cow::Borrowed),
            signer: self.signer.map(SignerFact::text),
            terms: self.asked.and_then(|asked| asked.terms()),
            since: self.guards.map(|(_, since)| Number(since)),
            sink: self.sink.map(Cow::Borrowed),
            size: self.size.map(Number),
            ticket: self.ticket.map(|ticket| Cow::Borrowed(ticket.as_str())),
            to: self.renamed_to.map(path),
            until: self.given.and_then(|(_, until)| until),
            used: self.used.map(|program| shown(program.as_bytes())),
            vault: self.vault.map(|vault| Cow::Borrowed(vault.as_str())),
            wall: self.wall,
            ..Entry::new(self.event)
        }
    }
}

fn actor<'a>(caller: &'a Caller, clients: &[&'a str]) -> Actor<'a> {
    let executable = caller.executable.as_deref();
    let path = executable.and_then(|executable| executable.path.as_deref());
    let digest = executable.and_then(|executable| executable.sha256.as_ref());
    let agent = caller.agent.as_deref();
    let client = caller.acting_client().map(AgentName::as_str);
    let clients: Vec<_> = clients.iter().copied().chain(client).map(Cow::Borrowed).collect();
    Actor {
        acting: caller.acting.as_ref().map(|acting| Cow::Borrowed(acting.name().as_str())),
        agent: agent.map(|agent| Cow::Borrowed(agent.name.as_str())),
        agent_session: agent.map(|agent| Cow::Owned(agent.id.to_string())),
        cgroup: caller.cgroup().map(|cgroup| shown(cgroup.as_bytes())),
        clients: (!clients.is_empty()).then_some(clients),
        exe: path.map(shown),
        exe_sha256: digest.map(digest_text),
        gid: caller.gid.0,
        grade: Cow::Borrowed(caller.grade().name()),
        login_uid: caller.login_uid.map(|user| user.0),
        pid: caller.process.number,
        start_ticks: Number(caller.process.start_ticks),
        uid: caller.uid.0,
    }
}

fn digest_text<'a>(digest: &Digest) -> Cow<'a, str> {
    Cow::Owned(String::from_utf8_lossy(&hex(digest.as_bytes())).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let long = "\u{e4}".repeat(600);
        let entry = Record::new(EventType::RequestMade).reason(&long).entry();
        assert_eq!(entry.reason.unwrap().len(), 1024);
        let odd = format!("x{long}");
        let entry = Record::new(EventType::RequestMade).reason(&odd).entry();
        assert_eq!(entry.reason.unwrap().len(), 1023);
    }

    #[test]
    fn names_are_sealed_unless_the_vault_is_known_to_be_a_workspace() {
        let vault = VaultName::try_from("work").unwrap();
        let record = Record::new(EventType::FileOpen);
        assert!(!record.has_sealed_names());
        assert!(record.within(&vault).has_sealed_names());
        assert!(record.within(&vault).vault_kind(VaultKind::Secrets).has_sealed_names());
        assert!(!record.within(&vault).vault_kind(VaultKind::Workspace).has_sealed_names());
    }
}
