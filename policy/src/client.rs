//! A client: a named set of facts that a caller must show.

mod fact;

pub(crate) use fact::Fact;

use crate::glob::Glob;
use crate::index::{Alternative, Demand, Handle, Key, Kind};
use crate::rule_text::{Fault, Field, Table};
use crate::{AgentName, Caller, Digest, Grade, GroupId, Parent, Script, UserId};
use std::sync::Arc;

/// The keys of a client's table.
const KEYS: &[&str] = &[
    "uid",
    "gid",
    "group",
    "loginuid",
    "exe",
    "sha256",
    "script",
    "ancestor",
    "cgroup",
    "unit",
    "container",
    "session",
    "tty",
    "grade",
    "role",
];
/// Those that are known of a process from which a caller descends.
const KEYS_OF_ANCESTORS: &[&str] = &["uid", "gid", "exe", "sha256", "grade", "role"];
/// Facts of the design that the daemon does not collect yet.
const LATER: &[&str] = &["agent", "roles", "groups", "delegation"];

/// Facts, of which all that are given must hold. Lists mean any of their items.
#[derive(Debug)]
pub(crate) struct Client {
    name: Arc<str>,
    /// `clients.NAME`: what a grant names that rests on the client's role.
    table: Arc<str>,
    /// The facts that are given below.
    facts: Box<[&'static Fact]>,
    uid: Option<Vec<UserId>>,
    gid: Option<Vec<GroupId>>,
    group: Option<Vec<GroupId>>,
    login_uid: Option<Vec<UserId>>,
    programs: Option<Vec<Glob>>,
    sha256: Option<Vec<Digest>>,
    scripts: Option<Vec<ScriptFacts>>,
    ancestor: Option<Ancestor>,
    cgroups: Option<Vec<Glob>>,
    units: Option<Vec<Glob>>,
    containers: Option<Vec<Glob>>,
    sessions: Option<Vec<Glob>>,
    terminals: Option<Terminals>,
    grade: Option<Grade>,
    is_approver: bool,
}

/// What a script must be.
#[derive(Debug)]
struct ScriptFacts {
    path: Option<Glob>,
    sha256: Option<Digest>,
}

/// From which client a caller must descend.
#[derive(Debug)]
struct Ancestor {
    client: Arc<Client>,
    kinship: Kinship,
}

/// How far above a caller an ancestor may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinship {
    /// It is the parent.
    Direct,
    /// It is the parent, or one before it.
    Tree,
}

/// Which controlling terminal a caller must have.
#[derive(Debug)]
enum Terminals {
    /// Any, or none.
    Any(bool),
    /// One of these.
    Of(Vec<Glob>),
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
    /// Reads `[clients]`.
    pub(crate) fn read_all(table: Option<Table<'_>>) -> Result<Vec<Arc<Self>>, Fault> {
        let fields = table.map(|table| table.fields()).unwrap_or_default();
        let mut clients: Vec<Arc<Self>> = Vec::new();
        // An ancestor has none itself, so those without one are all there is to choose from.
        let has_ancestor =
            |field: &Field<'_>| field.table().is_ok_and(|it| it.field("ancestor").is_some());
        let (later, first): (Vec<_>, Vec<_>) = fields.into_iter().partition(has_ancestor);
        for field in first.into_iter().chain(later) {
            clients.push(Arc::new(Self::read(field, &clients)?));
        }
        Ok(clients)
    }

    fn read(field: Field<'_>, known: &[Arc<Self>]) -> Result<Self, Fault> {
        let name = field.key_as_name()?;
        let table = field.table()?;
        table.allow_only(KEYS, LATER)?;
        let user = |item: Field<'_>| item.id().map(UserId);
        let group = |item: Field<'_>| item.id().map(GroupId);
        let mut client = Self {
            name: name.into(),
            table: format!("clients.{name}").into(),
            facts: Box::default(),
            uid: items(&table, "uid", user)?,
            gid: items(&table, "gid", group)?,
            group: items(&table, "group", group)?,
            login_uid: items(&table, "loginuid", user)?,
            programs: items(&table, "exe", read_program)?,
            sha256: items(&table, "sha256", read_digest)?,
            scripts: items(&table, "script", read_script)?,
            ancestor: table.field("ancestor").map(|it| read_ancestor(it, known)).transpose()?,
            cgroups: items(&table, "cgroup", read_program)?,
            units: items(&table, "unit", read_word)?,
            containers: items(&table, "container", read_word)?,
            sessions: items(&table, "session", read_agent)?,
            terminals: table.field("tty").map(read_terminals).transpose()?,
            grade: table.field("grade").map(read_grade).transpose()?,
            is_approver: table
                .field("role")
                .map(|role| role.choice(&[("approver", true)]))
                .transpose()?
                .unwrap_or(false),
        };
        client.facts = Fact::given(&client);
        if client.facts.is_empty() {
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

    /// Whether it is of a `ward run` session.
    pub(crate) const fn is_of_a_session(&self) -> bool {
        self.sessions.is_some()
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
        self.facts.iter().all(|fact| fact.is_shown(self, caller, unknown_hash))
    }

    /// The facts that `caller` does not show.
    pub(crate) fn unmet(&self, caller: &Caller) -> impl Iterator<Item = &'static Fact> {
        let facts = self.facts.iter().copied();
        facts.filter(|fact| !fact.is_shown(self, caller, UnknownHash::Differs))
    }

    /// The facts that it asks for and that no entry of the log keeps.
    pub(crate) fn unrecorded(&self) -> impl Iterator<Item = &'static str> {
        self.facts.iter().filter(|fact| !fact.is_recorded()).map(|fact| fact.name)
    }

    /// By what a caller that shows its facts is found.
    fn handles(&self) -> Alternative {
        let users = |kind, users: &Vec<UserId>| -> Handle {
            users.iter().map(|user| Key::number(kind, user.0)).collect()
        };
        let groups = |groups: &Vec<GroupId>| -> Handle {
            groups.iter().map(|group| Key::number(Kind::Group, group.0)).collect()
        };
        // Agents and programs can be found by their names when no pattern is among them.
        let agents = |globs: &Vec<Glob>| -> Option<Handle> {
            globs.iter().map(|glob| Some(Key::bytes(Kind::Agent, glob.word()?))).collect()
        };
        let programs = |globs: &Vec<Glob>| -> Option<Handle> {
            let key = |glob: &Glob| Some(Key::bytes(Kind::Program, &glob.literal()?));
            globs.iter().map(key).collect()
        };
        let handles = [
            self.uid.as_ref().map(|uid| users(Kind::User, uid)),
            self.login_uid.as_ref().map(|uid| users(Kind::Login, uid)),
            self.gid.as_ref().map(groups),
            self.sessions.as_ref().and_then(agents),
            self.programs.as_ref().and_then(programs),
        ];
        handles.into_iter().flatten().collect()
    }

    /// Whether an ancestor shows its facts in a grade it accepts.
    fn is_parent(&self, parent: &Parent) -> bool {
        let program = parent.executable.as_deref();
        Grade::of(&parent.doubts) >= self.least_grade(Grade::Weak)
            && holds(self.uid.as_ref(), |uid| Some(*uid) == parent.uid)
            && holds(self.gid.as_ref(), |gid| Some(*gid) == parent.gid)
            && holds(self.programs.as_ref(), |glob| {
                let path = program.and_then(|program| program.path.as_ref());
                path.is_some_and(|path| glob.matches_absolute(path))
            })
            && holds(self.sha256.as_ref(), |digest| {
                program.and_then(|program| program.sha256) == Some(*digest)
            })
    }

    /// Whether it asks from whom a caller descends.
    pub(crate) const fn has_ancestor(&self) -> bool {
        self.ancestor.is_some()
    }

    /// Whether `caller` shows its facts in a grade it accepts, and acts as no other client.
    pub(crate) fn accepts(&self, caller: &Caller) -> bool {
        caller.speaks_as(&self.name)
            && caller.grade() >= self.least_grade(Grade::Weak)
            && self.is(caller, UnknownHash::Differs)
    }

    /// Whether the user and the groups of `caller` are among its facts, whatever the others are.
    pub(crate) fn admits_user_of(&self, caller: &Caller) -> bool {
        holds(self.uid.as_ref(), |uid| *uid == caller.uid)
            && holds(self.gid.as_ref(), |gid| *gid == caller.gid)
            && holds(self.group.as_ref(), |group| {
                *group == caller.gid || caller.groups.contains(group)
            })
    }

    /// Whether its facts leave room for another user.
    pub(crate) fn admits_another_than(&self, user: UserId) -> bool {
        holds(self.uid.as_ref(), |uid| *uid != user)
    }

    fn has_more_than_ancestors_show(&self) -> bool {
        self.facts.iter().any(|fact| !fact.is_known_of_ancestors() && fact.name != "ancestor")
    }
}

impl ScriptFacts {
    fn is(&self, script: Option<&Script>) -> bool {
        let Some(script) = script else {
            return false;
        };
        self.path.as_ref().is_none_or(|glob| glob.matches_absolute(&script.path))
            && self.sha256.is_none_or(|digest| digest == script.sha256)
    }
}

impl Ancestor {
    fn is_of(&self, parents: &[Parent]) -> bool {
        let reach = match self.kinship {
            Kinship::Direct => 1,
            Kinship::Tree => parents.len(),
        };
        parents.iter().take(reach).any(|parent| self.client.is_parent(parent))
    }
}

impl Clients {
    /// By what one of them is found; `None` when it may be anybody.
    pub(crate) fn demand(&self) -> Option<Demand> {
        match self {
            Self::Everybody => None,
            Self::AnyOf(clients) => Some(clients.iter().map(|client| client.handles()).collect()),
        }
    }

    /// Whether `caller` is one of them in at least the grade that it, or else `least`, demands, and acts as
    /// no other.
    pub(crate) fn admit(&self, caller: &Caller, least: Grade, unknown_hash: UnknownHash) -> bool {
        match self {
            Self::Everybody => caller.grade() >= least,
            Self::AnyOf(clients) => clients.iter().any(|client| {
                caller.speaks_as(client.name())
                    && caller.grade() >= client.least_grade(least)
                    && client.is(caller, unknown_hash)
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

fn read_word(field: Field<'_>) -> Result<Glob, Fault> {
    Glob::parse(field.text()?).map_err(|message| field.fault(message))
}

fn is_word(glob: &Glob, word: Option<&str>) -> bool {
    word.is_some_and(|word| glob.matches(word.as_bytes()))
}

/// A path, or `{ path = "/p", sha256 = "digits" }`.
fn read_script(field: Field<'_>) -> Result<ScriptFacts, Fault> {
    if field.text().is_ok() {
        return Ok(ScriptFacts { path: Some(read_program(field)?), sha256: None });
    }
    let table = field.table().map_err(|_| {
        field.fault("`script` must be a path, or { path = \"/path\", sha256 = \"64 hex digits\" }")
    })?;
    table.allow_only(&["path", "sha256"], &[])?;
    let path = table.field("path").map(read_program).transpose()?;
    let sha256 = table.field("sha256").map(read_digest).transpose()?;
    if path.is_none() && sha256.is_none() {
        return Err(table.fault("this would be any script; give `path`, `sha256`, or both"));
    }
    Ok(ScriptFacts { path, sha256 })
}

/// `{ client = "NAME", match = "direct" }`.
fn read_ancestor(field: Field<'_>, known: &[Arc<Client>]) -> Result<Ancestor, Fault> {
    let table = field.table()?;
    table.allow_only(&["client", "match"], &[])?;
    let named = table.required("client", "client = \"NAME\"")?;
    let name = named.text()?;
    let found = known.iter().find(|client| **client.name() == *name);
    let client = found.filter(|client| !client.has_ancestor()).ok_or_else(|| {
        named.fault(format!(
            "no client without an `ancestor` of its own is named {name:?}; define [clients.{name}]"
        ))
    })?;
    if client.has_more_than_ancestors_show() {
        let keys = KEYS_OF_ANCESTORS.join(", ");
        return Err(named.fault(format!(
            "of an ancestor only {keys} are known; leave the other facts out of [clients.{name}]"
        )));
    }
    let kinship = table.field("match").map_or(Ok(Kinship::Direct), |kinship| {
        kinship.choice(&[("direct", Kinship::Direct), ("tree", Kinship::Tree)])
    })?;
    Ok(Ancestor { client: Arc::clone(client), kinship })
}

/// `true`, `false`, or names such as `pts/*`.
fn read_terminals(field: Field<'_>) -> Result<Terminals, Fault> {
    match field.flag() {
        Ok(flag) => Ok(Terminals::Any(flag)),
        Err(_) => field
            .one_or_more()?
            .into_iter()
            .map(read_word)
            .collect::<Result<_, _>>()
            .map(Terminals::Of),
    }
}

fn read_digest(field: Field<'_>) -> Result<Digest, Fault> {
    Digest::from_hex(field.text()?).ok_or_else(|| {
        field.fault("`sha256` must be 64 lower-case hex digits, as sha256sum prints them")
    })
}

/// The name of an agent, or a pattern of such names.
fn read_agent(field: Field<'_>) -> Result<Glob, Fault> {
    let text = field.text()?;
    if !text.contains(['*', '?']) {
        AgentName::try_from(text).map_err(|error| field.fault(error.to_string()))?;
    }
    read_word(field)
}

pub(crate) fn read_grade(field: Field<'_>) -> Result<Grade, Fault> {
    let grade = |grade: Grade| (grade.name(), grade);
    field.choice(&[grade(Grade::Verified), grade(Grade::Weak), grade(Grade::Untrusted)])
}
