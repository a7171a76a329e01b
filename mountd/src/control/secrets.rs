//! Commands about secrets: set, get, list, revoke.

use super::failure::{bad_input, bad_name, failure, no_such_secret, of_reach, of_read, of_store};
use super::generated::generate;
use super::message::{
    Done, Failure, FailureCode, GoesTo, LONGEST_VALUE, Lifetime, Maker, Name, Names, Secret,
    SecretText, Stored, Value,
};
use super::requests::{names, vault_name};
use super::session::{About, Control};
use crate::clock;
use crate::handle_table::HandleId;
use crate::maker;
use crate::pipe::{Admitted, PipeError};
use crate::pipeline::{Content, Fills, OpenError, OpenRequest, Opening, Patience, ReadRequest};
use crate::place::{Access, Place};
use crate::source::Looks;
use crate::term::Term;
use crate::vault_table::OpenVault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;
use ward_audit::{EventType, Record};
use ward_policy::{
    Decision, FileId, Operation, OperationSet, Question, SecretName, SecretPath, VaultName,
};
use ward_store::{ChangeError, Existing, Imprint, NodeKind, VaultKind, WallTime};
use zeroize::Zeroizing;

/// How long one command may hold a secret open.
const PATIENCE: Duration = Duration::from_secs(60);
/// The latest end, in nanoseconds since 1970: 2200-01-01.
const LATEST: i64 = 7_258_118_400_000_000_000;
/// How much is read of a secret at a time.
const PIECE: usize = 64 << 10;

impl Control<'_> {
    /// Stores a value; in the place of another one only when that is said.
    pub(super) fn set(
        &self,
        (vault, path): (&str, &str),
        value: &Value,
        (ttl, existing): (Option<Lifetime>, Existing),
    ) -> Result<Stored, Failure> {
        let (vault, path) = names(vault, path)?;
        self.is_no_entry(&vault, &path)?;
        let open = self.reach_secrets(&vault)?;
        let file = open.vault.find(&path);
        let about = About { vault: Some(&vault), path: Some(&path), file, ..About::default() };
        let (value, bits) = bytes_of(value)?;
        let expires = self.end_of(ttl)?;
        let grant = self.decided(Operation::SecretSet, about)?;
        self.refuse_taken(&open, &path, existing)?;
        self.record(Record::new(EventType::SecretSet).by(&self.caller).granted(&grant))?;
        let stored = (|| {
            let file = make_file(&open, &path)?;
            let writing = maker::writing(&self.caller, (clock::file_time(), expires), existing);
            open.vault.write_version(file, &value, writing)?;
            open.vault.sync()?;
            Ok(open.vault.versions(file).len())
        })();
        // Somebody else was first.
        let is_taken = |error: &ChangeError| matches!(error, ChangeError::Exists);
        let versions = stored
            .map_err(|error| if is_taken(&error) { taken(&path) } else { of_store(&error) })?;
        Ok(Stored {
            vault: vault.to_string(),
            path: path.to_string(),
            versions: u64::try_from(versions).unwrap_or(u64::MAX),
            expires: expires.map(|end| clock::text(clock::wall_of(end))),
            bits,
        })
    }

    /// When what is stored now ends.
    fn end_of(&self, ttl: Option<Lifetime>) -> Result<Option<WallTime>, Failure> {
        match ttl {
            None => Ok(self.daemon.pipeline.calendar.usual_end()),
            Some(Lifetime::Never) => Ok(None),
            Some(Lifetime::Seconds(seconds)) => {
                let nanoseconds = i64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
                let end = nanoseconds.and_then(|seconds| {
                    let lasts = seconds.checked_mul(1_000_000_000)?;
                    self.daemon.pipeline.calendar.now().nanoseconds().checked_add(lasts)
                });
                let end = end.filter(|end| *end <= LATEST);
                end.map(|end| Some(WallTime::from_nanoseconds(end))).ok_or_else(|| {
                    bad_input(
                        "a secret lasts a second at least, and ends before 2200",
                        "name another end, or never",
                    )
                })
            }
        }
    }

    /// Refuses a name that has a value, unless it is to be replaced, and one that is a folder, or below
    /// a secret.
    fn refuse_taken(
        &self,
        open: &OpenVault,
        path: &SecretPath,
        existing: Existing,
    ) -> Result<(), Failure> {
        let conflict = |message: String, next: &str| failure(FailureCode::Conflict, message, next);
        let vault = &open.vault;
        let kind = |file: FileId| vault.attributes(file).map(|it| it.kind);
        let mut folder = vault.root();
        let mut above: Vec<&[u8]> = Vec::new();
        for part in path.parts() {
            let name = SecretName::try_from(part).map_err(|error| bad_name(error, "mend it"))?;
            if kind(folder) == Some(NodeKind::File) {
                let above = String::from_utf8_lossy(&above.join(&b'/')).into_owned();
                let message = format!("{above} is a secret, so nothing can lie below it");
                return Err(conflict(message, "choose another name"));
            }
            above.push(part);
            let Some(found) = vault.lookup(folder, &name) else { return Ok(()) };
            folder = found;
        }
        if kind(folder) == Some(NodeKind::Directory) {
            let message = format!("{path} is a folder: there are secrets below it");
            return Err(conflict(message, "choose another name"));
        }
        // A file into which nothing was ever written has no value to lose.
        match vault.current_version(folder) {
            Some(_) if existing == Existing::Keep => Err(taken(path)),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads a secret by the way of a read, as any open file is.
    pub(super) fn get(&self, vault: &str, path: &str, to: &GoesTo) -> Result<Secret, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        let path = self.name_or_entry(&open, path);
        let file = self.known_file(&open, &path, Operation::FileRead)?;
        let settings = self.daemon.settings();
        let about = About { vault: Some(&vault), path: Some(&path), ..About::default() };
        let admitted = Admitted::of(to, &settings.pipe);
        let admitted = admitted.map_err(|error| self.refuse_use(about, to, &error))?;
        let latest = clock::now().after(PATIENCE);
        let place = Place::new(open, Access::ReadOnly, None, Term::until(latest));
        let place = Arc::new(place.used_by(admitted.program));
        let request = OpenRequest {
            file,
            asker: self.asker,
            operations: OperationSet::of(Operation::FileRead),
            content: Content::Keep,
            patience: Patience::None,
            handed: None,
        };
        let pipeline = &self.daemon.pipeline;
        let opened = pipeline.open_under(self.caller.acting.as_ref(), &place, request);
        let opened = opened.and_then(|opening| match opening {
            Opening::Fetched(fetched) => fetched.wait().map(Opening::Admitted),
            decided @ (Opening::Admitted(_) | Opening::Held(_)) => Ok(decided),
        });
        let opened = opened.map_err(|error| {
            if let OpenError::NeedsApproval(id) = error {
                return self.waits_for_approval(id, None);
            }
            let (vault, path) = (Some(&vault), Some(&path));
            self.refused(&error, &Question { vault, path, ..Question::default() })
        });
        match opened? {
            Opening::Admitted(handle) => {
                let value = self.read_all(handle);
                // Nothing was written through it.
                let _nothing_to_settle = pipeline.release(handle);
                let value = value?;
                let carried = admitted.may_carry(&value);
                carried.map_err(|error| self.refuse_use(about, to, &error))?;
                Ok(Secret { value: SecretText(STANDARD.encode(&value)) })
            }
            Opening::Held(_) | Opening::Fetched(_) => Err(no_such_secret()),
        }
    }

    /// Whether a secret may go somewhere, without reading it.
    pub(super) fn pipe_check(&self, vault: &str, path: &str, to: &GoesTo) -> Result<Done, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        self.known_file(&open, &path, Operation::FileRead)?;
        let about = About { vault: Some(&vault), path: Some(&path), ..About::default() };
        let settings = self.daemon.settings();
        let admitted = Admitted::of(to, &settings.pipe);
        admitted.map(|_| Done {}).map_err(|error| self.refuse_use(about, to, &error))
    }

    /// Records that bytes did not go where they should, and says why.
    fn refuse_use(&self, about: About<'_>, to: &GoesTo, error: &PipeError) -> Failure {
        let program = match to {
            GoesTo::Command(pipe) => Some(pipe.program.as_str()),
            GoesTo::Asker | GoesTo::Output => None,
        };
        let question = about.question(Operation::FileRead);
        let pipeline = &self.daemon.pipeline;
        match pipeline.record_refused_use(&self.caller, &question, (program, error)) {
            Ok(id) => Failure { request: Some(id.to_string()), ..bad_input(error, error.next()) },
            Err(error) => super::failure::of_open(&error),
        }
    }

    fn read_all(&self, handle: HandleId) -> Result<Zeroizing<Vec<u8>>, Failure> {
        // As large as it can get at once, so that growing leaves no copy behind.
        let mut whole = Zeroizing::new(Vec::with_capacity(LONGEST_VALUE + PIECE));
        loop {
            let offset = u64::try_from(whole.len()).unwrap_or(u64::MAX);
            let request = ReadRequest {
                handle,
                asker: self.asker,
                offset,
                length: PIECE,
                fills: Fills::Buffer,
            };
            let piece = self.daemon.pipeline.read(&request).map_err(|error| of_read(&error))?;
            if piece.is_empty() {
                return Ok(whole);
            }
            whole.extend_from_slice(&piece);
            if whole.len() > LONGEST_VALUE {
                let message = format!("the secret is over {LONGEST_VALUE} bytes long");
                return Err(bad_input(message, "mount the vault and read the file"));
            }
        }
    }

    /// The names the caller may see, with sizes of what it may read now.
    pub(super) fn list(&self, vault: &str) -> Result<Names, Failure> {
        let vault = vault_name(vault)?;
        let open = self.reach_secrets(&vault)?;
        self.daemon.pipeline.sources.refresh(&open, None, Looks::Command);
        let mut names = Vec::new();
        self.collect(&open, open.vault.root(), &mut names);
        names.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Names { names })
    }

    fn collect(&self, open: &OpenVault, folder: FileId, names: &mut Vec<Name>) {
        for entry in open.vault.entries(folder) {
            match entry.kind {
                NodeKind::Directory => self.collect(open, entry.file, names),
                NodeKind::File => names.extend(self.name(open, entry.file)),
            }
        }
    }

    fn name(&self, open: &OpenVault, file: FileId) -> Option<Name> {
        let pipeline = &self.daemon.pipeline;
        let path = open.vault.path_of(file)?;
        let attributes = open.vault.attributes(file)?;
        if !pipeline.is_visible(&self.caller, (&open.name, &path), Some(file)) {
            return None;
        }
        let question = ward_policy::Question {
            operations: OperationSet::of(Operation::FileRead),
            vault: Some(&open.name),
            path: Some(&path),
            file: Some(file),
            ..ward_policy::Question::default()
        };
        let may_read = match pipeline.decide_reading(&self.caller, VaultKind::Secrets, &question) {
            Decision::Permitted(permit) => {
                let _looked_at_only = permit;
                true
            }
            Decision::NeedsApproval(asked) => pipeline.leases.has(&asked, &self.caller),
            Decision::Denied(_) => false,
        };
        let text = |time| clock::text(clock::wall_of(time));
        let version = open.vault.current_version(file);
        let imprint = version.and_then(|version| open.vault.imprint(file, version));
        let expires = imprint.as_ref().and_then(|imprint| imprint.expires);
        let versions = u64::try_from(attributes.versions).ok();
        Some(Name {
            path: path.to_string(),
            bytes: may_read.then_some(attributes.size),
            modified: text(attributes.modified),
            expires: expires.map(text),
            is_expired: pipeline.calendar.is_over(expires),
            versions: versions.filter(|_| may_read),
            made_by: imprint.filter(|_| may_read).map(maker_of),
            is_elsewhere: version.is_none() && pipeline.is_of_a_source(&open.name, &path),
        })
    }

    /// Whether nobody is given the secret any more.
    pub(super) fn is_expired(&self, open: &OpenVault, file: FileId) -> bool {
        self.daemon.pipeline.calendar.is_over(open.end_of(file))
    }

    /// Withdraws every lease and grant on a secret, then destroys every version of it.
    pub(super) fn revoke(&self, vault: &str, path: &str) -> Result<Done, Failure> {
        let (vault, path) = names(vault, path)?;
        let open = self.reach_secrets(&vault)?;
        let file = self.known_file(&open, &path, Operation::SecretRevoke)?;
        if open.vault.current_version(file).is_none() {
            self.is_no_entry(&vault, &path)?;
        }
        let about =
            About { vault: Some(&vault), path: Some(&path), file: Some(file), ..About::default() };
        self.permit(Operation::SecretRevoke, EventType::SecretRevoked, about)?;
        self.daemon.pipeline.leases.withdraw_file(&vault, file);
        self.daemon.pipeline.end_grants_of(&vault, file, "the secret was revoked");
        open.vault.shred(file, clock::file_time()).map_err(|error| of_store(&error))?;
        self.daemon.pipeline.reads.revoked(&vault, &path);
        Ok(Done {})
    }

    /// An unlocked vault, by its key file if need be.
    pub(super) fn reach(&self, vault: &VaultName) -> Result<Arc<OpenVault>, Failure> {
        self.daemon.vaults.reach(vault).map_err(|error| of_reach(&error))
    }

    /// The same, of kind `secrets`: the files of a workspace are had through its mount.
    pub(super) fn reach_secrets(&self, vault: &VaultName) -> Result<Arc<OpenVault>, Failure> {
        let open = self.reach(vault)?;
        match open.vault.kind() {
            VaultKind::Secrets => Ok(open),
            VaultKind::Workspace => {
                let message = format!("the vault {vault} is a workspace");
                let next = format!("mount it and use its files: ward vault mount {vault}");
                Err(failure(FailureCode::Unsupported, message, &next))
            }
        }
    }

    /// The name, or where a source shows it when the vault itself has no such file.
    pub(super) fn name_or_entry(&self, open: &OpenVault, path: SecretPath) -> SecretPath {
        let sources = &self.daemon.pipeline.sources;
        let is_there = self.visible_file(open, &path).is_ok();
        let instead = sources.instead(&open.name, &path).filter(|_| !is_there);
        let meant = instead.unwrap_or(path);
        sources.refresh(open, Some(&meant), Looks::Command);
        meant
    }

    /// Refuses to change what a source shows.
    pub(super) fn is_no_entry(&self, vault: &VaultName, path: &SecretPath) -> Result<(), Failure> {
        if !self.daemon.pipeline.is_of_a_source(vault, path) {
            return Ok(());
        }
        let message = format!("{path} belongs to a password store");
        Err(failure(FailureCode::Conflict, message, "change it there: pass insert, pass rm"))
    }

    pub(super) fn visible_file(
        &self,
        open: &OpenVault,
        path: &SecretPath,
    ) -> Result<FileId, Failure> {
        let file = open.vault.find(path).filter(|file| {
            let attributes = open.vault.attributes(*file);
            let name = (&open.name, path);
            attributes.is_some_and(|attributes| attributes.kind == NodeKind::File)
                && self.daemon.pipeline.is_visible(&self.caller, name, Some(*file))
        });
        file.ok_or_else(no_such_secret)
    }

    /// The same, of which something is to be done.
    pub(super) fn known_file(
        &self,
        open: &OpenVault,
        path: &SecretPath,
        operation: Operation,
    ) -> Result<FileId, Failure> {
        self.visible_file(open, path).map_err(|_| self.absent(open, path, operation))
    }

    /// What is told of a name that is not there. Who may not do it finds that, too, there or not, and
    /// is recorded.
    pub(super) fn absent(
        &self,
        open: &OpenVault,
        path: &SecretPath,
        operation: Operation,
    ) -> Failure {
        let about = About { vault: Some(&open.name), path: Some(path), ..About::default() };
        let _told_alike = self.may_ask(operation, about);
        no_such_secret()
    }
}

/// There is a value under the name.
fn taken(path: &SecretPath) -> Failure {
    let next = "to replace its value, and keep this one as an older version, add --replace";
    failure(FailureCode::Conflict, format!("{path} is there already"), next)
}

/// Who wrote a version, for the protocol.
pub(super) fn maker_of(imprint: Imprint) -> Maker {
    let ward_store::Maker { uid, agent, program } = imprint.maker;
    let program = program.map(|path| String::from_utf8_lossy(&path).into_owned());
    Maker { uid, agent: agent.map(Into::into), program }
}

/// The file at `path`, made with the folders above it where they are missing. Others may be making them
/// at the same time.
fn make_file(open: &OpenVault, path: &SecretPath) -> Result<FileId, ChangeError> {
    let vault = &open.vault;
    let mut found = vault.root();
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        let name = SecretName::try_from(part).map_err(ChangeError::Name)?;
        let folder = found;
        let made = match (vault.lookup(folder, &name), parts.peek()) {
            (Some(found), _) => Ok(found),
            (None, Some(_)) => vault.make_directory(folder, &name, clock::file_time()),
            (None, None) => vault.create_file(folder, &name, clock::file_time()),
        };
        found = match made {
            Err(ChangeError::Exists) => vault.lookup(folder, &name).ok_or(ChangeError::NotFound)?,
            made => made?,
        };
    }
    Ok(found)
}

/// The bytes to store, and how much chance is in them when they are made here.
fn bytes_of(value: &Value) -> Result<(Zeroizing<Vec<u8>>, Option<u32>), Failure> {
    match value {
        Value::Generate { length, charset } => {
            generate(*length, *charset).map(|(value, bits)| (value, Some(bits)))
        }
        Value::Bytes(text) => {
            let next = "send the value in base64 (RFC 4648, padded)";
            let mut bytes = Zeroizing::new(vec![0; text.0.len()]);
            let decoded = STANDARD.decode_slice(text.0.as_bytes(), &mut bytes);
            let length = decoded.map_err(|_| bad_input("the value is no base64", next))?;
            bytes.truncate(length);
            if length > LONGEST_VALUE {
                let message = format!("the value is over {LONGEST_VALUE} bytes long");
                return Err(bad_input(message, "mount the vault and write the file"));
            }
            Ok((bytes, None))
        }
    }
}
