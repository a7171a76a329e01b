//! Workspaces: changes of tree, attributes and content, decided by the names they touch, and what
//! the kernel reads and writes back for open files.

use super::change::changing;
use super::{ChangeError, OpenError, Pipeline, ReadError, WriteError};
use crate::caller::Asker;
use crate::clock;
use crate::handle_table::{Handle, HandleId, Opened, Pages};
use crate::meter::Verdict;
use crate::place::{Place, Secret};
use std::sync::Arc;
use ward_audit::{Durability, EventType, Record};
use ward_policy::{Caller, Decision, FileId, Lease, Moment, Operation, OperationSet, ScopeKind};
use ward_store::{ChangeError as StoreError, Revealed, Vault, WallTime};

/// Writing, and for what gets another name reading too, since it can be read there.
pub(crate) const WRITE: OperationSet = OperationSet::of(Operation::FileWrite);
/// See [`WRITE`].
pub(crate) const MOVE: OperationSet = WRITE.with(Operation::FileRead);

/// A name that a change touches.
#[derive(Debug)]
pub(crate) enum Touched {
    /// The top directory.
    Top,
    /// A directory, or the name of one: may be changed by who may write something in it.
    Folder(Secret),
    /// Anything else, and what must be permitted.
    File(Secret, OperationSet),
}

/// A change of a workspace: who asks, how the log calls it, and every name it touches.
#[derive(Debug)]
pub(crate) struct NodeChange<'a> {
    pub(crate) asker: Asker,
    /// `None` for what is recorded only when it is refused: a change of attributes.
    pub(crate) event: Option<EventType>,
    /// The first is what the record is about, the second is the name it goes to.
    pub(crate) touched: &'a [Touched],
}

impl Touched {
    fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Top => None,
            Self::Folder(secret) | Self::File(secret, _) => Some(secret),
        }
    }
}

impl Pipeline {
    /// Makes a change, if every name it touches may be written, and once it is in the log.
    pub(crate) fn change_nodes<T>(
        &self,
        place: &Place,
        change: &NodeChange<'_>,
        make: impl FnOnce(&Vault, WallTime) -> Result<T, StoreError>,
    ) -> Result<T, ChangeError> {
        let caller = self.begin(place, change.asker)?;
        change.touched.iter().try_for_each(|touched| match touched {
            Touched::Top => self.permit_top(&caller, place),
            Touched::Folder(secret) => self.permit_folder(&caller, secret),
            Touched::File(secret, operations) => self.permit(&caller, secret, *operations),
        })?;
        let mut secrets = change.touched.iter().filter_map(Touched::secret);
        if let (Some(event), Some(secret)) = (change.event, secrets.next()) {
            let record = changing(event, &caller, secret);
            let record = match (event, secrets.next()) {
                (EventType::FileRename, Some(target)) => record.renamed_to(&target.path),
                (_, Some(_) | None) => record,
            };
            let _recorded = self.log.append(record, Durability::Written, clock::stamp())?;
        }
        Ok(make(&place.vault.vault, clock::file_time())?)
    }

    /// Creates a file and opens it, decided at once: a pending CREATE would block its whole folder,
    /// so what needs approval is refused.
    pub(crate) fn create_node<T>(
        &self,
        place: &Arc<Place>,
        (secret, operations): (Secret, OperationSet),
        asker: Asker,
        make: impl FnOnce(&Vault, WallTime) -> Result<(FileId, T), StoreError>,
    ) -> Result<(T, HandleId), ChangeError> {
        let caller = self.begin(place, asker)?;
        self.permit(&caller, &secret, operations)?;
        self.admit_another(&secret, &caller, operations)?;
        let (file, made) = make(&place.vault.vault, clock::file_time())?;
        let secret = Secret { file: Some(file), ..secret };
        let lease = self.lease_of_creator(place, &caller, &secret, operations)?;
        let record = Record::new(EventType::FileCreate).by(&caller).granted(lease.grant());
        let record = record.lease(lease.id()).vault_kind(secret.kind);
        let receipt = self.log.append(record, Durability::Written, clock::stamp())?;
        let place = Arc::clone(place);
        let opened = Opened::Node(Pages::default());
        self.meter.count(Verdict::Allowed);
        place.term.touch(clock::now());
        let handle = Handle { place, lease, opener: caller, file, opened, expires: None, receipt };
        Ok((made, self.handles.insert(handle)))
    }

    /// Reads what the kernel keeps for the holder of an open file, whoever it is that reads: a page
    /// belongs to all. The record of the open stands for it.
    pub(crate) fn read_page(
        &self,
        handle: HandleId,
        offset: u64,
        length: usize,
    ) -> Result<Revealed, ReadError> {
        let handle = self.handles.find(handle).ok_or(ReadError::NotOpen)?;
        if !handle.place.is_open(clock::now()) {
            return Err(ReadError::Ended);
        }
        let now = clock::now();
        let lease = handle.lease.active_for(&handle.opener, now)?;
        let plaintext = handle.place.vault.vault.read_node(&lease, handle.file, offset, length)?;
        handle.place.term.touch(now);
        Ok(plaintext.reveal(&handle.receipt))
    }

    /// Writes what the kernel kept of an open file, also while a lease or a mount ends.
    pub(crate) fn write_page(
        &self,
        handle: HandleId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), WriteError> {
        let handle = self.handles.find(handle).ok_or(WriteError::NotOpen)?;
        self.take_page(&handle)?;
        handle.place.term.touch(clock::now());
        let now = clock::file_time();
        Ok(handle.place.vault.vault.write_node(handle.file, offset, bytes, now)?)
    }

    /// Changes the content of an open file now, as its open permits and while its lease lives.
    pub(crate) fn change_open<T>(
        &self,
        handle: HandleId,
        change: impl FnOnce(&Vault, FileId, WallTime) -> Result<T, StoreError>,
    ) -> Result<T, WriteError> {
        let handle = self.handles.find(handle).ok_or(WriteError::NotOpen)?;
        if !handle.permits(Operation::FileWrite) {
            return Err(WriteError::NotOpen);
        }
        if !handle.place.is_open(clock::now()) {
            return Err(WriteError::Ended);
        }
        let now = clock::now();
        let _lease = handle.lease.active_for(&handle.opener, now)?;
        handle.place.term.touch(now);
        Ok(change(&handle.place.vault.vault, handle.file, clock::file_time())?)
    }

    /// Closes an open file; whether it was the last one of its file that the kernel may keep no pages
    /// for.
    pub(crate) fn close_node(&self, handle: HandleId) -> bool {
        self.handles.remove(handle).is_some_and(|handle| {
            handle.has_ended() && !self.handles.has_ended(&handle.place.vault.name, handle.file)
        })
    }

    /// The file of a handle that may be read by its open, under a lease that lives.
    pub(crate) fn readable(&self, handle: HandleId) -> Result<FileId, ReadError> {
        let handle = self.handles.find(handle).ok_or(ReadError::NotOpen)?;
        if !handle.place.is_open(clock::now()) {
            return Err(ReadError::Ended);
        }
        let _lease = handle.lease.active_for(&handle.opener, clock::now())?;
        if handle.permits(Operation::FileRead) { Ok(handle.file) } else { Err(ReadError::NotOpen) }
    }

    /// Whether an open file may be written by its open.
    pub(crate) fn is_writer(&self, handle: HandleId) -> bool {
        self.handles.find(handle).is_some_and(|handle| handle.permits(Operation::FileWrite))
    }

    /// Has the kernel give back the pages of files whose lease is over: an expired one, a withdrawn
    /// one. From then on nothing of them stays with it.
    pub(crate) fn take_pages_back(&self, now: Moment) {
        for handle in self.handles.newly_ended(now) {
            if let Some(pages) = handle.place.pages() {
                pages.bar(handle.file.0);
                let over = Arc::clone(&handle);
                pages.then(handle.file.0, move || over.finish_pages());
            }
        }
    }

    /// The kernel writes pages back through whatever open file may write them, also one whose lease
    /// is over: they are taken as long as somebody's is not.
    fn take_page(&self, handle: &Handle) -> Result<(), WriteError> {
        if !handle.permits(Operation::FileWrite) {
            return Err(WriteError::NotOpen);
        }
        let is_taken = handle.takes_pages()
            || handle.place.takes_pages()
                && self.handles.has_writer(&handle.place.vault.name, handle.file);
        if is_taken { Ok(()) } else { Err(WriteError::Ended) }
    }

    fn lease_of_creator(
        &self,
        place: &Place,
        caller: &Caller,
        secret: &Secret,
        operations: OperationSet,
    ) -> Result<Arc<Lease>, OpenError> {
        let question = secret.question(operations, None);
        match self.decide(caller, secret.kind, &question) {
            Decision::Permitted(permit) => {
                let holder = caller.fingerprint(ScopeKind::Process).ok_or(OpenError::Ended)?;
                self.begin_lease(permit, holder, place)
            }
            Decision::NeedsApproval(ask) => {
                self.leases.find(&ask, caller).ok_or(OpenError::NoSuchSecret)
            }
            // Another policy came into force a moment ago.
            Decision::Denied(denial) => {
                Err(OpenError::Denied(self.record_no(secret, caller, &question, &denial)?))
            }
        }
    }

    fn permit_top(&self, caller: &Caller, place: &Place) -> Result<(), ChangeError> {
        let rules = self.policy.rules();
        let name = &place.vault.name;
        if rules.may_write_in(caller, name, None, clock::local(&rules)) {
            return Ok(());
        }
        let question = ward_policy::Question {
            operations: WRITE,
            vault: Some(name),
            ..ward_policy::Question::default()
        };
        let why = "no rule lets it write anything in the vault";
        Err(ChangeError::Denied(self.record_refusal(caller, &question, &why)?))
    }
}
