//! The tables `[sources]` of `ward.toml`: what a human keeps elsewhere and vaults show.

use crate::FIRST_VAULT;
use crate::helper::{PassStore, ResolveError, RunAs, Work};
use crate::settings::{Period, TableName};
use nix::unistd::User;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use ward_policy::{
    HumanFolder, HumanOwned, SecretPath, SecretPathError, VaultName, VaultNameError,
};

/// The name of the helper of `[sources.pass]`, and of the source among rules.
pub(super) const PASS: &str = "sources.pass";
/// The folder that shows a store that names none.
const FIRST_FOLDER: &str = "pass";
/// How long one decryption may take, a human who types a passphrase included.
const PATIENCE: Period = Period::from_secs(30);

/// The table `[sources]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SourcesSettings {
    /// A password store of `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pass: Option<PassSettings>,
}

/// The table `[sources.pass]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PassSettings {
    /// The folder of the password store.
    store: PathBuf,
    /// Whose it is, and as whom `gpg` runs.
    user: String,
    /// Where that user's keys are, when that is not `~/.gnupg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gnupg_home: Option<PathBuf>,
    /// The vault that shows it; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vault: Option<Vault>,
    /// The folder in it; `pass` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Folder>,
    /// Whether opening takes a human's yes where the policy only allows it.
    #[serde(default)]
    approval: Approval,
    /// How long `gpg` may take for an entry.
    #[serde(default = "patience")]
    patience: Period,
}

/// When a human is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Approval {
    /// Whenever no lease of an earlier yes lives.
    #[default]
    Always,
    /// As the policy says.
    Policy,
}

/// A vault, as a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Vault(VaultName);

/// A folder of a vault, as a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Folder(SecretPath);

impl SourcesSettings {
    /// The helpers that they name.
    pub(crate) fn helpers(&self) -> Result<Vec<(&'static str, RunAs)>, ResolveError> {
        self.pass.iter().map(|pass| Ok((PASS, pass.resolve()?))).collect()
    }

    /// What takes a human's yes whatever rules allow.
    pub(crate) fn human_owned(&self) -> HumanOwned {
        let asks = self.pass.iter().filter(|pass| pass.approval == Approval::Always);
        let folders = asks.filter_map(PassSettings::place);
        let folders =
            folders.map(|(vault, folder)| HumanFolder { name: PASS.into(), vault, folder });
        HumanOwned::new(folders.collect())
    }
}

impl PassSettings {
    /// The vault and the folder in it that show the store.
    pub(super) fn place(&self) -> Option<(VaultName, SecretPath)> {
        let vault = || VaultName::try_from(FIRST_VAULT).ok();
        let vault = self.vault.as_ref().map(|vault| vault.0.clone()).or_else(vault)?;
        let at = || SecretPath::try_from(FIRST_FOLDER).ok();
        let at = self.at.as_ref().map(|at| at.0.clone()).or_else(at)?;
        Some((vault, at))
    }

    /// How long an entry may take.
    pub(super) const fn patience(&self) -> Duration {
        self.patience.duration()
    }

    fn resolve(&self) -> Result<RunAs, ResolveError> {
        let table = TableName::Plain(PASS);
        let folders = std::iter::once(&self.store).chain(&self.gnupg_home);
        if let Some(folder) = folders.into_iter().find(|folder| !folder.is_absolute()) {
            return Err(ResolveError::Relative(table, folder.clone()));
        }
        let store = self.store.clone();
        let work = Work::Pass(PassStore { store, patience: self.patience.duration() });
        let mut helper = RunAs::resolve(&table, &self.user, work)?;
        let home = User::from_name(&self.user).ok().flatten().map(|user| user.dir);
        let mut say = |name: &str, folder: PathBuf| {
            helper.environment.insert(name.to_owned(), folder.to_string_lossy().into_owned());
        };
        home.into_iter().for_each(|home| say("HOME", home));
        self.gnupg_home.iter().for_each(|home| say("GNUPGHOME", home.clone()));
        Ok(helper)
    }
}

impl TryFrom<String> for Vault {
    type Error = VaultNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        VaultName::try_from(text.as_str()).map(Self)
    }
}

impl From<Vault> for String {
    fn from(vault: Vault) -> Self {
        vault.0.to_string()
    }
}

impl TryFrom<String> for Folder {
    type Error = SecretPathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        SecretPath::try_from(text.as_str()).map(Self)
    }
}

impl From<Folder> for String {
    fn from(folder: Folder) -> Self {
        folder.0.to_string()
    }
}

const fn patience() -> Period {
    PATIENCE
}
