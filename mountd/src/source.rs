//! Sources: what a human keeps elsewhere is shown as files of a vault, and had from there by a helper
//! when one is opened.
//!
//! The names lie in the vault as files without a version, so that whatever counts for a file counts
//! for them: ids, policy, leases, requests, log. Their content is never in the vault.

mod revealed;
mod settings;
mod shown;

pub(crate) use revealed::RevealedEntry;
pub(crate) use settings::SourcesSettings;

use crate::clock;
use crate::helper::{Told, Wish};
use crate::monitor::Monitor;
use crate::monitor::message::{receive, send};
use crate::place::Place;
use crate::vault_table::OpenVault;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::pipe2;
use revealed::{Gathered, Room};
use settings::PASS;
use shown::show;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_policy::{FileId, Moment, SecretPath, UserId, VaultName};
use ward_store::{NodeKind, VaultKind};

/// For how long a list of names is believed by who looks around in a mount.
const FRESH: Duration = Duration::from_secs(1);
/// For how long a store is not asked again, in a mount, that was too slow.
const LEFT_ALONE: Duration = Duration::from_secs(10);
/// How long a command waits for a list.
const OF_A_COMMAND: Duration = Duration::from_secs(5);
/// How long a look into a folder of a mount does.
const OF_A_LOOK: Duration = Duration::from_millis(500);
/// How much longer than the helper the core waits for an entry.
const LONGER: Duration = Duration::from_secs(3);
/// The longest list and the longest entry, in bytes.
const LONGEST_LIST: usize = 4 << 20;
const LONGEST_ENTRY: usize = 1 << 20;
/// How many entries are decrypted for one user at a time: each may wait for a human.
const MOST_OF_ONE_USER: usize = 4;

/// The sources of a root. One for the daemon.
#[derive(Debug)]
pub(crate) struct Sources(Option<Source>);

/// A password store of `pass`.
#[derive(Debug)]
struct Source {
    vault: VaultName,
    at: SecretPath,
    patience: Duration,
    monitor: Arc<Monitor>,
    /// When names were last asked for, and when they may be again by who only looks. Held while they
    /// are asked for and shown, by one at a time.
    listed: Mutex<Listed>,
    /// What came of it. A leaf.
    finding: Mutex<Finding>,
    /// How many entries are being decrypted for whom. A leaf.
    at_work: Mutex<BTreeMap<UserId, usize>>,
    room: Arc<Room>,
}

#[derive(Debug, Default)]
struct Listed {
    until: Option<Moment>,
}

/// What is known of a source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finding {
    pub(crate) entries: usize,
    /// Names that cannot be secrets, or are taken, and links that lead elsewhere.
    pub(crate) left_out: u64,
    /// Why the store was not read when it last should have been.
    pub(crate) trouble: Option<String>,
}

/// A source for `ward status`.
#[derive(Clone, Debug)]
pub(crate) struct SourceView {
    pub(crate) name: &'static str,
    pub(crate) vault: VaultName,
    pub(crate) at: SecretPath,
    pub(crate) finding: Finding,
}

/// Why a source does not give what it shows. Names nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// What keeps it says no.
    #[error("the password store does not give it: {0}")]
    Refused(String),
    /// It could not be asked, or had no time left.
    #[error("the password store cannot be asked: {0}")]
    Failed(String),
}

/// Who wants names, and how long it can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// A command, which wants them as they are.
    Command,
    /// An event loop, in which others wait.
    Mount,
}

impl Sources {
    pub(crate) fn new(settings: &SourcesSettings, monitor: &Arc<Monitor>) -> Self {
        let source = |(vault, at), patience| Source {
            vault,
            at,
            patience,
            monitor: Arc::clone(monitor),
            listed: Mutex::default(),
            finding: Mutex::default(),
            at_work: Mutex::default(),
            room: Arc::default(),
        };
        let pass = settings.pass.as_ref();
        Self(pass.and_then(|pass| Some(source(pass.place()?, pass.patience()))))
    }

    /// Whether a name belongs to a source, which alone changes it.
    pub(crate) fn holds(&self, vault: &VaultName, path: &SecretPath) -> bool {
        let is_it = |source: &Source| source.vault == *vault && path.is_within(&source.at);
        self.0.as_ref().is_some_and(is_it)
    }

    /// Where a name is looked for that its vault does not have.
    pub(crate) fn instead(&self, vault: &VaultName, path: &SecretPath) -> Option<SecretPath> {
        let source = self.0.as_ref().filter(|source| source.vault == *vault)?;
        let below = [source.at.as_bytes(), b"/", path.as_bytes()].concat();
        SecretPath::try_from(below.as_slice()).ok().filter(|_| !path.is_within(&source.at))
    }

    /// Whether a look at `path` of a vault, or into the whole of it, may meet names of a source.
    fn meets(&self, vault: &VaultName, path: Option<&SecretPath>) -> Option<&Source> {
        let source = self.0.as_ref().filter(|source| source.vault == *vault)?;
        let is_near = |path: &SecretPath| path.is_within(&source.at) || source.at.is_within(path);
        Some(source).filter(|_| path.is_none_or(is_near))
    }

    /// Has the vault show the names that a source has now, where a look at `path` may meet them.
    pub(crate) fn refresh(&self, open: &OpenVault, path: Option<&SecretPath>, looks: Looks) {
        if let Some(source) = self.meets(&open.name, path) {
            source.refresh(open, looks);
        }
    }

    /// The entry behind a file that a source shows.
    pub(crate) fn entry(&self, place: &Place, file: FileId) -> Option<Vec<u8>> {
        let source = self.0.as_ref()?;
        let vault = &place.vault.vault;
        if place.kind() != VaultKind::Secrets || place.vault.name != source.vault {
            return None;
        }
        let path = vault.path_of(file).filter(|path| path.is_within(&source.at))?;
        let is_file = vault.attributes(file).is_some_and(|it| it.kind == NodeKind::File);
        // What was a secret of the vault before it is one of nobody else.
        let is_shown = is_file && vault.current_version(file).is_none();
        let entry = path.as_bytes().get(source.at.as_bytes().len() + 1..)?;
        is_shown.then(|| entry.to_vec())
    }

    /// The value of an entry, for a user. Takes as long as `gpg` and its user take.
    pub(crate) fn reveal(&self, entry: &[u8], user: UserId) -> Result<RevealedEntry, SourceError> {
        let gone = || SourceError::Failed("it is configured no more".to_owned());
        let source = self.0.as_ref().ok_or_else(gone)?;
        let _turn = Turn::take(source, user)?;
        let wish = Wish::Reveal(entry.to_vec());
        let (bytes, _) = source.ask(&wish, source.patience + LONGER, LONGEST_ENTRY)?;
        bytes.finish(&source.room)
    }

    /// How long [`Self::reveal`] takes at most.
    pub(crate) fn patience(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |source| source.patience + 2 * LONGER)
    }

    pub(crate) fn views(&self) -> Vec<SourceView> {
        let view = |source: &Source| SourceView {
            name: PASS,
            vault: source.vault.clone(),
            at: source.at.clone(),
            finding: lock(&source.finding).clone(),
        };
        self.0.iter().map(view).collect()
    }
}

impl Source {
    fn refresh(&self, open: &OpenVault, looks: Looks) {
        let (listed, patience) = match looks {
            Looks::Command => (Some(lock(&self.listed)), OF_A_COMMAND),
            Looks::Mount => (self.listed.try_lock().ok(), OF_A_LOOK),
        };
        // Somebody else asks for them already.
        let Some(mut listed) = listed else { return };
        let now = clock::now();
        if looks == Looks::Mount && listed.until.is_some_and(|until| now < until) {
            return;
        }
        let shown = self.names(patience).and_then(|(names, left_out)| {
            let shown = show(open, &self.at, names);
            let shown = shown.map_err(|error| SourceError::Failed(error.to_string()))?;
            Ok((shown.entries, left_out + shown.left_out))
        });
        let rest = if shown.is_ok() { FRESH } else { LEFT_ALONE };
        listed.until = Some(clock::now().after(rest));
        let mut finding = lock(&self.finding);
        match shown {
            Ok((entries, left_out)) => *finding = Finding { entries, left_out, trouble: None },
            Err(error) => finding.trouble = Some(error.to_string()),
        }
    }

    /// The names of the store below `at`, and how many entries have none.
    fn names(&self, patience: Duration) -> Result<(BTreeSet<SecretPath>, u64), SourceError> {
        let (bytes, mut left_out) = self.ask(&Wish::List, patience, LONGEST_LIST)?;
        let mut names = BTreeSet::new();
        for name in bytes.as_slice().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let path = SecretPath::try_from(name).ok();
            let path = path.map(|_| [self.at.as_bytes(), b"/", name].concat());
            match path.and_then(|path| SecretPath::try_from(path.as_slice()).ok()) {
                Some(path) => drop(names.insert(path)),
                None => left_out += 1,
            }
        }
        Ok((names, left_out))
    }

    /// Has a helper answer one wish.
    fn ask(
        &self,
        wish: &Wish,
        patience: Duration,
        longest: usize,
    ) -> Result<(Gathered, u64), SourceError> {
        let failed = |error: &dyn std::fmt::Display| SourceError::Failed(error.to_string());
        let deadline = clock::now().after(patience);
        let socket = self.monitor.start_helper(PASS).map_err(|error| failed(&error))?;
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).map_err(|error| failed(&error))?;
        send(socket.as_fd(), wish, &[theirs.as_fd()]).map_err(|error| failed(&error))?;
        drop(theirs);
        let mut gathered = Gathered::default();
        loop {
            if !is_ready(&ours, deadline) {
                return Err(failed(&"no answer came in time"));
            }
            let read = gathered.read_more(&ours).map_err(|error| failed(&error))?;
            if read == 0 {
                break;
            }
            if gathered.len() > longest {
                return Err(failed(&format!("what it gives is over {} KiB long", longest >> 10)));
            }
        }
        if !is_ready(&socket, deadline) {
            return Err(failed(&"no answer came in time"));
        }
        match receive::<Told>(socket.as_fd()) {
            Ok(Some((Told::Done { left_out }, _))) => Ok((gathered, left_out)),
            Ok(Some((Told::Refused(why), _))) => Err(SourceError::Refused(why)),
            Ok(Some((Told::Failed(why), _))) => Err(SourceError::Failed(why)),
            Ok(None) | Err(_) => Err(failed(&"the helper ended")),
        }
    }
}

/// The turn of one user, of whom only so many entries are decrypted at a time.
struct Turn<'a>(&'a Source, UserId);

impl<'a> Turn<'a> {
    fn take(source: &'a Source, user: UserId) -> Result<Self, SourceError> {
        let mut at_work = lock(&source.at_work);
        let count = at_work.entry(user).or_default();
        if *count >= MOST_OF_ONE_USER {
            let why = format!("{MOST_OF_ONE_USER} entries are being decrypted for this user");
            return Err(SourceError::Failed(why));
        }
        *count += 1;
        Ok(Self(source, user))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut at_work = lock(&self.0.at_work);
        match at_work.get_mut(&self.1) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(at_work.remove(&self.1)),
        }
    }
}

fn is_ready(source: &OwnedFd, deadline: Moment) -> bool {
    let left = deadline.remaining(clock::now());
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let mut sources = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
    poll(&mut sources, left).is_ok_and(|ready| ready == 1)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
