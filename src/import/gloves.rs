//! What users of gloves have: a `.gloves.toml`, and a root with secrets and vaults.

pub(crate) mod acl;
pub(crate) mod root;
pub(crate) mod settings;
pub(crate) mod vaults;
