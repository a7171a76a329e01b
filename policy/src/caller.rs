//! A caller: the process behind a request, as the kernel attests it.
//!
//! Facts that could not be read are absent, and an absent fact never matches a rule.

use crate::{Acting, AgentName, AgentSession, AgentSessionId, Cgroup, Digest, Doubt, Grade};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A user, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UserId(pub u32);

/// A group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u32);

/// A thread, by number: what a FUSE request carries. Says nothing once the thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub u32);

/// A process: its number, and its start, since numbers come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The thread group id.
    pub number: u32,
    /// Clock ticks after boot at which it started (`proc(5)`, field 22 of stat).
    pub start_ticks: u64,
}

/// The program a process runs, looked at through its exe link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    /// Its path in the daemon's mount namespace, when device and inode agree with it there.
    pub path: Option<Box<[u8]>>,
    /// The device it lies on.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// SHA-256 of the file behind the link.
    pub sha256: Option<Digest>,
}

/// The session a process belongs to: the leader, and the cgroup it was started in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Session {
    /// The session leader.
    pub leader: ProcessId,
    /// The cgroup.
    pub cgroup: Cgroup,
}

/// The script that an interpreter runs, held open by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Its path in the daemon's mount namespace, as it was opened.
    pub path: Box<[u8]>,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

/// The namespaces that a process sees the machine through (`namespaces(7)`), by inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// That of users and capabilities.
    pub user: u64,
    /// That of mounts.
    pub mount: u64,
    /// That of process numbers.
    pub process: u64,
}

/// A process from which a caller descends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The process.
    pub process: ProcessId,
    /// Its effective uid; absent where nobody asked.
    pub uid: Option<UserId>,
    /// Its effective gid.
    pub gid: Option<GroupId>,
    /// What it runs.
    pub executable: Option<Arc<Executable>>,
    /// What speaks against its identity.
    pub doubts: Arc<[Doubt]>,
}

/// The attested process behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The thread that asked.
    pub thread: ThreadId,
    /// The process it belongs to.
    pub process: ProcessId,
    /// The filesystem uid of the request.
    pub uid: UserId,
    /// The filesystem gid of the request.
    pub gid: GroupId,
    /// Supplementary groups.
    pub groups: Arc<[GroupId]>,
    /// The uid that logged in (`proc(5)`, loginuid).
    pub login_uid: Option<UserId>,
    /// What it runs; absent when the link could not be read.
    pub executable: Option<Arc<Executable>>,
    /// The script that an interpreter holds open.
    pub script: Option<Arc<Script>>,
    /// Its session; absent when it could not be read or its leader is gone.
    pub session: Option<Session>,
    /// The `ward run` session it belongs to, whatever it runs.
    pub agent: Option<Arc<AgentSession>>,
    /// The name it acts under, for one command.
    pub acting: Option<Acting>,
    /// The run of the systemd unit it belongs to, 32 hex digits.
    pub invocation: Option<Arc<str>>,
    /// The controlling terminal, such as `pts/3`.
    pub terminal: Option<Arc<str>>,
    /// Its namespaces; absent when they could not be read.
    pub namespaces: Option<Namespaces>,
    /// The process that traces it.
    pub tracer: Option<u32>,
    /// The parent process and those before it, nearest first.
    pub parents: Arc<[Parent]>,
    /// What speaks against all this.
    pub doubts: Arc<[Doubt]>,
}

impl Caller {
    /// How far all this can be believed.
    pub fn grade(&self) -> Grade {
        Grade::of(&self.doubts)
    }

    /// The cgroup it is in.
    pub fn cgroup(&self) -> Option<&Cgroup> {
        self.session.as_ref().map(|session| &session.cgroup)
    }

    /// SHA-256 of what it runs, when that is known.
    pub fn program(&self) -> Option<Digest> {
        self.executable.as_ref().and_then(|executable| executable.sha256)
    }

    /// Who the caller is within `scope`; `None` when a fact needed for it is absent.
    pub fn fingerprint(&self, scope: ScopeKind) -> Option<Fingerprint> {
        let scope = match scope {
            ScopeKind::Process => Scope::Process(self.process),
            // Two unknown programs are not the same program.
            ScopeKind::Session => {
                self.program()?;
                match (&self.agent, &self.acting) {
                    (Some(_), _) => Scope::Agent,
                    (None, Some(_)) => Scope::Name,
                    (None, None) => Scope::Session(self.session.clone()?),
                }
            }
            ScopeKind::Program => {
                self.program()?;
                Scope::Program
            }
        };
        Some(Fingerprint::of(self, scope))
    }

    /// The profile that its `ward run` session was confined to.
    pub fn sandbox(&self) -> Option<&str> {
        self.agent.as_ref().and_then(|agent| agent.sandbox.as_deref())
    }

    /// The `ward run` session, by its id.
    pub fn agent_session(&self) -> Option<AgentSessionId> {
        self.agent.as_ref().map(|agent| agent.id)
    }
}

/// How widely a lease can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// One process, until it ends or becomes another program.
    Process,
    /// The processes of one session, or of one user under one name, that run the same program.
    Session,
    /// Every process of the user that runs the same program.
    Program,
}

impl ScopeKind {
    /// The word of the policy and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Session => "session",
            Self::Program => "program",
        }
    }
}

/// What a holder must share to be the holder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// This process.
    Process(ProcessId),
    /// This session of a terminal or service.
    Session(Session),
    /// The `ward run` session that is part of every fingerprint.
    Agent,
    /// The name that it acts under, which is part of every fingerprint.
    Name,
    /// Only user and program.
    Program,
}

/// Who holds a lease. Never a pid alone: the program behind it is part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    uid: UserId,
    program: Option<Digest>,
    agent: Option<AgentSessionId>,
    acting: Option<AgentName>,
    scope: Scope,
}

impl Fingerprint {
    /// A holder as the log has kept it.
    pub fn recalled(caller: &Caller, scope: Scope) -> Self {
        Self::of(caller, scope)
    }

    fn of(caller: &Caller, scope: Scope) -> Self {
        Self {
            uid: caller.uid,
            program: caller.program(),
            agent: caller.agent_session(),
            acting: caller.acting_name().cloned(),
            scope,
        }
    }

    /// The user.
    pub const fn uid(&self) -> UserId {
        self.uid
    }

    /// What it runs.
    pub const fn program(&self) -> Option<Digest> {
        self.program
    }

    /// The `ward run` session it is within.
    pub const fn agent(&self) -> Option<AgentSessionId> {
        self.agent
    }

    /// The name it acts under.
    pub const fn acting(&self) -> Option<&AgentName> {
        self.acting.as_ref()
    }

    /// How widely it reaches.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether `caller` is the one (or one of those) it stands for.
    pub fn is(&self, caller: &Caller) -> bool {
        let shares_scope = match &self.scope {
            Scope::Process(process) => *process == caller.process,
            Scope::Session(session) => caller.session.as_ref() == Some(session),
            Scope::Agent => self.agent.is_some(),
            Scope::Name => self.acting.is_some(),
            Scope::Program => self.program.is_some(),
        };
        shares_scope
            && self.uid == caller.uid
            && self.program == caller.program()
            && self.agent == caller.agent_session()
            && self.acting.as_ref() == caller.acting_name()
    }
}
