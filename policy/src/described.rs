//! A caller and a question, written down: in a case, for `ward policy explain`, from the log.

use crate::case::wrong;
use crate::{
    Acting, AgentName, AgentSession, AgentSessionId, Caller, CaseError, Cgroup, Digest, Doubt,
    Executable, Grade, GroupId, Operation, OperationSet, Parent, ProcessId, Question, Script,
    SecretPath, Session, ThreadId, Ticket, UserId, VaultName,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A caller by the facts that a policy can ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedCaller {
    /// The filesystem uid.
    pub uid: u32,
    /// The filesystem gid; the uid when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Supplementary groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
    /// Who logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loginuid: Option<u32>,
    /// The path of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// SHA-256 of its program, in hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The script that an interpreter runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<DescribedScript>,
    /// Its cgroup.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cgroup: String,
    /// Its terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// The agent of its `ward run` session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The client of the policy that it acts as, for one command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<String>,
    /// The profile that the session is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<DescribedParent>,
    /// How far it is believed.
    #[serde(default = "verified")]
    pub grade: String,
}

/// A script, by its path and the SHA-256 of its content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedScript {
    /// The path.
    pub path: String,
    /// The hex digits.
    pub sha256: String,
}

/// A process from which a caller descends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedParent {
    /// Its uid.
    pub uid: u32,
    /// Its gid; the uid when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The path of its program.
    pub exe: String,
    /// SHA-256 of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How far it is believed.
    #[serde(default = "verified")]
    pub grade: String,
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedQuestion {
    /// Absent: whether the name is seen, or, of a folder, something can be written below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
    /// The vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The secret, or without a vault the name of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What the daemon derived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// The names of a question, read.
#[derive(Clone, Debug)]
pub struct Asked {
    pub(crate) operations: OperationSet,
    pub(crate) vault: Option<VaultName>,
    pub(crate) path: Option<SecretPath>,
    pub(crate) folder: Option<SecretPath>,
    ticket: Option<Ticket>,
    secrets: Vec<SecretPath>,
}

impl Asked {
    /// The question.
    pub fn question(&self) -> Question<'_> {
        Question {
            operations: self.operations,
            vault: self.vault.as_ref(),
            path: self.path.as_ref(),
            ticket: self.ticket.as_ref(),
            secrets: &self.secrets,
            ..Question::default()
        }
    }
}

impl DescribedQuestion {
    /// Its names, read.
    ///
    /// # Errors
    /// One of them is no name.
    pub fn read(&self) -> Result<Asked, CaseError> {
        let path = |text: &String| {
            SecretPath::try_from(text.as_str()).map_err(|error| wrong(&format!("`ask`: {error}")))
        };
        let mut operations = OperationSet::EMPTY;
        for name in self.operations.iter().flatten() {
            let operation = Operation::from_name(name)
                .ok_or_else(|| wrong(&format!("`ask.operations`: {name} is no operation")))?;
            operations = operations.with(operation);
        }
        let vault = self.vault.as_deref().map(VaultName::try_from).transpose();
        let ticket = self.ticket.as_deref().map(Ticket::try_from).transpose();
        Ok(Asked {
            operations,
            vault: vault.map_err(|error| wrong(&format!("`ask.vault`: {error}")))?,
            path: self.path.as_ref().map(path).transpose()?,
            folder: self.folder.as_ref().map(path).transpose()?,
            ticket: ticket.map_err(|error| wrong(&format!("`ask.ticket`: {error}")))?,
            secrets: self.secrets.iter().map(path).collect::<Result<_, _>>()?,
        })
    }
}

impl DescribedCaller {
    /// The caller, from TOML such as `{ uid = 1000, exe = "/usr/bin/cat" }`.
    ///
    /// # Errors
    /// It is no TOML, or has a word that no caller has.
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        #[derive(Deserialize)]
        struct Line {
            caller: DescribedCaller,
        }
        let text = text.trim();
        let text = if text.starts_with('{') { text.to_owned() } else { format!("{{ {text} }}") };
        let line: Result<Line, _> = toml::from_str(&format!("caller = {text}"));
        line.map(|line| line.caller).map_err(|error| wrong(error.message()))
    }

    /// The caller with these facts, in a process of no number.
    ///
    /// # Errors
    /// A fact is none.
    pub fn read(&self) -> Result<Caller, CaseError> {
        let process = ProcessId { number: 2, start_ticks: 2 };
        let agent = self.session.as_deref().map(|name| {
            let name = AgentName::try_from(name);
            let name = name.map_err(|error| wrong(&format!("`caller.session`: {error}")))?;
            let id = AgentSessionId(1_u128.into());
            let sandbox = self.sandbox.as_deref().map(Into::into);
            Ok(Arc::new(AgentSession { id, name, first: process, sandbox }))
        });
        let acting = self.acting.as_deref().map(|name| {
            let name = AgentName::try_from(name);
            let name = name.map_err(|error| wrong(&format!("`caller.acting`: {error}")))?;
            Ok(Acting::recalled(name, true))
        });
        let script = self.script.as_ref().map(|script| {
            let path = script.path.as_bytes().into();
            Ok(Arc::new(Script { path, sha256: digest(&script.sha256)? }))
        });
        Ok(Caller {
            thread: ThreadId(process.number),
            process,
            uid: UserId(self.uid),
            gid: GroupId(self.gid.unwrap_or(self.uid)),
            groups: self.groups.iter().copied().map(GroupId).collect(),
            login_uid: self.loginuid.map(UserId),
            executable: Some(executable(self.exe.as_deref(), self.sha256.as_deref())?),
            script: script.transpose()?,
            session: Some(Session { leader: process, cgroup: Cgroup::new(self.cgroup.as_bytes()) }),
            invocation: None,
            terminal: self.tty.as_deref().map(Into::into),
            namespaces: None,
            tracer: None,
            agent: agent.transpose()?,
            acting: acting.transpose()?,
            parents: self.parents.iter().map(DescribedParent::read).collect::<Result<_, _>>()?,
            doubts: doubts(&self.grade)?,
        })
    }
}

impl From<&Caller> for DescribedCaller {
    /// Everything of a caller that can be written down.
    fn from(caller: &Caller) -> Self {
        let program = caller.executable.as_deref();
        Self {
            uid: caller.uid.0,
            gid: Some(caller.gid.0),
            groups: caller.groups.iter().map(|group| group.0).collect(),
            loginuid: caller.login_uid.map(|user| user.0),
            exe: program.and_then(|program| program.path.as_deref()).map(shown),
            sha256: caller.program().map(|digest| digest.to_string()),
            script: caller.script.as_ref().map(|script| DescribedScript {
                path: shown(&script.path),
                sha256: script.sha256.to_string(),
            }),
            cgroup: caller.cgroup().map(|cgroup| shown(cgroup.as_bytes())).unwrap_or_default(),
            tty: caller.terminal.as_deref().map(str::to_owned),
            session: caller.agent.as_ref().map(|agent| agent.name.to_string()),
            acting: caller.acting_client().map(ToString::to_string),
            sandbox: caller.sandbox().map(str::to_owned),
            parents: caller.parents.iter().filter_map(DescribedParent::of).collect(),
            grade: caller.grade().name().to_owned(),
        }
    }
}

impl DescribedParent {
    /// A parent that was looked at.
    fn of(parent: &Parent) -> Option<Self> {
        let program = parent.executable.as_deref()?;
        Some(Self {
            uid: parent.uid?.0,
            gid: parent.gid.map(|group| group.0),
            exe: shown(program.path.as_deref()?),
            sha256: program.sha256.map(|digest| digest.to_string()),
            grade: Grade::of(&parent.doubts).name().to_owned(),
        })
    }

    fn read(&self) -> Result<Parent, CaseError> {
        Ok(Parent {
            process: ProcessId { number: 1, start_ticks: 1 },
            uid: Some(UserId(self.uid)),
            gid: Some(GroupId(self.gid.unwrap_or(self.uid))),
            executable: Some(executable(Some(&self.exe), self.sha256.as_deref())?),
            doubts: doubts(&self.grade)?,
        })
    }
}

fn executable(path: Option<&str>, sha256: Option<&str>) -> Result<Arc<Executable>, CaseError> {
    let path = path.map(|path| path.as_bytes().into());
    let sha256 = sha256.map(digest).transpose()?;
    Ok(Arc::new(Executable { path, device: 1, inode: 1, sha256 }))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn digest(text: &str) -> Result<Digest, CaseError> {
    Digest::from_hex(text).ok_or_else(|| wrong(&format!("{text} is not 64 hex digits")))
}

/// Doubts that leave that grade.
fn doubts(grade: &str) -> Result<Arc<[Doubt]>, CaseError> {
    let none = || wrong(&format!("{grade} is no grade; they are verified, weak and untrusted"));
    Ok(match Grade::from_name(grade).ok_or_else(none)? {
        Grade::Untrusted => [Doubt::Traced].into(),
        Grade::Weak => [Doubt::Interpreter].into(),
        Grade::Verified => [].into(),
    })
}

fn verified() -> String {
    "verified".to_owned()
}
