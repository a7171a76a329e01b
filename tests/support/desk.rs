//! A desk: a stage on which a workspace is mounted instead of the first vault.

use super::person::Person;
use super::stage::{HOLD, Stage};
use super::ward::Ended;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The name of the vault.
pub(crate) const VAULT: &str = "work";

/// A mounted workspace, whose top directory everybody may write by its mode.
pub(crate) struct Desk {
    stage: Stage,
}

impl Desk {
    /// The desk for most tests; `None`, with a word why, where we cannot act as other users.
    pub(crate) fn set() -> Option<Self> {
        Self::with("")
    }

    /// A desk with more rules.
    pub(crate) fn with(rules: &str) -> Option<Self> {
        let stage = Stage::served(HOLD, rules)?;
        stage.root().ward(&["vault", "init", VAULT, "--kind", "workspace"]).succeed();
        let desk = Self { stage };
        desk.mount(&[]);
        let open = Permissions::from_mode(0o777);
        std::fs::set_permissions(desk.stage.mountpoint(), open).unwrap();
        Some(desk)
    }

    /// The stage below it.
    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The path of a file, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.stage.path(name)
    }

    /// The path of a file in the directory of that name, which is made and everybody's.
    pub(crate) fn free(&self, folder: &str, name: &str) -> String {
        let path = PathBuf::from(self.path(folder));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        path.join(name).to_str().unwrap().to_owned()
    }

    /// Mounts the workspace, for an hour unless `options` say otherwise.
    pub(crate) fn mount(&self, options: &[&str]) {
        let words = [&["vault", "mount", VAULT, self.stage.mountpoint()], options].concat();
        self.stage.root().ward(&words).succeed();
    }

    /// Ends the mount.
    pub(crate) fn unmount(&self) -> Ended {
        self.stage.root().run(&["vault", "unmount", VAULT])
    }

    /// A process of root in the top directory.
    pub(crate) fn person(&self) -> Person {
        let mut person = Person::started_by(&[], None);
        person.must(&format!("os.chdir({:?})", self.stage.mountpoint()));
        person
    }

    /// A process of another user in the top directory.
    pub(crate) fn person_of(&self, user: &str) -> Person {
        let mut person = Person::of(user);
        person.must(&format!("os.chdir({:?})", self.stage.mountpoint()));
        person
    }
}
