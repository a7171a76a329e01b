//! What the files of the control directory say to whoever reads them.

use super::node::Node;
use crate::pipeline::Pipeline;
use crate::place::{Access, Place};
use crate::session_key::SessionKey;
use crate::term::Notice;
use crate::{clock, whoami};
use fuser::Errno;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use ward_policy::{Caller, Decision, FileId, Operation, OperationSet, SecretPath};
use ward_store::{NodeKind, VaultKind};

/// How many names `access` has at most.
const MOST_NAMES: usize = 10_000;

/// What the file `node` says to `caller`.
pub(super) fn say(
    node: Node,
    caller: &Arc<Caller>,
    pipeline: &Pipeline,
    place: &Arc<Place>,
) -> Result<String, Errno> {
    match node {
        Node::Whoami => Ok(whoami::whoami(caller, &pipeline.policy.rules()).to_string()),
        Node::Status => Ok(status(caller, pipeline, place)),
        Node::Access => Ok(access(caller, pipeline, place)),
        Node::LastDenial => Ok(match pipeline.refusals.last(caller) {
            Some(refusal) => refusal.to_string(),
            None => "nothing was refused to you\n".to_owned(),
        }),
        Node::Directory | Node::Requests => Err(Errno::EISDIR),
        Node::Inbox | Node::Handoff | Node::HandedFolder(_) => Err(Errno::EISDIR),
        Node::Request(_) | Node::Wait(_) | Node::Asked(_) | Node::Handed(_) => Err(Errno::EBADF),
    }
}

fn status(caller: &Caller, pipeline: &Pipeline, place: &Arc<Place>) -> String {
    let (term, now) = (&place.term, clock::now());
    let left = term.ends().remaining(now).as_secs();
    let idle = term.idle_ends().map_or_else(
        || "none".to_owned(),
        |ends| format!("ends in {} s unless it is used", ends.remaining(now).as_secs()),
    );
    let notice = term.last_notice().map_or_else(
        || "none".to_owned(),
        |Notice { before, unused_since }| {
            let before = jiff::SignedDuration::try_from(before).unwrap_or_default();
            let unless = if unused_since.is_some() { " unless it is used" } else { "" };
            format!("ends in {before:#}{unless}")
        },
    );
    let own = SessionKey::of(caller);
    let handles = pipeline.handles.count_of(place, |opener| SessionKey::of(opener) == own);
    let kind = match place.kind() {
        VaultKind::Secrets => "secrets",
        VaultKind::Workspace => "workspace",
    };
    let access = match place.access {
        Access::ReadOnly => "read-only",
        Access::ReadWrite => "read and write, as the policy says",
    };
    let ends = clock::wall_text(term.ends());
    format!(
        "vault       {}\nkind        {kind}\naccess      {access}\nends        {ends}\n\
         seconds     {left}\nidle        {idle}\n\
         notice      {notice}\nhandles     {handles}\n",
        place.vault.name
    )
}

/// One line for each name that `caller` may know of: whether it may read and write it, at once or
/// after asking. Of a workspace, the names at its top.
fn access(caller: &Arc<Caller>, pipeline: &Pipeline, place: &Arc<Place>) -> String {
    let mut text = "READ  WRITE  NAME\n".to_owned();
    let mut names = Vec::new();
    match place.kind() {
        VaultKind::Secrets => secrets(place, place.vault.vault.root(), &mut names),
        VaultKind::Workspace => {
            let top = place.vault.vault.root();
            let mut entries = Vec::new();
            // The top is there; without it there is nothing to tell.
            let _is_there = place.vault.vault.read_entries(top, 0, &mut |entry| {
                entries.push(entry.name.as_bytes().to_vec());
                if entries.len() > MOST_NAMES {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            let path = |name: Vec<u8>| Some(place.secret_in(top, &name, None).ok()?.path);
            names.extend(entries.into_iter().filter_map(path));
        }
    }
    names.sort();
    let vault = &place.vault;
    names.retain(|path| pipeline.is_visible(caller, (&vault.name, path), vault.find(path)));
    for path in names.iter().take(MOST_NAMES) {
        let may = |operation| may(caller, pipeline, place, (path, operation));
        let (read, write) = (may(Operation::FileRead), may(Operation::FileWrite));
        let name = whoami::shown(path.to_string().as_bytes());
        // Writing into a string cannot fail.
        let _written = writeln!(text, "{read:<5} {write:<6} {name}");
    }
    if names.len() > MOST_NAMES {
        text.push_str("and more\n");
    }
    text
}

fn secrets(place: &Place, folder: FileId, names: &mut Vec<SecretPath>) {
    let vault = &place.vault.vault;
    for entry in vault.entries(folder) {
        match entry.kind {
            NodeKind::Directory => secrets(place, entry.file, names),
            NodeKind::File => names.extend(vault.path_of(entry.file)),
        }
    }
}

fn may(
    caller: &Arc<Caller>,
    pipeline: &Pipeline,
    place: &Place,
    (path, operation): (&SecretPath, Operation),
) -> &'static str {
    let question = ward_policy::Question {
        operations: OperationSet::of(operation),
        vault: Some(&place.vault.name),
        path: Some(path),
        file: place.vault.find(path),
        ..ward_policy::Question::default()
    };
    match pipeline.decide_reading(caller, VaultKind::Secrets, &question) {
        Decision::Permitted(permit) => {
            let _looked_at_only = permit;
            "yes"
        }
        Decision::NeedsApproval(asked) if pipeline.leases.has(&asked, caller) => "yes",
        Decision::NeedsApproval(_) => "ask",
        Decision::Denied(_) => "no",
    }
}
