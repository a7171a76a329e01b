//! A policy in a file, read where no daemon is needed.

use crate::picture;
use crate::trouble::Trouble;
use std::path::Path;
use ward_mountd::control::message::FailureCode;
use ward_mountd::policy_digest;
use ward_policy::Rules;

/// The text of a file that holds `what`.
pub(crate) fn read(file: &Path, what: &str) -> Result<String, Trouble> {
    std::fs::read_to_string(file).map_err(|error| {
        let is_absent = error.kind() == std::io::ErrorKind::NotFound;
        let code = if is_absent { FailureCode::NotFound } else { FailureCode::BadInput };
        Trouble::new(code, format!("cannot read the {what} {}: {error}", file.display()))
    })
}

/// The rules of a policy file.
pub(crate) fn load(file: &Path) -> Result<Rules, Trouble> {
    let text = read(file, "policy")?;
    Rules::load(&text, policy_digest(&text)).map_err(|fault| {
        let shown = file.display().to_string();
        Trouble::bad_input(format!("{shown}, {fault}"))
            .shown(picture::of(&fault, &shown, &text))
            .next("mend the file there and check it again; a running policy stays in force")
    })
}
