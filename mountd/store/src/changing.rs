//! Changing: directories, files, versions and names. Durable after the next [`Vault::sync`].

use crate::change::{Change, Place, Version};
use crate::extent::VersionId;
use crate::fields::on_disk;
use crate::imprint::Writing;
use crate::index::{Index, Misfit};
use crate::secret_tree::{NodeKind, SecretTree};
use crate::vault::Vault;
use crate::wall_time::WallTime;
use crate::write_error::{ReadOnly, WriteError};
use crate::writer::{Admission, SyncedHead};
use std::io;
use ward_policy::{FileId, NameFault, SecretName};

/// The longest value of a secret, in bytes.
pub(crate) const LONGEST_VALUE: usize = 16 << 20;

/// What becomes of what is there already: of a node that has the new name, of a file's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing: the change is refused.
    Keep,
    /// It gives way, and its history stays with the name.
    Replace,
}

/// Why a change is not made. Nothing is half done.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such file or directory.
    #[error("there is no such file; look at the directory again")]
    NotFound,
    /// The name is taken.
    #[error("the name is taken; choose another, or replace it")]
    Exists,
    /// A part of the path is a file.
    #[error("it is not a directory; name one")]
    NotDirectory,
    /// It is a directory.
    #[error("it is a directory; name a file")]
    IsDirectory,
    /// The directory has entries.
    #[error("the directory is not empty; remove what is in it first")]
    NotEmpty,
    /// A directory cannot move into itself.
    #[error("a directory cannot move into itself; choose another place")]
    IntoItself,
    /// The name or the path is none.
    #[error("the name cannot be: {0}")]
    Name(NameFault),
    /// The value is too long.
    #[error("it has at most {limit} bytes; store less")]
    TooLong {
        /// The most bytes.
        limit: usize,
    },
    /// A file would end beyond what offsets can say.
    #[error("a file cannot be that long; write nearer to its start")]
    TooFar,
    /// The node has as many names as it can have.
    #[error("it has too many names; remove some")]
    TooManyLinks,
    /// It is no file with bytes.
    #[error("it is no regular file; name one")]
    NotFile,
    /// A link points nowhere, or over 4095 bytes far; or something else has a target.
    #[error("a link points to 1 to 4095 bytes; shorten it")]
    Target,
    /// There is no such extended attribute.
    #[error("it has no such extended attribute; list them")]
    NoSuchAttribute,
    /// The name of an extended attribute is empty or too long.
    #[error("the name of an extended attribute has 1 to 255 bytes; shorten it")]
    AttributeName,
    /// The other kind of vault does this.
    #[error("a vault of this kind does not do that; use one of the other kind")]
    WrongKind,
    /// The disk is full.
    #[error("the disk has no room; free some and try again")]
    NoSpace,
    /// The vault takes no changes.
    #[error(transparent)]
    ReadOnly(ReadOnly),
    /// The disk fails.
    #[error("cannot write the vault: {0}; check the disk")]
    Io(#[source] io::Error),
}

impl Vault {
    /// Makes an empty directory.
    ///
    /// # Errors
    /// The name is taken or none, the parent is no directory, the disk is full or fails.
    pub fn make_directory(
        &self,
        parent: FileId,
        name: &SecretName,
        now: WallTime,
    ) -> Result<FileId, ChangeError> {
        self.create_node(NodeKind::Directory, parent, name, now)
    }

    /// Makes a file without content. It goes on with the history of a removed file of its path.
    ///
    /// # Errors
    /// As [`Self::make_directory`].
    pub fn create_file(
        &self,
        parent: FileId,
        name: &SecretName,
        now: WallTime,
    ) -> Result<FileId, ChangeError> {
        self.create_node(NodeKind::File, parent, name, now)
    }

    /// Makes `content` the current version of a file, as a whole.
    ///
    /// # Errors
    /// There is no such file, or it has a version that is to be kept; the content is over 16 MiB, the
    /// disk is full or fails.
    pub fn write_version(
        &self,
        file: FileId,
        content: &[u8],
        writing: impl Into<Writing>,
    ) -> Result<VersionId, ChangeError> {
        if content.len() > LONGEST_VALUE {
            return Err(ChangeError::TooLong { limit: LONGEST_VALUE });
        }
        let id = {
            let mut index = self.write_index();
            let tree = index.secrets_mut().ok_or(ChangeError::WrongKind)?;
            tree.history(file).ok_or(ChangeError::NotFound)?;
            tree.take_version()
        };
        let extent = self.writer.write_content(content)?;
        let version = Version { id, length: on_disk(content.len()), extents: vec![extent] };
        self.write_extents(file, version, writing.into())
    }

    /// Gives a node another name. A file that is replaced leaves its history to the name.
    ///
    /// # Errors
    /// A name is missing, taken or none, kinds differ, the disk is full or fails.
    pub fn rename(
        &self,
        (parent, name): (FileId, &SecretName),
        (new_parent, new_name): (FileId, &SecretName),
        existing: Existing,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        let from = Place { parent, name: name.clone() };
        let to = Place { parent: new_parent, name: new_name.clone() };
        let change = Change::Rename { from, to, time: now };
        let admission = self.writer.admit(&change)?;
        self.make(admission, |tree| {
            let is_taken = tree.lookup(new_parent, new_name).is_some();
            match existing {
                Existing::Keep if is_taken => Err(ChangeError::Exists),
                Existing::Keep | Existing::Replace => Ok(Some(change)),
            }
        })?;
        Ok(())
    }

    /// Takes a file's name away. Its versions stay until they are shredded.
    ///
    /// # Errors
    /// There is no such file, it is a directory, the disk is full or fails.
    pub fn unlink(
        &self,
        parent: FileId,
        name: &SecretName,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        self.removing(|| {
            let place = Place { parent, name: name.clone() };
            self.change(Change::Unlink { place, time: now })
        })
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// There is none, it has entries, the disk is full or fails.
    pub fn remove_directory(
        &self,
        parent: FileId,
        name: &SecretName,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        self.removing(|| {
            let place = Place { parent, name: name.clone() };
            self.change(Change::RemoveDirectory { place, time: now })
        })
    }

    /// Sets when a node was modified.
    ///
    /// # Errors
    /// There is no such node, the disk is full or fails.
    pub fn set_times(
        &self,
        file: FileId,
        modified: WallTime,
        now: WallTime,
    ) -> Result<(), ChangeError> {
        self.change(Change::SetTimes { file, modified, changed: now })
    }

    /// Makes everything that was changed before durable: one fdatasync for all who wait.
    ///
    /// # Errors
    /// The disk fails; then the vault takes no more changes until it is unlocked again.
    pub fn sync(&self) -> Result<SyncedHead, ChangeError> {
        Ok(self.writer.sync()?)
    }

    /// Hands everything that was changed before to the kernel, not yet durable.
    ///
    /// # Errors
    /// The disk fails.
    pub fn flush(&self) -> Result<(), ChangeError> {
        Ok(self.writer.flush()?)
    }

    fn create_node(
        &self,
        kind: NodeKind,
        parent: FileId,
        name: &SecretName,
        time: WallTime,
    ) -> Result<FileId, ChangeError> {
        let place = Place { parent, name: name.clone() };
        let asked = Change::Create { file: FileId(0), kind, place: place.clone(), time };
        let admission = self.writer.admit(&asked)?;
        let mut file = FileId(0);
        self.make(admission, |tree| {
            file = tree.next_file();
            Ok(Some(Change::Create { file, kind, place, time }))
        })?;
        Ok(file)
    }

    pub(crate) fn change(&self, change: Change) -> Result<(), ChangeError> {
        let admission = self.writer.admit(&change)?;
        self.make_any(admission, |_| Ok(Some(change))).map(drop)
    }

    /// Makes the change of a `secrets` vault that `choose` finds right.
    pub(crate) fn make(
        &self,
        admission: Admission,
        choose: impl FnOnce(&SecretTree) -> Result<Option<Change>, ChangeError>,
    ) -> Result<Option<Change>, ChangeError> {
        let of_secrets = |index: &Index| choose(index.secrets().ok_or(ChangeError::WrongKind)?);
        self.make_any(admission, of_secrets)
    }

    /// Makes the change that `choose` finds right, in memory and for the writer in the same order.
    ///
    /// `choose` runs under the index; the room it was admitted with is given back after that.
    fn make_any(
        &self,
        admission: Admission,
        choose: impl FnOnce(&Index) -> Result<Option<Change>, ChangeError>,
    ) -> Result<Option<Change>, ChangeError> {
        let made = {
            let mut index = self.write_index();
            match choose(&index) {
                Ok(Some(change)) => index.apply(&change).map(|()| Some(change)).map_err(Into::into),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            }
            .inspect(|made| {
                if let Some(change) = made {
                    self.writer.push(&admission, change);
                }
            })
        };
        match made {
            Ok(Some(change)) => {
                self.writer.relieve()?;
                Ok(Some(change))
            }
            nothing => {
                self.writer.withdraw(&admission);
                nothing
            }
        }
    }
}

impl From<Misfit> for ChangeError {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::NoSuchFile | Misfit::NoSuchName => Self::NotFound,
            Misfit::NameTaken => Self::Exists,
            Misfit::NotDirectory => Self::NotDirectory,
            Misfit::IsDirectory => Self::IsDirectory,
            Misfit::NotEmpty => Self::NotEmpty,
            Misfit::IntoItself => Self::IntoItself,
            Misfit::UsedNumber => Self::Io(io::ErrorKind::AlreadyExists.into()),
            Misfit::Name(fault) => Self::Name(fault),
            Misfit::TooManyLinks => Self::TooManyLinks,
            Misfit::TooFar => Self::TooFar,
            Misfit::NotFile => Self::NotFile,
            Misfit::NoSuchAttribute => Self::NoSuchAttribute,
            Misfit::WrongKind => Self::WrongKind,
        }
    }
}

impl From<WriteError> for ChangeError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NoSpace => Self::NoSpace,
            WriteError::ReadOnly(reason) => Self::ReadOnly(reason),
            WriteError::TooLong => Self::TooLong { limit: LONGEST_VALUE },
            WriteError::Io(error) => Self::Io(error),
        }
    }
}
