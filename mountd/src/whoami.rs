//! What the daemon attests about a caller, as it tells the caller itself.

use crate::control::message::{ParentProcess, Whoami};
use ward_policy::{Caller, Cgroup, Rules};

/// Everything that is known of `caller`, and what it is under `rules`.
pub(crate) fn whoami(caller: &Caller, rules: &Rules) -> Whoami {
    let program = caller.executable.as_deref();
    let path = program.and_then(|program| program.path.as_deref());
    let script = caller.script.as_deref();
    let cgroup = caller.cgroup();
    let namespaces = caller.namespaces.map(|it| [it.user, it.mount, it.process]);
    Whoami {
        pid: caller.process.number,
        thread: caller.thread.0,
        start_ticks: caller.process.start_ticks,
        uid: caller.uid.0,
        gid: caller.gid.0,
        groups: caller.groups.iter().map(|group| group.0).collect(),
        login_uid: caller.login_uid.map(|user| user.0),
        exe: path.map(shown),
        sha256: caller.program().map(|digest| digest.to_string()),
        script: script.filter(|it| !it.path.is_empty()).map(|script| shown(&script.path)),
        script_sha256: script.map(|script| script.sha256.to_string()),
        grade: caller.grade().name().to_owned(),
        doubts: caller.doubts.iter().map(|doubt| shown(doubt.to_string().as_bytes())).collect(),
        agent: caller.agent.as_ref().map(|agent| agent.name.as_str().to_owned()),
        acting: caller.acting.as_ref().map(|acting| acting.name().to_string()),
        clients: rules.clients_of(caller).into_iter().map(str::to_owned).collect(),
        session: caller.session.as_ref().map(|session| session.leader.number),
        cgroup: cgroup.map(|cgroup| shown(cgroup.as_bytes())),
        unit: cgroup.and_then(Cgroup::unit).map(|unit| shown(unit.as_bytes())),
        invocation: caller.invocation.as_deref().map(str::to_owned),
        container: cgroup.and_then(Cgroup::container).map(|it| shown(it.as_bytes())),
        tty: caller.terminal.as_deref().map(str::to_owned),
        tracer: caller.tracer,
        namespaces,
        parents: caller.parents.iter().map(parent).collect(),
    }
}

fn parent(parent: &ward_policy::Parent) -> ParentProcess {
    let path = parent.executable.as_deref().and_then(|program| program.path.as_deref());
    ParentProcess { pid: parent.process.number, exe: path.map(shown) }
}

/// Without what controls a terminal or turns text around: a process chooses its own names.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let is_deceptive = |character: char| {
        character.is_control()
            || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|it| if is_deceptive(it) { char::REPLACEMENT_CHARACTER } else { it }).collect()
}
