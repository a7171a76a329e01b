//! The control directory `.ward` at the top of every mount: what is asked of the daemon by plain
//! file I/O.
//!
//! It is found by name and never listed, so that git, rsync, tar and scanners do not meet it, and no
//! vault can hold that name. Nothing of it stays with the kernel: what a file says is made for whoever
//! reads it, and request files are there for the session that made them.

mod handoffs;
mod node;
mod reply;
mod words;

pub(super) use node::Node;
pub(super) use reply::attributes;

use super::asker;
use crate::caller::Asker;
use crate::pipeline::Pipeline;
use crate::place::Place;
use crate::request_file::{RequestFile, RequestFiles};
use crate::tree::TOP;
use crate::{clock, errno};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, FopenFlags, INodeNo, OpenFlags, PollEvents,
    PollNotifier, ReplyOpen, Request,
};
use node::{ENTRIES, waited_for};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use ward_policy::Caller;

/// An entry: what it is, its name, and the position after it.
type Listed = (Node, FileType, OsString, u64);

/// The control directory of one mount.
#[derive(Debug)]
pub(super) struct ControlDirectory {
    pipeline: Arc<Pipeline>,
    place: Arc<Place>,
    requests: RequestFiles,
    /// Guards the map only; never held while a caller is looked at.
    open: Arc<Mutex<Numbered>>,
}

#[derive(Debug, Default)]
struct Numbered {
    last: u64,
    files: BTreeMap<u64, OpenFile>,
}

#[derive(Clone, Debug)]
enum OpenFile {
    /// What one caller was told.
    Said { node: Node, to: Arc<Caller>, text: Arc<str> },
    /// The state of the mount: what was last read of it, and how much had been told then; nothing read
    /// yet without.
    Status { to: Arc<Caller>, told: Option<u64>, text: Arc<str> },
    /// A request file: what was last read of it, and the number of that change.
    Request { file: Arc<RequestFile>, change: u64, text: Arc<str> },
}

impl ControlDirectory {
    pub(super) fn new(pipeline: Arc<Pipeline>, place: Arc<Place>) -> Self {
        let requests = RequestFiles::new(Arc::clone(&pipeline), Arc::clone(&place));
        Self { pipeline, place, requests, open: Arc::default() }
    }

    /// What an entry of ours is. To nobody it is not there.
    fn look_up(
        &self,
        request: &Request,
        (parent, name): (INodeNo, &OsStr),
    ) -> Result<FileAttr, Errno> {
        let somebody = self.glance(request).map_err(|_nobody| Errno::ENOENT)?;
        match Node::of(parent) {
            None => Ok(Node::Directory.attributes(request)),
            Some(Node::Requests) => {
                let name = name.to_str().ok_or(Errno::ENOENT)?;
                let find = |name| self.requests.find(&somebody, name);
                if let Some(file) = find(name) {
                    return Ok(Node::attributes_of_request(&file, request));
                }
                let file = waited_for(name).and_then(find).ok_or(Errno::ENOENT)?;
                Ok(Node::Wait(file.number()).attributes(request))
            }
            Some(folder @ (Node::Inbox | Node::Handoff | Node::HandedFolder(_))) => {
                self.look_up_handoff(request, &somebody, (folder, name))
            }
            Some(_) => {
                let found = ENTRIES.into_iter().find(|node| name == node.name());
                Ok(found.ok_or(Errno::ENOENT)?.attributes(request))
            }
        }
    }

    /// What the kernel asks of a node that it knows.
    pub(super) fn attributes(&self, request: &Request, node: Node) -> Result<FileAttr, Errno> {
        if let Node::Handed(number) = node {
            return Ok(node.attributes_of_size(self.size_of_handed(request, number), request));
        }
        let (Node::Request(number) | Node::Wait(number)) = node else {
            return Ok(node.attributes(request));
        };
        let file = self.request_file(&*self.glance(request)?, number)?;
        let is_itself = node == Node::Request(number);
        let of_file = || Node::attributes_of_request(&file, request);
        Ok(if is_itself { of_file() } else { node.attributes(request) })
    }

    /// What a directory of ours holds from `offset` on.
    fn entries(
        &self,
        request: &Request,
        directory: Node,
        offset: u64,
    ) -> Result<impl Iterator<Item = Listed>, Errno> {
        let (own, above): (Vec<(Node, OsString)>, Node) = match directory {
            Node::Requests => {
                let files = self.requests.of(&*self.glance(request)?);
                let node = |file: &Arc<RequestFile>| Node::Request(file.number());
                let own = files.iter().map(|file| (node(file), file.name().into()));
                (own.collect(), Node::Directory)
            }
            Node::Inbox | Node::Handoff => {
                (self.handoffs_in(directory, &self.glance(request)?), Node::Directory)
            }
            Node::HandedFolder(_) => {
                (self.handoffs_in(directory, &self.glance(request)?), Node::Handoff)
            }
            Node::Directory => {
                let own = ENTRIES.into_iter().map(|node| (node, node.name().into()));
                (own.collect(), Node::Directory)
            }
            Node::Whoami | Node::Status | Node::Access | Node::LastDenial => {
                return Err(Errno::ENOTDIR);
            }
            Node::Request(_) | Node::Wait(_) | Node::Asked(_) | Node::Handed(_) => {
                return Err(Errno::ENOTDIR);
            }
        };
        let dots = [(directory, ".".into()), (above, "..".into())];
        let all = dots.into_iter().chain(own).zip(1..);
        let all = all.map(|((node, name), next)| (node, node.kind(), name, next));
        Ok(all.filter(move |(.., next)| *next > offset))
    }

    /// The inode number of an entry of `directory`: what is above our own is of the vault.
    fn inode_of(directory: Node, node: Node, name: &OsStr) -> INodeNo {
        let is_above = directory == Node::Directory && name == "..";
        if is_above { INodeNo(TOP) } else { node.inode() }
    }

    /// Opens a file: what it says is made now, for who opens it. A `.wait` opens once there is an answer.
    pub(super) fn open(&self, request: &Request, node: Node, flags: OpenFlags, reply: ReplyOpen) {
        if let Node::Handed(number) = node {
            return self.open_handed(request, number, flags, reply);
        }
        match self.begin_open(request, node, flags) {
            Err(errno) => reply.error(errno),
            Ok(Begun::Open(number)) => {
                reply.opened(FileHandle(number), FopenFlags::FOPEN_DIRECT_IO);
            }
            Ok(Begun::Wait(caller, file)) => {
                let (open, thread) = (Arc::clone(&self.open), request.pid());
                let told = Arc::clone(&file);
                let answer = move |is_decided: bool| {
                    if !is_decided {
                        return reply.error(Errno::EAGAIN);
                    }
                    let text = told.text().1.into();
                    let said = OpenFile::Said { node, to: caller, text };
                    let handle = FileHandle(keep(&open, said));
                    reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO);
                };
                self.requests.wait(&file, thread, Box::new(answer));
            }
        }
    }

    fn begin_open(&self, request: &Request, node: Node, flags: OpenFlags) -> Result<Begun, Errno> {
        let caller = self.caller(asker(request))?;
        let writes = flags.0 & libc::O_ACCMODE != libc::O_RDONLY || flags.0 & libc::O_TRUNC != 0;
        match node {
            Node::Request(number) => {
                let file = self.request_file(&caller, number)?;
                if writes && !(file.is_open() && self.writes(&file, asker(request), &caller)) {
                    return Err(Errno::EACCES);
                }
                if flags.0 & libc::O_TRUNC != 0 {
                    file.empty().map_err(|error| errno::of_request_file(&error))?;
                }
                Ok(Begun::Open(self.keep_request(file)))
            }
            Node::Asked(number) => {
                let text = self.asked(&caller, number)?.into();
                Ok(Begun::Open(keep(&self.open, OpenFile::Said { node, to: caller, text })))
            }
            _ if writes => Err(Errno::EACCES),
            Node::Wait(number) => {
                let file = self.request_file(&caller, number)?;
                if flags.0 & libc::O_NONBLOCK != 0 && !file.is_decided() {
                    return Err(Errno::EAGAIN);
                }
                Ok(Begun::Wait(caller, file))
            }
            Node::Status => {
                let open = OpenFile::Status { to: caller, told: None, text: "".into() };
                Ok(Begun::Open(keep(&self.open, open)))
            }
            Node::Directory
            | Node::Whoami
            | Node::Access
            | Node::LastDenial
            | Node::Inbox
            | Node::Handoff
            | Node::HandedFolder(_)
            | Node::Handed(_)
            | Node::Requests => {
                let text = words::say(node, &caller, &self.pipeline, &self.place)?.into();
                Ok(Begun::Open(keep(&self.open, OpenFile::Said { node, to: caller, text })))
            }
        }
    }

    /// Makes a request file and opens it.
    fn create(
        &self,
        request: &Request,
        (parent, name): (INodeNo, &OsStr),
    ) -> Result<(FileAttr, FileHandle), Errno> {
        if Node::of(parent) != Some(Node::Requests) {
            return Err(Errno::EPERM);
        }
        let caller = self.caller(asker(request))?;
        let file = self.requests.create(caller, name.to_str().ok_or(Errno::EINVAL)?);
        let file = file.map_err(|error| errno::of_request_file(&error))?;
        let attributes = Node::attributes_of_request(&file, request);
        Ok((attributes, FileHandle(self.keep_request(file))))
    }

    /// Removes a request file; nothing else goes away.
    pub(super) fn remove(
        &self,
        request: &Request,
        (parent, name): (INodeNo, &OsStr),
    ) -> Result<(), Errno> {
        if Node::of(parent) != Some(Node::Requests) {
            return Err(Errno::EPERM);
        }
        let caller = self.caller(asker(request))?;
        let removed = self.requests.remove(&caller, name.to_str().ok_or(Errno::ENOENT)?);
        removed.map_err(|error| errno::of_request_file(&error))
    }

    /// Sets what can be set: the length of a request file to nothing, and times, which it has not.
    pub(super) fn change(
        &self,
        request: &Request,
        node: Node,
        size: Option<u64>,
        is_other: bool,
    ) -> Result<FileAttr, Errno> {
        if matches!(node, Node::Asked(_)) && size == Some(0) && !is_other {
            return Ok(node.attributes(request));
        }
        let Node::Request(number) = node else { return Err(Errno::EPERM) };
        if is_other {
            return Err(Errno::EPERM);
        }
        let caller = self.caller(asker(request))?;
        let file = self.request_file(&caller, number)?;
        match size {
            None => {}
            Some(0) if self.writes(&file, asker(request), &caller) => {
                file.empty().map_err(|error| errno::of_request_file(&error))?;
            }
            Some(_) => return Err(Errno::EPERM),
        }
        Ok(Node::attributes_of_request(&file, request))
    }

    /// Reads from an open file: another reader than the one it was made for is told of itself.
    fn read(
        &self,
        asker: Asker,
        number: u64,
        (offset, size): (u64, u32),
    ) -> Result<Vec<u8>, Errno> {
        let reader = self.caller(asker)?;
        let known = self.files().files.get(&number).cloned().ok_or(Errno::EBADF)?;
        let text = match known {
            OpenFile::Said { to, text, .. } if to == reader => text,
            OpenFile::Said { node: Node::Wait(_) | Node::Asked(_), .. } => {
                return Err(Errno::EACCES);
            }
            OpenFile::Said { node, .. } => {
                let text = words::say(node, &reader, &self.pipeline, &self.place)?;
                self.remember(number, OpenFile::Said { node, to: reader, text: text.into() })
            }
            OpenFile::Status { to, told: Some(_), text } if to == reader && offset > 0 => text,
            OpenFile::Status { .. } => {
                // Before the words: what is told meanwhile is new to who reads them.
                let told = Some(self.place.term.told());
                let text = words::say(Node::Status, &reader, &self.pipeline, &self.place)?.into();
                self.remember(number, OpenFile::Status { to: reader, told, text })
            }
            OpenFile::Request { file, change, text } => {
                let file = self.request_file(&reader, file.number())?;
                if offset == 0 || change == 0 {
                    let (change, text) = file.text();
                    self.remember(number, OpenFile::Request { file, change, text: text.into() })
                } else {
                    text
                }
            }
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        let length = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
        Ok(rest.get(..length).unwrap_or_default().to_vec())
    }

    /// Writes into a request file, or an answer.
    fn write(
        &self,
        asker: Asker,
        number: u64,
        (offset, bytes): (Option<u64>, &[u8]),
    ) -> Result<u32, Errno> {
        let writer = self.caller(asker)?;
        let known = self.files().files.get(&number).cloned();
        if let Some(OpenFile::Said { node: Node::Asked(number), .. }) = known {
            return self.answer_asked(&writer, number, bytes);
        }
        let file = self.open_request(number).ok_or(Errno::EBADF)?;
        if !self.writes(&file, asker, &writer) {
            return Err(Errno::EACCES);
        }
        let written = file.write(offset, bytes);
        written.map_err(|error| errno::of_request_file(&error))?;
        u32::try_from(bytes.len()).map_err(|_| Errno::EFBIG)
    }

    /// A close: hands in a request file that is a whole document.
    pub(super) fn flush(&self, node: Node, number: u64) -> Result<(), Errno> {
        if let Node::Handed(_) = node {
            return Ok(());
        }
        let Some(file) = self.open_request(number) else { return Ok(()) };
        self.requests.hand_in(&file).map_err(|error| errno::of_request_file(&error))
    }

    /// Whether an open file has something new to read; if not, the kernel is told when it has.
    pub(super) fn poll(&self, (node, number): (Node, u64), notifier: PollNotifier) -> PollEvents {
        let always = PollEvents::POLLIN | PollEvents::POLLRDNORM;
        if let Node::Handed(_) = node {
            return always;
        }
        let known = self.files().files.get(&number).cloned();
        let wake = Box::new(move || {
            // The mount is gone, and with it who polls.
            let _nobody_polls = notifier.notify();
        });
        match known {
            Some(OpenFile::Request { file, change, .. }) if file.text().0 == change => {
                file.when_changed(change, wake);
                PollEvents::empty()
            }
            Some(OpenFile::Status { told: Some(told), .. }) if self.place.term.told() == told => {
                self.place.term.when_told(told, number, wake);
                PollEvents::empty()
            }
            Some(_) | None => always,
        }
    }

    /// The last close of an open file.
    pub(super) fn close(&self, node: Node, number: u64) {
        if let Node::Handed(_) = node {
            return self.close_handed(number);
        }
        // The verdict stands in the file: nobody hears what a last close says.
        let _verdict = self.flush(node, number);
        self.files().files.remove(&number);
    }

    /// Whether `caller` is who made the file, or descends from it.
    fn writes(&self, file: &RequestFile, asker: Asker, caller: &Caller) -> bool {
        let creator = file.creator();
        let descends = || {
            let described = self.pipeline.callers.describe(asker);
            described.is_ok_and(|it| it.parents.iter().any(|parent| parent.process == creator))
        };
        caller.process == creator || descends()
    }

    fn request_file(&self, caller: &Caller, number: u32) -> Result<Arc<RequestFile>, Errno> {
        self.requests.get(caller, number).map_err(|error| errno::of_request_file(&error))
    }

    fn open_request(&self, number: u64) -> Option<Arc<RequestFile>> {
        match self.files().files.get(&number)? {
            OpenFile::Request { file, .. } => Some(Arc::clone(file)),
            OpenFile::Said { .. } | OpenFile::Status { .. } => None,
        }
    }

    fn keep_request(&self, file: Arc<RequestFile>) -> u64 {
        keep(&self.open, OpenFile::Request { file, change: 0, text: "".into() })
    }

    fn remember(&self, number: u64, open: OpenFile) -> Arc<str> {
        let (OpenFile::Said { text, .. }
        | OpenFile::Status { text, .. }
        | OpenFile::Request { text, .. }) = &open;
        let text = Arc::clone(text);
        if let Some(file) = self.files().files.get_mut(&number) {
            *file = open;
        }
        text
    }

    fn glance(&self, request: &Request) -> Result<Arc<Caller>, Errno> {
        let glanced = self.pipeline.callers.glance(asker(request));
        glanced.map_err(|error| errno::of_identity(&error))
    }

    fn caller(&self, asker: Asker) -> Result<Arc<Caller>, Errno> {
        if !self.place.is_open(clock::now()) {
            return Err(errno::ENDED);
        }
        let identified = self.pipeline.callers.identify_here(asker);
        identified.map_err(|error| errno::of_identity(&error))
    }

    fn files(&self) -> MutexGuard<'_, Numbered> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an open comes to.
enum Begun {
    Open(u64),
    Wait(Arc<Caller>, Arc<RequestFile>),
}

fn keep(open: &Mutex<Numbered>, file: OpenFile) -> u64 {
    let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
    open.last += 1;
    let number = open.last;
    open.files.insert(number, file);
    number
}
