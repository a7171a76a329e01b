//! Restoring: an older version becomes the current one again, and a removed file gets its name back.

use crate::change::{Change, Version};
use crate::changing::{ChangeError, Existing};
use crate::extent::VersionId;
use crate::imprint::Writing;
use crate::recovery::copy;
use crate::vault::Vault;
use crate::wall_time::WallTime;
use ward_policy::{FileId, SecretName};

impl Vault {
    /// Makes an older version of a file its current one again, as a new version with the imprint of
    /// the old one: it is served no longer than that.
    ///
    /// # Errors
    /// The file has no such version, or it is damaged; the disk is full or fails.
    pub fn restore(
        &self,
        file: FileId,
        version: VersionId,
        now: WallTime,
    ) -> Result<VersionId, ChangeError> {
        let (id, length, old, imprint) = {
            let mut index = self.write_index();
            let tree = index.secrets_mut().ok_or(ChangeError::WrongKind)?;
            let history = tree.history(file).ok_or(ChangeError::NotFound)?;
            if !history.shown().contains(&version) {
                return Err(ChangeError::NotFound);
            }
            let content = tree.contents.get(&version).ok_or(ChangeError::NotFound)?;
            let (length, extents) = (content.length, content.extents.to_vec());
            let imprint = content.imprint.clone();
            (tree.take_version(), length, extents, imprint)
        };
        let copied = old.iter().map(|extent| copy(extent, &self.segments, &self.writer));
        let extents = copied.collect::<Result<Vec<_>, _>>()?;
        let writing = Writing { imprint, ..now.into() };
        self.write_extents(file, Version { id, length, extents }, writing)
    }

    /// Gives a removed file its last path back, with its versions and its last content; the new file
    /// has another number.
    ///
    /// # Errors
    /// No such file was removed, its directory is gone or its name taken, the disk is full or fails.
    pub fn restore_removed(&self, file: FileId, now: WallTime) -> Result<FileId, ChangeError> {
        let removed = self.removed().into_iter().find(|gone| gone.file == file);
        let path = removed.ok_or(ChangeError::NotFound)?.path;
        let (mut parent, mut parts) = (self.root(), path.parts().peekable());
        while let Some(part) = parts.next() {
            let name = SecretName::try_from(part).map_err(ChangeError::Name)?;
            if parts.peek().is_none() {
                // A file that takes a path goes on with the history of what was removed there.
                let made = self.create_file(parent, &name, now)?;
                if let Some(last) = self.versions(made).last() {
                    self.restore(made, *last, now)?;
                }
                return Ok(made);
            }
            parent = self.lookup(parent, &name).ok_or(ChangeError::NotFound)?;
        }
        Err(ChangeError::NotFound)
    }

    /// Makes content that is written already the current version.
    pub(crate) fn write_extents(
        &self,
        file: FileId,
        version: Version,
        writing: Writing,
    ) -> Result<VersionId, ChangeError> {
        let Writing { time, imprint, existing } = writing;
        let (id, regions) = (version.id, version.extents.iter().map(|extent| extent.region()));
        let regions = regions.collect();
        let change = Change::Write { file, version, time, imprint };
        let admission = self.writer.admit(&change)?;
        let made = self.make(admission, |tree| match existing {
            Existing::Keep if tree.current(file).is_some() => Err(ChangeError::Exists),
            Existing::Keep | Existing::Replace => Ok(Some(change)),
        });
        match made {
            Ok(_) => Ok(id),
            Err(error @ (ChangeError::NotFound | ChangeError::Exists)) => {
                // Shredded meanwhile, or another was first: what was just written must not stay.
                self.discard(file, regions)?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }
}
