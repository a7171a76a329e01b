//! Facts: each key of a client, whether a caller shows what it asks for, and what is shown instead.

use super::{Client, Terminals, UnknownHash, holds, is_word};
use crate::{Caller, Cgroup, GroupId, Parent, UserId};
use std::fmt;

/// One key of a client.
pub(crate) struct Fact {
    /// The key.
    pub(crate) name: &'static str,
    is_given: fn(&Client) -> bool,
    is_shown: fn(&Client, &Caller, UnknownHash) -> bool,
    show: fn(&Caller) -> Option<String>,
    /// Whether it is known of a process from which a caller descends, too.
    is_known_of_ancestors: bool,
    /// Whether an entry of the log keeps it.
    is_recorded: bool,
}

/// Every fact, those that are quickly looked at first.
static FACTS: [Fact; 13] = [
    Fact {
        name: "uid",
        is_given: |client| client.uid.is_some(),
        is_shown: |client, caller, _| holds(client.uid.as_ref(), |uid| *uid == caller.uid),
        show: |caller| Some(caller.uid.0.to_string()),
        is_known_of_ancestors: true,
        is_recorded: true,
    },
    Fact {
        name: "gid",
        is_given: |client| client.gid.is_some(),
        is_shown: |client, caller, _| holds(client.gid.as_ref(), |gid| *gid == caller.gid),
        show: |caller| Some(caller.gid.0.to_string()),
        is_known_of_ancestors: true,
        is_recorded: true,
    },
    Fact {
        name: "group",
        is_given: |client| client.group.is_some(),
        is_shown: |client, caller, _| {
            let is_in = |group: &GroupId| *group == caller.gid || caller.groups.contains(group);
            holds(client.group.as_ref(), is_in)
        },
        show: |caller| {
            let groups = [&caller.gid].into_iter().chain(&*caller.groups);
            Some(groups.map(|group| group.0.to_string()).collect::<Vec<_>>().join(", "))
        },
        is_known_of_ancestors: false,
        is_recorded: false,
    },
    Fact {
        name: "loginuid",
        is_given: |client| client.login_uid.is_some(),
        is_shown: |client, caller, _| {
            holds(client.login_uid.as_ref(), |uid| Some(*uid) == caller.login_uid)
        },
        show: |caller| caller.login_uid.map(|UserId(uid)| uid.to_string()),
        is_known_of_ancestors: false,
        is_recorded: true,
    },
    Fact {
        name: "exe",
        is_given: |client| client.programs.is_some(),
        is_shown: |client, caller, _| {
            holds(client.programs.as_ref(), |glob| {
                let path = caller.executable.as_ref().and_then(|program| program.path.as_ref());
                path.is_some_and(|path| glob.matches_absolute(path))
            })
        },
        show: |caller| text(caller.executable.as_ref()?.path.as_deref()),
        is_known_of_ancestors: true,
        is_recorded: true,
    },
    Fact {
        name: "session",
        is_given: |client| client.sessions.is_some(),
        is_shown: |client, caller, _| {
            holds(client.sessions.as_ref(), |glob| {
                caller.agent_names().any(|name| is_word(glob, Some(name.as_str())))
            })
        },
        show: |caller| caller.agent_names().last().map(ToString::to_string),
        is_known_of_ancestors: false,
        is_recorded: true,
    },
    Fact {
        name: "sha256",
        is_given: |client| client.sha256.is_some(),
        is_shown: |client, caller, unknown_hash| {
            holds(client.sha256.as_ref(), |digest| match caller.program() {
                Some(program) => program == *digest,
                None => unknown_hash == UnknownHash::Matches && caller.executable.is_some(),
            })
        },
        show: |caller| caller.program().map(|digest| digest.to_string()),
        is_known_of_ancestors: true,
        is_recorded: true,
    },
    Fact {
        name: "script",
        is_given: |client| client.scripts.is_some(),
        is_shown: |client, caller, _| {
            holds(client.scripts.as_ref(), |wanted| wanted.is(caller.script.as_deref()))
        },
        show: |caller| {
            let script = caller.script.as_deref()?;
            Some(format!("{} {}", String::from_utf8_lossy(&script.path), script.sha256))
        },
        is_known_of_ancestors: false,
        is_recorded: false,
    },
    Fact {
        name: "ancestor",
        is_given: |client| client.ancestor.is_some(),
        is_shown: |client, caller, _| {
            client.ancestor.as_ref().is_none_or(|ancestor| ancestor.is_of(&caller.parents))
        },
        show: |caller| {
            let program = |parent: &Parent| {
                let path = parent.executable.as_ref().and_then(|program| program.path.as_deref());
                text(path).unwrap_or_else(|| format!("process {}", parent.process.number))
            };
            let parents: Vec<String> = caller.parents.iter().map(program).collect();
            (!parents.is_empty()).then(|| parents.join(" < "))
        },
        is_known_of_ancestors: false,
        is_recorded: false,
    },
    Fact {
        name: "cgroup",
        is_given: |client| client.cgroups.is_some(),
        is_shown: |client, caller, _| {
            holds(client.cgroups.as_ref(), |glob| {
                caller.cgroup().is_some_and(|cgroup| glob.matches_absolute(cgroup.as_bytes()))
            })
        },
        show: |caller| text(caller.cgroup().map(Cgroup::as_bytes)),
        is_known_of_ancestors: false,
        is_recorded: true,
    },
    Fact {
        name: "unit",
        is_given: |client| client.units.is_some(),
        is_shown: |client, caller, _| {
            holds(client.units.as_ref(), |glob| {
                is_word(glob, caller.cgroup().and_then(Cgroup::unit))
            })
        },
        show: |caller| caller.cgroup().and_then(Cgroup::unit).map(str::to_owned),
        is_known_of_ancestors: false,
        is_recorded: true,
    },
    Fact {
        name: "container",
        is_given: |client| client.containers.is_some(),
        is_shown: |client, caller, _| {
            holds(client.containers.as_ref(), |glob| {
                is_word(glob, caller.cgroup().and_then(Cgroup::container))
            })
        },
        show: |caller| caller.cgroup().and_then(Cgroup::container).map(str::to_owned),
        is_known_of_ancestors: false,
        is_recorded: true,
    },
    Fact {
        name: "tty",
        is_given: |client| client.terminals.is_some(),
        is_shown: |client, caller, _| {
            client.terminals.as_ref().is_none_or(|wanted| match wanted {
                Terminals::Any(wanted) => caller.terminal.is_some() == *wanted,
                Terminals::Of(globs) => {
                    globs.iter().any(|glob| is_word(glob, caller.terminal.as_deref()))
                }
            })
        },
        show: |caller| caller.terminal.as_deref().map(str::to_owned),
        is_known_of_ancestors: false,
        is_recorded: false,
    },
];

impl Fact {
    /// Those that `client` asks for.
    pub(super) fn given(client: &Client) -> Box<[&'static Self]> {
        FACTS.iter().filter(|fact| (fact.is_given)(client)).collect()
    }

    /// Whether `caller` shows what `client` asks for.
    pub(super) fn is_shown(
        &self,
        client: &Client,
        caller: &Caller,
        unknown_hash: UnknownHash,
    ) -> bool {
        (self.is_shown)(client, caller, unknown_hash)
    }

    /// What `caller` shows; `None` when it is not known.
    pub(crate) fn shown_by(&self, caller: &Caller) -> Option<String> {
        (self.show)(caller)
    }

    /// Whether it is known of a process from which a caller descends, too.
    pub(super) const fn is_known_of_ancestors(&self) -> bool {
        self.is_known_of_ancestors
    }

    /// Whether an entry of the log keeps it.
    pub(super) const fn is_recorded(&self) -> bool {
        self.is_recorded
    }
}

impl fmt::Debug for Fact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}
