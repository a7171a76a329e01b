//! A client: a named set of facts that a caller must show.

use crate::pattern::Glob;
use crate::rule_text::{Fault, Field, Table};
use crate::{Caller, Digest, Grade, GroupId, UserId};
use std::sync::Arc;

/// The keys of a client's table.
const KEYS: &[&str] = &["uid", "gid", "group", "loginuid", "exe", "sha256", "grade", "role"];
/// Facts of the design that the daemon does not collect yet.
const LATER: &[&str] = &[
    "ancestor",
    "cgroup",
    "unit",
    "container",
    "script",
    "session",
    "tty",
    "agent",
    "roles",
    "groups",
    "delegation",
];

/// Facts, of which all that are given must hold. Lists mean any of their items.
#[derive(Debug)]
pub(crate) struct Client {
    name: Arc<str>,
    /// `clients.NAME`: what a grant names that rests on the client's role.
    table: Arc<str>,
    uid: Option<Vec<UserId>>,
    gid: Option<Vec<GroupId>>,
    group: Option<Vec<GroupId>>,
    login_uid: Option<Vec<UserId>>,
    programs: Option<Vec<Glob>>,
    sha256: Option<Vec<Digest>>,
    grade: Option<Grade>,
    is_approver: bool,
}

/// Whose questions a rule answers.
#[derive(Debug)]
pub(crate) enum Clients {
    /// `["*"]`.
    Everybody,
    /// Any of these.
    AnyOf(Vec<Arc<Client>>),
}

/// What a program's hash counts as while it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownHash {
    /// An absent fact never matches: for decisions.
    Differs,
    /// Seeing a name never waits for a hash: for visibility alone.
    Matches,
}

impl Client {
    /// Reads `[clients.NAME]`.
    pub(crate) fn read(field: Field<'_>) -> Result<Self, Fault> {
        let name = field.key_as_name()?;
        let table = field.table()?;
        table.allow_only(KEYS, LATER)?;
        let user = |item: Field<'_>| item.id().map(UserId);
        let group = |item: Field<'_>| item.id().map(GroupId);
        let client = Self {
            name: name.into(),
            table: format!("clients.{name}").into(),
            uid: items(&table, "uid", user)?,
            gid: items(&table, "gid", group)?,
            group: items(&table, "group", group)?,
            login_uid: items(&table, "loginuid", user)?,
            programs: items(&table, "exe", read_program)?,
            sha256: items(&table, "sha256", read_digest)?,
            grade: table.field("grade").map(read_grade).transpose()?,
            is_approver: table
                .field("role")
                .map(|role| role.choice(&[("approver", true)]))
                .transpose()?
                .unwrap_or(false),
        };
        if !client.has_fact() {
            return Err(table.fault(format!(
                "client `{name}` would be everybody; give it a fact such as uid = 1000"
            )));
        }
        Ok(client)
    }

    /// The name the policy gives it.
    pub(crate) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// `clients.NAME`.
    pub(crate) const fn table(&self) -> &Arc<str> {
        &self.table
    }

    /// Whether it may answer requests.
    pub(crate) const fn is_approver(&self) -> bool {
        self.is_approver
    }

    /// The least grade it accepts, where nothing stricter is the `default`.
    pub(crate) fn least_grade(&self, default: Grade) -> Grade {
        self.grade.unwrap_or(default)
    }

    /// Whether `caller` shows all its facts. Says nothing of the grade.
    pub(crate) fn is(&self, caller: &Caller, unknown_hash: UnknownHash) -> bool {
        holds(self.uid.as_ref(), |uid| *uid == caller.uid)
            && holds(self.gid.as_ref(), |gid| *gid == caller.gid)
            && holds(self.group.as_ref(), |group| {
                *group == caller.gid || caller.groups.contains(group)
            })
            && holds(self.login_uid.as_ref(), |uid| Some(*uid) == caller.login_uid)
            && holds(self.programs.as_ref(), |glob| {
                let path = caller.executable.as_ref().and_then(|program| program.path.as_ref());
                path.is_some_and(|path| glob.matches_absolute(path))
            })
            && holds(self.sha256.as_ref(), |digest| match caller.program() {
                Some(program) => program == *digest,
                None => unknown_hash == UnknownHash::Matches && caller.executable.is_some(),
            })
    }

    /// Whether `caller` shows its facts in a grade it accepts.
    pub(crate) fn accepts(&self, caller: &Caller) -> bool {
        caller.grade >= self.least_grade(Grade::Weak) && self.is(caller, UnknownHash::Differs)
    }

    /// Whether its facts leave room for another user.
    pub(crate) fn admits_another_than(&self, user: UserId) -> bool {
        holds(self.uid.as_ref(), |uid| *uid != user)
    }

    const fn has_fact(&self) -> bool {
        self.uid.is_some()
            || self.gid.is_some()
            || self.group.is_some()
            || self.login_uid.is_some()
            || self.programs.is_some()
            || self.sha256.is_some()
    }
}

impl Clients {
    /// Whether `caller` is one of them in at least the grade that it, or else `least`, demands.
    pub(crate) fn admit(&self, caller: &Caller, least: Grade, unknown_hash: UnknownHash) -> bool {
        match self {
            Self::Everybody => caller.grade >= least,
            Self::AnyOf(clients) => clients.iter().any(|client| {
                caller.grade >= client.least_grade(least) && client.is(caller, unknown_hash)
            }),
        }
    }

    /// Whether `caller` is one of them, in whatever grade.
    pub(crate) fn include(&self, caller: &Caller, unknown_hash: UnknownHash) -> bool {
        match self {
            Self::Everybody => true,
            Self::AnyOf(clients) => clients.iter().any(|client| client.is(caller, unknown_hash)),
        }
    }
}

fn holds<T>(wanted: Option<&Vec<T>>, is_shown: impl Fn(&T) -> bool) -> bool {
    wanted.is_none_or(|items| items.iter().any(is_shown))
}

fn items<'text, T>(
    table: &Table<'text>,
    key: &str,
    read: impl Fn(Field<'text>) -> Result<T, Fault>,
) -> Result<Option<Vec<T>>, Fault> {
    let Some(field) = table.field(key) else {
        return Ok(None);
    };
    field.one_or_more()?.into_iter().map(read).collect::<Result<_, _>>().map(Some)
}

fn read_program(field: Field<'_>) -> Result<Glob, Fault> {
    Glob::parse_absolute(field.text()?).map_err(|message| field.fault(message))
}

fn read_digest(field: Field<'_>) -> Result<Digest, Fault> {
    Digest::from_hex(field.text()?).ok_or_else(|| {
        field.fault("`sha256` must be 64 lower-case hex digits, as sha256sum prints them")
    })
}

fn read_grade(field: Field<'_>) -> Result<Grade, Fault> {
    let grade = |grade: Grade| (grade.name(), grade);
    field.choice(&[grade(Grade::Verified), grade(Grade::Weak), grade(Grade::Untrusted)])
}
