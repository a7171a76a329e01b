//! What `ward.toml` and the environment say of the key that signs for the log.

use crate::helper::http::Identity;
use crate::helper::{Helpers, ResolveError, RunAs, SignerPlace, SignerWork, Work};
use crate::settings::{AuditSettings, TableName};
use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use ward_audit::{KeySource, PublicKey};

/// The tables `[audit.signer]` and `[audit.next_signer]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignerSettings {
    #[serde(default = "software")]
    pub(crate) source: KeySource,
    /// The name of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<String>,
    /// What checks its signatures: 32 bytes, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_key: Option<String>,
    /// Whether nothing else may sign in its place.
    #[serde(default)]
    pub(crate) required: bool,
    /// The user the helper runs as; the daemon's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// The library of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<PathBuf>,
    /// The token's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// The file with its PIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pin_file: Option<PathBuf>,
    /// What the library finds in its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) environment: BTreeMap<String, String>,
    /// Where a proxy is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Root certificates for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) roots: Option<PathBuf>,
    /// Our certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
}

const fn software() -> KeySource {
    KeySource::Software
}

/// What the environment of the daemon says; it counts over the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignerVariables {
    /// `AUDIT_SIGNING_KEY_SOURCE`.
    pub(crate) source: Option<String>,
    /// `AUDIT_SIGNER_KID`.
    pub(crate) kid: Option<String>,
    /// `SIGNING_PROXY_URL`.
    pub(crate) url: Option<String>,
    /// `REQUIRE_KMS`.
    pub(crate) required: Option<String>,
}

/// A signer elsewhere, as it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteSettings {
    pub(crate) source: KeySource,
    pub(crate) public: PublicKey,
    pub(crate) is_required: bool,
    pub(crate) kid: String,
    pub(crate) helper: RunAs,
}

/// What is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignersSettings {
    pub(crate) signer: Option<RemoteSettings>,
    pub(crate) next: Option<RemoteSettings>,
}

/// Why a signer cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignerSettingsError {
    #[error("[{0}] takes {1} with this source")]
    Missing(&'static str, &'static str),
    #[error("[{0}] names {1}, which is no absolute path")]
    Relative(&'static str, PathBuf),
    #[error("`public_key` of [{0}] is no Ed25519 key: 32 bytes in base64")]
    PublicKey(&'static str, String),
    #[error("`url` of [{0}] must begin with https://")]
    Url(&'static str, String),
    #[error("AUDIT_SIGNING_KEY_SOURCE is {0:?}, and must be software, pkcs11 or proxy")]
    Source(String),
    #[error("REQUIRE_KMS is {0:?}, and must be true or false")]
    Required(String),
    #[error("a signer elsewhere is required, and the source of [audit.signer] is software")]
    Software,
    #[error(transparent)]
    Helper(#[from] ResolveError),
}

/// The name of the helper, and of its table.
pub(crate) const SIGNER: &str = "audit.signer";
/// The same of the one that is to take over.
pub(crate) const NEXT: &str = "audit.next_signer";

impl SignerVariables {
    /// Those of this process. `ward` passes none on: it starts a daemon without an environment.
    pub(crate) fn of_this_process() -> Self {
        let text = |name: &str| std::env::var_os(name).and_then(|text| text.into_string().ok());
        let given = |name: &str| text(name).filter(|text| !text.is_empty());
        Self {
            source: given("AUDIT_SIGNING_KEY_SOURCE"),
            kid: given("AUDIT_SIGNER_KID"),
            url: given("SIGNING_PROXY_URL"),
            required: given("REQUIRE_KMS"),
        }
    }
}

impl AuditSettings {
    /// Checks what is said, with `variables` over it, while users can be looked up.
    pub(crate) fn resolve(
        &self,
        variables: &SignerVariables,
    ) -> Result<SignersSettings, SignerSettingsError> {
        let mut signer = self.signer.clone().unwrap_or_default();
        if let Some(source) = &variables.source {
            let sources = [KeySource::Software, KeySource::Pkcs11, KeySource::Proxy];
            let known = sources.into_iter().find(|known| known.name() == source);
            signer.source = known.ok_or_else(|| SignerSettingsError::Source(source.clone()))?;
        }
        signer.kid = variables.kid.clone().or(signer.kid);
        signer.url = variables.url.clone().or(signer.url);
        signer.required = match variables.required.as_deref() {
            None => signer.required,
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => return Err(SignerSettingsError::Required(other.to_owned())),
        };
        let is_required = signer.required;
        let next = self.next_signer.as_ref().map(|next| next.resolve(NEXT, is_required));
        let resolved = SignersSettings {
            signer: signer.resolve(SIGNER, is_required)?,
            next: next.transpose()?.flatten(),
        };
        // A log that begins here signs by itself until another takes over.
        if is_required && resolved.signer.is_none() && resolved.next.is_none() {
            return Err(SignerSettingsError::Software);
        }
        Ok(resolved)
    }
}

impl Default for SignerSettings {
    fn default() -> Self {
        Self {
            source: KeySource::Software,
            kid: None,
            public_key: None,
            required: false,
            user: None,
            module: None,
            token: None,
            pin_file: None,
            environment: BTreeMap::new(),
            url: None,
            roots: None,
            certificate: None,
            key: None,
        }
    }
}

impl SignerSettings {
    fn resolve(
        &self,
        table: &'static str,
        is_required: bool,
    ) -> Result<Option<RemoteSettings>, SignerSettingsError> {
        let missing = |key: &'static str| move || SignerSettingsError::Missing(table, key);
        let place = match self.source {
            KeySource::Software => return Ok(None),
            KeySource::Pkcs11 => SignerPlace::Token {
                module: self.module.clone().ok_or_else(missing("module"))?,
                token: self.token.clone().ok_or_else(missing("token"))?,
                pin_file: self.pin_file.clone().ok_or_else(missing("pin_file"))?,
            },
            KeySource::Proxy => {
                let url = self.url.clone().ok_or_else(missing("url"))?;
                if !url.starts_with("https://") {
                    return Err(SignerSettingsError::Url(table, url));
                }
                let certificate =
                    Some(self.certificate.clone().ok_or_else(missing("certificate"))?);
                let key = Some(self.key.clone().ok_or_else(missing("key"))?);
                let identity = Identity { roots: self.roots.clone(), certificate, key };
                SignerPlace::Proxy { url, identity }
            }
        };
        let paths = [&self.module, &self.pin_file, &self.roots, &self.certificate, &self.key];
        if let Some(path) = paths.into_iter().flatten().find(|path| !Path::is_absolute(path)) {
            return Err(SignerSettingsError::Relative(table, path.clone()));
        }
        let key = self.public_key.as_deref().ok_or_else(missing("public_key"))?;
        let public = PublicKey::from_base64(key);
        let kid = self.kid.clone().ok_or_else(missing("kid"))?;
        let ours = User::from_uid(Uid::effective()).ok().flatten();
        let user = self.user.clone().or_else(|| ours.map(|user| user.name));
        let work = Work::Sign(SignerWork { kid: kid.clone(), place });
        let helper =
            RunAs::resolve(&TableName::Plain(table), user.as_deref().unwrap_or_default(), work)?;
        Ok(Some(RemoteSettings {
            source: self.source,
            public: public.ok_or_else(|| SignerSettingsError::PublicKey(table, key.to_owned()))?,
            is_required: is_required || self.required,
            kid,
            helper: RunAs { environment: self.environment.clone(), ..helper },
        }))
    }
}

impl SignersSettings {
    /// Adds what the monitor may start for them.
    pub(crate) fn add_to(&self, helpers: &mut Helpers) {
        for (name, signer) in [(SIGNER, &self.signer), (NEXT, &self.next)] {
            if let Some(signer) = signer {
                helpers.add(name, signer.helper.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "source = \"proxy\"\nkid = \"a\"\nurl = \"https://kms/\"\ncertificate = \"/c\"\n\
        key = \"/k\"\npublic_key = \"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n";

    fn resolve(text: &str, variables: &SignerVariables) -> Result<SignersSettings, String> {
        let settings: AuditSettings = toml::from_str(text).map_err(|error| error.to_string())?;
        settings.resolve(variables).map_err(|error| error.to_string())
    }

    fn as_nobody(text: &str) -> String {
        // Root has no helper run as itself.
        let user = if nix::unistd::Uid::effective().is_root() { "user = \"nobody\"\n" } else { "" };
        format!("[signer]\n{text}{user}")
    }

    #[test]
    fn the_environment_counts_over_the_file() {
        let none = SignerVariables::default();
        assert_eq!(resolve("", &none), Ok(SignersSettings::default()));
        let said = resolve(&as_nobody(PROXY), &none).unwrap().signer.unwrap();
        assert_eq!((said.kid.as_str(), said.is_required), ("a", false));
        let variables = SignerVariables {
            source: Some("proxy".to_owned()),
            kid: Some("b".to_owned()),
            url: Some("https://other".to_owned()),
            required: Some("true".to_owned()),
        };
        let said = resolve(&as_nobody(PROXY), &variables).unwrap().signer.unwrap();
        assert_eq!((said.kid.as_str(), said.is_required), ("b", true));
        let Work::Sign(work) = said.helper.work else { unreachable!() };
        let SignerPlace::Proxy { url, .. } = work.place else { unreachable!() };
        assert_eq!(url, "https://other");
        let software =
            SignerVariables { source: Some("software".to_owned()), ..SignerVariables::default() };
        assert_eq!(resolve(&as_nobody(PROXY), &software).unwrap().signer, None);
        let required = SignerVariables { required: Some("1".to_owned()), ..software };
        let refused = resolve(&as_nobody(PROXY), &required).unwrap_err();
        assert!(refused.contains("is required"), "{refused}");
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        let none = SignerVariables::default();
        for (from, to, said) in [
            ("url = \"https://kms/\"\n", "", "takes url"),
            ("https://kms/", "http://kms/", "https://"),
            ("kid = \"a\"\n", "", "takes kid"),
            ("\"/c\"", "\"c\"", "no absolute path"),
            ("certificate = \"/c\"\n", "", "takes certificate"),
            ("11qY", "11q", "no Ed25519 key"),
        ] {
            let refused = resolve(&as_nobody(&PROXY.replace(from, to)), &none).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
        let odd =
            SignerVariables { source: Some("cloud".to_owned()), ..SignerVariables::default() };
        assert!(resolve("", &odd).unwrap_err().contains("must be software, pkcs11 or proxy"));
        let odd = SignerVariables { required: Some("si".to_owned()), ..SignerVariables::default() };
        assert!(resolve("", &odd).unwrap_err().contains("must be true or false"));
    }
}
