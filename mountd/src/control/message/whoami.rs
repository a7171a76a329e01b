//! What the daemon attests about a process: the answer to `ward whoami` and of `.ward/whoami`.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

/// What the daemon attests about whoever asks. What could not be read is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// The process.
    pub pid: u32,
    /// The thread that asked.
    pub thread: u32,
    /// Clock ticks after boot at which the process started.
    pub start_ticks: u64,
    /// The filesystem uid.
    pub uid: u32,
    /// The filesystem gid.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The uid that logged in.
    pub login_uid: Option<u32>,
    /// The path of its program in the daemon's view.
    pub exe: Option<String>,
    /// SHA-256 of the program.
    pub sha256: Option<String>,
    /// The script that its program runs; none of a sealed copy.
    pub script: Option<String>,
    /// SHA-256 of the script.
    pub script_sha256: Option<String>,
    /// How far all this can be believed: `verified`, `weak` or `untrusted`.
    pub grade: String,
    /// Why it is not `verified`, in words.
    pub doubts: Vec<String>,
    /// The agent whose session it belongs to.
    pub agent: Option<String>,
    /// The clients of the policy that it is.
    pub clients: Vec<String>,
    /// The name it acts under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<String>,
    /// The process that leads its session.
    pub session: Option<u32>,
    /// Its cgroup.
    pub cgroup: Option<String>,
    /// Its systemd unit.
    pub unit: Option<String>,
    /// The run of that unit.
    pub invocation: Option<String>,
    /// Its container.
    pub container: Option<String>,
    /// Its controlling terminal.
    pub tty: Option<String>,
    /// The process that traces it.
    pub tracer: Option<u32>,
    /// Its user, mount and process namespace, by inode.
    pub namespaces: Option<[u64; 3]>,
    /// The processes it descends from, nearest first.
    pub parents: Vec<ParentProcess>,
}

/// A process from which another descends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentProcess {
    /// The process.
    pub pid: u32,
    /// The path of its program in the daemon's view.
    pub exe: Option<String>,
}

impl Display for Whoami {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &dyn Display| writeln!(formatter, "{key:<11} {value}");
        line("process", &format_args!("{}, thread {}", self.pid, self.thread))?;
        line("uid", &self.uid)?;
        line("gid", &self.gid)?;
        if !self.groups.is_empty() {
            line("groups", &list(&self.groups))?;
        }
        line(
            "loginuid",
            &self.login_uid.as_ref().map_or_else(|| "nobody".to_owned(), u32::to_string),
        )?;
        line("exe", &or(self.exe.as_ref(), "unknown"))?;
        line("sha256", &or(self.sha256.as_ref(), "unknown"))?;
        let sealed = self.script_sha256.as_ref().map(|_| "a sealed copy".to_owned());
        for (key, value) in [
            ("script", &self.script.clone().or(sealed)),
            ("", &self.script_sha256),
            ("agent", &self.agent),
            ("acts as", &self.acting),
            ("cgroup", &self.cgroup),
            ("unit", &self.unit),
            ("invocation", &self.invocation),
            ("container", &self.container),
        ] {
            if let Some(value) = value {
                line(key, value)?;
            }
        }
        line("tty", &or(self.tty.as_ref(), "none"))?;
        if let Some(tracer) = self.tracer {
            line("tracer", &tracer)?;
        }
        if let Some([user, mount, process]) = self.namespaces {
            line("namespaces", &format_args!("user {user}, mount {mount}, process {process}"))?;
        }
        if let Some(session) = self.session {
            line("session", &format_args!("led by {session}"))?;
        }
        if !self.parents.is_empty() {
            line("started by", &list(&self.parents))?;
        }
        line(
            "clients",
            &if self.clients.is_empty() { "none".to_owned() } else { list(&self.clients) },
        )?;
        if self.doubts.is_empty() {
            return line("grade", &format_args!("{}: nothing speaks against it", self.grade));
        }
        line("grade", &format_args!("{}, because", self.grade))?;
        self.doubts.iter().try_for_each(|doubt| line("", doubt))
    }
}

impl Display for ParentProcess {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.exe {
            Some(exe) => write!(formatter, "{} {exe}", self.pid),
            None => write!(formatter, "{}", self.pid),
        }
    }
}

fn or<'text>(value: Option<&'text String>, otherwise: &'text str) -> &'text str {
    value.map_or(otherwise, String::as_str)
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
