//! `inbox` and `handoff`: requests for files that who looks may hand out, and files that were handed
//! out to who looks. Nobody else finds anything there.

use super::{ControlDirectory, Node};
use crate::caller::Asker;
use crate::filesystem::open;
use crate::handle_table::HandleId;
use crate::handoff_table::{HandoffState, HandoffView};
use crate::pipeline::{Fills, LONGEST_REASON, LessOf, OpenRequest, ReadRequest};
use crate::whoami::shown;
use crate::{clock, errno};
use fuser::{Errno, FileAttr, FileHandle, FopenFlags, OpenFlags, ReplyData, ReplyOpen, Request};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use ward_policy::{Caller, FileId, parse_duration};
use ward_store::VaultKind;

impl ControlDirectory {
    /// What an entry of the folders for handoffs is.
    pub(super) fn look_up_handoff(
        &self,
        request: &Request,
        caller: &Arc<Caller>,
        (folder, name): (Node, &OsStr),
    ) -> Result<FileAttr, Errno> {
        let entries = self.handoffs_in(folder, caller);
        let found = entries.into_iter().find(|(_, known)| known == name);
        let (node, _) = found.ok_or(Errno::ENOENT)?;
        Ok(if let Node::Handed(number) = node {
            node.attributes_of_size(self.size_for(caller, number), request)
        } else {
            node.attributes(request)
        })
    }

    /// What a folder for handoffs holds for `caller`.
    pub(super) fn handoffs_in(&self, folder: Node, caller: &Arc<Caller>) -> Vec<(Node, OsString)> {
        let views = self.pipeline.handoffs.of_vault(&self.place.vault.name);
        let name = |view: &HandoffView| view.id.to_string().into();
        let inbox = || {
            let mine = views.iter().filter(|view| self.may_answer(caller, view));
            mine.map(|view| (Node::Asked(view.number), name(view))).collect()
        };
        let handed = || views.iter().filter(|view| is_handed_to(view, caller));
        if folder == Node::Inbox {
            inbox()
        } else if let Node::HandedFolder(number) = folder {
            let here = handed().filter(|view| view.number == number);
            let file = |view: &HandoffView| OsStr::from_bytes(view.file_name()).to_owned();
            here.map(|view| (Node::Handed(view.number), file(view))).collect()
        } else {
            handed().map(|view| (Node::HandedFolder(view.number), name(view))).collect()
        }
    }

    /// The size of a file that was handed out, for whoever it was handed to.
    pub(super) fn size_of_handed(&self, request: &Request, number: u32) -> u64 {
        self.glance(request).map_or(0, |caller| self.size_for(&caller, number))
    }

    fn size_for(&self, caller: &Caller, number: u32) -> u64 {
        let vault = &self.place.vault.vault;
        let size = |file: FileId| match vault.kind() {
            VaultKind::Secrets => {
                let version = vault.current_version(file)?;
                vault.version_attributes(file, version).map(|(size, _)| size)
            }
            VaultKind::Workspace => vault.node(file).map(|node| node.size),
        };
        let view = self.handed(caller, number);
        let file = view.and_then(|view| view.given()?.handoff.grant().file);
        file.and_then(size).unwrap_or(0)
    }

    /// Opens a file that was handed out to who opens it: an open like any other, that the handoff
    /// permits.
    pub(super) fn open_handed(
        &self,
        request: &Request,
        number: u32,
        flags: OpenFlags,
        reply: ReplyOpen,
    ) {
        let view = self.glance(request).ok().and_then(|caller| self.handed(&caller, number));
        let file = view.as_ref().and_then(|view| view.given()?.handoff.grant().file);
        let (Some(view), Some(file)) = (view, file) else {
            return reply.error(Errno::ENOENT);
        };
        if flags.0 & libc::O_ACCMODE != libc::O_RDONLY || flags.0 & libc::O_TRUNC != 0 {
            return reply.error(Errno::EACCES);
        }
        let wanted = open::open_request(request, file, flags);
        let wanted = OpenRequest { handed: Some(view.id), ..wanted };
        let (pipeline, place) = (Arc::clone(&self.pipeline), Arc::clone(&self.place));
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
        let answer = move || open::answer(&pipeline, &place, wanted, reply, move |_| flags);
        match self.place.pages() {
            // What the kernel keeps of changes is read too.
            Some(pages) => pages.then(file.0, answer),
            None => answer(),
        }
    }

    pub(super) fn read_handed(
        &self,
        asker: Asker,
        handle: FileHandle,
        (offset, size): (u64, u32),
        reply: ReplyData,
    ) {
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let (handle, fills) = (HandleId(handle.0), Fills::Buffer);
        let wanted = ReadRequest { handle, asker, offset, length, fills };
        match self.pipeline.read(&wanted) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno::of_read(&error)),
        }
    }

    pub(super) fn close_handed(&self, number: u64) {
        // Nobody is there to hear of an error, and nothing was written.
        let _nobody_hears = self.pipeline.release(HandleId(number));
    }

    /// What the file of a request says to who may answer it.
    pub(super) fn asked(&self, caller: &Arc<Caller>, number: u32) -> Result<String, Errno> {
        let views = self.pipeline.handoffs.of_vault(&self.place.vault.name);
        let view = views.into_iter().find(|view| view.number == number);
        let view = view.filter(|view| self.may_answer(caller, view)).ok_or(Errno::ENOENT)?;
        Ok(words(&view))
    }

    /// Takes an answer, which is one write.
    pub(super) fn answer_asked(
        &self,
        caller: &Arc<Caller>,
        number: u32,
        bytes: &[u8],
    ) -> Result<u32, Errno> {
        let views = self.pipeline.handoffs.of_vault(&self.place.vault.name);
        let view = views.into_iter().find(|view| view.number == number).ok_or(Errno::ENOENT)?;
        let text = std::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?.trim();
        let vault = &self.place.vault;
        let answered = match text.split_once(char::is_whitespace).unwrap_or((text, "")) {
            ("approve", terms) => {
                let less = less_of(terms).ok_or(Errno::EINVAL)?;
                self.pipeline.hand_out(caller, vault, (view.id, less))
            }
            ("deny", reason) if reason.len() <= LONGEST_REASON => {
                let reason = Some(reason.trim()).filter(|reason| !reason.is_empty());
                self.pipeline.keep_back(caller, vault, (view.id, reason))
            }
            _ => return Err(Errno::EINVAL),
        };
        answered.map_err(|error| errno::of_hand_out(&error))?;
        u32::try_from(bytes.len()).map_err(|_| Errno::EFBIG)
    }

    fn may_answer(&self, caller: &Arc<Caller>, view: &HandoffView) -> bool {
        self.pipeline.may_hand_out(caller, &self.place.vault, view)
    }

    /// What was handed out to `caller` under that number.
    fn handed(&self, caller: &Caller, number: u32) -> Option<HandoffView> {
        let views = self.pipeline.handoffs.of_vault(&self.place.vault.name);
        views.into_iter().find(|view| view.number == number && is_handed_to(view, caller))
    }
}

fn is_handed_to(view: &HandoffView, caller: &Caller) -> bool {
    let is_live = |given: &Arc<crate::handoff_table::Given>| clock::now() < given.handoff.ends();
    view.is_of(caller) && view.given().is_some_and(is_live)
}

/// The words after `approve`: `--uses N` and `--for TIME`, each once at most.
fn less_of(terms: &str) -> Option<LessOf> {
    let mut less = LessOf::default();
    let mut words = terms.split_whitespace();
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word {
            "--uses" if less.uses.is_none() => less.uses = Some(value.parse().ok()?),
            "--for" if less.lease.is_none() => less.lease = Some(parse_duration(value)?),
            _ => return None,
        }
    }
    Some(less)
}

/// A request as who may answer it sees it, in TOML: text of others is in quotes, without what controls
/// a terminal.
fn words(view: &HandoffView) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        let value = serde_json::Value::from(shown(value.as_bytes()));
        // Writing into a string cannot fail.
        let _written = writeln!(text, "{key} = {value}");
    };
    let (wanted, receiver) = (&view.wanted, &view.receiver);
    let is_given = matches!(view.state, HandoffState::Given(_));
    line("state", if is_given { "given" } else { "pending" });
    line("request", &view.id.to_string());
    line("path", &wanted.path.to_string());
    let program = receiver.executable.as_deref().and_then(|it| it.path.as_deref());
    line("program", &String::from_utf8_lossy(program.unwrap_or_default()));
    line("grade", receiver.grade().name());
    line("uid", &receiver.uid.0.to_string());
    if let Some(agent) = receiver.agent.as_deref() {
        line("agent", agent.name.as_str());
    }
    line("reason", &wanted.reason);
    if let Some(ticket) = &wanted.ticket {
        line("ticket", ticket.as_str());
    }
    if let Some(uses) = wanted.terms.uses {
        line("uses", &uses.to_string());
    }
    line("lease", &format!("{}s", wanted.terms.lease.as_secs()));
    if is_given {
        line("next", "write deny into this file to take it back");
    } else {
        line("expires", &clock::wall_text(view.expires));
        line("next", "write approve, approve --uses N --for TIME, or deny REASON into this file");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_may_give_less_and_says_nothing_else() {
        let less = less_of(" --for 5m --uses 2").unwrap();
        assert_eq!((less.uses, less.lease.map(|it| it.as_secs())), (Some(2), Some(300)));
        assert!(less_of("").is_some_and(|it| it.uses.is_none() && it.lease.is_none()));
        for bad in ["--uses", "--uses x", "--uses 1 --uses 2", "all", "--for 5", "-- 1"] {
            assert!(less_of(bad).is_none(), "{bad}");
        }
    }
}
