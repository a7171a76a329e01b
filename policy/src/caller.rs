//! A caller: the process behind a request, as the kernel attests it.
//!
//! Facts that could not be read are absent, and an absent fact never matches a rule.

use crate::Digest;
use std::sync::Arc;

/// A user, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u32);

/// A group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// A thread, by number: what a FUSE request carries. Says nothing once the thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub u32);

/// A process: its number, and its start, since numbers come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// The thread group id.
    pub number: u32,
    /// Clock ticks after boot at which it started (`proc(5)`, field 22 of stat).
    pub start_ticks: u64,
}

/// The program a process runs, looked at through its exe link.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// How far a caller's identity can be believed, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Some fact is forgeable by the caller itself: foreign user namespace, tracer, deleted program.
    Untrusted,
    /// The program could be changed or told what to do by somebody else than root.
    Weak,
    /// Nothing speaks against it.
    Verified,
}

impl Grade {
    /// The word of the policy and the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Weak => "weak",
            Self::Verified => "verified",
        }
    }

    /// The grade of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Untrusted, Self::Weak, Self::Verified].into_iter().find(|grade| grade.name() == name)
    }
}

/// The session a process belongs to: the leader, and the cgroup it was started in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// The session leader.
    pub leader: ProcessId,
    /// The path of the cgroup, empty at the top.
    pub cgroup: Arc<[u8]>,
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
    /// Its session; absent when it could not be read or its leader is gone.
    pub session: Option<Session>,
    /// The parent process and those before it, nearest first.
    pub parents: Arc<[ProcessId]>,
    /// How far all this can be believed.
    pub grade: Grade,
}

impl Caller {
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
                Scope::Session(self.session.clone()?)
            }
            ScopeKind::Program => {
                self.program()?;
                Scope::Program
            }
        };
        Some(Fingerprint { uid: self.uid, program: self.program(), scope })
    }
}

/// How widely a lease can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// One process, until it ends or becomes another program.
    Process,
    /// The processes of one session that run the same program.
    Session,
    /// Every process of the user that runs the same program.
    Program,
}

/// What a holder must share to be the holder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// This process.
    Process(ProcessId),
    /// This session.
    Session(Session),
    /// Only user and program.
    Program,
}

/// Who holds a lease. Never a pid alone: the program behind it is part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    uid: UserId,
    program: Option<Digest>,
    scope: Scope,
}

impl Fingerprint {
    /// The user.
    pub const fn uid(&self) -> UserId {
        self.uid
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
            Scope::Program => self.program.is_some(),
        };
        shares_scope && self.uid == caller.uid && self.program == caller.program()
    }
}
